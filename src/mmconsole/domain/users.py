"""Users: rows of the application's users table, as far as mmconsole looks at them."""

from dataclasses import dataclass, field
from typing import NewType

UserId = NewType("UserId", str)
"""The primary key as text, whatever its type in the application (integer, UUID, string)."""


@dataclass(frozen=True, slots=True)
class User:
    """One row. Text is as the application stores it, untrimmed and unchecked."""

    id: UserId
    email: str | None
    email_verified: bool
    username: str | None
    """The mapped username column, if there is one and it is filled."""
    first_name: str | None
    """None when the application does not say: no such column, or NULL."""
    last_name: str | None
    locale: str | None
    active: bool
    """False when the row is soft-deleted or its mapped `active` column says no."""
    stored_account_id: str | None
    """What stands in the row's `mattermost_user_id`; it counts only if we wrote it or the linking rules adopt it."""
    has_stored_token: bool
    """Whether the row's `mattermost_token` holds anything."""
    digest: str = field(default="", compare=False)
    """A short hash, made by the database, of every column a sync pushes or decides by: another one, another row."""

    @property
    def address(self) -> str | None:
        """The e-mail as Mattermost compares it: trimmed, lower case; None when there is none."""
        return self.email.strip().lower() or None if self.email else None
