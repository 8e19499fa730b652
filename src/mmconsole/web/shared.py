"""What the processes of one service count together. Made before they part, since it is memory that they inherit."""

from dataclasses import dataclass
from typing import Self

from mmconsole.config import WebSettings
from mmconsole.web.metrics import Metrics
from mmconsole.web.rates import Rates


@dataclass(frozen=True, slots=True)
class Shared:
    rates: Rates
    metrics: Metrics

    @classmethod
    def of(cls, settings: WebSettings) -> Self:
        return cls(Rates.of(settings.rate), Metrics(settings.workers))
