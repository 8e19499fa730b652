"""Which parts of the screen are seen: by its size, the pane somebody is in, and whether that pane has it all."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mmconsole.tui.actions import Pane

LEAST_WIDTH: Final = 60
LEAST_HEIGHT: Final = 15
_NORMAL_FROM: Final = 100
_WIDE_FROM: Final = 160
_TALL_FROM: Final = 30


class Part(StrEnum):
    """A part of the screen; the value is the id of its widget."""

    TOO_SMALL = "too-small"
    TITLE = "title"
    STRIP = "strip"
    HEALTH = "health"
    USERS = "users"
    DETAIL = "detail"
    JOBS = "jobs"
    JOB_LINE = "job-line"
    LOG = "log"
    LAST_EVENT = "last-event"
    KEYS = "keys"


WIDTHS: Final = ((0, "-tiny"), (LEAST_WIDTH, "-narrow"), (_NORMAL_FROM, "-normal"), (_WIDE_FROM, "-wide"))
HEIGHTS: Final = ((0, "-low"), (LEAST_HEIGHT, "-short"), (_TALL_FROM, "-tall"))
"""The classes that a screen has from so many cells on."""
_OF_PANE: Final = {Pane.USERS: Part.USERS, Pane.HEALTH: Part.HEALTH, Pane.JOBS: Part.JOBS, Pane.LOG: Part.LOG}


@dataclass(frozen=True, slots=True)
class Shape:
    width: int
    height: int

    @property
    def too_small(self) -> bool:
        return self.width < LEAST_WIDTH or self.height < LEAST_HEIGHT

    @property
    def narrow(self) -> bool:
        return self.width < _NORMAL_FROM

    @property
    def wide(self) -> bool:
        return self.width >= _WIDE_FROM

    @property
    def short(self) -> bool:
        return self.height < _TALL_FROM


def classes_of(shape: Shape) -> tuple[str, str]:
    """Those that a screen of this size has."""
    return _class_at(shape.width, WIDTHS), _class_at(shape.height, HEIGHTS)


def _class_at(cells: int, classes: tuple[tuple[int, str], ...]) -> str:
    return next(name for least, name in reversed(classes) if cells >= least)


def parts(shape: Shape, pane: Pane, *, full: bool, detail: bool) -> frozenset[Part]:
    """What is seen."""
    if shape.too_small:
        return frozenset({Part.TOO_SMALL})
    frame = {Part.TITLE, Part.KEYS}
    if full:
        return frozenset(frame | {Part.STRIP, _OF_PANE[pane]})
    if shape.narrow:
        beside = {Part.DETAIL} if pane is Pane.USERS and detail else set()
        return frozenset(frame | beside | {Part.STRIP, _OF_PANE[pane], Part.JOB_LINE, Part.LAST_EVENT})
    below = {Part.LAST_EVENT} if shape.short and pane is not Pane.LOG else {Part.LOG}
    beside = {Part.DETAIL} if detail else set()
    if shape.wide and not shape.short:
        return frozenset(frame | beside | below | {Part.HEALTH, Part.USERS, Part.JOBS})
    above = {Part.USERS, *beside} if pane in {Pane.USERS, Pane.LOG} else {_OF_PANE[pane]}
    return frozenset(frame | above | below | {Part.STRIP, Part.JOB_LINE})
