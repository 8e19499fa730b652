"""Plan files: what a sync would do, written down and signed, to be read by people and applied later.

A line of JSON each: who made it and for what, then one user a line, then what all of it comes to, then the signature
over everything before it. So 100,000 users are written and read without being held, and a file that is cut short is
not taken for a smaller plan.
"""

import hmac
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

from mmconsole.domain.plans import Kind, UserPlan
from mmconsole.domain.users import UserId
from mmconsole.errors import (
    FileThere,
    PlanAltered,
    PlanDamaged,
    PlanElsewhere,
    PlanError,
    PlanExpired,
    PlanMissing,
    PlanNewer,
)
from mmconsole.secrets import Signing, new_draft, open_private
from mmconsole.services.look import Planned
from mmconsole.services.plans.text import document_of, plan_from
from mmconsole.services.summary import Summary

FORMAT: Final = 1
_LONGEST: Final = 1024 * 1024
"""Bytes of a line. No user's is longer, and a wrong file may be one endless line."""


@dataclass(frozen=True, slots=True)
class PlanHeader:
    """Who made a plan, when, and for what."""

    kind: str
    """Of the job that applies it."""
    title: str
    server: str
    server_id: str
    installation: str
    actor: str
    version: str
    made_at: datetime
    expires_at: datetime
    key: str
    """The id of the key that signed it."""


@dataclass(frozen=True, slots=True)
class PlanTotals:
    """What a plan comes to, as it was when it was made."""

    users: int
    """Users who were looked at."""
    planned: int
    removals: int
    links: int
    steps: Mapping[str, int]
    forecast: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PlannedUser:
    """One line: a user's plan, and the address by which people know them."""

    plan: UserPlan
    email: str


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


class PlanDraft:
    """A plan that is being written. It gets its name when it is whole; until then nothing stands there."""

    def __init__(self, path: Path, header: PlanHeader, signing: Signing) -> None:
        """Raises FileThere, and PlanError when nothing can be written there."""
        self._path = path
        if path.exists() or path.is_symlink():
            raise FileThere(file=path)
        signature = signing.begin(header.key)
        assert signature is not None  # noqa: S101 - the header names the key that signs
        self._signature = signature
        self._draft = new_draft(path)
        try:
            opened = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as fault:
            raise PlanError(file=path, why=f"it cannot be written: {fault.strerror}") from fault
        self._file = open(opened, "wb")  # noqa: PTH123, SIM115 - a descriptor, closed at the end of the with
        self._write({"mmconsole_plan": FORMAT} | asdict(header))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            # What a full disk did not take was told when it was signed, or is of no use any more.
            self._file.close()
        self._draft.unlink(missing_ok=True)

    def add(self, planned: Planned) -> None:
        plan = planned.plan
        email = planned.user.email if planned.user else ""
        self._write({"user_id": plan.user_id, "email": email or "", "digest": plan.digest} | document_of(plan))

    def finish(self, summary: Summary) -> None:
        """Sign it, and give it its name. Raises FileThere when something took the place meanwhile."""
        steps = {kind: summary.steps[kind] for kind in Kind if summary.steps[kind]}
        counts = {"users": summary.users, "planned": summary.planned, "removals": summary.removals}
        self._write(
            {"totals": counts | {"links": len(summary.links), "steps": steps, "forecast": asdict(summary.forecast)}}
        )
        try:
            self._file.write(_line({"signature": self._signature.hexdigest()}))
            self._file.flush()
            os.fsync(self._file.fileno())
            # A link fails where something stands, which a renaming would replace.
            os.link(self._draft, self._path)
        except FileExistsError as fault:
            raise FileThere(file=self._path) from fault
        except OSError as fault:
            raise PlanError(file=self._path, why=f"it cannot be written: {fault.strerror}") from fault

    def _write(self, value: Mapping[str, Any]) -> None:
        line = _line(value)
        self._signature.update(line)
        try:
            self._file.write(line)
        except OSError as fault:
            raise PlanError(file=self._path, why=f"it cannot be written: {fault.strerror}") from fault


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, default=_plain).encode() + b"\n"


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


class PlanFile:
    """A plan as it lies on the disk, which only its owner can have written."""

    def __init__(self, path: Path) -> None:
        """Raises PlanMissing, PlanDamaged, PlanNewer, ExposedFile."""
        self.path = path
        try:
            self._file: BinaryIO = open_private(path)
        except OSError as fault:
            raise PlanMissing(file=path, why=fault.strerror) from fault
        try:
            self.header = self._read_header()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def check(self, signing: Signing, *, installation: str, now: datetime) -> PlanTotals:
        """Read all of it once. Raises PlanElsewhere, PlanAltered, PlanDamaged, PlanExpired."""
        if self.header.installation != installation:
            found, known = self.header.installation, installation
            raise PlanElsewhere(file=self.path, what="installation", found=found, known=known)
        totals: PlanTotals | None = None
        for value in self._verified(signing):
            if "totals" in value:
                totals = self._totals(value["totals"])
        if totals is None:
            raise PlanDamaged(file=self.path, why="what it comes to is missing")
        if now >= self.header.expires_at:
            raise PlanExpired(file=self.path, at=f"{self.header.expires_at:%Y-%m-%d %H:%M} UTC")
        return totals

    def check_server(self, *, server: str, server_id: str) -> None:
        """Raises PlanElsewhere."""
        if self.header.server_id != server_id:
            raise PlanElsewhere(file=self.path, what="server", found=self.header.server, known=server)

    def users(self, signing: Signing) -> Iterator[PlannedUser]:
        """Its users in their order. Raises PlanAltered at the end when it was changed since `check`."""
        for value in self._verified(signing):
            if "user_id" in value:
                yield self._user(value)

    # ── inside ───────────────────────────────────────────────────────────────────────────────────

    def _read_header(self) -> PlanHeader:
        value = self._parsed(self._file.readline(_LONGEST))
        if "mmconsole_plan" not in value:
            raise PlanDamaged(file=self.path, why="its first line is none of mmconsole's")
        if value["mmconsole_plan"] != FORMAT:
            raise PlanNewer(file=self.path, found=value["mmconsole_plan"], known=FORMAT)
        try:
            del value["mmconsole_plan"]
            made_at, expires_at = (_moment(value.pop(name)) for name in ("made_at", "expires_at"))
            return PlanHeader(
                **{name: _text(one) for name, one in value.items()}, made_at=made_at, expires_at=expires_at
            )
        except (KeyError, TypeError, ValueError) as fault:
            raise PlanDamaged(file=self.path, why="its first line is none of mmconsole's") from fault

    def _verified(self, signing: Signing) -> Iterator[dict[str, Any]]:
        """Every line but the signature, which must be the last and right. Nothing may be done before the end."""
        signature = signing.begin(self.header.key)
        if signature is None:
            raise PlanAltered(file=self.path)
        self._file.seek(0)
        while line := self._file.readline(_LONGEST):
            if line.startswith(b'{"signature"'):
                self._demand_end(line, signature)
                return
            signature.update(line)
            yield self._parsed(line)
        raise PlanDamaged(file=self.path, why="its end is missing")

    def _demand_end(self, line: bytes, signature: "hmac.HMAC") -> None:
        told = str(self._parsed(line)["signature"])
        # Bytes, since a comparison of texts refuses what is not ASCII.
        if not hmac.compare_digest(told.encode(errors="replace"), signature.hexdigest().encode()) or self._file.read(1):
            raise PlanAltered(file=self.path)

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as fault:
            raise PlanDamaged(file=self.path, why="a line of it is not JSON") from fault
        if not isinstance(value, dict):
            raise PlanDamaged(file=self.path, why="a line of it is not JSON")
        return value

    def _totals(self, value: dict[str, Any]) -> PlanTotals:
        try:
            return PlanTotals(**value)
        except TypeError as fault:
            raise PlanDamaged(file=self.path, why="what it comes to is missing") from fault

    def _user(self, value: dict[str, Any]) -> PlannedUser:
        try:
            plan = plan_from(value, user_id=UserId(value["user_id"]), digest=value["digest"])
            return PlannedUser(plan, value["email"])
        except (KeyError, TypeError, ValueError) as fault:
            raise PlanDamaged(file=self.path, why="a user of it cannot be read") from fault


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _moment(value: object) -> datetime:
    moment = datetime.fromisoformat(_text(value))
    if moment.tzinfo is None:
        raise ValueError
    return moment
