"""Every command in README and docs, run as it stands there, in one go from the top of a page to its end.

A block of `console` holds commands behind `$ `; each must succeed. Blocks of other kinds are not run, so they hold no
commands of mmconsole, except for the lines of crontabs.
"""

import itertools
import os
import re
import shlex
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.conftest import COMMAND, LONG_AGO, USERS
from typer.core import TyperGroup

from mmconsole.cli.app import command

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^(?P<indent> *)```(?P<kind>\w*)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\s*(\$ )?(\w+=\S+ )*mmconsole( |$)")
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
_GO_ON = ("--headless serve", "serve", "watch", "activity --follow", "simulator")
"""Commands that go on until somebody ends them."""
_ENDING = {"--once", "--list", "--retry"}
"""What makes them end by themselves."""


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    for match in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield match["kind"], match["body"]


def commands(page: Path) -> list[str]:
    lines = [line.strip() for kind, body in blocks(page) if kind == "console" for line in body.splitlines()]
    return [line.removeprefix("$ ").split("  #")[0].strip() for line in lines if line.startswith("$ ")]


@pytest.fixture
def ready(shell: "Shell") -> "Shell":
    """A shell in which what the pages name is there: users 17, 42 and Anna, a project, files."""
    shell.simulator.state.config.patch({"RateLimitSettings": {"Enable": False}})
    shell.set(database__projects__table="projects")
    shell.sql("CREATE TABLE projects (id INTEGER PRIMARY KEY, name VARCHAR, archived_at DATETIME)")
    shell.sql("INSERT INTO projects (id, name) VALUES (7, 'Apollo')")
    for user_id, name, address in ((17, "Ann Lee", "ann"), (42, "Bob Ray", "bob"), (43, "Anna Fox", "anna")):
        shell.add(f"{address}@example.org", name)
        shell.sql("UPDATE users SET id = ? WHERE email = ?", user_id, f"{address}@example.org")
    shell.environment["PATH"] = f"{Path(COMMAND).parent}:{os.environ['PATH']}"
    assert shell("sync", "--all").code == 0
    return shell


@pytest.fixture
def new(bare: "Shell") -> "Shell":
    """The first day: nothing is set up, and the shell is in the folder of a Laravel application."""
    bare.settings.clear()
    del bare.environment["MMCONSOLE_CONFIG"]
    folder = bare.folder / "app"
    (folder / "database").mkdir(parents=True)
    with sqlite3.connect(folder / "database" / "database.sqlite") as connection:
        connection.execute(USERS)
        people = [(17, "Ann Lee", "ann"), (42, "Bob Ray", "bob"), (43, "Anna Fox", "anna")]
        rows = [(user_id, name, f"{address}@example.org", LONG_AGO) for user_id, name, address in people]
        connection.executemany("INSERT INTO users (id, name, email, email_verified_at) VALUES (?, ?, ?, ?)", rows)
    connection.close()
    lines = ["APP_KEY=base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "DB_CONNECTION=sqlite"]
    lines += [f"MATTERMOST_URL={bare.server.url}", "MATTERMOST_TEAM=main"]
    (folder / ".env").write_text("\n".join(lines), encoding="utf-8")
    bare.environment["PATH"] = f"{Path(COMMAND).parent}:{os.environ['PATH']}"
    bare.folder = folder
    return bare


def _run(line: str, shell: "Shell") -> None:
    words = shlex.split(line)
    while "=" in words[0]:
        words.pop(0)
    said = " ".join(words[1:])
    process = subprocess.Popen(
        ["bash", "-c", f"exec {line}" if "|" not in line and "=" not in line.split(maxsplit=1)[0] else line],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=shell.folder,
        env=shell.saved(),
    )
    shell.started.append(process)
    if said.startswith(_GO_ON) and not _ENDING.intersection(words):
        assert process.stderr is not None
        first = process.stderr if "serve" in said or said == "watch" else process.stdout
        assert first is not None
        assert first.readline(), line
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        return
    out, err = process.communicate(shell.simulator.admin_token, timeout=120)
    assert process.returncode == 0, (line, process.returncode, out, err)


@pytest.mark.parametrize("page", [page for page in PAGES[1:] if commands(page)], ids=lambda page: page.name)
def test_every_command_of_a_page_works(page: Path, ready: "Shell") -> None:
    for line in commands(page):
        _run(line, ready)


def test_every_command_of_the_readme_works_from_the_first_day_on(new: "Shell") -> None:
    assert commands(PAGES[0])[0] == "mmconsole init"

    for line in commands(PAGES[0]):
        _run(line, new)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_command_hides_in_a_block_that_is_not_run(page: Path) -> None:
    hidden = [
        line for kind, body in blocks(page) if kind != "console" for line in body.splitlines() if _COMMAND.match(line)
    ]

    assert hidden == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = _LINK.findall(page.read_text(encoding="utf-8"))

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_named_exists_with_its_options(page: Path) -> None:
    named = [" ".join(span.split()) for span in re.findall(r"`(mmconsole [^`]+)`", page.read_text(encoding="utf-8"))]

    assert [span for span in named if not _exists(span.split()[1:])] == []


def _exists(words: list[str]) -> bool:
    """Whether these words are a command of ours, and each option is one of it or of those before it."""
    one: Any = command()
    options = {"--help"} | _options(one)
    for before, word in itertools.pairwise(["", *words]):
        if word.startswith("--") and word.partition("=")[0] not in options:
            return False
        if isinstance(one, TyperGroup) and word in one.commands:
            one = one.commands[word]
            options |= _options(one)
        elif isinstance(one, TyperGroup) and word.islower() and not word.startswith("-") and not before.startswith("-"):
            return False
    return True


def _options(one: Any) -> set[str]:
    return {name for parameter in one.params for name in parameter.opts + parameter.secondary_opts}
