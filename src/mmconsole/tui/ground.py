"""What every order to the server stands on: the core, what runs, what is allowed, and the room of the operator."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from mmconsole.core import Core
from mmconsole.domain.plans import Finding, UserPlan
from mmconsole.domain.users import UserId
from mmconsole.errors import GuardTripped
from mmconsole.services.applying import Watching
from mmconsole.services.resumption import AT_ONCE, Again, Approved
from mmconsole.services.summary import Summary, always
from mmconsole.tui.cells import counted
from mmconsole.tui.dialogs import YES, Dialog, word_to_type
from mmconsole.tui.permission import Permission
from mmconsole.tui.running import TOKENS, Room, Running
from mmconsole.tui.targets import Targets
from mmconsole.tui.wording import on_screen
from mmconsole.tui.work import Work

_NAMED: Final = 3


class Desk(Room, Protocol):
    """The console, as orders see it."""

    @property
    def profile(self) -> str: ...

    @property
    def masked(self) -> bool: ...

    def targets(self) -> Targets: ...

    def name_of(self, user_id: str) -> str:
        """What people call a user, masked if need be."""

    async def learn(self, ids: Sequence[str]) -> None:
        """Read users who were not seen yet, so that they have names. Raises DatabaseError."""

    def in_sight(self, user_id: str) -> bool: ...

    def job_meant(self) -> int | None:
        """The job that a key is about."""

    def job_under(self) -> int | None:
        """The job under the cursor, for who is in their pane."""

    def show_only(self, label: str, ids: Sequence[str]) -> None:
        """Show these users and no others, until escape."""


@dataclass(frozen=True, slots=True)
class Ground:
    core: Core
    running: Running
    permission: Permission
    desk: Desk

    async def addresses(self, ids: Sequence[str]) -> dict[str, str]:
        """What people call some users, unmasked; whoever has no address is not among them."""
        listed = await self.core.overview.rows([UserId(one) for one in ids])
        return {one.user.id: one.user.address for one in listed if one.user.address}

    async def names(self, ids: Sequence[str]) -> str:
        """`anna.k, bob and 7 more`, also of who was marked unseen."""
        await self.desk.learn(ids[:_NAMED])
        first = ", ".join(self.desk.name_of(one) for one in ids[:_NAMED])
        return f"{first} and {len(ids) - _NAMED:,} more" if len(ids) > _NAMED else first

    async def allows(self, title: str, lines: Sequence[str], *, verb: str, losing: int = 0) -> bool:
        """Ask. Whoever takes something from many, or on a protected profile, types what it is about."""
        protected = self.permission.protected and losing > 0
        word = word_to_type(losing, profile=self.desk.profile, protected=protected)
        return await self.running.ask(Dialog(title, lines, verb=verb, word=word)) == YES


@dataclass(frozen=True, slots=True)
class Approval:
    """What of a plan shall be done."""

    plans: list[UserPlan]
    allow_removals: int | None = None


def tripped_guard(summary: Summary) -> GuardTripped | None:
    """The guard, if it would stop a plan: too many would lose something."""
    return next((fault for fault in summary.would_stop if isinstance(fault, GuardTripped)), None)


async def past_obstacles(ground: Ground, title: str, summary: Summary, plans: list[UserPlan]) -> Approval | None:
    """Ask about what would be lost, and tell what stops it. None means no."""
    tripped = tripped_guard(summary)
    other = next((fault for fault in summary.would_stop if fault is not tripped), None)
    if other is not None:
        ground.desk.say(on_screen(other))
        return None
    losing = sum(plan.removes for plan in plans)
    if losing:
        lines = [
            f"{counted(losing, 'user')} would lose a token or an account.",
            *([on_screen(tripped)] if tripped else []),
        ]
        if not await ground.allows(title, lines, verb="start", losing=losing):
            return None
    return Approval(plans, losing if tripped is not None and losing else None)


async def apply(ground: Ground, kind: str, title: str, approval: Approval, *, users: Sequence[str] = ()) -> Summary:
    """Do exactly what was approved, as far as it is still right, and say how it ended."""

    async def some() -> AsyncIterator[list[UserPlan]]:
        for start in range(0, len(approval.plans), AT_ONCE):
            yield approval.plans[start : start + AT_ONCE]

    async def do(work: Work) -> Summary:
        # Who approved a plan has seen what it comes to.
        watching = Watching(always, work, work.stop)
        wanted = Approved(kind, title, len(approval.plans), some)
        return await ground.core.resumption.apply(wanted, Again(approval.allow_removals), watching)

    summary = await ground.running.perform(Work(title, users), do, turn=TOKENS)
    tell_end(ground, title, summary, users)
    return summary


def tell_end(ground: Ground, title: str, summary: Summary, users: Sequence[str] = ()) -> None:
    """Say how a run ended; of one user who is in sight the row says it, if all went well."""
    if summary.fault is not None:
        ground.desk.say(on_screen(summary.fault))
    elif len(users) == 1 and ground.desk.in_sight(users[0]) and not summary.listed:
        return
    elif len(users) == 1 and summary.listed:
        ground.desk.say(f"{ground.desk.name_of(users[0])}: {summary.listed[0].note}")
    else:
        ground.desk.say(f"{title}: {counts_words(summary.counts)}")


def counts_words(counts: dict[str, int]) -> str:
    """`created 12, failed 2`; who needed nothing only when that is everybody."""
    told = {name: count for name, count in counts.items() if count and name != Finding.UNCHANGED}
    if not told:
        return "everything was in step"
    return ", ".join(f"{name} {count:,}" for name, count in told.items())


def why_nothing(summary: Summary) -> str:
    """Why there is no step."""
    return summary.listed[0].note if summary.listed else "there is nothing to do"
