"""Completion, in the shells themselves."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.cli.conftest import COMMAND

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

_BASH = """
source <(mmconsole --show-completion bash)
COMP_WORDS=($1) COMP_CWORD=$2
[ "$2" -lt "${#COMP_WORDS[@]}" ] || COMP_WORDS+=("")
_mmconsole_completion mmconsole
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def known(shell: "Shell") -> "Shell":
    """A shell with users and a profile, in which mmconsole is on the PATH."""
    for name in ("ann", "anna", "bob"):
        shell.add(f"{name}@example.org")
    shell.settings["profiles"] = {"staging": {"sync": {"teams": ["main"]}}}
    shell.environment["PATH"] = f"{Path(COMMAND).parent}:{os.environ['PATH']}"
    return shell


def in_bash(shell: "Shell", words: str, at: int) -> list[str]:
    done = subprocess.run(
        ["bash", "--norc", "-c", _BASH, "bash", words, str(at)],
        capture_output=True,
        text=True,
        check=True,
        env=shell.saved(),
    )
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


def _there(name: str) -> None:
    if shutil.which(name) is None:
        assert not os.environ.get("CI"), f"{name} is missing"
        pytest.skip(f"{name} is not installed")


def test_bash_completes_commands_profiles_users_and_filters(known: "Shell") -> None:
    assert in_bash(known, "mmconsole doc", 1) == ["doctor"]
    assert in_bash(known, "mmconsole --profile st", 2) == ["staging"]
    assert in_bash(known, "mmconsole users show ann", 3) == ["ann@example.org", "anna@example.org"]
    assert in_bash(known, "mmconsole sync b", 2) == ["bob@example.org"]
    assert in_bash(known, "mmconsole users list --filter status:re", 4) == ["status:revoked"]
    assert in_bash(known, "mmconsole tokens repair --filter status:re", 4) == ["status:revoked"]


def test_bash_completes_channels_as_the_server_has_them(known: "Shell") -> None:
    assert in_bash(known, "mmconsole channel archive main/town", 3) == ["main/town-square"]
    assert in_bash(known, "mmconsole channel archive town", 3) == ["town-square"]
    assert in_bash(known, "mmconsole channel restore main/town", 3) == []
    assert in_bash(known, "mmconsole channel add main/town-square an", 4) == ["ann@example.org", "anna@example.org"]


def test_an_address_that_a_shell_would_obey_is_not_offered(known: "Shell") -> None:
    for name in ("ann`id`", "ann\\$(id)", "ann;id", "ann'x"):
        known.add(f"{name}@example.org")

    assert in_bash(known, "mmconsole users show ann", 3) == ["ann@example.org", "anna@example.org"]


def test_what_is_broken_is_silent(known: "Shell") -> None:
    known.file.unlink()

    assert in_bash(known, "mmconsole users show ann", 3) == []

    known.settings.clear()
    known.config.write_text("mattermost: [", encoding="utf-8")

    assert in_bash(known, "mmconsole users show ann", 3) == []
    assert in_bash(known, "mmconsole --profile st", 2) == []


def test_zsh_is_offered_the_same(known: "Shell") -> None:
    _there("zsh")
    script = (
        "autoload -U compinit; compinit -u; source <(mmconsole --show-completion zsh); whence -w _mmconsole_completion"
    )
    done = subprocess.run(
        ["zsh", "-f", "-c", script], capture_output=True, text=True, check=False, env=known.saved(), timeout=60
    )
    offered = known.saved() | {
        "_MMCONSOLE_COMPLETE": "complete_zsh",
        "_TYPER_COMPLETE_ARGS": "mmconsole users show ann",
    }
    words = subprocess.run([COMMAND], capture_output=True, text=True, check=False, env=offered).stdout

    assert "_mmconsole_completion: function" in done.stdout, done.stderr
    assert "ann@example.org" in words


def test_fish_is_offered_the_same(known: "Shell") -> None:
    _there("fish")
    script = "mmconsole --show-completion fish | source; complete -C 'mmconsole users show an'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env=known.saved(),
        timeout=60,
    )

    assert {"ann@example.org", "anna@example.org"} <= set(done.stdout.split()), json.dumps([done.stdout, done.stderr])
