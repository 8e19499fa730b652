"""What of a job can still be undone, and why the rest cannot: a revocation for a while, and hardly anything else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from mmconsole.database import Job, Snapshot
from mmconsole.domain.plans import Outcome
from mmconsole.domain.token_plans import Act
from mmconsole.domain.tokens import Intent
from mmconsole.services import following, sync
from mmconsole.services.channels import adding, archive, runs
from mmconsole.services.tokens import tokens
from mmconsole.services.tokens.revocation import is_revocation

if TYPE_CHECKING:
    from mmconsole.domain.users import UserId

_NOTHING_LEFT: Final = "nothing of it is left to undo"
_OF_ACTS: Final[Mapping[Act, str]] = {
    Act.GENERATE: "there were no tokens before",
    Act.REPAIR: "the old tokens were dead",
    Act.ROTATE: "the old tokens are revoked",
    Act.REVOKE: _NOTHING_LEFT,
    Act.UNDO: "revoke them again instead",
}
_BY_THE_ROWS: Final = "the application decides"
_OF_KINDS: Final[Mapping[str, str]] = {
    sync.KIND: _BY_THE_ROWS,
    following.KIND: _BY_THE_ROWS,
    runs.KIND: _BY_THE_ROWS,
    adding.KIND: "people leave a channel by themselves",
    archive.KIND: "restore the channel instead",
}


@dataclass(frozen=True, slots=True)
class Undoing:
    users: int = 0
    """Whose tokens can be enabled again."""
    until: datetime | None = None
    """By the server's clock; from then on it is too late for the first of them."""
    why_not: str = ""
    """Why nothing can be undone; empty where something can, and where nobody ever asks."""


class Undoings:
    """Of the jobs of one look at the database, told the newest first: whoever was revoked twice belongs to the last."""

    def __init__(self, db: Snapshot, *, now: datetime) -> None:
        self._db = db
        self._now = now
        self._notes: dict[UserId, Intent] = {
            note.user_id: note for note in db.intents.all_open() if is_revocation(note) and note.opened_at > now
        }

    def of(self, job: Job) -> Undoing:
        if job.kind != tokens.KIND:
            return Undoing(why_not=_OF_KINDS.get(job.kind, ""))
        act = act_of(job)
        if act is Act.REVOKE and (notes := self._taken(job)):
            return Undoing(len(notes), min(note.opened_at for note in notes))
        return Undoing(why_not=_OF_ACTS.get(act, "") if act is not None else "")

    def _taken(self, job: Job) -> Sequence[Intent]:
        """The open notes of users whose tokens this job disabled."""
        disabled = self._db.jobs.items.met(job.id, Outcome.DISABLED, list(self._notes))
        return [self._notes.pop(user_id) for user_id in disabled]


def act_of(job: Job) -> Act | None:
    """What was asked for tokens, by the title of the job."""
    words = job.title.split()
    return Act(words[1]) if len(words) > 1 and words[1] in set(Act) else None
