"""What a plan will cause, and how much of it may remove: counted before anything is done."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from mmconsole.domain.plans import Kind

_CALLS: Final = {
    Kind.CREATE: 1,
    Kind.LINK: 2,
    Kind.REACTIVATE: 2,
    Kind.UPDATE: 2,
    Kind.JOIN: 1,
    Kind.ADOPT: 3,
    Kind.GENERATE: 3,
    Kind.REPLACE: 6,
    Kind.ENABLE: 3,
    Kind.DISABLE: 1,
    Kind.REVOKE: 2,
    Kind.DEACTIVATE: 2,
}
_SECONDS: Final = {
    Kind.CREATE: 1 / 16,
    Kind.JOIN: 1 / 58,
    Kind.GENERATE: 1 / 300,
    Kind.REPLACE: 1 / 200,
}
"""What a 11.6.0 on two cores needs when eight are under way; everything else is about 1/500."""

_MAILING: Final = (Kind.GENERATE, Kind.REPLACE, Kind.ADOPT)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a plan will cause. `seconds` is for a server on two cores, `mails` is the most there can be."""

    users: int = 0
    steps: Mapping[Kind, int] = field(default_factory=dict)
    calls: int = 0
    seconds: float = 0.0
    mails: int = 0
    removals: int = 0
    no_room: int = 0
    """New or reactivated accounts beyond the server's limit of active users."""


def forecast_of(  # noqa: PLR0913 - all that it is made from
    counts: Mapping[Kind, int],
    *,
    users: int,
    removals: int,
    teams: int,
    notices: int = 0,
    mails: bool,
    room: int | None = None,
) -> Forecast:
    """`notices` are mails about changed addresses and usernames; `mails` tells whether the server sends any.

    `room` is how many more active users the server takes, None where it sets no limit or does not tell.
    """
    weighted = {kind: count * (teams if kind is Kind.JOIN else 1) for kind, count in counts.items()}
    return Forecast(
        users=users,
        steps={kind: counts[kind] for kind in Kind if counts.get(kind)},
        calls=sum(_CALLS[kind] * count for kind, count in weighted.items()) + _looked_at_first(counts),
        seconds=sum(_SECONDS.get(kind, 1 / 500) * count for kind, count in weighted.items()),
        # A stored token that turns out to be dead is replaced, and each new token is a mail.
        mails=sum(counts.get(kind, 0) for kind in _MAILING) + notices if mails else 0,
        removals=removals,
        no_room=0 if room is None else max(0, arrivals(counts) - room),
    )


def arrivals(counts: Mapping[Kind, int]) -> int:
    """How many active users the server has more of afterwards."""
    return counts.get(Kind.CREATE, 0) + counts.get(Kind.REACTIVATE, 0)


def _looked_at_first(counts: Mapping[Kind, int]) -> int:
    """Accounts that get a token and are not made or linked right before: each is asked for once more."""
    met = counts.get(Kind.CREATE, 0) + counts.get(Kind.LINK, 0)
    return max(0, counts.get(Kind.GENERATE, 0) - met)


def allowed_removals(users: int, *, floor: int, percent: float) -> int:
    """How many removals the guard lets pass in 24 hours: the larger of a floor and a share of all users."""
    return max(floor, int(users * percent / 100))
