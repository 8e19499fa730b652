"""Which keys do what: `vim`, `plain`, or a file of the operator's on top of one of them, checked before it is used."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, Final

from textual.keys import Keys, _character_to_key

from mmconsole.errors import BadKeymap
from mmconsole.tui.actions import ACTIONS, PANES, Action, Pane, actions_of, binding_id

BASES: Final = ("vim", "plain")
_FILE_LIMIT: Final = 100_000
_NOT_SENT: Final = {
    "ctrl+h": "a terminal sends it as Backspace",
    "ctrl+i": "a terminal sends it as Tab",
    "ctrl+j": "a terminal sends it as Enter",
    "ctrl+m": "a terminal sends it as Enter",
    "ctrl+s": "a terminal may stop at it",
    "ctrl+q": "a terminal may take it for itself",
    "ctrl+a": "screen takes it for itself",
    "ctrl+b": "tmux takes it for itself",
    "ctrl+space": "many terminals send nothing",
    "ctrl+at": "many terminals send nothing",
}
_RARELY_SENT: Final = re.compile(r"(super|hyper|meta)\+|ctrl\+shift\+|ctrl\+[0-9]|shift\+(enter|space|backspace)")
_KNOWN: Final = frozenset(key.value for key in Keys)
_MODIFIED: Final = re.compile(r"(?:(?:ctrl|shift|alt)\+)*(.+)")
_SHOWN: Final = {
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "escape": "esc",
    "pagedown": "pgdn",
    "pageup": "pgup",
}


@dataclass(frozen=True, slots=True)
class Keymap:
    """The keys of each action, by what `binding_id` calls it."""

    name: str
    keys: Mapping[str, tuple[str, ...]]

    def of(self, action: Action) -> tuple[str, ...]:
        return self.keys[binding_id(action)]

    def shown(self, action: Action) -> str:
        """The first key, as people read it."""
        return shown_key(self.of(action)[0]) if self.of(action) else ""

    def for_textual(self) -> dict[str, str]:
        return {name: ",".join(map(long_key, keys)) for name, keys in self.keys.items() if keys}


def shown_key(key: str) -> str:
    *modifiers, last = key.split("+") if len(key) > 1 else [key]
    return "+".join([*modifiers, _SHOWN.get(last, last)])


def long_key(key: str) -> str:
    """The name Textual gives it: `question_mark` for `?`."""
    return _character_to_key(key) if len(key) == 1 else key


def keymap(name: str) -> Keymap:
    """One of BASES."""
    return Keymap(name, {binding_id(action): action.vim if name == "vim" else action.plain for action in ACTIONS})


def read_keymap(file: Path, *, base: str) -> Keymap:
    """Keys of the operator's, on top of a base: `{mark: [space, x], log.filter: /}`. Raises BadKeymap."""
    fail = partial(_fail, file)
    keys = dict(keymap(base).keys)
    for name, given in _written(file).items():
        if name not in keys:
            close = get_close_matches(str(name), keys, n=1)
            fail(f"there is no action `{name}`" + (f" (did you mean `{close[0]}`?)" if close else ""))
        listed = given if isinstance(given, list) else [given]
        keys[name] = tuple(str(key) for key in listed if key is not None)
    made = Keymap(str(file), keys)
    for problem in problems(made):
        fail(problem)
    return made


def problems(made: Keymap) -> Iterator[str]:
    """What is wrong with a keymap: keys that no terminal sends, and keys that mean two things."""
    for name, keys in made.keys.items():
        for key in keys:
            why = _why_unfit(key)
            if why:
                yield f"`{name}` cannot be on {key}: {why}"
    for pane in PANES:
        yield from _clashes(made, pane)
    for name in ("quit", "help"):
        if not made.keys[name]:
            yield f"`{name}` needs a key"


def _clashes(made: Keymap, pane: Pane) -> Iterator[str]:
    taken: dict[str, str] = {}
    for action in (*actions_of(pane), *actions_of(Pane.EVERYWHERE)):
        name = binding_id(action)
        for key in map(long_key, made.of(action)):
            if key in taken:
                yield f"{key} means both `{taken[key]}` and `{name}`"
            taken[key] = name


def _why_unfit(key: str) -> str | None:
    if key in _NOT_SENT:
        return _NOT_SENT[key]
    if _RARELY_SENT.match(key):
        return "few terminals send it"
    last = _MODIFIED.fullmatch(key)
    known = last is not None and (len(last[1]) == 1 or last[1] in _KNOWN or key in _KNOWN or _is_a_sign(last[1]))
    return None if known else "there is no such key; `mmconsole keys` shows what yours are called"


def _is_a_sign(name: str) -> bool:
    return any(long_key(chr(code)) == name for code in range(0x20, 0x7F))


def _written(file: Path) -> dict[str, Any]:
    import yaml  # noqa: PLC0415 - few have a file, and the first picture needs none

    try:
        with file.open(encoding="utf-8") as stream:
            found = yaml.safe_load(stream.read(_FILE_LIMIT))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError, yaml.YAMLError) as fault:
        raise BadKeymap(where=file, why=getattr(fault, "strerror", None) or "it is not YAML") from fault
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise BadKeymap(where=file, why="it must name actions with their keys, as in `mark: [space, x]`")
    return found


def _fail(file: Path, why: str) -> None:
    raise BadKeymap(where=file, why=why)
