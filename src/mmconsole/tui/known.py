"""What the console knows at this moment: the reader writes it, the picture is drawn from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mmconsole.domain.filters import Filter

if TYPE_CHECKING:
    from mmconsole.domain.filters import Teams
    from mmconsole.services.job_desk import KnownJob
    from mmconsole.services.overview import Glance
    from mmconsole.tui.closer_look import Closer
    from mmconsole.tui.log_view import LogLine


@dataclass(frozen=True, slots=True)
class Chosen:
    """Certain users and no others, until escape: a view that is no filter."""

    name: str
    ids: frozenset[str]


@dataclass(slots=True)
class Known:
    wanted: Filter = field(default_factory=Filter)
    """Who is shown."""
    chosen: Chosen | None = None
    """Whom of them."""
    masked: bool = False
    """Whether names and addresses are covered."""
    glance: "Glance | None" = None
    """None until everybody was counted."""
    jobs: "list[KnownJob]" = field(default_factory=list)
    """The newest first."""
    teams: "Teams" = field(default_factory=dict)
    """Who is in the teams that a filter has asked for."""
    view_counts: Mapping[Filter, int] = field(default_factory=dict)
    """Users of saved views that the counts by status do not tell."""
    closer: "Closer | None" = None
    """What was looked up for the user the cursor rests on, or rested on last."""
    last_event: "LogLine | None" = None
