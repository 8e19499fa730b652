"""The colours: dark, light, high contrast, two for colour-vision deficiency, and the terminal's own sixteen.

A status is a glyph and a word first. Colours only repeat them.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter
from textual.theme import BUILTIN_THEMES, Theme

AUTO: Final = "auto"


@dataclass(frozen=True, slots=True)
class Palette:
    """What is said with colour, and the ground it is said on."""

    good: str
    soon: str
    bad: str
    care: str
    quiet: str
    busy: str
    text: str
    ground: str
    raised: str
    """Behind the cursor of a list that has not the focus."""
    cursor_text: str
    cursor_ground: str


PALETTES: Final = {
    "dark": Palette(
        good="#7ec699",
        soon="#e5c07b",
        bad="#ff8389",
        care="#d7a6ff",
        quiet="#9aa3b0",
        busy="#82b7ff",
        text="#e3e6ea",
        ground="#14171c",
        raised="#262c36",
        cursor_text="#0b0d10",
        cursor_ground="#82b7ff",
    ),
    "light": Palette(
        good="#1a6b33",
        soon="#7a4b00",
        bad="#a8071a",
        care="#6b21a8",
        quiet="#52595f",
        busy="#0b52b5",
        text="#15181c",
        ground="#fbfbf9",
        raised="#e4e7ea",
        cursor_text="#ffffff",
        cursor_ground="#0b52b5",
    ),
    "contrast": Palette(
        good="#7dff9b",
        soon="#ffe14d",
        bad="#ff9a9a",
        care="#ffb3ff",
        quiet="#d0d0d0",
        busy="#9fd0ff",
        text="#ffffff",
        ground="#000000",
        raised="#333333",
        cursor_text="#000000",
        cursor_ground="#ffff00",
    ),
    # Okabe and Ito's colours, which protan and deutan eyes tell apart.
    "red-green": Palette(
        good="#56b4e9",
        soon="#f0e442",
        bad="#f08030",
        care="#d99ac0",
        quiet="#a8adb5",
        busy="#ffffff",
        text="#e3e6ea",
        ground="#14171c",
        raised="#262c36",
        cursor_text="#0b0d10",
        cursor_ground="#56b4e9",
    ),
    # Tritan eyes take blue for green and yellow for pink; red, cyan and brightness remain.
    "blue-yellow": Palette(
        good="#35d0ba",
        soon="#ffd3d9",
        bad="#ff5c6c",
        care="#c9a0ac",
        quiet="#9fa8a8",
        busy="#ffffff",
        text="#e3e6ea",
        ground="#14171c",
        raised="#262c36",
        cursor_text="#0b0d10",
        cursor_ground="#35d0ba",
    ),
    "terminal": Palette(
        good="ansi_green",
        soon="ansi_yellow",
        bad="ansi_red",
        care="ansi_magenta",
        quiet="ansi_default",
        busy="ansi_cyan",
        text="ansi_default",
        ground="ansi_default",
        raised="ansi_default",
        cursor_text="ansi_black",
        cursor_ground="ansi_white",
    ),
}
THEMES: Final = tuple(PALETTES)


def theme(name: str) -> Theme:
    """A palette as Textual wants it."""
    colors = PALETTES[name]
    return Theme(
        name=name,
        primary=colors.busy,
        secondary=colors.quiet,
        accent=colors.care,
        warning=colors.soon,
        error=colors.bad,
        success=colors.good,
        foreground=colors.text,
        background=colors.ground,
        surface=colors.raised,
        panel=colors.raised,
        dark=name != "light",
        ansi=name == "terminal",
        variables={
            **(BUILTIN_THEMES["ansi-dark"].variables if name == "terminal" else {}),
            "text-success": colors.good,
            "text-warning": colors.soon,
            "text-error": colors.bad,
            "text-accent": colors.care,
            "text-primary": colors.busy,
            "text-muted": colors.quiet,
            "block-cursor-foreground": colors.cursor_text,
            "block-cursor-background": colors.cursor_ground,
        },
    )


def chosen(wanted: str, environment: Mapping[str, str] = os.environ) -> str:
    """The theme that is meant: `auto` is dark, or the terminal's own colours where it has no others."""
    if wanted != AUTO:
        return wanted
    many = environment.get("COLORTERM") or "256color" in environment.get("TERM", "")
    return "dark" if many else "terminal"


def speaks_unicode(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether lines and blocks can be drawn, by the locale and the kind of terminal."""
    locale = next((environment[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environment.get(name)), "")
    return "utf" in locale.lower() and environment.get("TERM") not in {"linux", "vt100", "vt220"}


_PLAIN_SIGNS: Final = {
    **dict.fromkeys("─━═┄┅┈┉╌╍▁▂▃▔▀▄", "-"),
    **dict.fromkeys("│┃║┆┇┊┋╎╏▌▐▎▍▏▕▊▋▉", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯┏┓┗┛┣┫┳┻╋╔╗╚╝╠╣╦╩╬", "+"),
    **dict.fromkeys("█■▇▆▅▓", "#"),
    **dict.fromkeys("░▒·", "."),
    **dict(zip("▸▲▼↑↓←→…◌—•", ">^v^v<>~o-*", strict=True)),
}
_TO_PLAIN: Final = str.maketrans(_PLAIN_SIGNS)


class PlainSigns(LineFilter):
    """Draws what is ours with the signs of ASCII; text of people stays as it is."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002 - not asked
        return [Segment(text.translate(_TO_PLAIN), style, control) for text, style, control in segments]
