"""How a sync ended, for people and as JSON, and what a plan would do."""

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeVar

from mmconsole.cli import output
from mmconsole.cli.run import code_of_end
from mmconsole.domain.forecast import Forecast
from mmconsole.domain.plans import Finding, Kind, Outcome, Result
from mmconsole.services.recovery import Recovered
from mmconsole.services.summary import LEFT_FOR_LATER, Link, Summary

T = TypeVar("T")

SHOWN_ON_A_TERMINAL: Final = 20
_FEW: Final = 3
"""So many users of one reason have a line each; of more the first are named."""
_GLYPHS: Final[Mapping[str, str]] = {
    Outcome.REFUSED: "x refused",
    Outcome.CONFLICT: "! conflict",
    Outcome.FAILED: "x failed",
}
_REASONED: Final[Mapping[str, str]] = {Finding.LEFT: "- left alone", Outcome.SKIPPED: "- skipped"}
_ORDER: Final = (*Outcome, Finding.UNCHANGED, Finding.LEFT, LEFT_FOR_LATER)
NOT_DONE: Final = "not done"
"""Planned, but a fault or a signal came first."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A sync that came to an end."""

    summary: Summary
    seconds: float
    interrupted: bool


def exit_code_of(ending: Ending) -> int:
    summary = ending.summary
    return code_of_end(interrupted=ending.interrupted, fault=summary.fault, troubled=summary.troubled)


def counts_of(summary: Summary) -> dict[str, int]:
    """Every user in exactly one count; the rest was planned and not done."""
    counts = {str(name): summary.counts[name] for name in _ORDER if summary.counts[name]}
    rest = summary.users - sum(counts.values())
    return counts | {NOT_DONE: rest} if rest else counts


def show_ending(ending: Ending, *, json: bool) -> None:
    """Print how it ended: on stdout, and what stopped it as talk."""
    summary = ending.summary
    if json:
        output.write_json(_ending_document(ending))
    else:
        for line in ending_lines(ending):
            output.write(line)
    if ending.interrupted and NOT_DONE in counts_of(summary):
        output.note("mmconsole: Stopped. What was done is stored; the same command does the rest.")
    if summary.fault is not None:
        output.note(f"mmconsole: {output.visible(str(summary.fault))}")


def _ending_document(ending: Ending) -> dict[str, Any]:
    summary = ending.summary
    return {
        "users": summary.users,
        "counts": counts_of(summary),
        "steps": {kind: summary.steps[kind] for kind in Kind if summary.steps[kind]},
        "forecast": asdict(summary.forecast),
        "links": [asdict(link) for link in summary.links],
        "listed": [asdict(result) for result in summary.listed],
        "recovered": asdict(summary.recovered),
        "undo_until": summary.undo_until,
        "job_id": summary.job_id,
        "seconds": round(ending.seconds, 3),
        "interrupted": ending.interrupted,
        "fault": None if summary.fault is None else str(summary.fault),
    }


def ending_lines(ending: Ending, *, troubles: bool = True) -> Iterator[str]:
    summary = ending.summary
    job = f", job {summary.job_id}" if summary.job_id else ""
    yield from recovered_lines(summary.recovered)
    yield f"{output.amount(summary.users, 'user')} in {output.duration(ending.seconds)}{job}"
    yield from counted_lines(counts_of(summary))
    if troubles:
        yield from _troubles(summary)
        yield from _reasons(summary)


def counted_lines(counts: Mapping[str, int]) -> Iterator[str]:
    """A line for each count, the numbers below each other."""
    room = max((len(f"{count:,}") for count in counts.values()), default=0)
    for name, count in counts.items():
        yield f"  {count:>{room},}  {name}"


def _troubles(summary: Summary) -> Iterator[str]:
    """Who was not done, with reason and cure: the first on a terminal, all that are known elsewhere."""
    troubles = [result for result in summary.listed if result.outcome in _GLYPHS]
    shown = troubles[:SHOWN_ON_A_TERMINAL] if output.is_terminal(sys.stdout) else troubles
    if shown:
        yield ""
    yield from map(_trouble, shown)
    more = summary.troubled - len(shown)
    if more > 0:
        failed = any(result.outcome is Outcome.FAILED for result in troubles)
        where = "mmconsole activity" if failed else "mmconsole users list --health conflict"
        yield f"and {more:,} more: {where}"


def _trouble(result: Result) -> str:
    status = _GLYPHS[result.outcome]
    return f"{output.painted(status, status[0])}  {output.visible(result.user_id)}: {output.visible(result.note)}"


def refused_lines(refused: Sequence[Result]) -> Iterator[str]:
    """Names that mean no user, below what became of the others."""
    if refused:
        yield ""
    yield from map(_trouble, refused)


def _reasons(summary: Summary) -> Iterator[str]:
    """Why users were left alone or skipped; many of one reason share a line."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for result in summary.listed:
        if result.outcome in _REASONED:
            groups[_REASONED[result.outcome], result.note].append(result.user_id)
    parts = [(status, note, some) for (status, note), users in groups.items() for some in together_or_apart(users)]
    shown = parts[:SHOWN_ON_A_TERMINAL] if output.is_terminal(sys.stdout) else parts
    if shown:
        yield ""
    for status, note, users in shown:
        yield f"{output.painted(status, status[0])}  {named(users)}: {output.visible(note)}"
    more = sum(summary.counts[name] for name in _REASONED) - sum(len(users) for _, _, users in shown)
    if more > 0:
        yield f"and {more:,} more: --json lists them"


def together_or_apart(some: list[T]) -> list[list[T]]:
    """Many of one reason share a line, a few have one each."""
    return [some] if len(some) > _FEW else [[one] for one in some]


def named(keys: Sequence[str], *, of: str = "user") -> str:
    """`ann`, or `12 users (1, 2, 3 and 9 more)`."""
    first = ", ".join(map(output.visible, keys[:_FEW]))
    rest = len(keys) - _FEW
    return f"{len(keys):,} {of}s ({first} and {rest:,} more)" if rest > 0 else first


def recovered_lines(recovered: Recovered) -> Iterator[str]:
    """What an interrupted run had left, if anything."""
    parts = [
        f"{output.amount(len(recovered.revoked), 'token')} revoked" if recovered.revoked else "",
        f"{output.amount(len(recovered.linked), 'account')} linked" if recovered.linked else "",
        f"{output.amount(len(recovered.channels), 'channel')} linked" if recovered.channels else "",
        f"{output.amount(recovered.closed, 'note')} without a trace closed" if recovered.closed else "",
    ]
    done = ", ".join(part for part in parts if part)
    if recovered.ended:
        yield f"{output.amount(len(recovered.ended), 'token')} revoked for good: the time to undo was over."
    if recovered.pending:
        yield f"{output.amount(recovered.pending, 'revocation')} can still be undone."
    if done:
        yield f"Left by an interrupted run: {done}."
    if recovered.young:
        yield f"{output.amount(recovered.young, 'call')} of it may still be under way; the next run looks again."


# ── plans ────────────────────────────────────────────────────────────────────────────────────────


def show_plan(
    summary: Summary, examples: Mapping[Kind, Sequence[tuple[str, str, str]]], documents: Sequence[str] | None
) -> None:
    """Print a plan. `documents` are all its users as ready JSON; None means for people, with examples."""
    if documents is not None:
        output.write_json_text(_plan_document(summary, documents))
        return
    for line in _plan_lines(summary, examples):
        output.write(line)


def show_obstacles(summary: Summary) -> None:
    """Say what would stop a real run; as talk, since nothing is wrong with the plan itself."""
    for fault in summary.would_stop:
        output.note(f"mmconsole: A real run would stop: {output.visible(str(fault))}")


def _plan_document(summary: Summary, documents: Sequence[str]) -> str:
    """The users are encoded already: as values 100,000 of them would take ten times the memory."""
    rest = output.as_json(
        {
            "users": summary.users,
            "counts": {str(name): summary.counts[name] for name in _ORDER if summary.counts[name]},
            "steps": {kind: summary.steps[kind] for kind in Kind if summary.steps[kind]},
            "forecast": asdict(summary.forecast),
            "links": [asdict(link) for link in summary.links],
            "listed": [asdict(result) for result in summary.listed],
            "would_stop": [str(fault) for fault in summary.would_stop],
        }
    )
    return f'{rest[:-1]}, "planned": [{", ".join(documents)}]}}'


def _plan_lines(summary: Summary, examples: Mapping[Kind, Sequence[tuple[str, str, str]]]) -> Iterator[str]:
    yield f"{output.amount(summary.planned, 'user')} of {summary.users:,} to change; nothing was done"
    found = {str(name): summary.counts[name] for name in _ORDER if summary.counts[name]}
    yield from counted_lines({"to change": summary.planned} | found if summary.planned else found)
    for kind in (kind for kind in Kind if summary.steps[kind]):
        yield f"\n{kind} ({summary.steps[kind]:,})"
        yield from (_planned(*example) for example in examples.get(kind, ()))
        more = summary.steps[kind] - len(examples.get(kind, ()))
        if more > 0:
            yield f"  and {more:,} more: --json shows all"
    if summary.links:
        yield ""
        yield from link_lines(summary.links)
    yield from _troubles(summary)
    yield from _reasons(summary)
    if summary.planned:
        yield ""
        yield from forecast_lines(summary.forecast)


def _planned(user_id: str, address: str, why: str) -> str:
    reason = f"  ({output.visible(why)})" if why else ""
    return f"  {output.visible(user_id)}  {output.visible(address)}{reason}"


def link_lines(links: Sequence[Link], *, at_most: int | None = None) -> Iterator[str]:
    """Whom `--link-existing` links to which account, all of them or the first."""
    yield f"{output.amount(len(links), 'user')} to be linked to an existing account"
    for link in links[:at_most]:
        yield f"  {output.visible(link.user_id)}  {output.visible(link.email)} → @{output.visible(link.username)}"
    if at_most is not None and len(links) > at_most:
        yield f"  and {len(links) - at_most:,} more: --dry-run lists all"


def forecast_lines(forecast: Forecast) -> Iterator[str]:
    """What a plan will cause."""
    accounts = forecast.steps.get(Kind.CREATE, 0)
    tokens = forecast.steps.get(Kind.GENERATE, 0) + forecast.steps.get(Kind.REPLACE, 0)
    parts = [
        f"{output.amount(accounts, 'new account')}" if accounts else "",
        f"{output.amount(tokens, 'new token')}" if tokens else "",
        f"{output.amount(forecast.calls, 'call')}",
        f"about {output.duration(forecast.seconds)} on a server with two cores.",
    ]
    yield "Forecast: " + ", ".join(part for part in parts if part)
    if forecast.mails:
        # Whether a stored token is dead, and is replaced, only its step finds out.
        most = "up to " if forecast.steps.get(Kind.ADOPT) else ""
        yield f"It sends {most}{output.amount(forecast.mails, 'e-mail')} to users."
    if forecast.no_room:
        yield f"The server has no room for {output.amount(forecast.no_room, 'account')} of them: raise its user limit."
    if forecast.removals:
        yield f"It removes tokens or accounts of {output.amount(forecast.removals, 'user')}."
