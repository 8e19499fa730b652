"""What an operator does with the list that is shown, without changing anything on the server: copy, export, views."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mmconsole.domain.filters import EVERYWHERE, Contains, Filter, Order, Sort, Term, parse
from mmconsole.domain.users import UserId
from mmconsole.errors import BadFilter, MmconsoleError
from mmconsole.services.exporting import Document, Form, export, users_in_pages
from mmconsole.tui import clipboard
from mmconsole.tui.actions import Pane
from mmconsole.tui.cells import counted
from mmconsole.tui.copying import WORDS, choices, text_of
from mmconsole.tui.entry_screen import EntryScreen
from mmconsole.tui.log_view import LogLine
from mmconsole.tui.menu import Choice, Menu
from mmconsole.tui.user_rows import ALL_COLUMNS, SORTS, label
from mmconsole.tui.views import NAME_LIMIT, SavedViews, View
from mmconsole.tui.virtual_table import ASCENDING, DESCENDING

if TYPE_CHECKING:
    from mmconsole.config import Settings
    from mmconsole.services.overview import ListedUser
    from mmconsole.tui.app import Console

_FORMS: Final = {Form.CSV: "CSV, for spreadsheets", Form.JSON: "JSON", Form.LINES: "JSON lines"}
_MOST_COPIED: Final = 10_000
"""Users whose lines fit into no clipboard in any case."""

Profiles = Mapping[str, Callable[[], "Settings"]]
"""The other profiles there are, each with what reads it."""


class AtHand:
    """Belongs to one console, and is asked by its keys and its command line."""

    def __init__(self, console: "Console", *, views: SavedViews, profiles: Profiles) -> None:
        self._console = console
        self.views = views
        self.profiles = profiles

    def offers(self) -> Mapping[str, Callable[[], None]]:
        """The actions of panes that are done here."""
        return {
            "copy": self.offer_copies,
            "export": self.offer_exports,
            "columns": self.offer_columns,
            "entry": self.show_entry,
        }

    def show_entry(self) -> None:
        """All of one entry of the log, and then of those around it."""
        view, masked = self._console.log_pane.view(), self._console.masked
        followed = view.follows
        screen = EntryScreen(view.point, self.copy_text, masked=masked)
        self._console.push_screen(screen, lambda _: view.point_at_nothing(follow=followed))

    # ── copy ─────────────────────────────────────────────────────────────────────────────────────

    def offer_copies(self) -> None:
        """The marked users, else the one under the cursor."""
        keys = self._meant()
        menu = Menu("Copy", choices(self._known(keys), len(keys), masked=self._console.masked))
        self._console.push_screen(menu, lambda kind: self.copy(kind) if kind else None)

    def copy(self, kind: str) -> None:
        keys = self._meant()
        if len(keys) > _MOST_COPIED:
            self._console.say(f"Not copied: {len(keys):,} users are too many; e exports them.")
        elif keys:
            self._console.run_worker(self._copy(kind, keys), group="copy", exclusive=True)

    async def _copy(self, kind: str, keys: Sequence[str]) -> None:
        core, console = self._console.core, self._console
        if core is None:
            return
        try:
            users = await core.overview.rows([UserId(key) for key in keys])
        except MmconsoleError as fault:
            console.say(str(fault))
            return
        text = text_of(kind, users)
        if not text:
            console.say(f"Not copied: there is no {WORDS[kind]}.")
            return
        why = await clipboard.copy(text, console.send)
        of = f" of {len(users):,} users" if len(users) > 1 else ""
        console.say(f"Not copied: {why}." if why else f"Copied: {WORDS[kind]}{of}.")

    def copy_text(self, text: str) -> None:
        """What was marked with the mouse."""
        self._console.run_worker(self._copy_text(text), group="copy", exclusive=True)

    async def _copy_text(self, text: str) -> None:
        why = await clipboard.copy(text, self._console.send)
        self._console.say(f"Not copied: {why}." if why else f"Copied: {counted(len(text), 'character')}.")

    def _meant(self) -> tuple[str, ...]:
        table = self._console.users.table()
        return table.marks or ((table.cursor,) if table.cursor is not None else ())

    def _known(self, keys: Sequence[str]) -> "ListedUser | None":
        return self._console.seen.find(keys[0]) if self._console.seen is not None and len(keys) == 1 else None

    # ── export ───────────────────────────────────────────────────────────────────────────────────

    def offer_exports(self) -> None:
        shown = [Choice(form, form[-1] if form is Form.LINES else form[0], _FORMS[form]) for form in Form]
        self._console.push_screen(
            Menu(f"Export {self._amount()}", shown), lambda form: self.export(form) if form else None
        )

    def export(self, words: str) -> None:
        """`csv`, or `csv broken.csv`: a file that is not there yet."""
        form, _, name = words.partition(" ")
        if form not in set(Form):
            self._console.say(f"Not exported: say {', '.join(Form)}, and a file if you like.")
            return
        file = (
            Path(name.strip()).expanduser()
            if name.strip()
            else _file_name(self._kind(), Form(form), self._console.now())
        )
        self._console.run_worker(self._export(Form(form), file.absolute()), group="export")

    async def _export(self, form: Form, file: Path) -> None:
        try:
            count = await export(file, form, self._pages())
        except MmconsoleError as fault:
            self._console.say(str(fault))
            return
        self._console.say(f"{count:,} {self._kind()} are in {file}, which only you can read.")

    def _pages(self) -> AsyncIterator[Sequence[Document]]:
        console = self._console
        if self._kind() == "entries":
            return _one_page([_entry(line) for line in console.log_pane.view().shown_lines()])
        source = console.users.table().source
        ids = [UserId(source.key_at(place)) for place in range(len(source))]
        return users_in_pages(console.core.overview, ids) if console.core is not None else _one_page([])

    def _kind(self) -> str:
        return "entries" if self._console.main.pane is Pane.LOG else "users"

    def _amount(self) -> str:
        console, kind = self._console, self._kind()
        count = len(console.log_pane.view().shown_lines()) if kind == "entries" else len(console.users.table().source)
        return f"{count:,} {kind}"

    # ── views ────────────────────────────────────────────────────────────────────────────────────

    def step_view(self, step: int) -> None:
        self._show(self.views.beside(self._console.wanted, step))

    def use_view(self, name: str) -> None:
        view = self.views.find(name)
        if view is not None:
            self._show(view)

    def save(self, name: str) -> None:
        """Keep the filter and the order that are shown."""
        if len(name) > NAME_LIMIT:
            self._console.say(f"Not saved: a name has at most {NAME_LIMIT} characters.")
            return
        try:
            self.views.save(View(name, self._console.wanted, self._console.users.order))
        except MmconsoleError as fault:
            self._console.say(str(fault))
            return
        self._console.recount()
        self._console.say(f"Saved as the view {name}.")

    def forget(self, name: str) -> None:
        try:
            there = self.views.forget(name)
        except MmconsoleError as fault:
            self._console.say(str(fault))
            return
        self._console.recount()
        self._console.say(f"The view {name} is forgotten." if there else f"There is no view {name} of yours.")

    def _show(self, view: View) -> None:
        self._console.users.set_order(view.order)
        self.filter(str(view.wanted))
        self._console.say(f"View: {view.name}.")

    # ── filter, order and columns ────────────────────────────────────────────────────────────────

    def filter(self, text: str) -> None:
        try:
            parse(text)
        except BadFilter as bad:
            self._console.say(bad.why)
            return
        self._console.main.go_to(Pane.USERS)
        self._console.users.set_filter(text)

    def find(self, text: str) -> None:
        self.filter(str(Filter((Term(Contains(EVERYWHERE, (text,))),))))

    def names_in_sight(self) -> list[str]:
        """What the users in sight are called."""
        console = self._console
        if console.seen is None or console.masked:
            return []
        found = (console.seen.find(key) for key in console.users.table().keys_in_sight())
        return [label(listed, masked=False) for listed in found if listed is not None]

    def sort(self, name: str) -> None:
        self._console.users.set_order(Order(Sort(name.removeprefix("-")), descending=name.startswith("-")))

    def offer_columns(self, at: str = "") -> None:
        """Sort and columns; it comes back after each choice, so that several can be made."""
        menu = Menu("Sort and columns", _arrangements(self._console), at=at)
        self._console.push_screen(menu, lambda chosen: self._arrange(chosen) if chosen else None)

    def _arrange(self, chosen: str) -> None:
        what, _, name = chosen.partition(" ")
        if what == "sort":
            self._console.users.sort_by(name)
            return
        self._console.users.toggle_column(name)
        self.offer_columns(at=chosen)

    # ── profiles ─────────────────────────────────────────────────────────────────────────────────

    def change_to(self, name: str) -> None:
        """Leave for the console of another profile, if its settings can be read."""
        if name not in self.profiles:
            known = ", ".join(self.profiles) or "no other"
            self._console.say(f"There is no profile {name}. There are: {known}.")
            return
        try:
            self.profiles[name]()
        except MmconsoleError as fault:
            self._console.say(str(fault))
            return
        self._console.leave_for(name)


def _arrangements(console: "Console") -> list[Choice]:
    users = console.users
    by, arrow = users.sorted_by, DESCENDING if users.order.descending else ASCENDING
    sorts = [
        Choice(f"sort {one.key}", "", f"sort by {one.title.lower()}", arrow if one == by else "")
        for one in ALL_COLUMNS
        if one.key in SORTS
    ]
    shown = {column.key for column in users.table().columns}
    columns = [
        Choice(f"column {one.key}", "", f"column {one.title.lower()}", "shown" if one.key in shown else "hidden")
        for one in ALL_COLUMNS
    ]
    return [*sorts, *columns]


def _entry(line: LogLine) -> Document:
    return {
        "at": line.at,
        "user_id": line.subject,
        "verb": line.verb,
        "detail": line.detail,
        "level": line.gravity.name.lower(),
    }


async def _one_page(documents: Sequence[Document]) -> AsyncIterator[Sequence[Document]]:
    yield documents


def _file_name(kind: str, form: Form, at: datetime) -> Path:
    return Path(f"mmconsole-{kind}-{at.astimezone():%Y%m%d-%H%M%S}.{form}")
