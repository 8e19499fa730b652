"""Writing what is shown into a file for oneself alone: CSV, JSON or JSON lines."""

import csv
import io
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TextIO

from mmconsole.domain.documents import as_cell, as_json
from mmconsole.domain.users import UserId
from mmconsole.errors import FileThere, FileUnwritable
from mmconsole.services.overview import Overview

Document = Mapping[str, Any]
"""One line of a list, with the same names in each."""
_PAGE: Final = 1_000


class Form(StrEnum):
    """The value is the ending of the file."""

    CSV = "csv"
    JSON = "json"
    LINES = "jsonl"


async def users_in_pages(overview: Overview, ids: Sequence[UserId]) -> AsyncIterator[list[Document]]:
    """These users; those who are gone meanwhile are left out. Raises DatabaseError."""
    for start in range(0, len(ids), _PAGE):
        yield [listed.document() for listed in await overview.rows(ids[start : start + _PAGE])]


async def written(form: Form, pages: AsyncIterator[Sequence[Document]]) -> AsyncIterator[str]:
    """The text of a list, in pieces; put together they are the whole file."""
    count = 0
    async for page in pages:
        yield _text(form, page, first=count == 0)
        count += len(page)
    if form is Form.JSON:
        yield "\n]\n" if count else "[]\n"


async def export(file: Path, form: Form, pages: AsyncIterator[Sequence[Document]]) -> int:
    """Write a new file of mode 0600, whole or not at all. Returns how many lines of the list it has.

    Raises FileThere, FileUnwritable, and what the pages raise.
    """
    try:
        with _new(file) as stream:
            try:
                return await _write(stream, form, pages)
            except BaseException:
                _remove(file)
                raise
    except FileExistsError as fault:
        raise FileThere(file=file) from fault
    except OSError as fault:
        raise FileUnwritable(file=file, why=fault.strerror or "it cannot be reached") from fault


def _remove(file: Path) -> None:
    with suppress(OSError):
        file.unlink()


def _new(file: Path) -> TextIO:
    opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    return open(opened, "w", encoding="utf-8", newline="")  # noqa: PTH123 - it is a descriptor, not a path


async def _write(stream: TextIO, form: Form, pages: AsyncIterator[Sequence[Document]]) -> int:
    count = 0

    async def counted() -> AsyncIterator[Sequence[Document]]:
        nonlocal count
        async for page in pages:
            count += len(page)
            yield page

    async for text in written(form, counted()):
        stream.write(text)
    stream.flush()
    return count


def _text(form: Form, page: Sequence[Document], *, first: bool) -> str:
    if not page:
        return ""
    if form is Form.CSV:
        titles = [list(page[0])] if first else []
        return _csv([*titles, *([as_cell(value) for value in one.values()] for one in page)])
    lines = [as_json(dict(one)) for one in page]
    if form is Form.LINES:
        return "".join(f"{line}\n" for line in lines)
    return ("[\n" if first else ",\n") + ",\n".join(lines)


def _csv(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
