"""What every part of the main screen is told, from what the console knows."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mmconsole.domain.tokens import Health
from mmconsole.errors import MissingSetting
from mmconsole.tui.actions import Action, Pane, find, in_bar
from mmconsole.tui.cells import harmless
from mmconsole.tui.detail_pane import OF_A_TOKEN, WAYS, Doing, Way
from mmconsole.tui.frame import doing_of
from mmconsole.tui.key_bar import Key
from mmconsole.tui.moments import ago, clock
from mmconsole.tui.privacy import COVER
from mmconsole.tui.views import BROKEN, EXPIRING
from mmconsole.tui.virtual_table import ASCENDING, DESCENDING
from mmconsole.tui.work_words import doing_now, undo_words

if TYPE_CHECKING:
    from mmconsole.services.overview import Glance, ListedUser
    from mmconsole.tui.app import Console

_LONG_FILTER: Final = 30


class Picture:
    def __init__(self, console: "Console") -> None:
        self._console = console
        self._clock_said = ""

    def draw(self) -> None:
        """Tell everything; who is told nothing new draws nothing."""
        console, main = self._console, self._console.main
        main.title_line.tell(profile=console.profile, server=self._server(), facts=self._facts())
        working = sum(known.alive and not known.job.state.ended for known in console.known.jobs)
        shown, count = self._shown(), self._shown_count()
        main.strip.tell(main.pane, shown=shown, count=count, working=working, ruled=main.shape.narrow)
        told = () if main.strip.display else (shown, count)
        console.users.title("   ".join(filter(None, (*told, self._order_words()))))
        self._tell_keys()
        self.tell_detail()
        if console.known.glance is not None:
            self._tell_health(console.known.glance)

    # ── title and strip ──────────────────────────────────────────────────────────────────────────

    def tell_clock(self) -> None:
        """What time alone changes in the title."""
        clock = f"{self._console.permission.word} {self._undo_words()}"
        if clock != self._clock_said:
            self._clock_said = clock
            self.draw()

    def _facts(self) -> list[str]:
        allowed = [self._console.permission.word, self._undo_words()] if self._console.core is not None else []
        return [*filter(None, allowed), *self._counted(), *self._next_sync(), *self._version()]

    def _next_sync(self) -> list[str]:
        """When an observer looks at everybody again; left out where none does, and where it is late."""
        glance = self._console.known.glance
        due = glance.next_sync if glance is not None else None
        return [f"next sync {clock(due)}"] if due is not None and due > self._console.now() else []

    def _version(self) -> list[str]:
        """Of the server, once it was asked for something, and who is at work here."""
        core, running = self._console.core, self._console.running
        facts = running.facts if running is not None else None
        version = [f"mattermost {'.'.join(map(str, facts.version))}"] if facts is not None else []
        return [*version, *([harmless(core.operator)] if core is not None else [])]

    def _undo_words(self) -> str:
        console = self._console
        if console.running is None:
            return ""
        return undo_words(console.running.undo, console.now(), console.keys.shown(find(Pane.EVERYWHERE, "undo")))

    def _counted(self) -> list[str]:
        glance = self._console.known.glance
        if glance is None:
            return []
        broken, ending = (view.counted(glance.by_status) for view in (BROKEN, EXPIRING))
        age = f"synced {ago(glance.looked_at, self._console.now())}" if glance.looked_at else "never synced"
        facts = [f"{glance.users:,} users", age, f"{glance.by_status[Health.OK]:,} ok"]
        facts += [f"{broken:,} broken"] if broken else []
        facts += [f"{ending:,} expiring"] if ending else []
        facts += [f"{glance.by_status[Health.MISSING]:,} without token"] if glance.by_status[Health.MISSING] else []
        return facts

    def _shown(self) -> str:
        """Who is shown; a long filter goes by the name of its view, if there is one."""
        known = self._console.known
        view = self._console.views.of(known.wanted) if len(str(known.wanted)) > _LONG_FILTER else None
        wanted = f"view {view.name}" if view is not None else f"filter {COVER if known.masked else known.wanted}"
        return "   ".join(filter(None, (known.chosen.name if known.chosen else "", wanted if known.wanted else "")))

    def _shown_count(self) -> str:
        known = self._console.known
        if known.glance is None or not (known.wanted or known.chosen):
            return ""
        return f"{len(self._console.users.table().source):,} of {known.glance.users:,}"

    def _order_words(self) -> str:
        order = self._console.users.order
        return f"sort: {order.by} {DESCENDING if order.descending else ASCENDING}"

    def _server(self) -> str:
        settings = self._console.settings
        try:
            return urlsplit(settings.server).netloc if settings is not None else ""
        except MissingSetting:
            return "no server"

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────

    def _tell_keys(self) -> None:
        console, everywhere = self._console, self._console.state_everywhere()
        for widget in console.main.panes:
            widget.everywhere = everywhere
        pane = console.main.pane
        # Where it is short, the detail pane names what can be done on the server.
        elsewhere = pane is Pane.USERS and console.main.detail.short
        own = [action for action in in_bar(pane) if not (elsewhere and action.ordered)]
        # They work everywhere, and are looked for here.
        own += [find(Pane.EVERYWHERE, id_) for id_ in ("pause", "stop", "undo")] if pane is Pane.JOBS else []
        console.bar.tell(self._marked(), self._keys(own), always=self._keys(in_bar(Pane.EVERYWHERE)))

    def _keys(self, actions: Iterable[Action]) -> list[Key]:
        state, keys = self._console.state, self._console.keys
        return [(keys.shown(action), action.verb, action.why_not(state) is None) for action in actions]

    def _marked(self) -> str:
        table = self._console.users.table()
        if not table.marks:
            return ""
        hidden = f"{table.hidden_marks:,} hidden" if table.hidden_marks else "all shown"
        return f"{len(table.marks):,} marked, {hidden}"

    # ── the other parts ──────────────────────────────────────────────────────────────────────────

    def tell_detail(self) -> None:
        """Who is under the cursor, and what goes on for them."""
        console = self._console
        key = console.users.table().cursor
        listed = console.seen.find(key) if console.seen is not None and key is not None else None
        doing = self._doing(key) if key is not None else None
        ways = self._ways(listed) if listed is not None else ()
        closer = console.known.closer
        console.main.detail.tell(
            listed,
            now=console.now(),
            masked=console.masked,
            doing=doing,
            ways=ways,
            closer=closer if closer is not None and closer.user_id == key else None,
        )

    def _ways(self, listed: "ListedUser") -> tuple[Way, ...]:
        """What can be done for a user on the server: the key, its verb and what it comes to."""
        keys = self._console.keys
        words = {
            id_: said for id_, said in WAYS[listed.status].items() if listed.record.token_id or id_ not in OF_A_TOKEN
        }
        actions = [action for action in in_bar(Pane.USERS) if action.ordered]
        return tuple((keys.shown(one), one.verb, words.get(one.id, "")) for one in actions)

    def _doing(self, key: str) -> Doing | None:
        """What is being done for a user, or why the last thing that was tried did not succeed."""
        running = self._console.running
        if running is None:
            return None
        work, trouble = running.of_user(key), running.troubles.get(key)
        steps = work.steps_of(key) if work is not None else None
        return Doing(steps, trouble) if steps is not None or trouble is not None else None

    def tell_job_line(self) -> None:
        console = self._console
        doing = doing_now(console.running) if console.running is not None else None
        newest = doing_of(console.known.jobs[0]) if console.known.jobs else None
        console.jobs_pane.tell_doing(doing, keys=self._job_keys() if console.main.shape.wide else "")
        console.main.job_line.tell(doing or newest, keys="" if console.main.shape.narrow else self._job_keys())

    def _job_keys(self) -> str:
        pause, stop = (find(Pane.EVERYWHERE, id_) for id_ in ("pause", "stop"))
        return "   ".join(f"{self._console.keys.shown(one)} {one.verb}" for one in (pause, stop))

    def tell_last_event(self) -> None:
        known = self._console.known
        if known.last_event is not None:
            self._console.main.last_event.say(known.last_event.text(self._console.size.width, masked=known.masked))

    def _tell_health(self, glance: "Glance") -> None:
        known, views = self._console.known, self._console.views
        here = views.of(known.wanted)
        counts = views.counts(glance.by_status, known.view_counts)
        rows = [(view.name, count, view == here) for view, count in counts]
        self._console.main.health.tell(glance, rows, masked=known.masked)
