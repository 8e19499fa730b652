"""What signals do to something that runs."""

import asyncio
import gc
import os
import signal
from math import prod
from typing import NoReturn

import pytest

from mmconsole.cli.loop import Interrupts, run
from mmconsole.errors import DatabaseBusy, Interrupted


async def for_ever(_: Interrupts) -> NoReturn:
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.Event().wait()
    raise AssertionError


def test_a_signal_cancels_what_has_nothing_under_way() -> None:
    with pytest.raises(Interrupted):
        run(for_ever)


def test_the_first_signal_is_polite_while_users_are_under_way() -> None:
    said: list[str] = []

    async def work(signals: Interrupts) -> int:
        signals.under_way, signals.say = lambda: 1, said.append
        os.kill(os.getpid(), signal.SIGINT)
        await signals.stop.wait()
        return signals.count

    assert run(work) == 1
    assert said == ["stopping after the 1 user under way; again to stop at once"]


def test_nobody_under_way_is_not_counted() -> None:
    said: list[str] = []

    async def work(signals: Interrupts) -> None:
        signals.under_way, signals.say = lambda: 0, said.append
        os.kill(os.getpid(), signal.SIGINT)
        await signals.stop.wait()

    run(work)

    assert said == ["stopping"]


def test_the_second_signal_is_not() -> None:
    async def work(signals: Interrupts) -> None:
        signals.under_way, signals.say = lambda: 1, lambda _: None
        os.kill(os.getpid(), signal.SIGINT)
        await signals.stop.wait()
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    with pytest.raises(Interrupted):
        run(work)


def test_of_several_faults_the_first_of_ours_is_told() -> None:
    async def fails(fault: Exception) -> None:
        raise fault

    async def work(_: Interrupts) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fails(ValueError("x")))
            group.create_task(fails(DatabaseBusy(database="x")))

    with pytest.raises(DatabaseBusy):
        run(work)


def test_what_it_returns_comes_back() -> None:
    async def work(_: Interrupts) -> str:
        return "done"

    assert run(work) == "done"


def test_signals_are_as_before_afterwards() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    async def work(_: Interrupts) -> None:
        pass

    run(work)

    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_process_that_stays_finds_old_garbage_before_a_million_new_objects() -> None:
    async def thresholds(_: Interrupts) -> tuple[int, int, int]:
        return gc.get_threshold()

    of_weeks = run(thresholds, stays=True)
    of_a_run = run(thresholds)

    assert prod(of_weeks) <= 1_000_000 < prod(of_a_run)
