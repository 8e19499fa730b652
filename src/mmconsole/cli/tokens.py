"""`mmconsole tokens`: what can be done to tokens."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mmconsole.cli import output
from mmconsole.cli.run import run_core

if TYPE_CHECKING:
    from mmconsole.cli.loop import Interrupts
    from mmconsole.core import Core
    from mmconsole.services.recovery import Recovered

RECOVER_EXAMPLES: Final = """\b
Examples:
  mmconsole tokens recover
  mmconsole tokens recover --json

A sync begins with the same, so this is only for who does not want to sync.
"""


def app() -> typer.Typer:
    group = typer.Typer(rich_markup_mode=None, help="Look after personal access tokens.")
    # With a single command Typer would drop its name.
    group.callback()(lambda: None)
    group.command("recover", epilog=RECOVER_EXAMPLES)(recover)
    return group


def recover(
    context: typer.Context,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Clear up what an interrupted run left on the server: no token stays that nobody stores."""

    async def work(core: "Core", _: "Interrupts") -> "Recovered":
        return await core.sync.recover()

    recovered = run_core(context, work)
    if json:
        output.write_json(asdict(recovered))
        return
    from mmconsole.cli.summary import recovered_lines  # noqa: PLC0415

    for line in list(recovered_lines(recovered)) or ["Nothing to recover."]:
        output.write(line)
