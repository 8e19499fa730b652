"""The migrations, in the order in which they run.

Two branches: `ours` makes our own tables, `app` what is in the application's (or the embedded) part of the database.
They are listed here so that a start-up can tell whether all have run without importing Alembic.
"""

from dataclasses import dataclass
from typing import Final, Literal

VERSION_TABLE: Final = "mmconsole_alembic"

Branch = Literal["ours", "app"]


@dataclass(frozen=True, slots=True)
class Revision:
    id: str
    branch: Branch
    name: str
    """As Laravel names migrations, for the eyes of its operators."""
    embedded_only: bool = False
    """Whether it does nothing to an attached application's database, and is not shown there."""


REVISIONS: Final = (
    Revision("ours_0001", "ours", "2026_01_01_000001_create_mmconsole_tables"),
    Revision("app_0001", "app", "2026_01_01_000002_create_users_and_projects_tables", embedded_only=True),
    Revision("app_0002", "app", "2026_01_01_000003_add_mattermost_columns"),
    Revision("ours_0002", "ours", "2026_01_01_000004_create_mmconsole_projects_table"),
    Revision("ours_0003", "ours", "2026_01_01_000005_create_mmconsole_web_tables"),
    Revision("ours_0004", "ours", "2026_01_01_000006_create_mmconsole_user_events_table"),
)


def finished(heads: frozenset[str]) -> frozenset[str]:
    """The revisions that have run when these are the heads of the version table."""
    return frozenset(
        revision.id
        for place, revision in enumerate(REVISIONS)
        if any(later.id in heads and later.branch == revision.branch for later in REVISIONS[place:])
    )


def unknown(heads: frozenset[str]) -> str | None:
    """A head that this version has never heard of."""
    return next(iter(sorted(heads - {revision.id for revision in REVISIONS})), None)
