"""All figures in one table: `python -m benchmarks [--short]`."""

import argparse
import platform
import sys

from benchmarks.check import deep, quick
from benchmarks.console import console
from benchmarks.database import read_through_the_mapping
from benchmarks.first_sync import at_real_cost, beside_peers
from benchmarks.generate import beside_a_loop
from benchmarks.observer import followed, triggers
from benchmarks.second_sync import memory, unchanged
from benchmarks.service import service
from benchmarks.stage import run_as_commands_do
from benchmarks.start import help_text
from benchmarks.table import Figure, show


async def measure(*, short: bool) -> list[Figure]:
    users, made, many, real, tried, sizes = (
        (100, 100, 1_000, 10, 200, [1_000])
        if short
        else (2_000, 1_000, 100_000, 300, 20_000, [10_000, 100_000, 1_000_000])
    )
    figures = [help_text()]
    figures += await beside_peers(f"first sync of {users:,} users", users, ("≥ 3", "≥ 0.4"))
    figures += await beside_peers(
        f"first sync of {users:,} users, 10 ms away", users, ("≥ 5", ""), turns=1, latency=0.01
    )
    figures.append(await at_real_cost(real))
    figures += [await beside_a_loop(made), await beside_a_loop(made, latency=0.01)]
    figures += await unchanged(many)
    figures += [await quick(many), await deep(tried)]
    figures += await read_through_the_mapping(many)
    figures += await followed(200 if short else 3_000)
    figures += triggers(many)
    figures += await service(*((50, 200) if short else (1_000, 5_000)))
    figures += await console(many)
    return figures + await memory(sizes)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--short", action="store_true", help="small numbers: shows that they run, not how fast")
    short = parser.parse_args().short
    print(f"Python {platform.python_version()}, {platform.machine()}, {platform.system()}", file=sys.stderr)
    print(show(run_as_commands_do(measure(short=short))))


if __name__ == "__main__":
    main()
