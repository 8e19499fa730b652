"""The table of keys as Markdown, for docs/console.md."""

from collections.abc import Iterator
from typing import Final

from mmconsole.tui.actions import ACTIONS
from mmconsole.tui.keymaps import keymap, shown_key

BEGIN: Final = "<!-- keys: written by `make screenshots` from the table of actions -->"
END: Final = "<!-- end of keys -->"


def key_table() -> str:
    """A line for each action: its keys by `vim` and by `plain`, where it is at home, and what it does."""
    return "\n".join(("| keys | `keymap: plain` | where | |", "|---|---|---|---|", *_lines()))


def with_key_table(text: str) -> str:
    """A text with the table between its two marks. Raises ValueError when they are not there."""
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        message = "the marks of the key table are missing"
        raise ValueError(message)
    return f"{before}{BEGIN}\n{key_table()}\n{END}{after}"


def _lines() -> Iterator[str]:
    maps = [keymap(name) for name in ("vim", "plain")]
    for action in ACTIONS:
        keys = (" ".join(f"`{_in_a_cell(shown_key(key))}`" for key in one.of(action)) for one in maps)
        yield f"| {' | '.join(keys)} | {', '.join(action.panes)} | {_in_a_cell(action.sentence)} |"


def _in_a_cell(text: str) -> str:
    return text.replace("|", "\\|")
