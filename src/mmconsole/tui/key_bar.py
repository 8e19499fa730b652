"""The keys of the pane somebody is in, on one line or two, and a word to the operator when there is one."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from rich.style import Style
from rich.text import Text
from textual.widget import Widget

from mmconsole.tui.cells import harmless, width_of
from mmconsole.tui.kept import Kept

_SPOKEN_FOR: Final = 6.0
"""Seconds for which a word stays."""


Key = tuple[str, str, bool]
"""A key, what it does, and whether it can now."""


def _cells(key: Key) -> int:
    return width_of(key[0]) + width_of(key[1]) + 3


def _fitting(keys: Sequence[Key], room: int) -> list[Key]:
    """As many of the first as fit."""
    ends = accumulate(map(_cells, keys))
    return [key for key, end in zip(keys, ends, strict=True) if end <= room]


class KeyBar(Kept, Widget):
    """Left out from the right is what does not fit; greyed is what cannot be done now."""

    COMPONENT_CLASSES = {"key-bar--key", "key-bar--off", "key-bar--word"}  # noqa: RUF012 - as Textual's
    DEFAULT_CSS = """
    KeyBar { height: 2; text-wrap: nowrap; text-overflow: ellipsis; }
    KeyBar .key-bar--key { text-style: bold; color: $text-primary; }
    KeyBar .key-bar--off { color: $text-muted; text-style: dim; }
    KeyBar .key-bar--word { text-style: reverse; }
    """

    def __init__(self, id: str | None = None) -> None:  # noqa: A002 - as every widget calls it
        super().__init__(id=id)
        self._facts = ""
        self._keys: tuple[Key, ...] = ()
        self._always: tuple[Key, ...] = ()
        self._word = ""
        self._words = 0

    @property
    def word(self) -> str:
        """What is said to the operator now."""
        return self._word

    def tell(self, facts: str, keys: Sequence[Key], *, always: Sequence[Key]) -> None:
        """Keys of the pane, of which those that fit are named, and some that always are."""
        told = facts, tuple(keys), tuple(always)
        if told != (self._facts, self._keys, self._always):
            self._facts, self._keys, self._always = told
            self.refresh()

    def hush(self) -> None:
        """What was said is no longer so."""
        if self._word:
            self._word = ""
            self.refresh()

    def say(self, word: str) -> None:
        """Say something for a while."""
        self._word = harmless(" ".join(word.split()))
        self._words += 1
        self.set_timer(_SPOKEN_FOR, lambda said=self._words: self._fall_silent(said))
        self.refresh()

    def _fall_silent(self, said: int) -> None:
        if said == self._words:
            self.hush()

    def render(self) -> Text:
        lines = [self._first_line(), self._key_line()] if self.size.height > 1 else [self._one_line()]
        return Text("\n", no_wrap=True, overflow="crop").join(lines)

    def _first_line(self) -> Text:
        return self._spoken() if self._word else Text(f" {self._facts}")

    def _one_line(self) -> Text:
        if self._word:
            return self._spoken()
        facts = Text(f" {self._facts} ") if self._facts else Text("")
        return facts.append_text(self._key_line(self.size.width - width_of(facts.plain)))

    def _spoken(self) -> Text:
        return Text(f" {self._word} ", style=self._style("word"), no_wrap=True)

    def _key_line(self, room: int | None = None) -> Text:
        line = Text("")
        left = (self.size.width if room is None else room) - sum(map(_cells, self._always))
        for key, verb, able in [*_fitting(self._keys, left), *self._always]:
            line.append(f" {key}", style=self._style("key" if able else "off"))
            line.append(f" {verb} ", style=self._style("off") if not able else "")
        return line

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"key-bar--{name}", partial=True)
