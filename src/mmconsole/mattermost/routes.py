"""One value per call of Mattermost's API: its path, what its answer looks like, and whether it may be repeated."""

import re
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Generic, TypeVar

from msgspec.json import Decoder

T_co = TypeVar("T_co", covariant=True)

_GAP: Final = re.compile(r"\{[a-z_]+\}")


class Effect(Enum):
    """What a second time does. It decides what a lost answer means."""

    READ = auto()
    """Nothing. A lost answer is as good as no call."""
    AGAIN = auto()
    """The same as the first: it may be repeated until an answer arrives."""
    ONCE = auto()
    """Another account or token. It is repeated only if the first time certainly did nothing."""


@dataclass(frozen=True)
class Route(Generic[T_co]):
    """A call. `pattern` stands for it in errors and diagnostics, so these never name an account or a token."""

    method: str
    pattern: str
    decoder: Decoder[T_co]
    effect: Effect = Effect.READ
    name: str = field(init=False)
    _parts: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"{self.method} {self.pattern}")
        object.__setattr__(self, "_parts", tuple(_GAP.split(self.pattern)))

    def path(self, *segments: str) -> str:
        """The path with its gaps filled by segments, which are quoted already."""
        if not segments:
            return self.pattern
        first, *rest = self._parts
        return first + "".join(segment + part for segment, part in zip(segments, rest, strict=True))
