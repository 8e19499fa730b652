"""What can be typed after `:`: commands that take words, and everything of the table of actions by its verb."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from mmconsole.domain.filters import FIELDS, FLAG_FIELDS, MOMENT_FIELDS, Sort
from mmconsole.domain.tokens import Health
from mmconsole.services.exporting import Form
from mmconsole.tui.actions import Action
from mmconsole.tui.copying import WORDS
from mmconsole.tui.themes import THEMES

if TYPE_CHECKING:
    from mmconsole.tui.app import Console

Run = Callable[[], None]
Value = tuple[str, str]
"""A word that a command takes, and what it means."""
_SHOWN_USERS: Final = 20


@dataclass(frozen=True, slots=True)
class Offer:
    """One way to go on from what is typed."""

    text: str
    """What the line becomes."""
    sentence: str
    run: Run | None
    """What Enter does; None where a word is missing."""


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    sentence: str
    values: Callable[["Console", str], Iterable[Value]]
    """The words it takes, by what is typed of them."""
    do: Callable[["Console", str], None]
    free: bool = True
    """Whether it takes other words, too."""

    def offers(self, console: "Console", typed: str) -> Iterator[Offer]:
        values = dict(self.values(console, typed))
        fitting = [value for value in values if typed.lower() in value.lower()]
        if self.free and typed.strip() and typed not in values:
            yield Offer(f"{self.name} {typed}", self.sentence, partial(self.do, console, typed.strip()))
        for value in sorted(fitting, key=lambda value: not value.lower().startswith(typed.lower())):
            whole = not value.endswith((":", ">"))
            run = partial(self.do, console, value) if whole else None
            yield Offer(f"{self.name} {value}", values[value], run)


def offers(console: "Console", line: str) -> list[Offer]:
    """What fits a line, the nearest first."""
    typed = line.lstrip()
    name, space, rest = typed.partition(" ")
    command = next((one for one in COMMANDS if one.name == name), None)
    found = list(command.offers(console, rest)) if command is not None and space else _named(typed)
    return [*found, *(_of_action(console, action) for action in _matching(console, typed))]


def _named(typed: str) -> list[Offer]:
    return [Offer(f"{one.name} ", one.sentence, None) for one in COMMANDS if one.name.startswith(typed)]


def _matching(console: "Console", typed: str) -> list[Action]:
    """Actions whose verb or sentence has these words; those whose verb begins so come first."""
    wanted = ALIASES.get(" ".join(typed.split()), "")
    possible = console.possible_actions()
    if wanted:
        return [action for action in possible if action.id == wanted]
    words = typed.lower().split()
    found = [action for action in possible if all(word in f"{action.verb} {action.sentence}".lower() for word in words)]
    return sorted(found, key=lambda action: (not action.verb.startswith(typed), typed not in action.verb))


def _of_action(console: "Console", action: Action) -> Offer:
    return Offer(action.verb, action.sentence, partial(console.do, action.id))


# ── the words they take ──────────────────────────────────────────────────────────────────────────


def _terms(_: "Console", typed: str) -> Iterator[Value]:
    """The last term of a filter, gone on with."""
    before, space, last = typed.rpartition(" ")
    for field in FIELDS:
        sign = ">" if field in MOMENT_FIELDS else ":"
        if f"{field}{sign}".startswith(last) and last != f"{field}{sign}":
            yield f"{before}{space}{field}{sign}", "A condition of a filter."
    if last.startswith("status:"):
        yield from ((f"{before}{space}status:{health}", "Users who show this.") for health in Health)
    for field in FLAG_FIELDS:
        if last.startswith(f"{field}:"):
            yield from ((f"{before}{space}{field}:{word}", "Yes or no.") for word in ("yes", "no"))


def _people(console: "Console", _: str) -> list[Value]:
    return [(name, "Go to this user.") for name in console.at_hand.names_in_sight()[:_SHOWN_USERS]]


def _sorts(_: "Console", __: str) -> list[Value]:
    return [
        *((str(one), "Sort by it.") for one in Sort),
        *((f"-{one}", "Sort by it, the other way round.") for one in Sort),
    ]


def _views(console: "Console", _: str) -> list[Value]:
    return [(view.name, str(view.wanted) or "everybody") for view in console.at_hand.views.all]


def _own_views(console: "Console", _: str) -> list[Value]:
    return [(view.name, str(view.wanted)) for view in console.at_hand.views.all if not view.built_in]


def _profiles(console: "Console", _: str) -> list[Value]:
    return [(name, "Open the console of this profile.") for name in console.at_hand.profiles]


def _themes(_: "Console", __: str) -> list[Value]:
    return [(name, "Use these colours.") for name in THEMES]


def _kinds(_: "Console", __: str) -> list[Value]:
    return [(kind, f"Copy the {words}.") for kind, words in WORDS.items()]


def _forms(_: "Console", __: str) -> list[Value]:
    return [(str(form), "Export what is shown; a file may be named behind it.") for form in Form]


def _columns(console: "Console", _: str) -> list[Value]:
    return [(name, "Show this column, or hide it.") for name in console.users.column_names()]


def _theme(console: "Console", name: str) -> None:
    console.theme = name


COMMANDS: Final = (
    Command("user", "Find a user by name, address or id.", _people, lambda console, text: console.at_hand.find(text)),
    Command("filter", "Show only some users.", _terms, lambda console, text: console.at_hand.filter(text)),
    Command("sort", "Sort the users.", _sorts, lambda console, text: console.at_hand.sort(text), free=False),
    Command("column", "Show or hide a column.", _columns, lambda console, text: console.users.toggle_column(text)),
    Command("view", "Use a saved view.", _views, lambda console, text: console.at_hand.use_view(text), free=False),
    Command("save", "Save filter and order as a view.", _own_views, lambda console, name: console.at_hand.save(name)),
    Command("forget", "Forget a saved view.", _own_views, lambda console, name: console.at_hand.forget(name)),
    Command("copy", "Copy something.", _kinds, lambda console, kind: console.at_hand.copy(kind), free=False),
    Command("export", "Export what is shown.", _forms, lambda console, text: console.at_hand.export(text)),
    Command("ctx", "Change to another profile.", _profiles, lambda console, name: console.at_hand.change_to(name)),
    Command("theme", "Use other colours.", _themes, _theme, free=False),
)
ALIASES: Final = {"sync --all": "sync_all"}
"""What the shell calls it, and the action that does it here."""
