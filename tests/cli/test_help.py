"""Help, completion, and how long a person waits for them."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer import Context
from typer.core import TyperCommand, TyperGroup

from mmconsole.cli.app import command

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

HEAVY = {"textual", "sqlmodel", "sqlalchemy", "fastapi", "httpx", "keyring", "aiohttp", "pydantic", "rich", "yaml"}
HEAVY |= {"cryptography", "alembic", "uvicorn", "uvloop", "asyncio", "anyascii", "msgspec"}
UNREAD = {
    "textual",
    "rich",
    "httpx",
    "aiohttp",
    "fastapi",
    "uvicorn",
    "keyring",
    "cryptography",
    "jwt",
    "procrastinate",
}
UNREAD |= {"sqlalchemy", "sqlmodel", "alembic", "psycopg", "pymysql"}
"""What a command that only reads a SQLite file has no need of."""
BY_TYPER = {"pydantic"}
"""Typer itself imports it as soon as an option has a value."""
_MODULES = "import sys, atexit; atexit.register(lambda: print(' '.join(sys.modules), file=sys.stderr));"
_MODULES += " from mmconsole.cli import main; main()"


def commands(group: TyperGroup | None = None, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command there is."""
    found: list[tuple[str, ...]] = []
    for name, one in (group or command()).commands.items():
        found.append((*path, name))
        if isinstance(one, TyperGroup):
            found += commands(one, (*path, name))
    return found


def imported_by(*arguments: str, **environment: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _MODULES, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"]} | environment,
    )
    return {module.partition(".")[0] for module in done.stderr.split()}


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    imported = imported_by(*arguments)

    assert "mmconsole" in imported
    assert imported & HEAVY == set()
    assert "typer" not in imported


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_help_on_a_narrow_terminal_imports_nothing_heavy_either(arguments: tuple[str, ...]) -> None:
    imported = imported_by(*arguments, COLUMNS="60")

    assert imported & HEAVY == set()


@pytest.mark.parametrize(
    "command",
    ["users list", "users show 1", "activity", "jobs list", "tokens list", "api-keys list", "config show"],
)
def test_a_command_that_only_reads_imports_neither_http_nor_a_screen(shell: "Shell", command: str) -> None:
    shell.add("ann@example.org")

    imported = imported_by(*command.split(), **shell.saved())

    assert "mmconsole" in imported
    assert imported & UNREAD == set()


@pytest.mark.parametrize("words", ["mmconsole s", "mmconsole sync --l", "mmconsole users list --health m"])
def test_completion_imports_nothing_heavy(words: str) -> None:
    imported = imported_by(_MMCONSOLE_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")))

    assert imported & (HEAVY - BY_TYPER) == set()


def test_the_help_that_is_written_down_is_the_one_that_typer_prints(bare: "Shell") -> None:
    written = (Path(sys.modules["mmconsole.cli"].__file__ or "").parent / "help.txt").read_text()
    quick = bare("--help")
    bare.environment["COLUMNS"] = "80"
    slow = bare("--help")
    without_a_command = bare()

    assert slow.out == written, "COLUMNS=80 mmconsole --help > src/mmconsole/cli/help.txt"
    assert quick.out == written
    assert without_a_command == quick


def test_help_takes_no_longer_than_ten_empty_pythons(bare: "Shell") -> None:
    def best(*arguments: str) -> float:
        took = []
        for _ in range(7):
            begun = time.perf_counter()
            subprocess.run(arguments, check=True, capture_output=True, env=bare.environment)
            took.append(time.perf_counter() - begun)
        return min(took)

    empty = best(sys.executable, "-c", "pass")
    helped = best(str(Path(sys.executable).with_name("mmconsole")), "--help")

    assert helped <= 10 * empty


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_each_commands_help_is_a_sentence_with_examples(path: tuple[str, ...]) -> None:
    one = command()
    for name in path:
        assert isinstance(one, TyperGroup)
        one = one.commands[name]  # type: ignore[assignment]

    assert one.help
    assert one.help.splitlines()[0].endswith(".")
    if not isinstance(one, TyperGroup) or one.invoke_without_command:
        assert "Examples:\n  mmconsole " in (one.epilog or "")
    for option in one.params:
        assert getattr(option, "help", "x"), f"{option.name} says nothing"


def test_help_fits_80_columns_and_names_no_type_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    def shown(one: TyperCommand, name: str, parent: Context | None = None) -> Iterator[str]:
        context = Context(one, info_name=name, parent=parent)
        yield from one.get_help(context).splitlines()
        for called, below in one.commands.items() if isinstance(one, TyperGroup) else ():
            yield from shown(below, called, context)  # type: ignore[arg-type]

    lines = list(shown(command(), "mmconsole"))  # type: ignore[arg-type]

    assert [line for line in lines if len(line) > 80] == []
    assert [line for line in lines if "<str>" in line or "<list" in line or "<path>" in line] == []
    assert [line for line in lines if line.endswith("...") and not line.startswith("Usage:")] == []


def test_help_is_plain_text(bare: "Shell") -> None:
    shown = bare.shown("sync", "--help")

    assert shown.code == 0
    assert "\x1b" not in shown.out
    assert "╭" not in shown.out


def test_the_version(bare: "Shell") -> None:
    done = bare("--version")

    assert (done.code, done.out) == (0, "mmconsole 0.1.0\n")


def test_bash_completes_commands_options_and_statuses(bare: "Shell") -> None:
    def completed(words: str) -> list[str]:
        bare.environment |= {
            "_MMCONSOLE_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
        return bare().out.split()

    assert completed("mmconsole s") == ["sync", "serve", "seal", "simulator"]
    assert completed("mmconsole sync --li") == ["--limit", "--link-existing"]
    assert completed("mmconsole users list --health m") == ["missing"]


def test_a_shell_can_be_told_to_complete(bare: "Shell") -> None:
    bare.environment["SHELL"] = "/bin/bash"
    done = subprocess.run(
        ["bash", "-c", f"{Path(sys.executable).with_name('mmconsole')} --show-completion; true"],
        capture_output=True,
        text=True,
        check=False,
        env=bare.saved(),
    )

    assert "complete -o default -F _mmconsole_completion mmconsole" in done.stdout
