"""The wheel as a stranger installs it: into an empty environment, on every Python of this machine that will do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEWEST = 20


def _pythons() -> list[str]:
    """Every Python of this machine from 3.11 on, each version once."""
    names = [f"python3.{minor}" for minor in range(11, NEWEST)]
    places = [sys.executable, *(path for name in names if (path := shutil.which(name)))]
    places += [str(path) for path in Path.home().glob(".pyenv/versions/3.*/bin/python3")]
    found: dict[str, str] = {}
    for place in places:
        found.setdefault(_version(place), place)
    return [place for version, place in sorted(found.items()) if version]


def _version(python: str) -> str:
    """Empty for what is too old, only a version manager's shim, or cannot make environments."""
    asked = [
        python,
        "-c",
        "import sys, ensurepip, venv; print(*sys.version_info[:2]); exit(sys.version_info < (3, 11))",
    ]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def run(*command: str | Path, folder: Path) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "COLUMNS": "80"}
    # What was downloaded once need not be again.
    environment["PIP_CACHE_DIR"] = os.environ.get("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip"))
    environment |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "HTTPS_"))}
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return next(folder.glob("*.whl"))


@pytest.mark.parametrize("python", _pythons())
def test_it_works_in_an_empty_environment(wheel: Path, python: str, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    run(python, "-m", "venv", venv, folder=tmp_path)
    run(venv / "bin" / "pip", "install", "--quiet", "--no-compile", wheel, folder=tmp_path)
    mmconsole = venv / "bin" / "mmconsole"

    helped = run(mmconsole, "--help", folder=tmp_path)
    played = run(mmconsole, "--headless", "demo", "--users", "50", folder=tmp_path)
    schema = run(mmconsole, "config", "schema", folder=tmp_path)

    assert helped == (ROOT / "src" / "mmconsole" / "cli" / "help.txt").read_text(encoding="utf-8")
    assert "50 users" in played
    assert '"$schema"' in schema
    assert (venv / "share" / "man" / "man1" / "mmconsole.1").is_file()
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith("mmconsole")] == []
