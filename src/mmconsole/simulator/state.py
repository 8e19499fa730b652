"""Everything the simulated server remembers, and the indexes by which it finds it again.

Only this module touches the indexes. A second place that did could leave a renamed user under the old name.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, deque
from typing import TYPE_CHECKING

from mmconsole.simulator.config import ServerConfig
from mmconsole.simulator.entities import Audit, Channel, ChannelMember, Session, Team, TeamMember, Token, User
from mmconsole.simulator.ids import Ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mmconsole.simulator.options import SimulatorOptions

MAX_SESSIONS = 500
AUDITS_KEPT = 100_000


class State:
    """The memory of one simulated server."""

    def __init__(self, options: SimulatorOptions, now: Callable[[], float]) -> None:
        self.options = options
        self.now = now
        self.ids = Ids(options.seed)
        self.licensed = False
        self.config = ServerConfig(options.release, diagnostic_id=self.ids.new(), version=options.version)
        self.users: dict[str, User] = {}
        self.by_username: dict[str, User] = {}
        self.by_email: dict[str, User] = {}
        self.usernames: list[str] = []
        self.active_people = 0
        self.active_bots = 0
        self.tokens: dict[str, Token] = {}
        self.by_secret: dict[str, Token] = {}
        self.token_rows: list[Token] = []
        self.sessions: dict[str, Session] = {}
        self.sessions_of: dict[str, dict[str, Session]] = {}
        self.teams: dict[str, Team] = {}
        self.teams_by_name: dict[str, Team] = {}
        self.channels: dict[str, Channel] = {}
        self.channels_by_name: dict[tuple[str, str], Channel] = {}
        self.channels_of: dict[str, list[Channel]] = {}
        self.audits: deque[Audit] = deque(maxlen=AUDITS_KEPT)
        self.mails: Counter[str] = Counter()
        self.mail_latency = 0.0
        self._last = 0

    # --- time -------------------------------------------------------------------------------------------------

    def millis(self) -> int:
        """Server time in milliseconds; it never runs backwards, or `since` would miss changes."""
        self._last = max(self._last, int(self.now() * 1000))
        return self._last

    def touch(self, user: User) -> None:
        """Note a change. The stamp grows even within one millisecond, so that a client sees every change."""
        user.update_at = max(self.millis(), user.update_at + 1)
        user.as_admin = user.as_self = None

    # --- users ------------------------------------------------------------------------------------------------

    def add_user(self, user: User) -> User:
        self.users[user.id] = user
        self.by_username[user.username] = user
        self.by_email[user.email] = user
        insort(self.usernames, user.username)
        self._count(user, 1)
        return user

    def rename(self, user: User, username: str) -> None:
        del self.by_username[user.username]
        del self.usernames[bisect_left(self.usernames, user.username)]
        user.username = username
        self.by_username[username] = user
        insort(self.usernames, username)

    def readdress(self, user: User, email: str) -> None:
        del self.by_email[user.email]
        user.email = email
        self.by_email[email] = user

    def set_active(self, user: User, *, active: bool) -> None:
        was_active = not user.delete_at
        self.touch(user)
        user.delete_at = 0 if active else user.update_at
        if was_active != active:
            change = 1 if active else -1
            self._count(user, change)
            for member in user.teams:
                if not member.delete_at:
                    self.teams[member.team_id].active_members += change
        if not active:
            user.last_status_at = user.update_at
            self.end_sessions(user.id)

    def remove_user(self, user: User) -> None:
        """Permanent deletion: the sessions and tokens go too."""
        if not user.delete_at:
            self.set_active(user, active=False)
        for token in user.tokens:
            self.remove_token(token)
        for member in user.teams:
            self.teams[member.team_id].members.pop(user.id, None)
        for channel in self.channels.values():
            channel.members.pop(user.id, None)
        del self.users[user.id], self.by_username[user.username], self.by_email[user.email]
        del self.usernames[bisect_left(self.usernames, user.username)]

    def admins(self) -> int:
        return sum(1 for user in self.users.values() if not user.delete_at and user.is_admin)

    def _count(self, user: User, change: int) -> None:
        if user.is_bot:
            self.active_bots += change
        else:
            self.active_people += change

    # --- tokens -----------------------------------------------------------------------------------------------

    def add_token(self, user: User, description: str, *, expires_at: int = 0, create_at: int = 0) -> Token:
        stamp = create_at or self.millis()
        token = Token(self.ids.new(), self.ids.new(), user.id, description, stamp, expires_at=expires_at)
        token.position = len(self.token_rows)
        self.token_rows.append(token)
        self.tokens[token.id] = token
        self.by_secret[token.secret] = token
        user.tokens = (*user.tokens, token)
        return token

    def remove_token(self, token: Token) -> None:
        """Forget a token. Its row is filled by the last one: the paged list has no order (1.2)."""
        del self.tokens[token.id], self.by_secret[token.secret]
        last = self.token_rows.pop()
        if last is not token:
            self.token_rows[token.position] = last
            last.position = token.position
        user = self.users[token.user_id]
        user.tokens = tuple(other for other in user.tokens if other is not token)
        self.end_session(token.secret)

    def replace_secret(self, token: Token) -> None:
        self.end_session(token.secret)
        del self.by_secret[token.secret]
        token.secret = self.ids.new()
        self.by_secret[token.secret] = token
        token.encoded = None

    def expire_tokens(self) -> None:
        """What the hourly job does: rows of expired tokens are deleted (1.4)."""
        now = self.millis()
        for token in [token for token in self.token_rows if 0 < token.expires_at <= now]:
            self.remove_token(token)

    # --- sessions ---------------------------------------------------------------------------------------------

    def add_session(self, session: Session) -> Session:
        own = self.sessions_of.setdefault(session.user_id, {})
        while len(own) >= MAX_SESSIONS:
            oldest = min(own.values(), key=lambda other: other.last_activity_at)
            self.end_session(oldest.token)
        own[session.id] = session
        self.sessions[session.token] = session
        return session

    def end_session(self, token: str) -> None:
        session = self.sessions.pop(token, None)
        if session is not None:
            self.sessions_of[session.user_id].pop(session.id, None)

    def end_sessions(self, user_id: str) -> None:
        for session in self.sessions_of.pop(user_id, {}).values():
            self.sessions.pop(session.token, None)

    # --- teams and channels -----------------------------------------------------------------------------------

    def add_team(self, team: Team) -> Team:
        self.teams[team.id] = team
        self.teams_by_name[team.name] = team
        self.channels_of[team.id] = []
        for name, display_name in (("town-square", "Town Square"), ("off-topic", "Off-Topic")):
            stamp = team.create_at
            channel = Channel(self.ids.new(), team.id, name, display_name, "O", stamp, stamp, holds_everybody=True)
            self.add_channel(channel)
        return team

    def join_team(self, team: Team, user: User, *, is_admin: bool = False) -> TeamMember:
        member = user.membership(team.id)
        if member is None:
            member = TeamMember(team.id, user.id, is_admin=is_admin, is_guest=user.is_guest)
            user.teams = (*user.teams, member)
        member.delete_at = 0
        team.members[user.id] = member
        team.active_members += not user.delete_at
        return member

    def leave_team(self, team: Team, user: User, member: TeamMember) -> None:
        member.delete_at = self.millis()
        team.members.pop(user.id, None)
        team.active_members -= not user.delete_at
        for channel in self.channels_of[team.id]:
            channel.members.pop(user.id, None)
            channel.absent.discard(user.id)

    def add_channel(self, channel: Channel) -> Channel:
        self.channels[channel.id] = channel
        self.channels_by_name[channel.team_id, channel.name] = channel
        self.channels_of[channel.team_id].append(channel)
        return channel

    def channel_member(self, channel: Channel, user_id: str) -> ChannelMember | None:
        member = channel.members.get(user_id)
        if member is None and channel.holds_everybody and user_id not in channel.absent:
            team_member = self.teams[channel.team_id].members.get(user_id)
            if team_member is not None:
                return ChannelMember(channel.id, user_id, channel.create_at, team_member.is_admin, team_member.is_guest)
        return member

    def channel_members(self, channel: Channel) -> Iterator[ChannelMember]:
        if not channel.holds_everybody:
            yield from channel.members.values()
            return
        for user_id in self.teams[channel.team_id].members:
            member = self.channel_member(channel, user_id)
            if member is not None:
                yield member

    def post(self, channel: Channel, *, counted: bool = False) -> None:
        """A system message was written: somebody joined (not counted), or the channel was archived (counted)."""
        channel.last_post_at = self.millis()
        channel.total_msg_count += counted

    # --- the rest ---------------------------------------------------------------------------------------------

    def audit(self, user_id: str, action: str, extra_info: str, session_id: str) -> None:
        self.audits.append(Audit(self.ids.new(), self.millis(), user_id, action, extra_info, session_id))

    def mail(self, user: User) -> float:
        """Send a mail, or fail to. Answers with the seconds it took; bots never get one (1.5)."""
        if user.is_bot or not self.config.mail_reachable:
            return 0.0
        self.mails[user.id] += 1
        return self.mail_latency

    def user_limits(self) -> tuple[int, int]:
        """The soft and the hard limit of active users (3.1). Seeded servers have room for any benchmark."""
        if self.options.user_cap is not None:
            return self.options.user_cap * 4 // 5, self.options.user_cap
        if not self.options.empty:
            return 8_000_000, 10_000_000
        return (200, 250) if self.options.release >= (11, 0) else (2_500, 5_000)

    def at_user_limit(self) -> bool:
        return self.active_people >= self.user_limits()[1]
