"""What is measured, section by section; the short form has the same sections with small numbers."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from textwrap import shorten
from time import perf_counter
from traceback import format_exception
from typing import Final

from benchmarks import check, console, database, first_sync, generate, observer, second_sync, service, start
from benchmarks.empty_app import Pace
from benchmarks.servers import KINDS, NotInstalled
from benchmarks.table import Figure

_LONGEST: Final = 100
"""Signs of a fault in the table; all of it stands above."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is measured in one go. If it fails, its row says so, and the others go on."""

    what: str
    measure: Callable[[], Awaitable[list[Figure]]]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything."""

    turns: int
    """How often ours and the peers take turns."""
    starts: int
    synced: int
    far_away: int
    at_real_cost: int
    generated: int
    unchanged: int
    probed: int
    mapped: int
    changes: int
    linked: int
    asked: int
    shown: int
    pace: Pace
    memory: tuple[int, ...]


LONG: Final = Scale(
    turns=5,
    starts=15,
    synced=2_000,
    far_away=1_000,
    at_real_cost=300,
    generated=1_000,
    unchanged=100_000,
    probed=20_000,
    mapped=100_000,
    changes=3_000,
    linked=1_000,
    asked=5_000,
    shown=100_000,
    pace=Pace(),
    memory=(1_000, 10_000, 100_000, 1_000_000),
)
SHORT: Final = Scale(
    turns=1,
    starts=1,
    synced=50,
    far_away=16,
    at_real_cost=5,
    generated=50,
    unchanged=500,
    probed=50,
    mapped=500,
    changes=20,
    linked=20,
    asked=100,
    shown=100,
    pace=Pace(settles=0.2, keys=5, idle=0.2, working=0.2),
    memory=(500,),
)


def sections(scale: Scale) -> dict[str, list[Part]]:
    few = min(scale.turns, 3)  # of what takes long
    return {
        "start": [Part("the command's start", partial(start.help_text, scale.starts))],
        "sync": [
            Part(
                "first sync",
                partial(first_sync.beside_peers, scale.synced, scale.turns, wanted=("≥ 3", "≥ 0.4"), brief=True),
            ),
            Part(
                "first sync of a server far away",
                partial(first_sync.beside_peers, scale.far_away, 1, wanted=("≥ 5", ""), latency=0.01),
            ),
            Part("first sync at real costs", partial(first_sync.at_real_cost, scale.at_real_cost)),
        ],
        "resync": [Part("sync of unchanged users", partial(second_sync.unchanged, scale.unchanged, scale.turns))],
        "generate": [
            Part("tokens", partial(generate.beside_peers, scale.generated, scale.turns, brief=True)),
            Part("tokens of a server far away", partial(generate.beside_peers, scale.far_away, 1, latency=0.01)),
        ],
        "check": [
            Part("quick check", partial(check.quick, scale.unchanged)),
            Part("deep check", partial(check.deep, scale.probed, few)),
        ],
        "mapping": _of_each_kind("users read", lambda kind: database.read_through_the_mapping(kind, scale.mapped, few)),
        "observer": _of_each_kind("event to token stored", lambda kind: observer.followed(kind, scale.changes)),
        "triggers": _of_each_kind("triggers", lambda kind: observer.triggers(kind, scale.mapped, few)),
        "service": [Part("magic links", partial(service.service, scale.linked, scale.asked, few))],
        "console": [Part("the console", partial(console.console, scale.shown, scale.turns, scale.pace))],
        "memory": [
            Part(
                f"memory of a sync of {count:,} users",
                partial(second_sync.memory, count, brief=count == max(scale.memory)),
            )
            for count in scale.memory
        ],
    }


def _of_each_kind(what: str, measure: Callable[[str], Awaitable[list[Figure]]]) -> list[Part]:
    return [Part(f"{what}, {kind}", partial(measure, kind)) for kind in KINDS]


async def measure(parts: Iterable[Part], figures: list[Figure], *, tell: Callable[[str], None]) -> int:
    """Measure part by part into `figures`. Returns how many crashed; to need a service that is not here is no crash."""
    crashed = 0
    for part in parts:
        begun = perf_counter()
        try:
            figures += await part.measure()
        except NotInstalled as fault:
            figures.append(_not_run(part, str(fault)))
        except Exception as fault:  # noqa: BLE001 - whatever it was, the others go on
            figures.append(_not_run(part, f"{type(fault).__name__}: {fault}"))
            tell("".join(format_exception(fault)))
            crashed += 1
        tell(f"{perf_counter() - begun:6.1f} s  {part.what}")
    return crashed


def _not_run(part: Part, why: str) -> Figure:
    return Figure(part.what, f"not measured: {shorten(why, _LONGEST)}", measured=False)
