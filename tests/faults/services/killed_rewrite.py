"""A rotation or restorage that is killed at its n-th step.

Steps are counted without knowing what they are: before and after every transaction, every file put in another's
place, and every writing of keys.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tests.faults.services.killing import Order, Steps, obey

from mmconsole.config import Settings, load_settings
from mmconsole.core import Core, Keys, open_core
from mmconsole.database import Database, Transaction
from mmconsole.domain.secrets import Secret
from mmconsole.secrets import Form
from mmconsole.secrets.files import SecretFile
from mmconsole.services import rewrite

T = TypeVar("T")


def _count_steps(steps: Steps) -> None:
    write, put, keep = Database.write, Path.replace, SecretFile.write

    async def counted_write(database: Database, change: Callable[[Transaction], T]) -> T:
        steps.pass_one()
        written = await write(database, change)
        steps.pass_one()
        return written

    def counted_put(path: Path, target: Path) -> Path:
        steps.pass_one()
        there = put(path, target)
        steps.pass_one()
        return there

    def counted_keep(file: SecretFile, secret: Secret) -> None:
        steps.pass_one()
        keep(file, secret)
        steps.pass_one()

    # mypy does not let a method be assigned.
    setattr(Database, "write", counted_write)  # noqa: B010
    setattr(Path, "replace", counted_put)  # noqa: B010
    setattr(SecretFile, "write", counted_keep)  # noqa: B010
    setattr(rewrite, "AT_ONCE", 2)  # noqa: B010 - a few users are several items


async def _work(core: Core, what: str) -> object:
    if what == "rotate":
        return await core.rotation.rotate()
    return await core.restorage.run(Form(what))


async def _run(order: Order) -> None:
    flags = {key: ("test", value) for key, value in order["flags"].items()}
    settings: Settings = replace(load_settings(environment={}, flags=flags), profile=order["profile"])
    async with open_core(settings, face="killed", keys=Keys()) as core:
        await _work(core, order["what"])


if __name__ == "__main__":
    obey(_run, _count_steps)
