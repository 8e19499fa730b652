"""Everything a key can do, in one table: bindings, key bar, help, command palette and disabled reasons come from it."""

from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Final

from textual.binding import Binding, BindingType


class Pane(StrEnum):
    """Where an action is at home. The numbers of the four panes never change."""

    EVERYWHERE = "everywhere"
    USERS = "users"
    HEALTH = "health"
    JOBS = "jobs"
    LOG = "log"


PANES: Final = (Pane.USERS, Pane.HEALTH, Pane.JOBS, Pane.LOG)
_LISTS: Final = (Pane.USERS, Pane.JOBS, Pane.LOG)
_TABLES: Final = (Pane.USERS, Pane.JOBS)


class Need(StrEnum):
    """What must be so for an action to make sense; the value says why it cannot be done, and what would enable it."""

    ROW = "there is nothing under the cursor; esc clears the filter"
    ROWS = "there is nothing in this list; esc clears the filter"
    MARKS = "nothing is marked; space marks"
    SEARCH = "nothing is searched for; / begins a search"
    CORE = "there is no database yet; the users pane says what to do"
    WRITABLE = "nothing may be changed from here now; W allows it"
    JOB = "there is no job to do that with; S begins one"


class Danger(StrEnum):
    """How much an action may take away."""

    NONE = "none"
    ASKS = "asks"
    """It shows a plan, or asks, before it removes anything."""


@dataclass(frozen=True, slots=True)
class State:
    """What decides which actions can be done now."""

    row: bool = False
    rows: bool = False
    marks: bool = False
    search: bool = False
    core: bool = False
    writable: bool = False
    job: bool = False

    def has(self, need: Need) -> bool:
        return bool(getattr(self, need.name.lower()))

    def beyond(self, pane: "State") -> "State":
        """What is so everywhere, together with what is so in a pane."""
        return replace(pane, core=self.core, writable=self.writable, job=self.job)


@dataclass(frozen=True, slots=True)
class Action:
    id: str
    verb: str
    """One or two words, for the key bar."""
    sentence: str
    vim: tuple[str, ...]
    """The keys of the keymap `vim`, as Textual names them."""
    plain: tuple[str, ...]
    """The same for `plain`: arrows and function keys."""
    panes: tuple[Pane, ...] = (Pane.EVERYWHERE,)
    needs: tuple[Need, ...] = ()
    danger: Danger = Danger.NONE
    in_bar: bool = False
    """Whether the key bar names it."""
    ordered: bool = False
    """Whether it is done on the server (`orders.py`), and not by a pane."""

    def why_not(self, state: State) -> str | None:
        """Why it cannot be done now; None when it can."""
        return next((str(need) for need in self.needs if not state.has(need)), None)


def _everywhere(  # noqa: PLR0913 - a row of the table below
    id_: str, verb: str, keys: str, plain: str, sentence: str, *, bar: bool = False
) -> Action:
    return Action(id_, verb, sentence, tuple(keys.split()), tuple(plain.split()), in_bar=bar)


def _in(  # noqa: PLR0913, PLR0917 - a row of the table below
    panes: tuple[Pane, ...], id_: str, verb: str, keys: str, plain: str, sentence: str, *needs: Need, bar: bool = False
) -> Action:
    return Action(id_, verb, sentence, tuple(keys.split()), tuple(plain.split()), panes, needs, in_bar=bar)


def _order(  # noqa: PLR0913, PLR0917 - a row of the table below
    panes: tuple[Pane, ...],
    id_: str,
    verb: str,
    keys: str,
    plain: str,
    sentence: str,
    *needs: Need,
    bar: bool = False,
    danger: Danger = Danger.NONE,
) -> Action:
    made = (id_, verb, sentence, tuple(keys.split()), tuple(plain.split()))
    return Action(*made, panes, (Need.CORE, *needs), danger, in_bar=bar, ordered=True)


_ALL: Final = (Pane.EVERYWHERE,)
_JOBS: Final = (Pane.JOBS,)
_USERS: Final = (Pane.USERS,)
_LOG: Final = (Pane.LOG,)
_EXPORTED: Final = (Pane.USERS, Pane.LOG)

ACTIONS: Final = (
    _in(_LISTS, "down", "down", "j down", "down", "Go down one line."),
    _in(_LISTS, "up", "up", "k up", "up", "Go up one line."),
    _in(_LISTS, "top", "top", "g home", "home", "Go to the first line."),
    _in(_LISTS, "bottom", "bottom", "G end", "end", "Go to the last line."),
    _in(_LISTS, "half_down", "half down", "ctrl+d", "ctrl+down", "Go down half a page."),
    _in(_LISTS, "half_up", "half up", "ctrl+u", "ctrl+up", "Go up half a page."),
    _in(_LISTS, "page_down", "page down", "pagedown", "pagedown", "Go down a page."),
    _in(_LISTS, "page_up", "page up", "pageup", "pageup", "Go up a page."),
    _in(_TABLES, "left", "left", "h left", "left", "Show columns further left."),
    _in(_TABLES, "right", "right", "l right", "right", "Show columns further right."),
    _order(
        _USERS,
        "repair",
        "repair",
        "r",
        "alt+r",
        "Make a token where it is broken or missing; where it works, show the plan first.",
        Need.ROW,
        Need.WRITABLE,
        bar=True,
    ),
    _order(
        _USERS,
        "test",
        "test",
        "t",
        "alt+t",
        "Try the token itself, of the marked users or this one.",
        Need.ROW,
        bar=True,
    ),
    _order(
        _USERS,
        "sync",
        "sync",
        "s",
        "alt+s",
        "Bring account and token into step, of the marked users or this one.",
        Need.ROW,
        Need.WRITABLE,
        bar=True,
    ),
    _order(
        _USERS,
        "add",
        "channel",
        "a",
        "alt+a",
        "Add the marked users, or this one, to a channel.",
        Need.ROW,
        Need.WRITABLE,
        bar=True,
    ),
    _order(
        _USERS,
        "revoke",
        "revoke",
        "X",
        "delete",
        "Revoke tokens, after showing whose; for some minutes it can be undone.",
        Need.ROW,
        Need.WRITABLE,
        bar=True,
        danger=Danger.ASKS,
    ),
    _in(
        _USERS, "filter", "filter", "/", "f3", "Show only some users; the number of them follows as you type.", bar=True
    ),
    _in(_USERS, "mark", "mark", "space", "space insert", "Mark this user, or unmark.", Need.ROW, bar=True),
    _in(_USERS, "mark_down", "mark, down", "shift+down", "shift+down", "Mark this user and go down.", Need.ROW),
    _in(_USERS, "range", "range", "v", "f4", "Mark everybody between here and where you go.", Need.ROW),
    _in(_USERS, "mark_all", "all shown", "*", "ctrl+f4", "Mark all users that are shown.", Need.ROWS),
    _in(_USERS, "unmark", "unmark all", "U", "f6", "Unmark everybody, shown or not.", Need.MARKS),
    _in(_USERS, "sort_next", "sort", "> .", "ctrl+right", "Sort by the next column.", bar=True),
    _in(_USERS, "sort_previous", "sort back", "<", "ctrl+left", "Sort by the previous column."),
    _in(_USERS, "invert", "turn round", "I", "f7", "Sort the other way round."),
    _in(_USERS, "columns", "view", "o", "shift+f3", "Choose what to sort by, and which columns are shown.", bar=True),
    _in(
        _USERS,
        "copy",
        "copy",
        "y c",
        "ctrl+f5",
        "Copy a user, an address, a token's id, an error or the row.",
        Need.ROW,
        bar=True,
    ),
    _in(
        _EXPORTED,
        "export",
        "export",
        "e",
        "ctrl+f6",
        "Write what is shown into a file of your own.",
        Need.ROWS,
        bar=True,
    ),
    _in(_USERS, "details", "details", "enter", "enter", "Show or hide everything about this user.", Need.ROW, bar=True),
    _order(
        _JOBS, "open_job", "open", "enter", "enter", "Show how a job went, and whom it failed for.", Need.ROW, bar=True
    ),
    _in(
        _LOG,
        "entry",
        "entry",
        "enter",
        "enter",
        "Show all of an entry, and go on from there.",
        Need.ROWS,
        bar=True,
    ),
    _in(_LOG, "follow", "follow", "f", "f4", "Stay on the newest line, or stay here.", bar=True),
    _in(_LOG, "wrap", "wrap", "w", "f6", "Break long lines, or cut them.", bar=True),
    _in(_LOG, "level", "level", "L", "f7", "Show only what matters more.", bar=True),
    _in(_LOG, "filter", "filter", "/", "f3", "Show only lines with a text, and underline it.", bar=True),
    _in(_LOG, "search_next", "next hit", "n", "ctrl+right", "Go to the next hit.", Need.SEARCH),
    _in(_LOG, "search_previous", "previous hit", "N", "ctrl+left", "Go to the previous hit.", Need.SEARCH),
    _everywhere("back", "back", "escape", "escape", "Clear the filter, then go back."),
    _everywhere("pane_1", "users", "1", "1", "Go to the users."),
    _everywhere("pane_2", "health", "2", "2", "Go to the health of all tokens."),
    _everywhere("pane_3", "jobs", "3", "3", "Go to the jobs."),
    _everywhere("pane_4", "log", "4", "4", "Go to the log."),
    _everywhere("next_view", "next view", "]", "ctrl+pagedown", "Show the next saved view."),
    _everywhere("previous_view", "previous view", "[", "ctrl+pageup", "Show the previous saved view."),
    _everywhere("next_pane", "next pane", "tab", "tab", "Go to the next pane."),
    _everywhere("previous_pane", "previous pane", "shift+tab", "shift+tab", "Go to the previous pane."),
    _order(
        _ALL,
        "sync_all",
        "sync all",
        "S",
        "ctrl+f9",
        "Bring everybody into step, after showing the plan.",
        Need.WRITABLE,
        danger=Danger.ASKS,
    ),
    _order(_ALL, "undo", "undo", "u", "alt+u", "Take the last revocation back while there is time.", Need.WRITABLE),
    _order(_ALL, "pause", "pause", "p", "alt+p", "Pause the job, or go on with it.", Need.JOB, Need.WRITABLE),
    _order(_ALL, "stop", "stop", "ctrl+x", "ctrl+x", "Stop the job, after asking.", Need.JOB, danger=Danger.ASKS),
    _order(_ALL, "writable", "writable", "W", "alt+w", "Allow changes for 15 minutes, or forbid them."),
    _everywhere(
        "enlarge", "enlarge", "+", "f8", "Give this pane half of the screen, then all of it, then what it had."
    ),
    _everywhere("privacy", "privacy", "m", "f9", "Mask names and addresses, to share the screen."),
    _everywhere("reload", "reload", "R ctrl+r", "f5", "Read everything anew."),
    _everywhere("commands", "command", ": ctrl+p", "f2 ctrl+p", "Type what to do.", bar=True),
    _everywhere("help", "keys", "? f1", "f1", "Show all keys of this pane.", bar=True),
    _everywhere("suspend", "to the shell", "ctrl+z", "ctrl+z", "Go back to the shell; `fg` comes back here."),
    _everywhere("quit", "quit", "q", "f10", "Leave the console.", bar=True),
    _everywhere("interrupt", "quit at once", "ctrl+c", "ctrl+c", "Leave the console when pressed twice."),
)
"""In the order of the help. An id may stand twice, for panes in which it means the like."""


_TWICE: Final = frozenset(id_ for id_, times in Counter(action.id for action in ACTIONS).items() if times > 1)


@cache
def actions_of(pane: Pane) -> tuple[Action, ...]:
    """What can be done in a pane and nowhere else."""
    return tuple(action for action in ACTIONS if pane in action.panes)


def bindings_of(pane: Pane) -> list[BindingType]:
    """The keys of a pane as Textual wants them, by the keymap `vim`; another keymap replaces them by their ids."""
    return [_binding(action) for action in actions_of(pane)]


def _binding(action: Action) -> Binding:
    # Without priority a key first goes to the widget with the focus, which answers a moment later; of keys typed fast
    # (`/bob`) some would then go to the widget that had the focus before.
    return Binding(
        ",".join(action.vim), f"do('{action.id}')", action.verb, show=False, priority=True, id=binding_id(action)
    )


def binding_id(action: Action) -> str:
    """What a keymap calls it: `filter`, and `log.filter` where the same word means something of another pane."""
    return f"{action.panes[0]}.{action.id}" if action.id in _TWICE else action.id


def find(pane: Pane, id_: str) -> Action:
    """The action of this id, as it is meant in this pane."""
    return next(action for action in (*actions_of(pane), *actions_of(Pane.EVERYWHERE)) if action.id == id_)


@cache
def in_bar(pane: Pane) -> tuple[Action, ...]:
    """What the key bar names of a pane, in this order."""
    return tuple(action for action in actions_of(pane) if action.in_bar)
