"""Channels of the Mattermost server, the names they may have, and the projects of the application they belong to."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NewType
from urllib.parse import unquote, urlsplit

from mmconsole.domain.accounts import AccountId, TeamId
from mmconsole.domain.tokens import MARKER, OperationId, short_id

ChannelId = NewType("ChannelId", str)
ProjectId = NewType("ProjectId", str)
"""The primary key of the application's projects table as text, whatever its type there."""

CHANNEL_NAME_LIMIT: Final = 64
"""Characters of the name in a channel's address (11.6.0)."""

_ILLEGAL: Final = re.compile(r"[^a-z0-9_-]+")
_LEGAL: Final = re.compile(r"[a-z0-9][a-z0-9_-]*\Z")
# Direct messages are called like this, and so the server refuses it (seen on 11.6.0).
_OF_MESSAGES: Final = re.compile(r"[a-f0-9]{40}\Z|[a-z0-9]{26}__[a-z0-9]{26}\Z")
_ID: Final = re.compile(r"[a-z0-9]{26}\Z")


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as the server tells it. Times are the server's milliseconds since 1970, 0 for never."""

    id: ChannelId
    team_id: TeamId
    name: str
    """What stands in its address."""
    display_name: str = ""
    type: str = "O"
    """O for public, P for private, D and G for messages between people."""
    purpose: str = ""
    creator_id: AccountId | None = None
    """None where the server made it."""
    create_at: int = 0
    update_at: int = 0
    delete_at: int = 0
    team: str = ""
    """The name of its team, where somebody has looked it up."""

    @property
    def address(self) -> str:
        """How people are told which one is meant, and may name it: `team/channel`."""
        return f"{self.team}/{self.name}" if self.team else self.name

    @property
    def archived(self) -> bool:
        return self.delete_at != 0

    @property
    def public(self) -> bool:
        return self.type == "O"

    @property
    def of_a_team(self) -> bool:
        """Whether it is a channel at all, and no conversation between a few people."""
        return self.type in {"O", "P"}


@dataclass(frozen=True, slots=True)
class NewChannel:
    """What a create sends."""

    team_id: TeamId
    name: str
    display_name: str
    private: bool = False
    purpose: str = ""


class OnTaken(StrEnum):
    """What to do when the wanted name belongs to a channel already; an archived one keeps its name, too."""

    REFUSE = "refuse"
    RESTORE = "restore"
    """Take the channel of that name out of the archive. One that is not archived is refused."""
    NUMBER = "number"
    """Take the next free name: `project-2`."""


class Did(StrEnum):
    """What became of a channel."""

    CREATED = "created"
    RESTORED = "restored"
    ARCHIVED = "archived"
    UNCHANGED = "unchanged"
    """It was as wanted already."""


@dataclass(frozen=True, slots=True)
class ChannelChange:
    """A channel as it is now, and what was done to it."""

    channel: Channel
    did: Did


@dataclass(frozen=True, slots=True)
class Project:
    """A row of the application's projects table."""

    id: ProjectId
    name: str
    team: str | None = None
    """The name of its team, if the application says one."""
    archived: bool = False


@dataclass(frozen=True, slots=True)
class ProjectChannel:
    """Which channel is a project's: one row of `mmconsole_projects`."""

    project_id: ProjectId
    channel_id: ChannelId
    linked_at: datetime
    archived_with_project: bool = False
    """Only then is it restored with its project: what somebody archived by hand stays in the archive."""


@dataclass(frozen=True, slots=True)
class ChannelReference:
    """What somebody typed or pasted to name a channel."""

    text: str
    name: str
    team: str | None = None
    """None when only the channel was named: then it is looked for in the configured teams."""

    @property
    def id(self) -> ChannelId | None:
        """The id it may be. A name may look the same."""
        return ChannelId(self.name) if self.team is None and _ID.match(self.name) else None


def reference_of(text: str, *, server: str) -> ChannelReference | None:
    """A channel by its name, `team/name`, id or link; None for a link that leads elsewhere or to no channel."""
    wanted = text.strip()
    if "://" in wanted:
        return _linked(wanted, server)
    team, slash, name = wanted.rpartition("/")
    if slash and (not team or "/" in team):
        return None
    return ChannelReference(text, name.lower(), team.lower() or None) if name else None


def _linked(link: str, server: str) -> ChannelReference | None:
    """`https://chat.example.org/chat/main/channels/project-1`, of this server only."""
    try:
        here, there = urlsplit(server), urlsplit(link)
        same = (here.hostname, here.port) == (there.hostname, there.port)
    except ValueError:
        return None
    subpath, path = f"{here.path.rstrip('/')}/", unquote(there.path)
    parts = path.removeprefix(subpath).strip("/").split("/")
    if not (same and path.startswith(subpath)) or len(parts) < 3 or parts[1] != "channels":  # noqa: PLR2004
        return None
    return ChannelReference(link, parts[2].lower(), parts[0].lower())


def legal_channel_name(wanted: str) -> str:
    """The nearest name that Mattermost takes: lower case, other scripts transliterated, 1 to 64 characters.

    Returns an empty string when nothing legal is left of it.
    """
    from anyascii import anyascii  # noqa: PLC0415 - it takes as long as three empty Pythons, and few commands need it

    folded = anyascii(wanted).lower()
    name = _ILLEGAL.sub("-", folded).strip("-_")[:CHANNEL_NAME_LIMIT].rstrip("-_")
    return f"c-{name}"[:CHANNEL_NAME_LIMIT] if _OF_MESSAGES.match(name) else name


def is_legal_channel_name(name: str) -> bool:
    return len(name) <= CHANNEL_NAME_LIMIT and bool(_LEGAL.match(name)) and not _OF_MESSAGES.match(name)


def numbered_channel_name(name: str, number: int) -> str:
    """The same name with a number behind it, still within the limit."""
    suffix = f"-{number}"
    return name[: CHANNEL_NAME_LIMIT - len(suffix)].rstrip("-_") + suffix


def name_for(project: Project) -> str:
    """The name to try first for a project's channel; always legal."""
    names = (legal_channel_name(project.name), legal_channel_name(f"project-{project.id}"))
    return next((name for name in names if name), "project")


def mark(installation_id: str, project_id: ProjectId, operation_id: OperationId) -> str:
    """The purpose that marks a channel as a project's: `mmconsole:v1:<installation>:project:<project>:<operation>`."""
    return f"{MARKER}:{installation_id}:project:{short_id(project_id)}:{operation_id}"
