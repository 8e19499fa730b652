"""`mmconsole login` and `logout`: the administrator's token, stored where the settings say."""

import sys
from typing import TYPE_CHECKING, Annotated, Final, overload

import typer

from mmconsole.cli import output
from mmconsole.cli.run import given
from mmconsole.domain.secrets import Secret
from mmconsole.errors import UsageError

if TYPE_CHECKING:
    from mmconsole.cli.loop import Interrupts
    from mmconsole.services.login import LoggedIn

LOGIN_EXAMPLES: Final = """\b
Examples:
  mmconsole login                     asks for the token, without echo
  mmconsole login < token-file        reads it from standard input

The token is never an argument: those are seen by everybody on the machine. It is tried before it is stored: it must
be a system administrator's, best a bot's. `admin_token.source` says where it goes.
"""
LOGOUT_EXAMPLES: Final = """\b
Examples:
  mmconsole logout

The token goes on working on the server until it is revoked there.
"""
_LONGEST: Final = 4_096


def login(
    context: typer.Context,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Store the administrator's token, after it was tried."""
    settings = given(context).settings()
    from mmconsole.cli.loop import run  # noqa: PLC0415 - help needs no event loop

    server = settings.server
    token = read_token(server)

    async def work(_: "Interrupts") -> "LoggedIn":
        from mmconsole.services.login import log_in  # noqa: PLC0415 - it imports the client, which help needs not

        return await log_in(settings, token)

    done = run(work)
    if done.warning:
        output.note(done.warning)
    if json:
        output.write_json(
            {"server": server, "username": done.username, "version": done.version, "stored_in": done.stored_in}
        )
    else:
        output.write(f"Signed in to {server} (Mattermost {done.version}) as @{output.visible(done.username)}.")
        output.write(f"The token is stored in the {output.visible(done.stored_in)}.")


def logout(context: typer.Context) -> None:
    """Forget the administrator's token."""
    settings = given(context).settings()
    from mmconsole.secrets import admin_token  # noqa: PLC0415 - help needs no secrets

    admin_token.forget(settings)
    output.write(f"Forgotten: there is no admin token in the {admin_token.place(settings).description} any more.")


@overload
def read_token(server: str) -> Secret: ...


@overload
def read_token(server: str, *, may_be_empty: bool) -> Secret | None: ...


def read_token(server: str, *, may_be_empty: bool = False) -> Secret | None:
    """The token as somebody types it, without echo, or as it comes from standard input. Raises UsageError."""
    if output.is_terminal(sys.stdin):
        from getpass import getpass  # noqa: PLC0415

        text = getpass(f"Admin token for {server}: ", stream=sys.stderr)
    else:
        text = sys.stdin.read(_LONGEST) if sys.stdin else ""
    token = text.strip()
    if not token and may_be_empty:
        return None
    if not token:
        raise UsageError(why="No token was given. Type it, or say `mmconsole login < FILE`.")
    # It becomes part of a header, where a line break would begin another one.
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise UsageError(why="What was given cannot be a token: that is one word of letters, digits and signs.")
    return Secret(token)
