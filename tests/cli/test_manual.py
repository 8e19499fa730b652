"""The manual page."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from man import make
from tests.cli.test_help import commands


def test_it_is_what_the_help_says_now() -> None:
    assert make.PAGE.read_text(encoding="utf-8") == make.page(), "make man"


def test_every_command_is_in_it() -> None:
    page = make.page()

    missing = [path for path in commands() if f".Ss mmconsole {' '.join(path)}".replace("-", "\\-") not in page]
    assert missing == []


def test_roff_has_nothing_to_say_against_it() -> None:
    if shutil.which("mandoc") is None:
        assert not os.environ.get("CI"), "mandoc is missing"
        pytest.skip("mandoc is not installed")

    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", str(make.PAGE)], capture_output=True, text=True, check=False
    )
    shown = subprocess.run(
        ["mandoc", "-T", "utf8", str(make.PAGE)],
        capture_output=True,
        text=True,
        check=True,
        env={"LANG": "C.UTF-8", "PATH": os.environ["PATH"]},
    )

    assert done.stdout == ""
    # Bold is written as a letter, a step back, and the letter again.
    assert "COMMANDS" in re.sub(".\b", "", shown.stdout)


def test_it_comes_with_the_wheel() -> None:
    text = (Path(make.PAGE).parents[1] / "pyproject.toml").read_text(encoding="utf-8")

    assert '"man/mmconsole.1" = "share/man/man1/mmconsole.1"' in text
