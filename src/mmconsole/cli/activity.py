"""`mmconsole activity`: what happened."""

import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mmconsole.cli import completion, output
from mmconsole.cli.run import run_core
from mmconsole.domain.users import UserId
from mmconsole.errors import UserUnknown

if TYPE_CHECKING:
    from mmconsole.cli.loop import Interrupts
    from mmconsole.core import Core
    from mmconsole.domain.activity import Activity

EXAMPLES: Final = """\b
Examples:
  mmconsole activity --limit 20
  mmconsole activity --follow
  mmconsole activity --user ann@example.org --json
"""
_GLYPHS: Final = {"info": " ", "warning": "!", "error": "x"}


def activity(
    context: typer.Context,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens now.")] = False,
    user: Annotated[
        str | None,
        typer.Option(
            metavar="USER",
            help="Only of this user: id, e-mail or username; of one who is gone, the id.",
            autocompletion=completion.users,
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help="The newest N entries.")] = 50,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Show what happened, the newest last."""

    async def work(core: "Core", _: "Interrupts") -> None:
        with output.reader():
            await _show(core, user, follow=follow, limit=limit, json=json)

    run_core(context, work)


async def _show(core: "Core", user: str | None, *, follow: bool, limit: int, json: bool) -> None:
    user_id = await _meant(core, user) if user else None
    entries = await core.activity.latest(user_id=user_id, limit=limit)
    for entry in entries:
        _print(entry, json=json)
    if not entries and not follow and output.is_terminal(sys.stdout):
        output.note("Nothing has happened yet.")
    if not follow:
        return
    output.flush()
    async for entry in core.activity.follow(user_id=user_id, after_id=entries[-1].id if entries else 0):
        _print(entry, json=json)
        output.flush()


async def _meant(core: "Core", user: str) -> UserId:
    """A user of the table, or the id of one who is gone and of whom the log still tells. Raises UserUnknown."""
    try:
        return await core.users.resolve(user)
    except UserUnknown:
        gone = UserId(user)
        if await core.activity.latest(user_id=gone, limit=1):
            return gone
        raise


def _print(entry: "Activity", *, json: bool) -> None:
    if json:
        output.write_json(document_of(entry))
        return
    glyph = _GLYPHS[entry.level]
    about = f"  {output.visible(entry.user_id)}" if entry.user_id else ""
    detail = f"  {output.visible(entry.detail)}" if entry.detail else ""
    verb = output.visible(entry.verb)
    output.write(f"{output.moment(entry.at)} {glyph} {verb:<18}{about}{detail}")


def document_of(entry: "Activity") -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": entry.at,
        "level": entry.level,
        "actor": entry.actor,
        "verb": entry.verb,
        "user_id": entry.user_id,
        "detail": entry.detail,
        "job_id": entry.job_id,
        "request_id": entry.request_id,
    }
