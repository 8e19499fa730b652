"""What a fault says where there are keys, and no flags to say."""

from typing import Final

from mmconsole.errors import Busy, GuardTripped, MmconsoleError

_WORDS: Final[dict[type[MmconsoleError], str]] = {
    GuardTripped: (
        "The guard lets {allowed} lose something in 24 hours, and with this it would be {total}. "
        "Whoever goes on allows it this once."
    ),
    Busy: "Another run is at work on this database ({holder}, since {since}). Try again when it has ended.",
}


def on_screen(fault: MmconsoleError) -> str:
    """The sentence of a fault, without the flags of a command."""
    words = _WORDS.get(type(fault))
    return words.format_map(fault.facts) if words else str(fault)
