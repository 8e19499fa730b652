"""All figures in one table, or those of some sections."""

import argparse
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.page import NotReplaced, put
from benchmarks.sections import LONG, SHORT, measure, sections
from benchmarks.stage import run_as_commands_do
from benchmarks.table import HEAD, Figure, show

_ROOT: Final = Path(__file__).parents[1]
_ALL: Final = tuple(range(len(HEAD)))
_BRIEF: Final = (0, 3, 4, 5)


def main() -> int:
    asked = _asked()
    chosen = sections(SHORT if asked.short else LONG)
    parts = [part for name in asked.sections or chosen for part in chosen[name]]
    run = f"{_machine()}, {datetime.now(UTC):%Y-%m-%d}"
    _tell(run)
    if os.getloadavg()[0] > 0.5 and not asked.short:
        _tell(f"something else runs here (load {os.getloadavg()[0]:.1f}): the figures will be worth little")
    figures: list[Figure] = []
    if asked.write:
        _pages(figures, run, whole=not asked.sections)  # What cannot be written need not be measured.
    try:
        crashed = run_as_commands_do(measure(parts, figures, tell=_tell))
    finally:
        print(show(figures, judge=not asked.short))
    if asked.write:
        for page, text in _pages(figures, run, whole=not asked.sections).items():
            page.write_text(text, encoding="utf-8")
    return 1 if crashed else 0


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(sections(LONG)))
    parser.add_argument("--short", action="store_true", help="small numbers: shows that they run, not how fast")
    parser.add_argument("--write", action="store_true", help="into README.md and docs/benchmarks.md")
    asked = parser.parse_args()
    if unknown := set(asked.sections) - set(sections(LONG)):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(sections(LONG))}")
    if asked.write and asked.short:
        parser.error("the figures of the short form mean nothing: they are not written")
    return asked


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _machine() -> str:
    cores = f"{os.cpu_count()} cores"
    information = Path("/proc/cpuinfo")
    for line in information.read_text(encoding="utf-8").splitlines() if information.exists() else ():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            cores = f"{cores} of {value.strip()}"
            break
    return f"Python {platform.python_version()}, {platform.system()}, {cores}"


def _pages(figures: list[Figure], run: str, *, whole: bool) -> dict[Path, str]:
    """The pages with these figures in them; the README has the brief ones, without their peers."""
    shown = {"docs/benchmarks.md": (figures, _ALL), "README.md": ([one for one in figures if one.brief], _BRIEF)}
    return {
        _ROOT / name: put((_ROOT / name).read_text(encoding="utf-8"), some, run=run, columns=columns, whole=whole)
        for name, (some, columns) in shown.items()
    }


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NotReplaced as fault:
        sys.exit(str(fault))
