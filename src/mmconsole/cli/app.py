"""The Typer app: what stands before every command, and the commands."""

import os
from pathlib import Path
from typing import Annotated, Final, cast

import typer
from typer.core import TyperGroup
from typer.main import get_command

from mmconsole.cli import activity, config, demo, login, migrate, output, seal, simulator, tokens, users
from mmconsole.cli.run import given
from mmconsole.cli.sync import EXAMPLES as SYNC_EXAMPLES
from mmconsole.cli.sync import sync
from mmconsole.errors import UsageError

_ORDER: Final = (
    *("sync", "users", "tokens", "activity"),
    *("migrate", "login", "logout", "seal", "config"),
    *("demo", "simulator"),
)
_EPILOG: Final = """\b
Examples:
  mmconsole demo                    see it work, with a Mattermost of its own
  mmconsole migrate                 prepare the database
  mmconsole login                   store the administrator's token
  mmconsole sync --all --dry-run    what a sync would do

Data goes to stdout, talk to stderr; --json where there is something to read. `mmconsole COMMAND --help` says more.
"""


class _InOrder(TyperGroup):
    """Lists the commands by what they are for; Typer would put groups behind the others."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return sorted(super().list_commands(ctx), key=_ORDER.index)


def command() -> TyperGroup:
    """The whole command line, ready to be run."""
    return cast("TyperGroup", get_command(_app()))


def _app() -> typer.Typer:
    # Rich help takes twice as long, and a pretty traceback shows local variables, which may be secrets.
    app = typer.Typer(cls=_InOrder, rich_markup_mode=None, pretty_exceptions_enable=False, invoke_without_command=True)
    app.callback(epilog=_EPILOG)(before)
    app.command(epilog=SYNC_EXAMPLES)(sync)
    app.add_typer(users.app(), name="users")
    app.add_typer(tokens.app(), name="tokens")
    app.command(epilog=activity.EXAMPLES)(activity.activity)
    app.add_typer(migrate.app(), name="migrate")
    app.command(epilog=login.LOGIN_EXAMPLES)(login.login)
    app.command(epilog=login.LOGOUT_EXAMPLES)(login.logout)
    app.add_typer(seal.app(), name="seal")
    app.add_typer(config.app(), name="config")
    app.command(epilog=demo.EXAMPLES)(demo.demo)
    app.command(epilog=simulator.EXAMPLES)(simulator.simulator)
    return app


def before(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    *,
    file: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="The settings file, instead of the usual places.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="A profile of the settings: one server with its database.")
    ] = None,
    headless: Annotated[bool, typer.Option("--headless", help="Never open a screen; needs a command.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours, as with NO_COLOR=1.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from, without any value.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Keep an application's users, their Mattermost accounts and their access tokens in step."""
    options = given(context)
    options.config, options.profile, options.debug = file, profile, debug
    if no_color:
        os.environ["NO_COLOR"] = "1"
    if version:
        output.write(_version())
        raise typer.Exit
    if context.invoked_subcommand is None:
        if headless:
            raise UsageError(why="--headless needs a command, as in `mmconsole --headless sync --all`.")
        output.write(context.get_help())


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415 - it reads the disk

    return f"mmconsole {version('mmconsole')}"
