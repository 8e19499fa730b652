"""`mmconsole worker`: take part in large jobs, also on other machines."""

from typing import TYPE_CHECKING, Final

import typer

from mmconsole.cli import output
from mmconsole.cli.run import given

if TYPE_CHECKING:
    from mmconsole.cli.loop import Interrupts
    from mmconsole.core import Core

EXAMPLES: Final = """\b
Examples:
  mmconsole worker          on each machine that shall help, until Ctrl-C
  mmconsole jobs show 12    who works on a job

It needs PostgreSQL, the extra `workers` and `workers.share: true` where jobs are begun. A worker that dies is replaced
by the others after half a minute, and nothing is done twice.
"""


def worker(context: typer.Context) -> None:
    """Take part in large jobs, until Ctrl-C."""
    settings = given(context).settings()
    from mmconsole.cli.loop import run_core  # noqa: PLC0415 - help needs no event loop

    async def work(core: "Core", signals: "Interrupts") -> None:
        signals.under_way = lambda: core.settings.values.mattermost.max_concurrency
        signals.say = lambda _: None
        await core.crew.work(signals.stop, lambda line: output.note(output.visible(line)))

    run_core(settings, work, face="worker", stays=True)
