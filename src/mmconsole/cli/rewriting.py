"""Restorage and rotation as the command line runs them: watched, stopped by signals, told at the end."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from mmconsole.cli import output
from mmconsole.cli.loop import Interrupts
from mmconsole.cli.run import code_of_end
from mmconsole.cli.under_way import under_way
from mmconsole.core import Core
from mmconsole.secrets.forms import Form
from mmconsole.services.restorage import Restored
from mmconsole.services.rewrite import AT_ONCE, Rewritten, Stock
from mmconsole.services.rotation import Rotated
from mmconsole.services.summary import Progress

SHOWN: Final = 20
"""Values that cannot be opened, which are shown to people; --json has up to 1,000."""

T = TypeVar("T")


async def restorage(core: Core, signals: Interrupts, to: Form, *, dry_run: bool, wait: bool) -> tuple[Restored, bool]:
    """How it ended, and whether a signal ended it."""
    if dry_run:
        return await _watched(signals, lambda progress: core.restorage.plan(to, progress=progress))
    return await _watched(
        signals, lambda progress: core.restorage.run(to, wait=wait, progress=progress, stop=signals.stop)
    )


async def rotation(core: Core, signals: Interrupts, *, wait: bool) -> tuple[Rotated, bool]:
    return await _watched(
        signals, lambda progress: core.rotation.rotate(wait=wait, progress=progress, stop=signals.stop)
    )


def exit_code_of(done: Rewritten, *, interrupted: bool) -> int:
    return code_of_end(interrupted=interrupted, troubled=done.refused + done.overtaken)


# ── showing ──────────────────────────────────────────────────────────────────────────────────────


def show_restored(ended: Restored, *, json: bool) -> None:
    done = ended.done
    if json:
        output.write_json({"to": ended.to, **_stocks(ended.before, ended.after), **_counts(done)})
        return
    _show_stock("now" if ended.after is None else "before", ended.before)
    if ended.after is None:
        movable = done.due - done.refused
        output.write(f"{output.amount(movable, 'token')} would be rewritten as {ended.to}.")
    else:
        _show_stock("after", ended.after)
        output.write(f"{output.amount(done.moved, 'token')} rewritten as {ended.to}.")
    show_troubles(done)


def show_rotated(ended: Rotated, *, json: bool) -> None:
    if json:
        keys = {"key": ended.key, "retired": ended.retired, "kept": ended.kept, "unused": ended.unused}
        output.write_json({**keys, **_stocks(ended.before, ended.after), **_counts(ended.done)})
        return
    output.write(f"{output.amount(ended.done.moved, 'token')} sealed anew; the key {ended.key} seals now.")
    for key in ended.retired:
        output.write(f"The key {key} is retired: nothing is sealed with it any more.")
    for key in ended.kept:
        output.write(f"The key {key} is kept: something may still be sealed with it.")
    for key in ended.unused:
        output.write(
            f"The key {key} is no longer needed: nothing is sealed with it. Take it out where you keep the keys."
        )
    show_troubles(ended.done)


def show_troubles(done: Rewritten) -> None:
    if done.overtaken:
        output.write(f"{output.amount(done.overtaken, 'value')} changed meanwhile and stayed. Say it again.")
    if done.refused:
        output.write(f"{output.amount(done.refused, 'value')} cannot be moved and stayed:")
    for user_id, why in done.refusals[:SHOWN]:
        output.write(f"  {output.visible(user_id)}: {output.visible(why)}")
    if done.refused > SHOWN:
        output.write(f"  and {done.refused - SHOWN:,} more; --json has them")


def stock_lines(stock: Stock) -> list[str]:
    """`12,000 sealed with k1234abcd`, the most of them first."""
    ordered = sorted(stock.items(), key=lambda one: (-one[1], one[0]))
    return [f"{count:,} {kept.form}{f' with {kept.key}' if kept.key else ''}" for kept, count in ordered]


def stock_rows(stock: Stock) -> list[dict[str, Any]]:
    return [{"form": kept.form, "key": kept.key or None, "count": count} for kept, count in sorted(stock.items())]


def _show_stock(name: str, stock: Stock) -> None:
    output.write(f"{name:<7} {', '.join(stock_lines(stock)) or 'nothing is stored'}")


def _stocks(before: Stock, after: Stock | None) -> Mapping[str, Any]:
    return {"before": stock_rows(before), "after": None if after is None else stock_rows(after)}


def _counts(done: Rewritten) -> Mapping[str, Any]:
    refusals = [{"user_id": user_id, "why": why} for user_id, why in done.refusals]
    counts = {"due": done.due, "moved": done.moved, "overtaken": done.overtaken, "refused": done.refused}
    return {**counts, "refusals": refusals, "job_id": done.job_id}


# ── watching ─────────────────────────────────────────────────────────────────────────────────────


async def _watched(signals: Interrupts, work: Callable[[Progress], Awaitable[T]]) -> tuple[T, bool]:
    """What came of it, and whether a signal, or somebody in the database, ended it."""
    with under_way(signals, workers=AT_ONCE) as progress:
        return await work(progress), signals.stop.is_set()
