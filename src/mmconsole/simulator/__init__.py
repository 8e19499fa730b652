"""A Mattermost in one process, for the demo, the tests and the benchmarks.

It answers as the real server does (recorded on 11.6.0), keeps everything in memory, and can be made to fail in every
way a server and the network before it fail. It imports nothing else of mmconsole.
"""

from __future__ import annotations

from mmconsole.simulator.app import Simulator
from mmconsole.simulator.calls import Calls, RecentCall
from mmconsole.simulator.costs import COSTS, Cost, capacity_seconds
from mmconsole.simulator.delivery import Dropped
from mmconsole.simulator.faults import Fault, Faults
from mmconsole.simulator.options import RateLimit, SimulatorOptions
from mmconsole.simulator.server import Running, run, serve, serve_in_thread

__all__ = [
    "COSTS",
    "Calls",
    "Cost",
    "Dropped",
    "Fault",
    "Faults",
    "RateLimit",
    "RecentCall",
    "Running",
    "Simulator",
    "SimulatorOptions",
    "capacity_seconds",
    "run",
    "serve",
    "serve_in_thread",
]
