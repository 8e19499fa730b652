"""The calls of the simulated API, one module per noun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmconsole.simulator.routes import (
    accounts,
    bots,
    channel_members,
    channels,
    sessions,
    system,
    team_members,
    teams,
    tokens,
    users,
)

if TYPE_CHECKING:
    from mmconsole.simulator.routing import Route

ROUTES: tuple[Route, ...] = (
    *users.ROUTES,
    *accounts.ROUTES,
    *bots.ROUTES,
    *tokens.ROUTES,
    *sessions.ROUTES,
    *teams.ROUTES,
    *team_members.ROUTES,
    *channels.ROUTES,
    *channel_members.ROUTES,
    *system.ROUTES,
)
