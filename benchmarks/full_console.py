"""The console as `mmconsole` opens it, measured as the empty app is."""

import asyncio
import json
import os
import sys
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks.empty_app import Pace, Seen, share_of_a_core, watch
from mmconsole.cli.given import Given
from mmconsole.cli.importing import uncollected

with uncollected():  # As `mmconsole` does.
    from mmconsole.cli.console import new_console
    from mmconsole.cli.loop import new_loop, spare_the_collector
    from mmconsole.tui.app import Console

if TYPE_CHECKING:
    from mmconsole.tui.work import Work

_RESULTS: Final = 1_000
"""A second."""


async def _measure(begun: float, pace: Pace, folder: str) -> Seen:
    os.environ |= {"XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder, "MMCONSOLE_MATTERMOST_URL": "http://127.0.0.1:9"}
    app = new_console(Given())
    seen = await watch(app, begun, pace, shown=lambda: _has_rows(app), work=lambda: _work(app, pace.working))
    await app.aclose()
    return seen


def _has_rows(app: Console) -> bool:
    source = app.users.table().source
    if app.users.table().empty.startswith("This database"):
        message = "the database of the benchmark is not prepared"
        raise RuntimeError(message)
    return len(source) > 0 and source.row_of(source.key_at(0)) is not None


async def _work(app: Console, seconds: float) -> float:
    """CPU while the console shows a job with 1,000 results a second, less what making them up costs."""
    from mmconsole.tui.work import Work  # noqa: PLC0415 - as below

    if app.running is None:
        message = "the console has no core"
        raise RuntimeError(message)
    report = partial(_report, results=int(_RESULTS * seconds))
    alone = await share_of_a_core(report(Work("alone")))
    shown = await share_of_a_core(app.running.perform(Work("benchmark"), report))
    return shown - alone


async def _report(work: "Work", *, results: int) -> None:
    """Tell of as many users as a fast server answers for, evenly."""
    from mmconsole.domain.plans import Outcome, Result  # noqa: PLC0415 - the first picture needs none of it
    from mmconsole.domain.users import UserId  # noqa: PLC0415

    clock = asyncio.get_running_loop().time
    work.stage("applying", results)
    work.job(1)
    begun = clock()
    for number in range(results):
        user_id = UserId(str(number + 1))
        work.begun(user_id)
        work.ended(Result(user_id, Outcome.UPDATED))
        work.advance()
        if number % 10 == 9:
            await asyncio.sleep(max(0.0, begun + number / _RESULTS - clock()))


if __name__ == "__main__":
    spare_the_collector(stays=True)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        measured = _measure(float(sys.argv[1]), Pace(**json.loads(sys.argv[2])), sys.argv[3])
        print(json.dumps(asdict(runner.run(measured))))
