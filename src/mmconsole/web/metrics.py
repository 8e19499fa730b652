"""Requests counted by method, route and status, in memory that all processes of a service share.

Each process writes only into its own part, so nothing is locked, and whoever is asked adds all parts up.
"""

import mmap
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_BOUNDS: Final = (*map(str, map(float, _BUCKETS)), "+Inf")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
_KINDS: Final = 2_048
"""More than there can be of method, route and status together: no client can make up another one."""
_LABEL: Final = 12
"""Numbers' room for `method status route`, in front of the seconds in sum and of how many took how long."""
_PLACE: Final = _LABEL + 1 + len(_BOUNDS)
_BYTES: Final = 8

_Kind = tuple[str, str, str]


class Metrics:
    """Made before a service parts into so many processes; each of them then says by `be` which it is."""

    def __init__(self, processes: int = 1) -> None:
        memory = memoryview(mmap.mmap(-1, processes * _KINDS * _PLACE * _BYTES))
        self._processes = processes
        self._labels = memory
        self._seconds = memory.cast("d")
        self._counts = memory.cast("Q")
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self.be(0)

    def be(self, process: int) -> None:
        """Count in this part, and go on where a process that died has stopped."""
        part = self._part(process)
        self._places = dict(self._taken(part))
        self._free = part[len(self._places) :]

    def note(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """`route` is one of ours, and never what a client wrote: else it could fill the memory."""
        kind = (method if method in _METHODS else "other", route, str(status))
        place = self._places.get(kind)
        if place is None:
            place = self._new_place(kind)
        self._seconds[place + _LABEL] += seconds
        self._counts[place + _LABEL + 1 + bisect_left(_BUCKETS, seconds)] += 1

    def text(self) -> bytes:
        """As Prometheus reads it."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What `prometheus_client` asks for."""
        answered = CounterMetricFamily(
            "mmconsole_http_requests", "Requests that were answered.", labels=("method", "route", "status")
        )
        took = HistogramMetricFamily("mmconsole_http_seconds", "Time to the end of an answer.", labels=("route",))
        requests: Counter[_Kind] = Counter()
        sums: defaultdict[str, float] = defaultdict(float)
        times: defaultdict[str, list[int]] = defaultdict(lambda: [0] * len(_BOUNDS))
        for kind, seconds, counts in self._counted():
            requests[kind] += sum(counts)
            sums[kind[1]] += seconds
            times[kind[1]] = [one + more for one, more in zip(times[kind[1]], counts, strict=True)]
        for kind, number in sorted(requests.items()):
            answered.add_metric(kind, number)
        for route, counts in sorted(times.items()):
            within = [float(sum(counts[: at + 1])) for at in range(len(counts))]
            took.add_metric((route,), list(zip(_BOUNDS, within, strict=True)), sums[route])
        return iter((answered, took))

    def _counted(self) -> Iterator[tuple[_Kind, float, list[int]]]:
        """Of each kind, in each part: the seconds in sum, and how many took as long as each bound says."""
        for process in range(self._processes):
            for kind, place in self._taken(self._part(process)):
                numbers = place + _LABEL
                yield kind, self._seconds[numbers], self._counts[numbers + 1 : place + _PLACE].tolist()

    def _part(self, process: int) -> range:
        return range(process * _KINDS * _PLACE, (process + 1) * _KINDS * _PLACE, _PLACE)

    def _taken(self, part: range) -> Iterator[tuple[_Kind, int]]:
        """They are taken in their order."""
        for place in part:
            label = bytes(self._labels[place * _BYTES : (place + _LABEL) * _BYTES]).rstrip(b"\0").decode()
            if not label:
                return
            method, status, route = label.split(" ", 2)
            yield (method, route, status), place

    def _new_place(self, kind: _Kind) -> int:
        place, self._free = self._free[0], self._free[1:]
        method, route, status = kind
        label = f"{method} {status} {route}".encode().ljust(_LABEL * _BYTES, b"\0")
        self._labels[place * _BYTES : (place + _LABEL) * _BYTES] = label
        self._places[kind] = place
        return place
