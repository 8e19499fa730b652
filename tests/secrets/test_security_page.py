"""SECURITY.md names what touches secrets: it must name all of it."""

import re
import tomllib
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text()


def test_every_package_has_its_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    names = {re.split(r"[\[<>=;~ ]", one, maxsplit=1)[0].lower() for one in wanted}

    listed = [
        name for line in re.findall(r"^\|[^|]+\| ([a-z, -]+) \|$", PAGE, re.MULTILINE) for name in line.split(", ")
    ]

    assert sorted(listed) == sorted({*names, "packages"})


def test_every_place_that_opens_a_secret_is_named() -> None:
    source = ROOT / "src" / "mmconsole"
    opening = [file.relative_to(source) for file in source.rglob("*.py") if ".reveal()" in file.read_text()]

    named = set(re.findall(r"`((?:[a-z]+/)+(?:[a-z_]+\.py)?)`", PAGE)) | {"domain/secrets.py"}

    assert [str(one) for one in opening if not {str(one), f"{one.parts[0]}/"} & named] == []
    assert [one for one in named if not (source / one).exists() and not (ROOT / one).exists()] == []
