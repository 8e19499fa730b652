"""The console: a frame that brings what the core knows to the panes, and what is pressed to the core.

It never blocks and asks no server. The first picture stands before the core is open; then the database fills it, with
the age of what it shows.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.events import TextSelected
from textual.filter import LineFilter
from textual.screen import Screen

from mmconsole.domain.filters import Filter, parse
from mmconsole.errors import BadFilter, MmconsoleError, NotMigrated
from mmconsole.tui import themes
from mmconsole.tui.actions import PANES, Action, Pane, State, actions_of, bindings_of, find
from mmconsole.tui.driver import TerminalDriver
from mmconsole.tui.keymaps import Keymap, keymap
from mmconsole.tui.known import Chosen, Known
from mmconsole.tui.main_screen import MainScreen
from mmconsole.tui.opening import Opening
from mmconsole.tui.panes import Refused, StateChanged
from mmconsole.tui.permission import Permission
from mmconsole.tui.picture import Picture
from mmconsole.tui.privacy import mask_within
from mmconsole.tui.reader import Reader
from mmconsole.tui.resting import Resting
from mmconsole.tui.session import Crashing
from mmconsole.tui.style_cache import share_border_colours
from mmconsole.tui.users_pane import UsersPane
from mmconsole.tui.virtual_table import VirtualTable

if TYPE_CHECKING:
    from mmconsole.config import Settings
    from mmconsole.core import Core
    from mmconsole.services.job_desk import KnownJob
    from mmconsole.tui.at_hand import AtHand, Profiles
    from mmconsole.tui.closer_look import CloserLook
    from mmconsole.tui.commands import Offer
    from mmconsole.tui.jobs_pane import JobsPane
    from mmconsole.tui.key_bar import KeyBar
    from mmconsole.tui.log_pane import LogPane
    from mmconsole.tui.orders import Orders
    from mmconsole.tui.running import Running
    from mmconsole.tui.user_rows import SeenUsers
    from mmconsole.tui.views import SavedViews
    from mmconsole.tui.work import Work

_PAINT_EVERY: Final = 0.1
_TYPED_FOR: Final = 0.08
"""Seconds without a key before a filter that is being typed is tried."""
_NAMED_WORKS: Final = 3
_AGAIN_WITHIN: Final = 2.0
_ALWAYS: Final = frozenset({"interrupt", "suspend"})
_WHILE_TYPING: Final = _ALWAYS | {"back", "next_pane", "previous_pane"}


class Console(Crashing, inherit_bindings=False):
    """The frame. Without a core it says what is in the way, and how to remove it.

    Without settings it waits to be furnished: to read them takes as long as the first picture, which needs none.
    """

    BINDINGS: ClassVar = bindings_of(Pane.EVERYWHERE)
    ENABLE_COMMAND_PALETTE = False
    TITLE = "mmconsole"
    CURSOR_RESTS: float = 0.4
    """Seconds after which somebody looks at a user, and does not pass by."""

    def __init__(  # noqa: PLR0913 - what a face is given, each by its name
        self,
        settings: "Settings | None",
        opening: Opening,
        *,
        obstacle: str = "",
        keys: Keymap | None = None,
        theme: str = themes.AUTO,
        plain_signs: bool | None = None,
        greeting: str = "",
        views: Path | None = None,
        profiles: "Profiles | None" = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`obstacle` is what to do when the database has not been prepared."""
        super().__init__(driver_class=TerminalDriver)
        share_border_colours()
        self.settings: Settings | None = None
        self.keys = keymap("vim")
        self.known = Known()
        self.picture = Picture(self)
        self._resting = Resting(self.picture.tell_detail)
        self.permission = Permission(protected=True, now=now)
        self.now = now
        self.core: Core | None = None
        """None until it is open, and when it cannot be."""
        self.reader: Reader | None = None
        self.shown = asyncio.Event()
        """Set when the first rows are on the screen, or cannot be."""
        self.running: Running | None = None
        self.next_profile: str | None = None
        """The profile whose console shall come after this one."""
        self.left: list[str] = []
        """What was not brought to its end when the console was left, in words."""
        self._opening = opening
        self._opened = AsyncExitStack()
        self._obstacle = obstacle
        self._greeting = greeting
        self._profiles: dict[str, Callable[[], Settings]] = {}
        self._signs = themes.PlainSigns(enabled=not themes.speaks_unicode())
        self._stands = False
        self._orders: Orders | None = None
        self._closer_look: CloserLook | None = None
        self._interrupted_at = 0.0
        for name in themes.THEMES:
            self.register_theme(themes.theme(name))
        self.theme = themes.chosen(theme)
        if settings is not None:
            self.furnish(settings, keys=keys, theme=theme, plain_signs=plain_signs, views=views, profiles=profiles)

    def furnish(  # noqa: PLR0913 - as above
        self,
        settings: "Settings",
        *,
        keys: Keymap | None = None,
        theme: str = themes.AUTO,
        plain_signs: bool | None = None,
        views: Path | None = None,
        profiles: "Profiles | None" = None,
    ) -> None:
        """Take over what the settings say, before the first picture or after it."""
        self.settings = settings
        self.permission = Permission(protected=settings.values.console.protected, now=self.now)
        self.keys = keys or self.keys
        self.views.file = views
        self._profiles.update(profiles or {})
        signs = self._signs.enabled if plain_signs is None else plain_signs
        others, self._signs.enabled = signs is not self._signs.enabled, signs
        self.theme = themes.chosen(theme)
        if self._stands:
            self._move_in()
            self.picture.draw()
        if self._stands and others:
            for widget in self.main.walk_children():
                widget.refresh()

    def get_default_screen(self) -> Screen[None]:
        return self.main

    def get_line_filters(self) -> list[LineFilter]:
        return [*super().get_line_filters(), *([self._signs] if self._signs.enabled else [])]

    # ── parts ────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def main(self) -> MainScreen:
        """There as long as the console is: whoever reads may be done when the screens are taken down."""
        return MainScreen()

    @property
    def users(self) -> UsersPane:
        return self.main.users

    @property
    def bar(self) -> "KeyBar":
        return self.main.key_bar

    @property
    def jobs_pane(self) -> "JobsPane":
        return self.main.jobs

    @property
    def log_pane(self) -> "LogPane":
        return self.main.log_pane

    @cached_property
    def views(self) -> "SavedViews":
        from mmconsole.tui.views import SavedViews  # noqa: PLC0415 - the first picture shows none

        return SavedViews(None)

    @cached_property
    def at_hand(self) -> "AtHand":
        from mmconsole.tui.at_hand import AtHand  # noqa: PLC0415 - it imports services; the first picture needs none

        return AtHand(self, views=self.views, profiles=self._profiles)

    @property
    def seen(self) -> "SeenUsers | None":
        """Users that were read already."""
        return self.reader.seen if self.reader is not None else None

    @property
    def wanted(self) -> Filter:
        """Who is shown."""
        return self.known.wanted

    @property
    def jobs(self) -> "list[KnownJob]":
        return self.known.jobs

    @property
    def profile(self) -> str:
        return self.settings.profile if self.settings is not None else ""

    @property
    def masked(self) -> bool:
        """Whether names and addresses are covered."""
        return self.known.masked

    # ── life ─────────────────────────────────────────────────────────────────────────────────────

    @on(MainScreen.Ready)
    def _start(self) -> None:
        self._stands = True
        if self.settings is not None:
            self._move_in()
        self.picture.draw()
        if self._greeting:
            self.say(self._greeting)
        self.call_after_refresh(lambda: self.run_worker(self._open(), group="opening"))

    def _move_in(self) -> None:
        if self.keys.name != "vim":
            # Those are the bindings themselves, and Textual goes through a keymap with every key that is pressed.
            self.set_keymap(self.keys.for_textual())
        self._read_views()

    async def _open(self) -> None:
        try:
            core = await self._opened.enter_async_context(self._opening())
        except NotMigrated:
            self.users.say_instead(self._obstacle)
            return
        except MmconsoleError as fault:
            self._handle_exception(fault)
            return
        self._begin(core)

    def _begin(self, core: "Core") -> None:
        # Services and what works with them, which the core has imported by now.
        from mmconsole.tui.closer_look import CloserLook  # noqa: PLC0415 - as said
        from mmconsole.tui.desk import ConsoleDesk  # noqa: PLC0415
        from mmconsole.tui.ground import Ground  # noqa: PLC0415
        from mmconsole.tui.orders import Orders  # noqa: PLC0415
        from mmconsole.tui.running import Running  # noqa: PLC0415

        desk = ConsoleDesk(self)
        self.core = core
        self.running = Running(core, desk, now=self.now)
        self.reader = Reader(self, core)
        self._orders = Orders(Ground(core, self.running, self.permission, desk))
        self._closer_look = CloserLook(self, core)
        self.picture.draw()
        self.reader.start()
        self.set_interval(_PAINT_EVERY, self._paint)

    async def aclose(self) -> None:
        """Let what is under way on the server come to an end; what is left then is in `left`."""
        if self.running is not None:
            self.left = await self.running.aclose()
        await self._opened.aclose()

    def broke(self, fault: BaseException) -> None:
        """Something happened outside of Textual that must not: the console ends with it."""
        self._handle_exception(fault if isinstance(fault, Exception) else RuntimeError(type(fault).__name__))

    def say(self, word: str) -> None:
        """Tell the operator something."""
        self.bar.say(mask_within(word, hidden=self.masked))

    def send(self, sequence: str) -> None:
        """Send something to the terminal that is not drawn."""
        if self._driver is not None:
            self._driver.write(sequence)

    def _read_views(self) -> None:
        try:
            self.views.read()
        except MmconsoleError as fault:
            self.say(str(fault))

    # ── what goes on ─────────────────────────────────────────────────────────────────────────────

    def _paint(self) -> None:
        """However much has happened since the last time, it is one change of the picture."""
        if self.reader is None or self.running is None or not self.is_running:
            return
        self.reader.show_entries()
        touched = self.running.touched()
        if touched:
            self.users.table().update_rows(touched)
            self.picture.tell_detail()
        if self.running.works:
            self.picture.tell_job_line()
            self.reader.look_at_jobs()
        self._resting.tick()
        self.picture.tell_clock()
        if self._closer_look is not None:
            self._closer_look.tick()

    def work_ended(self, work: "Work") -> None:
        """A run of ours is over: whoever it was about is read anew, and painted at once, changed or not."""
        about = {*work.users, *work.touched, *work.troubles}
        self.users.table().update_rows(about)
        self.picture.draw()
        if self._closer_look is not None:
            self._closer_look.again(about)
        if self.reader is not None:
            self.reader.refresh(about)
            self.reader.recount()

    def word_of(self, user_id: str) -> str | None:
        """What is being done for a user; None when nothing is."""
        return self.running.word_of(user_id) if self.running is not None else None

    def show_only(self, name: str, ids: Sequence[str]) -> None:
        """Show certain users, until escape."""
        self.known.chosen = Chosen(name, frozenset(ids))
        self.main.go_to(Pane.USERS)
        self.read_users()

    def read_users(self, *, after: float = 0.0) -> None:
        """Ask who is shown."""
        if self.reader is not None:
            self.reader.read_users(after=after)

    def recount(self) -> None:
        if self.reader is not None:
            self.reader.recount()

    # ── what can be done now ─────────────────────────────────────────────────────────────────────

    @property
    def state(self) -> State:
        """What can be done now, in the pane somebody is in."""
        return self.state_everywhere().beyond(self.main.current.state)

    def state_everywhere(self) -> State:
        """What can be done now, whatever the pane."""
        job = any(not known.job.state.ended for known in self.jobs) or self.main.pane is Pane.JOBS
        running = self.running is not None and bool(self.running.works)
        return State(core=self.core is not None, writable=self.permission.writable, job=job or running)

    def possible_actions(self) -> list[Action]:
        """What can be done from here, now."""
        state = self.state
        here = (*actions_of(self.main.pane), *actions_of(Pane.EVERYWHERE))
        return [action for action in here if action.why_not(state) is None]

    # ── what is heard from the panes ─────────────────────────────────────────────────────────────

    @on(StateChanged)
    def _state_changed(self) -> None:
        if self.main.is_mounted:
            self.picture.draw()
            # Where the keys of a job stand depends on the size.
            if self.running is not None:
                self.picture.tell_job_line()

    @on(Refused)
    def _refused(self, event: Refused) -> None:
        self.say(event.reason)

    def asked_for(self, pane: Pane, id_: str) -> None:
        """Do an action of a pane that takes more than the pane knows."""
        if find(pane, id_).ordered:
            self._order(id_)
        else:
            self.at_hand.offers()[id_]()

    def cursor_seen(self, key: str | None) -> None:
        """The cursor is on this user, or on none."""
        self._resting.seen_on(key)

    @on(UsersPane.FilterTyped)
    def _filter_typed(self, event: UsersPane.FilterTyped) -> None:
        try:
            wanted = parse(event.text)
        except BadFilter as bad:
            self.say(bad.why)
            return
        if not event.final:
            self.bar.hush()
        if not event.final and wanted.teams() - self.known.teams.keys():
            self.say("Who is in a team only the server knows; enter asks it.")
        elif wanted != self.wanted:
            self.known.wanted = wanted
            self.read_users(after=0.0 if event.final else _TYPED_FOR)

    @on(UsersPane.OrderWanted)
    def _order_wanted(self) -> None:
        self.read_users()

    @on(UsersPane.DetailsToggled)
    def _details_toggled(self) -> None:
        self.main.toggle_detail()

    @on(VirtualTable.LoadFailed)
    def _load_failed(self, event: VirtualTable.LoadFailed) -> None:
        self.say(str(event.fault))

    @on(TextSelected)
    def _text_selected(self) -> None:
        """Somebody let go of the mouse, which marks text or does not."""
        if text := self.screen.get_selected_text():
            self.at_hand.copy_text(text)

    # ── actions ──────────────────────────────────────────────────────────────────────────────────

    def do(self, id_: str) -> None:
        """Do an action of the pane somebody is in, or one of everywhere."""
        if Pane.EVERYWHERE in find(self.main.pane, id_).panes:
            self.action_do(id_)
        else:
            self.main.current.action_do(id_)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave letters to whoever types, and keys to the dialog that is open."""
        if action != "do":
            return super().check_action(action, parameters)
        if len(self.screen_stack) > 1:
            return parameters[0] in _ALWAYS
        return not self.main.current.typing or parameters[0] in _WHILE_TYPING

    def action_do(self, id_: str) -> None:
        """Do an action of everywhere, or say why not."""
        action = find(Pane.EVERYWHERE, id_)
        reason = action.why_not(self.state)
        if reason is not None:
            self.say(f"{action.verb}: {reason}")
        elif action.ordered:
            self._order(id_)
        else:
            getattr(self, f"do_{id_}")()

    def _order(self, id_: str) -> None:
        """Have something done on the server."""
        if self._orders is not None:
            getattr(self._orders, f"do_{id_}")()
            self.picture.draw()

    def do_pane_1(self) -> None:
        self.main.go_to(Pane.USERS)

    def do_pane_2(self) -> None:
        self.main.go_to(Pane.HEALTH)

    def do_pane_3(self) -> None:
        self.main.go_to(Pane.JOBS)

    def do_pane_4(self) -> None:
        self.main.go_to(Pane.LOG)

    def do_next_pane(self) -> None:
        self._step(1)

    def do_previous_pane(self) -> None:
        self._step(-1)

    def _step(self, by: int) -> None:
        self.main.go_to(PANES[(PANES.index(self.main.pane) + by) % len(PANES)])

    def do_back(self) -> None:
        if self.screen.selections:
            self.screen.clear_selection()
            return
        if self.main.current.go_back():
            return
        if self.known.chosen is not None and self.main.pane is Pane.USERS:
            self.known.chosen = None
            self.read_users()
            return
        if self.main.full or self.main.half:
            self.main.give_back()
        elif self.main.pane is not Pane.USERS:
            self.main.go_to(Pane.USERS)

    def do_enlarge(self) -> None:
        self.main.enlarge()

    def do_privacy(self) -> None:
        masked = self.known.masked = not self.masked
        self.say("Names and addresses are masked." if masked else "Names and addresses are shown.")
        self.users.set_masked(on=masked)
        self.log_pane.view().set_masked(on=masked)
        self.picture.tell_last_event()
        self.picture.draw()
        self.read_users()

    def do_reload(self) -> None:
        self._read_views()
        if self._closer_look is not None:
            self._closer_look.anew()
        if self.reader is not None:
            self.reader.forget()

    def do_commands(self) -> None:
        from mmconsole.tui.command_line import CommandLine  # noqa: PLC0415 - as `at_hand`

        self.push_screen(CommandLine(), self._do_offered)

    def _do_offered(self, offer: "Offer | None") -> None:
        if offer is not None and offer.run is not None:
            offer.run()

    def do_next_view(self) -> None:
        self.at_hand.step_view(1)

    def do_previous_view(self) -> None:
        self.at_hand.step_view(-1)

    def do_help(self) -> None:
        from mmconsole.tui.help_screen import HelpScreen, key_rows  # noqa: PLC0415 - as `at_hand`

        rows = key_rows(self.main.pane, self.state, self.keys)
        self.push_screen(HelpScreen(self.main.pane.value, rows))

    def do_suspend(self) -> None:
        self.action_suspend_process()

    def leave_for(self, profile: str) -> None:
        """End, and let the console of another profile come."""
        self.next_profile = profile
        self.do_quit()

    def do_quit(self) -> None:
        if self.running is not None and self.running.works:
            self.running.start(self._ask_to_quit(self.running))
        else:
            self.exit()

    async def _ask_to_quit(self, running: "Running") -> None:
        from mmconsole.tui.dialogs import YES, Dialog  # noqa: PLC0415 - as `at_hand`

        works = running.works
        lines = [f"{work.title}: {work.done:,} done, {work.left:,} not started" for work in works[:_NAMED_WORKS]]
        lines.append("Users under way are brought to their end, and a job pauses: p here or `jobs resume` goes on.")
        if await running.ask(Dialog("Leave while work goes on", lines, verb="leave")) == YES:
            self.exit()
        else:
            self.next_profile = None

    def do_interrupt(self) -> None:
        clock = asyncio.get_running_loop().time()
        if clock - self._interrupted_at < _AGAIN_WITHIN:
            self.exit(return_code=130)
        self._interrupted_at = clock
        self.say("Press ctrl+c again to leave.")
