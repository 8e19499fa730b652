"""What the shell is offered when somebody presses Tab. Whatever goes wrong, nothing is offered and nothing is said."""

import re
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Final

import typer

from mmconsole.errors import MmconsoleError

if TYPE_CHECKING:
    from mmconsole.config import Settings

_MOST: Final = 50
"""Users or channels that are offered: nobody reads more."""
_PATIENCE: Final = 5.0
"""Seconds for an answer of the server."""
_HARMLESS: Final = re.compile(r"[\w.@+:=/,-]+\Z")
"""What no shell takes for more than a word. Shells put what is offered into the line as it is, and zsh evaluates it."""


def _quiet(find: Callable[[typer.Context, str], list[str]]) -> Callable[[typer.Context, str], list[str]]:
    """A message in the middle of a line that somebody types helps nobody."""

    @wraps(find)
    def found(ctx: typer.Context, incomplete: str) -> list[str]:
        with suppress(MmconsoleError, OSError):
            return [one for one in find(ctx, incomplete) if _HARMLESS.match(one)]
        return []

    return found


@_quiet
def profiles(ctx: typer.Context, incomplete: str) -> list[str]:
    """The profiles of the settings file."""
    from mmconsole.config import profile_names  # noqa: PLC0415 - only who asks for it pays

    return [name for name in profile_names(_settings(ctx).file) if name.startswith(incomplete)]


@_quiet
def users(ctx: typer.Context, incomplete: str) -> list[str]:
    """E-mail addresses that begin so, as the database has them; no server is asked."""
    import asyncio  # noqa: PLC0415 - only who asks for it pays

    settings = _settings(ctx)

    async def look() -> list[str]:
        from mmconsole.core import open_core  # noqa: PLC0415 - as above
        from mmconsole.domain.filters import Order, parse  # noqa: PLC0415

        async with open_core(settings, face="completion") as core:
            wanted = parse(f'email:"{_plain(incomplete)}"' if incomplete else "")
            ids = (await core.overview.ids(wanted, order=Order()))[: _MOST * 4]
            emails = [listed.user.email or listed.user.id for listed in await core.overview.rows(ids)]
            return [email for email in emails if email.startswith(incomplete)][:_MOST]

    return asyncio.run(look())


@_quiet
def channels(ctx: typer.Context, incomplete: str) -> list[str]:
    """Channels of the configured teams that begin so, as `team/channel`."""
    return _channels(ctx, incomplete, archived=False)


@_quiet
def archived_channels(ctx: typer.Context, incomplete: str) -> list[str]:
    """The same of those in the archive."""
    return _channels(ctx, incomplete, archived=True)


def _channels(ctx: typer.Context, incomplete: str, *, archived: bool) -> list[str]:
    """Only the server knows them: whoever presses Tab waits a moment for it, and never for a locked keyring."""
    import asyncio  # noqa: PLC0415 - only who asks for it pays

    settings = _settings(ctx)

    async def look() -> list[str]:
        from mmconsole.core import Keys, open_core  # noqa: PLC0415 - as above
        from mmconsole.services.doctor.examination import token_of  # noqa: PLC0415

        async with asyncio.timeout(_PATIENCE), open_core(settings, face="completion", keys=Keys(token_of)) as core:
            named = [channel.address async for channel in core.channels.list(archived=archived)]
            # Commands take it without its team as well.
            bare = [] if "/" in incomplete else [name.partition("/")[2] for name in named]
            return [name for name in named + bare if name.startswith(incomplete)][:_MOST]

    return asyncio.run(look())


def filter_terms(incomplete: str) -> list[str]:
    """What the next term of a filter may begin with."""
    from mmconsole.domain.filters import FIELDS, MOMENT_FIELDS  # noqa: PLC0415 - only who asks for it pays
    from mmconsole.domain.tokens import Health  # noqa: PLC0415

    before, space, term = incomplete.rpartition(" ")
    offered = [f"status:{health}" for health in Health]
    offered += [f"{field}{'<' if field in MOMENT_FIELDS else ':'}" for field in FIELDS if field != "status"]
    return [f"{before}{space}{one}" for one in offered if one.startswith(term)]


def _settings(ctx: typer.Context) -> "Settings":
    from mmconsole.config import load_settings  # noqa: PLC0415 - it imports pydantic

    said = ctx.find_root().params
    return load_settings(file=said.get("file"), profile=said.get("profile"))


def _plain(text: str) -> str:
    """Without what would end the quotes of a filter."""
    return text.replace("\\", "").replace('"', "")
