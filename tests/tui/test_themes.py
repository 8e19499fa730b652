"""The colours: readable, told apart by every eye, and never alone."""

import itertools
import math

import pytest
from rich.segment import Segment
from textual.color import Color

from mmconsole.config import ConsoleSettings
from mmconsole.tui.cells import width_of
from mmconsole.tui.themes import AUTO, PALETTES, THEMES, PlainSigns, chosen, speaks_unicode, theme

TONES = ("good", "soon", "bad", "care", "quiet", "busy", "text")
PAINTED = [name for name in THEMES if name != "terminal"]
# How a colour looks to eyes that lack one kind of cone: Machado, Oliveira and Fernandes (2009), severity 1.0.
EYES = {
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "tritan": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}


def linear(color: str) -> tuple[float, float, float]:
    return tuple(  # type: ignore[return-value]
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in Color.parse(color).normalized
    )


def contrast(one: str, other: str) -> float:
    """By the Web Content Accessibility Guidelines."""
    bright = sorted(0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (linear(one), linear(other)))
    return (bright[1] + 0.05) / (bright[0] + 0.05)


def distance(one: str, other: str, eye: str) -> float:
    """How far apart two colours are in the Oklab of such an eye."""
    return math.dist(oklab(one, eye), oklab(other, eye))


def oklab(color: str, eye: str) -> tuple[float, float, float]:
    rgb = linear(color)
    r, g, b = (max(0.0, sum(f * part for f, part in zip(row, rgb, strict=True))) for row in EYES[eye])
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    middle = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.793617785 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.428592205 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.808675766 * short,
    )


@pytest.mark.parametrize("name", PAINTED)
def test_every_colour_can_be_read_on_its_ground(name: str) -> None:
    palette = PALETTES[name]
    least = 7.0 if name == "contrast" else 4.5

    for tone in TONES:
        assert contrast(getattr(palette, tone), palette.ground) >= least, tone
        assert contrast(getattr(palette, tone), palette.raised) >= 4.5, tone
    assert contrast(palette.cursor_text, palette.cursor_ground) >= least


@pytest.mark.parametrize(("name", "eye"), [("red-green", "protan"), ("red-green", "deutan"), ("blue-yellow", "tritan")])
def test_good_soon_and_bad_are_told_apart_by_the_eyes_they_are_made_for(name: str, eye: str) -> None:
    palette = PALETTES[name]

    for one, other in itertools.combinations((palette.good, palette.soon, palette.bad), 2):
        assert distance(one, other, eye) > 0.15, (one, other)


def test_the_settings_name_every_theme() -> None:
    for name in (AUTO, *THEMES):
        assert ConsoleSettings(theme=name).theme == name  # type: ignore[arg-type]


def test_a_terminal_without_many_colours_gets_its_own() -> None:
    assert chosen(AUTO, {"TERM": "linux"}) == "terminal"
    assert chosen(AUTO, {"TERM": "screen-256color"}) == "dark"
    assert chosen(AUTO, {"TERM": "xterm", "COLORTERM": "truecolor"}) == "dark"
    assert chosen("light", {"TERM": "linux"}) == "light"
    assert theme("terminal").ansi


@pytest.mark.parametrize(
    ("environment", "speaks"),
    [
        ({"LANG": "C.UTF-8", "TERM": "xterm"}, True),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C", "TERM": "xterm"}, False),
        ({"LC_CTYPE": "en_US.utf8", "TERM": "tmux"}, True),
        ({"LANG": "C.UTF-8", "TERM": "linux"}, False),
        ({}, False),
    ],
)
def test_signs_are_plain_where_others_cannot_be_drawn(environment: dict[str, str], *, speaks: bool) -> None:
    assert speaks_unicode(environment) is speaks


def test_plain_signs_keep_every_line_as_wide_and_the_words_of_people() -> None:
    line = "─│┌┘█░▸■▲▼…◌•▁▅ 王小明 Zoë"
    (plain,) = PlainSigns().apply([Segment(line)], Color(0, 0, 0))

    assert width_of(plain.text) == width_of(line)
    assert plain.text.endswith(" 王小明 Zoë")
    assert plain.text.removesuffix(" 王小明 Zoë").isascii()
