"""`mmconsole` without a command: opens the console, with a core if there can be one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from mmconsole.cli import output
from mmconsole.cli.given import Given
from mmconsole.cli.loop import new_loop, spare_the_collector
from mmconsole.errors import MmconsoleError
from mmconsole.tui.app import Console
from mmconsole.tui.keymaps import Keymap, keymap, read_keymap
from mmconsole.tui.session import run

if TYPE_CHECKING:
    from mmconsole.config import Settings
    from mmconsole.core import Core
    from mmconsole.tui.at_hand import Profiles
    from mmconsole.tui.opening import Opening

_FIRST_RUN: Final = """\
This database has not been prepared yet.
Press q, then type:  mmconsole migrate
Only to look around: mmconsole demo"""
_FOR_THE_ROWS: Final = (
    "mmconsole.core",
    "mmconsole.services.job_desk",
    *(f"mmconsole.tui.{name}" for name in ("closer_look", "desk", "ground", "orders")),
)
_FOR_WORK: Final = (
    "mmconsole.mattermost.client",
    "mmconsole.mattermost.transport",
    "mmconsole.services.channels.channels",
    "mmconsole.services.checks.checks",
    *(f"mmconsole.services.{name}" for name in ("plans.plans", "resumption", "sync", "tokens.tokens")),
)


def open_console(options: Given) -> int:
    """Run the console to its end. Returns its exit code. Raises SettingsError, BadKeymap and DatabaseError."""
    spare_the_collector(stays=True)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(_stay(options))


async def _stay(options: Given) -> int:
    """One console after the other, as somebody goes from profile to profile. Returns the exit code of the last."""
    ended = await _run(options)
    while ended.next_profile is not None:
        following = replace(options, profile=ended.next_profile)
        try:
            ended, options = await _run(following), following
        except MmconsoleError as fault:
            ended = await _run(options, greeting=str(fault))
    return ended.code


@dataclass(frozen=True, slots=True)
class _Ended:
    code: int
    next_profile: str | None


async def _run(options: Given, *, greeting: str = "") -> _Ended:
    console = new_console(options, greeting=greeting)
    code = await run(console)
    for left in console.left:
        output.note(f"mmconsole: {left}")
    return _Ended(code, console.next_profile)


def new_console(options: Given, *, greeting: str = "") -> Console:
    """A console that is drawn at once, and reads settings and database then."""

    @asynccontextmanager
    async def opening() -> AsyncIterator["Core"]:
        # To import and read all this takes longer than the first picture, which stands by now, so it is done beside it.
        settings, looks = await asyncio.to_thread(_read, options)
        console.furnish(settings, **looks)
        await asyncio.to_thread(_import, _FOR_THE_ROWS)
        core_room = import_module("mmconsole.core")
        async with core_room.open_core(settings, face="console", warn=console.say) as core:
            importing = asyncio.create_task(_import_for_work(console.shown))
            try:
                yield core
            finally:
                importing.cancel()

    console = Console(None, opening, obstacle=_FIRST_RUN, greeting=greeting)
    return console


def console_of(settings: "Settings", opening: "Opening", *, greeting: str = "") -> Console:
    """A console over what somebody else has read and opened."""
    return Console(settings, opening, obstacle=_FIRST_RUN, greeting=greeting, **_looks_of(settings))


def keymap_of(settings: "Settings") -> Keymap:
    """The keys that the settings name. Raises BadKeymap."""
    looks = settings.values.console
    return read_keymap(looks.keymap_file, base=looks.keymap) if looks.keymap_file else keymap(looks.keymap)


def _read(options: Given) -> tuple["Settings", dict[str, Any]]:
    """Raises SettingsError and BadKeymap."""
    settings = options.settings()
    return settings, _looks_of(settings) | {"profiles": _others(settings, options)}


def _looks_of(settings: "Settings") -> dict[str, Any]:
    """What the settings say of a console, as it wants to be told."""
    from mmconsole.config import user_config_file  # noqa: PLC0415 - the first picture stands without

    looks = settings.values.console
    return {
        "keys": keymap_of(settings),
        "theme": looks.theme,
        "plain_signs": looks.ascii or None,
        "views": user_config_file().with_name("views.yaml"),
    }


def _others(settings: "Settings", options: Given) -> "Profiles":
    """The other profiles of the same settings file."""
    from mmconsole.config import profile_names  # noqa: PLC0415 - as above

    names = profile_names(settings.file)
    return {name: replace(options, profile=name).settings for name in names if name != settings.profile}


async def _import_for_work(shown: asyncio.Event) -> None:
    """What the first order needs. It would keep the first rows waiting, for only one thread at a time runs Python."""
    await shown.wait()
    await asyncio.to_thread(_import, _FOR_WORK)


def _import(modules: tuple[str, ...]) -> None:
    for name in modules:
        import_module(name)
    # What was imported stays: it need not be looked at again and again.
    spare_the_collector(stays=True)
