"""All figures in one table: `python -m benchmarks [--short]`."""

import argparse
import platform
import sys

from benchmarks.first_sync import at_real_cost, beside_peers
from benchmarks.second_sync import memory, unchanged
from benchmarks.stage import run_as_commands_do
from benchmarks.start import help_text
from benchmarks.table import Figure, show


async def measure(*, short: bool) -> list[Figure]:
    users, many, real, sizes = (
        (100, 1_000, 10, [1_000]) if short else (2_000, 100_000, 300, [10_000, 100_000, 1_000_000])
    )
    figures = [help_text()]
    figures += await beside_peers(f"first sync of {users:,} users", users, ("≥ 3", "≥ 0.4"))
    figures += await beside_peers(f"first sync of {users:,} users, 10 ms away", users, ("≥ 5", ""), latency=0.01)
    figures.append(await at_real_cost(real))
    figures += await unchanged(many)
    return figures + await memory(sizes)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--short", action="store_true", help="small numbers: shows that they run, not how fast")
    short = parser.parse_args().short
    print(f"Python {platform.python_version()}, {platform.machine()}, {platform.system()}", file=sys.stderr)
    print(show(run_as_commands_do(measure(short=short))))


if __name__ == "__main__":
    main()
