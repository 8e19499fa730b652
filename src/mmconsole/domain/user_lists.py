"""Lists of users from outside, as CSV or JSON Lines: read as people's programs write them, and checked line by line.

What is wrong is told with its line, all of it at once, and then nothing of the list is used.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Final, NamedTuple

from mmconsole.domain.documents import FORMULA
from mmconsole.domain.text import EMAIL_LIMIT, is_legal_username
from mmconsole.domain.users import UserId

FIELDS: Final = ("id", "email", "username", "first_name", "last_name", "locale", "email_verified", "active")
"""What a list may say of a user."""
_TOLD: Final = frozenset(
    {"health", "cause", "account_id", "token_id", "checked_at", "created_at", "expires_at", "withheld"}
)
"""What `users export` writes besides: it says how things are, and is not read back."""
_KNOWN: Final = frozenset(FIELDS) | _TOLD
_YES: Final = frozenset({"yes", "y", "true", "t", "1", "ja", "oui", "x"})
_NO: Final = frozenset({"no", "n", "false", "f", "0", "nein", "non", ""})
_BOMS: Final = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))
_LONGEST_LOCALE: Final = 16
_MOST_QUOTED: Final = 60
"""Characters of a value that cannot be meant."""


class Mistake(NamedTuple):
    """Something that cannot be meant, and where it stands. Lines count from 1."""

    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What a line says of a user. Fields that it does not name are left as they are."""

    line: int
    user_id: UserId | None
    changes: Mapping[str, object]
    """By the names of the embedded users table."""

    @property
    def email(self) -> str | None:
        said = self.changes.get("email")
        return str(said) if said else None


@dataclass(frozen=True, slots=True)
class UserList:
    """A list that was read: its entries, or what is wrong with it."""

    entries: list[Entry]
    mistakes: list[Mistake]


class _Unfit(Exception):
    """A value that its field does not take."""


def read_list(raw: bytes, *, lines: bool, encoding: str | None = None, now: datetime) -> UserList:
    """A list as it stands in a file: CSV with any usual separator, or (`lines`) JSON Lines.

    Without an encoding it is UTF-8, or UTF-16 where the file says so. `now` is when an address counts as verified of
    which the list only says that it is.
    """
    try:
        text = raw.decode(encoding or _encoding_of(raw))
    except LookupError:
        return UserList([], [Mistake(1, f"there is no encoding `{encoding}`")])
    except UnicodeDecodeError as fault:
        line = raw[: fault.start].count(b"\n") + 1
        why = f"it is not {fault.encoding.upper()} text; name its encoding, as in --encoding windows-1252"
        return UserList([], [Mistake(line, why)])
    return _checked(_json_rows(text) if lines else _csv_rows(text.lstrip("\ufeff")), now)


def read_entry(said: Mapping[str, object], *, now: datetime) -> tuple[Entry, list[str]]:
    """What is said of one user, and what of it cannot be meant."""
    return _entry_of(1, said, now)


def _encoding_of(raw: bytes) -> str:
    return next((name for mark, name in _BOMS if raw.startswith(mark)), "utf-8")


_Row = tuple[int, Mapping[str, object] | str]
"""A line with what it says, or with why it cannot be read."""


def _json_rows(text: str) -> Iterator[_Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            yield number, "it is not JSON"
            continue
        yield number, said if isinstance(said, dict) else 'it is not an object, as in {"email": …}'


def _csv_rows(text: str) -> Iterator[_Row]:
    separator, skipped, text = _separator_of(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    titles: list[str] | None = None
    begun = 0
    try:
        for cells in reader:
            line, begun = begun + 1 + skipped, reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if titles is None:
                titles = [title.strip().lower().replace(" ", "_").replace("-", "_") for title in cells]
                yield from ((line, why) for why in _wrong_titles(titles))
            elif len(cells) > len(titles):
                yield line, f"it has {len(cells)} cells, and the first line names {len(titles)}"
            else:
                # A title that nobody knows was told once; it need not be told of each line.
                said = zip(titles, cells, strict=False)
                yield line, {title: _unquoted(cell) for title, cell in said if title in _KNOWN}
    except csv.Error as fault:
        yield begun + 1 + skipped, f"it cannot be taken apart into cells ({fault})"


def _separator_of(text: str) -> tuple[str, int, str]:
    """The separator, how many lines stand before the titles, and the text from there on. Excel may say `sep=;`."""
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep=") and len(first.strip()) == len("sep=;"):
        return first.strip()[-1], 1, rest
    return max(",;\t", key=first.count), 0, text


def _wrong_titles(titles: list[str]) -> Iterator[str]:
    for title in titles:
        if title and title not in _KNOWN:
            yield _unknown(title)
    for title in sorted({title for title in titles if title and titles.count(title) > 1}):
        yield f"`{title}` stands there twice"
    if not {"email", "id"} & set(titles):
        yield "there is no column `email` by which users are known"


def _unknown(name: str) -> str:
    near = get_close_matches(name, FIELDS, n=1)
    hint = f" (did you mean `{near[0]}`?)" if near else f"; there are {', '.join(FIELDS)}"
    return f"there is no field `{name}`{hint}"


def _unquoted(cell: str) -> str:
    """A cell without the apostrophe that an export puts before what a spreadsheet would calculate."""
    text = cell.strip()
    return text[1:] if text.startswith("'") and text[1:].lstrip().startswith(FORMULA) else text


def _checked(rows: Iterable[_Row], now: datetime) -> UserList:
    found = UserList([], [])
    seen: dict[tuple[str, str], int] = {}
    for line, said in rows:
        if isinstance(said, str):
            found.mistakes.append(Mistake(line, said))
            continue
        entry, whys = _entry_of(line, said, now)
        for name, key in (("id", entry.user_id), ("email", entry.email and entry.email.lower())):
            first = seen.setdefault((name, key), line) if key else line
            if first != line:
                whys.append(f"`{key}` stands in line {first} already")
        found.mistakes.extend(Mistake(line, why) for why in whys)
        found.entries.append(entry)
    if not found.entries and not found.mistakes:
        found.mistakes.append(Mistake(1, "there is nobody in it"))
    return found


def _entry_of(line: int, said: Mapping[str, object], now: datetime) -> tuple[Entry, list[str]]:
    changes: dict[str, object] = {}
    whys = [_unknown(name) for name in said if name and name not in _KNOWN]
    for name, read in _READERS.items():
        if name in said:
            try:
                column, value = read(said[name], now)
                changes[column] = value
            except _Unfit as fault:
                whys.append(f"`{name}` cannot be `{_shortened(said[name])}`: it {fault}")
    key = str(said.get("id") or "").strip()
    if not key and not said.get("email"):
        whys.append("`email` is missing")
    return Entry(line, UserId(key) if key else None, changes), whys


def _shortened(value: object) -> str:
    text = str(value).strip()
    return text if len(text) <= _MOST_QUOTED else f"{text[:_MOST_QUOTED]}…"


# ── fields ───────────────────────────────────────────────────────────────────────────────────────


def _text_of(value: object) -> str:
    if isinstance(value, bool | int | float) or value is None or isinstance(value, str):
        return "" if value is None else str(value).strip()
    raise _Unfit("is not a text")


def _email(value: object, _: datetime) -> tuple[str, object]:
    text = _text_of(value)
    local, at, domain = text.rpartition("@")
    if text and (not at or not local or not domain or any(c.isspace() for c in text) or "@" in local):
        raise _Unfit("is no e-mail address")
    if len(text) > EMAIL_LIMIT:
        raise _Unfit(f"is longer than {EMAIL_LIMIT} characters")
    return "email", text or None


def _username(value: object, _: datetime) -> tuple[str, object]:
    text = _text_of(value)
    if text and not is_legal_username(text):
        raise _Unfit("is no username that Mattermost takes: small letters, digits, and . - _ between them")
    return "username", text or None


def _name(column: str) -> Callable[[object, datetime], tuple[str, object]]:
    return lambda value, _: (column, _text_of(value))


def _locale(value: object, _: datetime) -> tuple[str, object]:
    text = _text_of(value)
    if len(text) > _LONGEST_LOCALE:
        raise _Unfit("is no locale, as de or pt-BR")
    return "locale", text or None


def _verified(value: object, now: datetime) -> tuple[str, object]:
    """A yes or no, or the moment itself."""
    text = _text_of(value)
    try:
        return "email_verified_at", now if _yes(text) else None
    except _Unfit:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _Unfit("is neither yes nor no nor a moment, as 2026-01-31 12:00:00") from None
    return "email_verified_at", moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _active(value: object, _: datetime) -> tuple[str, object]:
    # An empty cell leaves somebody active: nobody is shut out by a column that was not filled in.
    text = _text_of(value)
    return "active", not text or _yes(text)


def _yes(text: str) -> bool:
    if text.lower() in _YES:
        return True
    if text.lower() in _NO:
        return False
    raise _Unfit("is neither yes nor no")


_READERS: Final[Mapping[str, Callable[[object, datetime], tuple[str, object]]]] = {
    "email": _email,
    "username": _username,
    "first_name": _name("first_name"),
    "last_name": _name("last_name"),
    "locale": _locale,
    "email_verified": _verified,
    "active": _active,
}
