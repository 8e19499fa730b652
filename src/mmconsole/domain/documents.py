"""Values as text for programs: JSON that acts on no terminal, and cells of CSV that act in no spreadsheet."""

import json
import re
from datetime import datetime
from typing import Final

from mmconsole.domain.text import visible

_TRICKY: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON does not escape by itself, but a terminal or a reader may obey or choke on."""
FORMULA: Final = ("=", "+", "-", "@")
"""How a cell begins that a spreadsheet calculates."""


def as_json(value: object) -> str:
    """One line of JSON, with everything escaped that could act on a terminal."""
    text = json.dumps(value, ensure_ascii=False, default=_plain)
    return _TRICKY.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def as_cell(value: object) -> str:
    """A cell of CSV: nothing for None, and an apostrophe before what a spreadsheet would take for a formula."""
    if value is None:
        return ""
    text = visible(str(_plain(value) if not isinstance(value, str) else value))
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)
