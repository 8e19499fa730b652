"""Figures on a page: between two marks, replaced by those of a new run."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from benchmarks.table import HEAD, Figure, line

_BEGIN: Final = "<!-- figures: make bench WRITE=1 -->"
_END: Final = "<!-- figures end -->"
_MARKED: Final = re.compile(f"{_BEGIN}\n(?P<run>.*):\n\n.*\n.*\n(?P<rows>(?:\\|.*\n)*){_END}")
_NAME: Final = re.compile(r"\| (.*?) \|")


class NotReplaced(Exception):
    """The figures on a page cannot be replaced by these."""


def put(page: str, figures: Iterable[Figure], *, run: str, columns: Sequence[int], whole: bool) -> str:
    """The page with these figures; rows that were not measured this time stay, unless the run was of everything.

    `run` tells the machine and the day, and `columns` which of the table's the page shows.
    """
    found = _MARKED.search(page)
    if found is None:
        raise NotReplaced(f"the page lacks {_BEGIN} or {_END}, or what stands between them is no table")
    if not whole and found["run"] != run:
        raise NotReplaced(f"what is there was measured otherwise ({found['run']}): measure everything anew")
    rows = {} if whole else {_name(row): row for row in found["rows"].splitlines()}
    for figure in (one for one in figures if one.measured):
        shown = line(figure.cells()[column] for column in columns)
        rows[_name(shown)] = shown
    head = [line(HEAD[column] for column in columns), "|" + "---|" * len(columns)]
    block = "\n".join([_BEGIN, f"{run}:", "", *head, *rows.values(), _END])
    return page[: found.start()] + block + page[found.end() :]


def _name(row: str) -> str:
    found = _NAME.match(row)
    return found[1] if found else row
