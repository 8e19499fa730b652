"""What became of channels and of those who were added to them, for people and as JSON."""

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Generic, TypeVar

from mmconsole.cli import output
from mmconsole.cli.run import code_of_end
from mmconsole.cli.summary import (
    NOT_DONE,
    SHOWN_ON_A_TERMINAL,
    counted_lines,
    named,
    together_or_apart,
)
from mmconsole.domain.accounts import moment_of
from mmconsole.domain.channels import Channel, ChannelChange, Did
from mmconsole.domain.plans import Outcome
from mmconsole.services.channels.adding import Added
from mmconsole.services.channels.runs import ChannelPlan, ChannelRun

R = TypeVar("R", Added, ChannelRun)

_TROUBLES: Final = frozenset({Outcome.REFUSED, Outcome.FAILED})
_GLYPHS: Final[Mapping[str, str]] = {
    Outcome.REFUSED: "x refused",
    Outcome.FAILED: "x failed",
    Outcome.SKIPPED: "- skipped",
}
_DONE: Final[Mapping[str, str]] = {Did.CREATED: "+ created", Did.RESTORED: "+ restored", Did.ARCHIVED: "- archived"}
_ORDER: Final = (*Did, *Outcome)


@dataclass(frozen=True, slots=True)
class Ending(Generic[R]):
    """A run that came to its end, or to a signal."""

    run: R
    seconds: float
    interrupted: bool


@dataclass(frozen=True, slots=True)
class _Reason:
    """Why one of many was refused, skipped or failed."""

    key: str
    """A user, a project or a channel, as it was named."""
    status: str
    note: str

    @property
    def shared(self) -> str:
        """The same sentence for all of them."""
        quoted = self.note.replace(f"`{self.key}`", "`…`")
        return quoted.replace(f"mmconsole sync {self.key}`", "mmconsole sync …`")


def exit_code_of(ending: Ending[R]) -> int:
    return code_of_end(interrupted=ending.interrupted, fault=ending.run.fault, troubled=_troubled(ending.run))


def _troubled(run: Added | ChannelRun) -> bool:
    return any(result.outcome in _TROUBLES for result in run.results)


def _counts(run: Added | ChannelRun, named: int) -> dict[str, int]:
    """All of those who were named in exactly one count; the rest was planned and not done."""
    counts = {str(name): run.counts[name] for name in dict.fromkeys(_ORDER) if run.counts[name]}
    rest = named - sum(counts.values())
    return counts | {NOT_DONE: rest} if rest else counts


def _show_end(ending: Ending[R], *, left: bool) -> None:
    if ending.interrupted and left:
        output.note("mmconsole: Stopped. What was done is stored; the same command does the rest.")
    if ending.run.fault is not None:
        output.note(f"mmconsole: {output.visible(str(ending.run.fault))}")


# ── users of a channel ───────────────────────────────────────────────────────────────────────────


def show_added(ending: Ending[Added], *, json: bool) -> None:
    added = ending.run
    counts = _counts(added, added.users)
    if json:
        end = {"seconds": round(ending.seconds, 3), "interrupted": ending.interrupted}
        output.write_json(_added_document(added, counts) | end)
    else:
        job = f", job {added.job_id}" if added.job_id else ""
        who = output.amount(added.users, "user")
        output.write(f"{who} for {output.visible(added.channel.address)} in {output.duration(ending.seconds)}{job}")
        _write_counts_and_reasons(counts, _reasons_of_users(added), of="user")
    _show_end(ending, left=NOT_DONE in counts)


def show_plan_of_adding(added: Added, *, json: bool) -> None:
    counts = _counts(added, added.users)
    would = {("to add" if name == Outcome.ADDED else name): count for name, count in counts.items()}
    if json:
        output.write_json(_added_document(added, would))
        return
    who = output.amount(added.users, "user")
    output.write(
        f"{would.get('to add', 0):,} of {who} to add to {output.visible(added.channel.address)}; nothing was done"
    )
    _write_counts_and_reasons(would, _reasons_of_users(added), of="user")


def _added_document(added: Added, counts: dict[str, int]) -> dict[str, Any]:
    return {
        "channel": document_of(added.channel),
        "users": added.users,
        "counts": counts,
        "results": [asdict(result) for result in added.results],
        "job_id": added.job_id,
        "fault": None if added.fault is None else str(added.fault),
    }


def _reasons_of_users(added: Added) -> list[_Reason]:
    return _reasons((result.user_id, result.outcome, result.note) for result in added.results)


# ── many channels ────────────────────────────────────────────────────────────────────────────────


def show_run(ending: Ending[ChannelRun], *, of: str, json: bool) -> None:
    """`of` is what was named: channels or projects."""
    run = ending.run
    counts = _counts(run, run.named)
    if json:
        end = {"seconds": round(ending.seconds, 3), "interrupted": ending.interrupted}
        output.write_json(_run_document(run, counts, of) | end)
    else:
        job = f", job {run.job_id}" if run.job_id is not None else ""
        output.write(f"{output.amount(run.named, of)} in {output.duration(ending.seconds)}{job}")
        _write_counts_and_reasons(counts, _reasons_of_channels(run), of=of)
        changed = [(result.outcome, result.subject, result.address) for result in run.results]
        _write_changes([(did, *rest) for did, *rest in changed if did in _DONE], of)
    _show_end(ending, left=NOT_DONE in counts)


def show_plan(run: ChannelRun, *, of: str, json: bool) -> None:
    counts = {f"to be {did}": sum(plan.did is did for plan in run.planned) for did in _DONE}
    counts = {name: count for name, count in counts.items() if count} | _counts(run, len(run.results))
    if json:
        output.write_json(_run_document(run, counts, of) | {"planned": [_planned(plan) for plan in run.planned]})
    else:
        output.write(f"{len(run.planned):,} of {output.amount(run.named, of)} to change; nothing was done")
        _write_counts_and_reasons(counts, _reasons_of_channels(run), of=of)
        _write_changes([(plan.did, plan.subject, plan.address) for plan in run.planned], of)
    if run.would_stop is not None:
        output.note(f"mmconsole: A real run would stop: {output.visible(str(run.would_stop))}")


def _run_document(run: ChannelRun, counts: dict[str, int], of: str) -> dict[str, Any]:
    return {
        f"{of}s": run.named,
        "counts": counts,
        "results": [asdict(result) for result in run.results],
        "job_id": run.job_id,
        "would_stop": None if run.would_stop is None else str(run.would_stop),
        "fault": None if run.fault is None else str(run.fault),
    }


def _planned(plan: ChannelPlan) -> dict[str, Any]:
    return {"subject": plan.subject, "did": plan.did, "address": plan.address}


def _reasons_of_channels(run: ChannelRun) -> list[_Reason]:
    return _reasons((result.subject, result.outcome, result.note) for result in run.results)


def _write_changes(changes: Sequence[Sequence[str]], of: str) -> None:
    """Which channels are new or gone, all of them or, on a terminal, the first."""
    shown = changes[:SHOWN_ON_A_TERMINAL] if output.is_terminal(sys.stdout) else changes
    if shown:
        output.write("")
    for did, subject, address in shown:
        status = _DONE[did]
        whose = f"  (project {output.visible(subject)})" if of == "project" else ""
        output.write(f"{output.painted(status, status[0])}  {output.visible(address)}{whose}")
    if len(changes) > len(shown):
        output.write(f"and {len(changes) - len(shown):,} more: --json lists them")


# ── one channel ──────────────────────────────────────────────────────────────────────────────────


def show_change(change: ChannelChange, *, json: bool) -> None:
    if json:
        output.write_json({"did": change.did} | document_of(change.channel))
        return
    status = _DONE.get(change.did, "+ unchanged" if not change.channel.archived else "- unchanged")
    archived = ", in the archive" if change.channel.archived and change.did is Did.UNCHANGED else ""
    output.write(f"{output.painted(status, status[0])}  {output.visible(change.channel.address)}{archived}")


def document_of(channel: Channel) -> dict[str, Any]:
    return {
        "id": channel.id,
        "channel": channel.address,
        "team": channel.team,
        "name": channel.name,
        "display_name": channel.display_name,
        "private": not channel.public,
        "archived": channel.archived,
        "purpose": channel.purpose,
        "created_at": moment_of(channel.create_at),
    }


# ── lines ────────────────────────────────────────────────────────────────────────────────────────


def _write_counts_and_reasons(counts: dict[str, int], reasons: Sequence[_Reason], *, of: str) -> None:
    for line in (*counted_lines(counts), *_reason_lines(reasons, of)):
        output.write(line)


def _reasons(ended: Iterable[tuple[str, str, str]]) -> list[_Reason]:
    return [_Reason(key, _GLYPHS[outcome], note) for key, outcome, note in ended if outcome in _GLYPHS]


def _reason_lines(reasons: Sequence[_Reason], of: str) -> Iterator[str]:
    """Why not; many of one reason share a line."""
    groups: dict[tuple[str, str], list[_Reason]] = defaultdict(list)
    for reason in reasons:
        groups[reason.status, reason.shared].append(reason)
    parts = [part for group in groups.values() for part in together_or_apart(group)]
    shown = parts[:SHOWN_ON_A_TERMINAL] if output.is_terminal(sys.stdout) else parts
    if shown:
        yield ""
    for part in shown:
        status, first = part[0].status, part[0]
        note = first.note if len(part) == 1 else first.shared
        who = named([reason.key for reason in part], of=of)
        yield f"{output.painted(status, status[0])}  {who}: {output.visible(note)}"
    more = len(reasons) - sum(map(len, shown))
    if more:
        yield f"and {more:,} more: --json lists them"
