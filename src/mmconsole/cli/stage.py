"""The stage of the demo: its server, its application's database, its keys; all of them gone at the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from mmconsole import database
from mmconsole.cli import migrate, output
from mmconsole.cli.application import make_application
from mmconsole.cli.importing import uncollected
from mmconsole.cli.loop import Interrupts, run
from mmconsole.cli.mishaps import befall
from mmconsole.cli.people import people
from mmconsole.cli.summary import Ending, ending_lines, exit_code_of
from mmconsole.cli.syncing import apply
from mmconsole.cli.table import Table
from mmconsole.config import Settings, load_settings
from mmconsole.core import Core, Keys, open_core
from mmconsole.domain.health import STATUSES
from mmconsole.domain.secrets import Secret
from mmconsole.domain.tokens import Health
from mmconsole.secrets import Form, Vault, seal_keys
from mmconsole.services.overview import ListedUser
from mmconsole.services.summary import SyncRequest
from mmconsole.simulator import Simulator, SimulatorOptions, serve_in_thread

_SETTINGS: Final = """\
mattermost:
  url: {url}
database:
  url: sqlite:///{folder}/application.sqlite3
  users:
    locale: locale
    deleted_at: deleted_at
sync:
  teams: [main]
tokens:
  storage: sealed
  accept: [plain]
"""
_WELCOME: Final = "A made-up server and made-up people: nothing of yours is touched. ? keys"
_YOUR_OWN: Final = "With your own server: mmconsole init, then migrate, then sync --all --dry-run"


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that a demo needs, for as long as it takes."""

    settings: Settings
    keys: Keys
    simulator: Simulator


def play(number: int, *, seed: int, keep: bool, console: bool) -> int:
    """Run the demo: at the end a console, or else a table. Returns its exit code."""
    with _set_up(number, seed=seed) as stage:
        output.write(f"A made-up Mattermost listens at {stage.settings.server}, in this process.")
        output.write(f"An application's database has {output.amount(number, 'user')}, awkward ones among them.")
        output.write("\n$ mmconsole migrate")
        migrate.show_applied(database.migrate(stage.settings))
        output.write("$ mmconsole sync --all")
        output.flush()
        return run(lambda signals: _perform(stage, signals, keep=keep, console=console))


async def _perform(stage: Stage, signals: Interrupts, *, keep: bool, console: bool) -> int:
    async with open_core(stage.settings, face="demo", keys=stage.keys) as core:
        ending = await apply(core, SyncRequest(), signals, yes=True, wait=False)
        broken_off = ending.interrupted or ending.summary.fault is not None
        if console and not broken_off:
            # The console hides it until it is closed.
            for line in ending_lines(ending, troubles=False):
                output.write(line)
            await befall(core, stage.simulator)
            return await _open_console(stage.settings, core)
        with output.reader():
            await _show(core, ending)
        if broken_off:
            return exit_code_of(ending)
        _say_what_next(stage, keep=keep)
        if keep:
            signals.under_way = lambda: 0
            signals.say = lambda _: None
            await signals.stop.wait()
    return 0


async def _open_console(settings: Settings, core: Core) -> int:
    """Its exit code."""
    with uncollected():
        from mmconsole.cli.console import console_of  # noqa: PLC0415 - it imports Textual
        from mmconsole.tui.opening import already  # noqa: PLC0415
        from mmconsole.tui.session import run as run_console  # noqa: PLC0415

    output.flush()
    # Work that is not at its end ends with the server it was for.
    code = await run_console(console_of(settings, already(core), greeting=_WELCOME))
    output.note("All of the demo is gone now.")
    output.note(_YOUR_OWN)
    return code


async def _show(core: Core, ending: Ending) -> None:
    for line in ending_lines(ending, troubles=False):
        output.write(line)
    output.write("\nUsers by status, and one of each:")
    table = Table("STATUS", "USERS", "ONE OF THEM…", "TOKEN OR REASON…", glyphs=0)
    for health, (count, known) in (await _by_health(core)).items():
        who = output.visible(known.user.email or known.user.first_name or known.user.id)
        why = output.visible(known.record.cause) or known.record.token_id or _why(known)
        table.add(STATUSES[health], f"{count:>5,}", who, why)
    table.end()


async def _by_health(core: Core) -> dict[Health, tuple[int, ListedUser]]:
    """How many there are of each status, and the first of them."""
    found: dict[Health, tuple[int, ListedUser]] = {}
    async for known in core.overview.all():
        count, first = found.get(known.status, (0, known))
        found[known.status] = count + 1, first
    return {health: found[health] for health in Health if health in found}


def _why(known: ListedUser) -> str:
    return "not reached yet" if known.user.active else "deleted in the application, so nothing is made"


def _say_what_next(stage: Stage, *, keep: bool) -> None:
    if keep:
        output.note("\nUntil Ctrl-C, from another terminal:")
        output.note(f"  mmconsole --config {stage.settings.file} users list --health conflict")
        output.note(f"  mmconsole --config {stage.settings.file} activity --follow")
        return
    output.note("\nAll of it is gone now. To look around: mmconsole demo --keep")
    output.note(_YOUR_OWN)


# ── setting up ───────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _set_up(number: int, *, seed: int) -> Iterator[Stage]:
    cast = people(number, seed=seed)
    simulator = Simulator(SimulatorOptions(seed=seed))
    with TemporaryDirectory(prefix="mmconsole-demo-") as folder, serve_in_thread(simulator) as running:
        file = Path(folder) / "config.yaml"
        file.write_text(_SETTINGS.format(url=running.url, folder=folder), encoding="utf-8")
        settings = load_settings(file=file, environment={})
        make_application(settings, cast, simulator)
        yield Stage(settings, _keys(simulator), simulator)


def _keys(simulator: Simulator) -> Keys:
    """A seal key that is nowhere but in memory, and the token that the server was made with."""
    seals = seal_keys.in_memory()

    def vault(settings: Settings, installation_id: str) -> Vault:
        names = settings.users_table
        return Vault(
            storage=Form.SEALED,
            accept=(Form.PLAIN,),
            keys=seals,
            installation_id=installation_id,
            table=names.table,
            column=names.token,
        )

    return Keys(admin_token=lambda _: Secret(simulator.admin_token), vault=vault)
