"""The users of the embedded database, which are ours to change: added, edited, removed and imported."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Final

from mmconsole.database import Database, EmbeddedUser, Snapshot, Transaction
from mmconsole.domain.activity import Activity
from mmconsole.domain.user_lists import Entry, Mistake
from mmconsole.domain.users import User, UserId
from mmconsole.errors import ListRefused

_PAGE: Final = 5_000


@dataclass(frozen=True, slots=True)
class Imported:
    """What a list did, or would do."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0


@dataclass(slots=True)
class _Plan:
    """What a list asks for, and what in it does not fit the users there are."""

    new: list[Entry] = field(default_factory=list)
    changes: list[tuple[UserId, Mapping[str, object]]] = field(default_factory=list)
    unchanged: int = 0
    mistakes: list[Mistake] = field(default_factory=list)


class OwnUsers:
    def __init__(
        self, database: Database, *, actor: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._actor = actor
        self._now = now

    async def add(self, entry: Entry) -> UserId:
        """A new user. Raises NotOurs, and ListRefused when the address is another's."""
        return (await self._database.write(partial(self._add, entry=entry)))[0]

    async def edit(self, user_id: UserId, entry: Entry) -> bool:
        """Change what the entry names. Returns whether anything was. Raises NotOurs, ListRefused, RowMissing."""
        named = Entry(entry.line, user_id, entry.changes)
        done = await self._database.write(partial(self._apply, entries=[named]))
        return bool(done.changed)

    async def remove(self, user_ids: Sequence[UserId]) -> None:
        """Delete rows; their tokens are revoked by the next sync. Raises NotOurs, RowMissing."""
        await self._database.write(partial(self._remove, user_ids=user_ids))

    async def bring_in(self, entries: Sequence[Entry]) -> Imported:
        """Add whom the list names and nobody knows, and change the others; all of it or nothing.

        Raises NotOurs, and ListRefused with every line that does not fit.
        """
        return await self._database.write(partial(self._apply, entries=entries))

    async def would_bring_in(self, entries: Sequence[Entry]) -> Imported:
        """The same without doing it."""
        plan = await self._database.read(partial(_planned, entries=entries))
        return Imported(len(plan.new), len(plan.changes), plan.unchanged)

    def _add(self, tx: Transaction, *, entry: Entry) -> list[UserId]:
        plan = _planned(tx, entries=[entry])
        if not plan.new:
            raise ListRefused(mistakes=[Mistake(entry.line, f"there is a user of the address {entry.email} already")])
        return self._store_new(tx, plan.new)

    def _apply(self, tx: Transaction, *, entries: Sequence[Entry]) -> Imported:
        plan = _planned(tx, entries=entries)
        self._store_new(tx, plan.new)
        for user_id, changes in plan.changes:
            tx.roster.embedded.edit(user_id, changes, now=self._now())
            self._note(tx, "user changed", user_id, ", ".join(sorted(changes)))
        return Imported(len(plan.new), len(plan.changes), plan.unchanged)

    def _store_new(self, tx: Transaction, entries: Sequence[Entry]) -> list[UserId]:
        ids = tx.roster.embedded.add_many([_new_user(entry) for entry in entries])
        for user_id in ids:
            self._note(tx, "user added", user_id)
        return ids

    def _remove(self, tx: Transaction, *, user_ids: Sequence[UserId]) -> None:
        for user_id in user_ids:
            tx.roster.embedded.remove(user_id)
            self._note(tx, "user removed", user_id)

    def _note(self, tx: Transaction, verb: str, user_id: UserId, detail: str = "") -> None:
        tx.activity.add(Activity(self._now(), self._actor, verb, user_id, detail))


def _planned(db: Snapshot, *, entries: Sequence[Entry]) -> _Plan:
    """Raises NotOurs, and ListRefused."""
    # Asked for its error: what an application owns is not even planned for.
    _ = db.roster.embedded
    plan = _Plan()
    for start in range(0, len(entries), _PAGE):
        _plan_some(db, entries[start : start + _PAGE], plan)
    if plan.mistakes:
        raise ListRefused(mistakes=plan.mistakes)
    return plan


def _plan_some(db: Snapshot, entries: Sequence[Entry], plan: _Plan) -> None:
    names = {name for entry in entries for name in (entry.user_id, entry.email) if name}
    called = db.names.find_all(names)
    known = {user.id: user for user, _ in db.roster.rows([one for ids in called.values() for one in ids])}
    for entry in entries:
        _plan_one(entry, called, known, plan)


def _plan_one(entry: Entry, called: Mapping[str, list[UserId]], known: Mapping[UserId, User], plan: _Plan) -> None:
    of_address = called.get(entry.email or "", [])
    meant = [entry.user_id] if entry.user_id else of_address
    if entry.user_id and entry.user_id not in known:
        plan.mistakes.append(Mistake(entry.line, f"there is no user with the id {entry.user_id}"))
    elif len(meant) > 1:
        plan.mistakes.append(Mistake(entry.line, f"several users have the address {entry.email}"))
    elif entry.user_id and set(of_address) - {entry.user_id}:
        plan.mistakes.append(Mistake(entry.line, f"the address {entry.email} is that of user {of_address[0]}"))
    elif not meant:
        plan.new.append(entry)
    elif changes := _changes(known[meant[0]], entry):
        plan.changes.append((meant[0], changes))
    else:
        plan.unchanged += 1


def _changes(user: User, entry: Entry) -> dict[str, object]:
    """What the entry says that the row does not say yet."""
    has: dict[str, object] = {
        "email": user.email,
        "username": user.username,
        "first_name": user.first_name or "",
        "last_name": user.last_name or "",
        "locale": user.locale,
        "active": user.active,
    }
    changes = {name: value for name, value in entry.changes.items() if name in has and has[name] != value}
    verified = entry.changes.get("email_verified_at")
    if "email_verified_at" in entry.changes and (verified is not None) != user.email_verified:
        changes["email_verified_at"] = verified
    # A row that was deleted softly comes back by being active.
    return changes | ({"deleted_at": None} if changes.get("active") else {})


def _new_user(entry: Entry) -> EmbeddedUser:
    said = entry.changes
    verified = said.get("email_verified_at")
    return EmbeddedUser(
        email=entry.email,
        username=_text(said.get("username")),
        first_name=_text(said.get("first_name")) or "",
        last_name=_text(said.get("last_name")) or "",
        locale=_text(said.get("locale")),
        email_verified_at=verified if isinstance(verified, datetime) else None,
        active=bool(said.get("active", True)),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
