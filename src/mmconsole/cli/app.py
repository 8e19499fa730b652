"""The Typer app: what stands before every command, and the commands."""

import os
from collections.abc import Callable, Container
from pathlib import Path
from typing import Annotated, Final, cast

import typer
from typer.core import TyperArgument, TyperGroup
from typer.main import get_command

from mmconsole.cli import (
    activity,
    api_keys,
    channel,
    completion,
    config,
    demo,
    doctor,
    init,
    jobs,
    keys,
    login,
    migrate,
    output,
    plan,
    seal,
    serve,
    simulator,
    tokens,
    users,
    watch,
    worker,
)
from mmconsole.cli.importing import uncollected
from mmconsole.cli.run import given
from mmconsole.cli.sync import EXAMPLES as SYNC_EXAMPLES
from mmconsole.cli.sync import sync
from mmconsole.cli.token_checks import VALIDATE_EXAMPLES, validate
from mmconsole.cli.token_life import GENERATE_EXAMPLES, REVOKE_EXAMPLES, generate, revoke
from mmconsole.errors import UsageError

_ORDER: Final = (
    *("sync", "plan", "apply", "generate", "validate", "revoke", "users", "tokens", "channel", "jobs", "activity"),
    *("serve", "watch", "worker", "api-keys"),
    *("init", "doctor", "migrate", "login", "logout", "seal", "config", "keys"),
    *("demo", "simulator"),
)
_EPILOG: Final = """\b
Examples:
  mmconsole                         the console, on a terminal
  mmconsole demo                    see it work, with a Mattermost of its own
  mmconsole init                    set up; ends with `mmconsole doctor`
  mmconsole migrate                 prepare the database
  mmconsole sync --all --dry-run    what a sync would do

Data goes to stdout, talk to stderr; --json where there is something to read. `mmconsole COMMAND --help` says more.
"""


class _InOrder(TyperGroup):
    """Lists the commands by what they are for; Typer would put groups behind the others."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return sorted(super().list_commands(ctx), key=_ORDER.index)

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # Typer makes an exit code of it, and says nothing.
            output.end_line()
            raise


_GROUPS: Final[dict[str, Callable[[], typer.Typer]]] = {
    "plan": plan.app,
    "users": users.app,
    "tokens": tokens.app,
    "channel": channel.app,
    "jobs": jobs.app,
    "api-keys": api_keys.app,
    "migrate": migrate.app,
    "seal": seal.app,
    "config": config.app,
}
_SINGLE: Final[dict[str, tuple[Callable[..., object], str]]] = {
    "sync": (sync, SYNC_EXAMPLES),
    "apply": (plan.apply, plan.APPLY_EXAMPLES),
    "generate": (generate, GENERATE_EXAMPLES),
    "validate": (validate, VALIDATE_EXAMPLES),
    "revoke": (revoke, REVOKE_EXAMPLES),
    "activity": (activity.activity, activity.EXAMPLES),
    "serve": (serve.serve, serve.EXAMPLES),
    "watch": (watch.watch, watch.EXAMPLES),
    "worker": (worker.worker, worker.EXAMPLES),
    "init": (init.init, init.EXAMPLES),
    "doctor": (doctor.doctor, doctor.EXAMPLES),
    "login": (login.login, login.LOGIN_EXAMPLES),
    "logout": (login.logout, login.LOGOUT_EXAMPLES),
    "keys": (keys.keys, keys.EXAMPLES),
    "demo": (demo.demo, demo.EXAMPLES),
    "simulator": (simulator.simulator, simulator.EXAMPLES),
}


def command(first: str = "") -> TyperGroup:
    """The whole command line, ready to be run; if its first word is a command, only that one: the others take 50 ms."""
    group = cast("TyperGroup", get_command(_app({first} if first in _ORDER else _ORDER)))
    _forget_types(group)
    return group


def _forget_types(group: TyperGroup) -> None:
    """Arguments without Python's names for their types: `USER`, not `USER <list[str]>`."""
    for one in group.commands.values():
        if isinstance(one, TyperGroup):
            _forget_types(one)
        for parameter in one.params:
            if isinstance(parameter, TyperArgument):
                parameter.display_type_rich = lambda ctx: None  # type: ignore[method-assign]  # noqa: ARG005


def _app(wanted: Container[str]) -> typer.Typer:
    # Rich help takes twice as long, and a pretty traceback shows local variables, which may be secrets.
    app = typer.Typer(cls=_InOrder, rich_markup_mode=None, pretty_exceptions_enable=False, invoke_without_command=True)
    app.callback(epilog=_EPILOG)(before)
    for name, group in _GROUPS.items():
        if name in wanted:
            app.add_typer(group(), name=name)
    for name, (function, examples) in _SINGLE.items():
        if name in wanted:
            app.command(name, epilog=examples)(function)
    return app


def before(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    *,
    file: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="The settings file, instead of the usual places.")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A profile of the settings: one server with its database.",
            autocompletion=completion.profiles,
        ),
    ] = None,
    headless: Annotated[bool, typer.Option("--headless", help="Never open a screen; needs a command.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours, as with NO_COLOR=1.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from, without any value.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Keep an application's users, their Mattermost accounts and their access tokens in step."""
    options = given(context)
    options.config, options.profile, options.headless, options.debug = file, profile, headless, debug
    if no_color:
        os.environ["NO_COLOR"] = "1"
    if version:
        output.write(_version())
        raise typer.Exit
    if context.invoked_subcommand is None:
        if headless:
            raise UsageError(why="--headless needs a command, as in `mmconsole --headless serve`.")
        if not output.on_a_terminal():
            output.write(context.get_help())
            return
        with uncollected():
            from mmconsole.cli.console import open_console  # noqa: PLC0415 - it imports Textual

        raise typer.Exit(open_console(options))


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415 - it reads the disk

    return f"mmconsole {version('mmconsole')}"
