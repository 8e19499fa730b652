"""`mmconsole demo`: a made-up Mattermost and an application with awkward users, brought into step."""

import signal
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from mmconsole.cli import output
from mmconsole.cli.run import given

if TYPE_CHECKING:
    from types import FrameType

EXAMPLES: Final = """\b
Examples:
  mmconsole demo
  mmconsole demo --users 20000
  mmconsole --headless demo    prints a table instead of opening the console
  mmconsole demo --keep        stays until Ctrl-C, for other commands to look

It touches nothing of yours: server, database and keys are made up, and gone at the end.
"""


def demo(
    context: typer.Context,
    *,
    users: Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="Users of the application.")] = 1_000,
    seed: Annotated[int, typer.Option(metavar="S", help="The same seed makes the same people.")] = 1,
    keep: Annotated[
        bool, typer.Option("--keep", help="Stay until Ctrl-C, to look around from another terminal.")
    ] = False,
) -> None:
    """See it work, with a made-up Mattermost and made-up users. On a terminal the console opens then."""
    from mmconsole.cli.stage import play  # noqa: PLC0415 - help needs no server

    # Whatever ends the demo, its folder must be gone afterwards.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    console = output.on_a_terminal() and not keep and not given(context).headless
    raise typer.Exit(play(users, seed=seed, keep=keep, console=console))


def _interrupt(_number: int, _frame: "FrameType | None") -> NoReturn:
    raise KeyboardInterrupt
