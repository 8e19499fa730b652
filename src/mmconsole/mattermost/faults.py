"""Every fault of the wire and of Mattermost, translated at this room's door into a leaf of `mmconsole.errors`.

Only a definite answer of Mattermost itself says that something is dead, gone or refused: a 401 or 404 of a proxy is
none. Decisions are made on the error's `id`; its message is localised and never looked at. What a create answers to
anything but a definite refusal is AnswerLost, since it may have acted.
"""

from typing import Final
from urllib.parse import urlsplit

import httpx
import msgspec

from mmconsole.domain.text import visible
from mmconsole.errors import (
    AccountDeactivated,
    AdminTokenDead,
    AnswerLost,
    ChannelNameTaken,
    DefaultChannel,
    EmailTaken,
    Garbled,
    ManagedByGroups,
    MattermostError,
    MfaDemanded,
    NotFound,
    NotMattermost,
    OutsideTeam,
    Refused,
    ServerFault,
    TeamFull,
    TokensSwitchedOff,
    TooManyChannels,
    Unauthorized,
    Unreachable,
    UserCapReached,
    UsernameTaken,
)
from mmconsole.mattermost.answers import Answer
from mmconsole.mattermost.routes import Effect, Route
from mmconsole.mattermost.schemas import AppError

_DEAD_SESSION: Final = "api.context.session_expired.app_error"
_NO_SUCH_ROUTE: Final = "api.context.404.app_error"
_TOKENS_OFF: Final = "app.user_access_token.disabled"
_LEAVES: Final[dict[str, type[Refused]]] = {
    "app.user.save.email_exists.app_error": EmailTaken,
    "app.user.save.username_exists.app_error": UsernameTaken,
    "app.team.join_user_to_team.max_accounts.app_error": TeamFull,
    "app.team.join_user_to_team.save_member.max_accounts.app_error": TeamFull,
    "api.user.create_user.user_limits.exceeded": UserCapReached,
    "api.user.create_user.license_user_limits.exceeded": UserCapReached,
    "app.user.update_active.user_limit.exceeded": UserCapReached,
    "app.user.update_active.license_user_limit.exceeded": UserCapReached,
    "api.context.mfa_required.app_error": MfaDemanded,
    "store.sql_channel.save_channel.exists.app_error": ChannelNameTaken,
    "api.channel.delete_channel.cannot.app_error": DefaultChannel,
    "app.channel.add_member.deleted_user.app_error": AccountDeactivated,
    "app.team.get_member.missing.app_error": OutsideTeam,
    "api.channel.add_user.to.channel.failed.deleted.app_error": OutsideTeam,
    "api.channel.add_members.user_denied": ManagedByGroups,
    "api.channel.create_channel.max_channel_limit.app_error": TooManyChannels,
}
"""Ids as of 11.6.0. Seen on it, but for the licence's, those of groups, of who left a team and of too many channels."""
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_GAVE_UP_WAITING: Final = frozenset({408, 499})
"""A proxy says so when it stopped waiting; the server behind it may have acted."""
_SHOWS_A_PAGE: Final = frozenset({302, 303})
"""How proxies lead to their maintenance page, also after the server has acted."""

_app_error: Final = msgspec.json.Decoder(AppError)


class Translator:
    """Knows the server's name and address for the sentences."""

    def __init__(self, server: str) -> None:
        self.server = server

    def of_wire(self, fault: httpx.RequestError, route: Route[object]) -> Unreachable:
        """What a broken connection means for this call."""
        why = str(fault) or "the connection broke"
        if route.effect is Effect.READ or isinstance(fault, _NOT_SENT):
            return Unreachable(server=self.server, why=why)
        return AnswerLost(server=self.server, call=route.name, why=why)

    def of_dead_token(self, route: Route[object], *, as_admin: bool) -> Unauthorized:
        """What it means that the server knows no session for a token, or that something cannot be one."""
        if as_admin:
            return AdminTokenDead(server=self.server)
        return Unauthorized(server=self.server, call=route.name)

    def of_content(self, answer: Answer, route: Route[object], why: str) -> MattermostError:
        """What a successful answer means that cannot be understood, or is about something else."""
        if answer.is_page:
            why = "it begins like a web page"
        if route.effect is Effect.ONCE:
            return AnswerLost(server=self.server, call=route.name, why=why)
        return (NotMattermost if answer.is_page else Garbled)(server=self.server, call=route.name, why=why)

    def of_status(self, answer: Answer, route: Route[object], *, as_admin: bool) -> MattermostError:
        """What an answer outside 200 to 299 means; 429 is the pace's business and not asked here."""
        status = answer.status
        if httpx.codes.is_redirect(status):
            return self._redirected(answer, route)
        said = _said(answer)
        if said == _TOKENS_OFF:
            return TokensSwitchedOff(server=self.server)
        if httpx.codes.is_server_error(status) and not (status == httpx.codes.NOT_IMPLEMENTED and said):
            return self._failed(answer, route)
        if not httpx.codes.is_error(status) or status in _GAVE_UP_WAITING:
            return self._unclear(answer, route)
        return self._refused(status, said, route, as_admin=as_admin) if said else self._of_somebody_else(answer, route)

    def _refused(self, status: int, said: str, route: Route[object], *, as_admin: bool) -> MattermostError:
        if status == httpx.codes.UNAUTHORIZED and said == _DEAD_SESSION:
            return self.of_dead_token(route, as_admin=as_admin)
        leaf = _LEAVES.get(said, Refused)
        if leaf is Refused and status == httpx.codes.NOT_FOUND and said != _NO_SUCH_ROUTE:
            leaf = NotFound
        return leaf(server=self.server, call=route.name, error_id=said, status=status)

    def _failed(self, answer: Answer, route: Route[object]) -> MattermostError:
        if route.effect is Effect.ONCE:
            return AnswerLost(server=self.server, call=route.name, why=f"it answered {answer.status}")
        return ServerFault(server=self.server, call=route.name, status=answer.status)

    def _unclear(self, answer: Answer, route: Route[object]) -> MattermostError:
        why = f"it answered {answer.status}"
        if route.effect is Effect.ONCE:
            return AnswerLost(server=self.server, call=route.name, why=why)
        return Garbled(server=self.server, call=route.name, why=why)

    def _of_somebody_else(self, answer: Answer, route: Route[object]) -> MattermostError:
        """A refusal without an error id: not Mattermost's own, so it says nothing about tokens and accounts."""
        if answer.is_page:
            return NotMattermost(server=self.server, call=route.name, why=f"status {answer.status}")
        why = f"status {answer.status} without an error id"
        return Garbled(server=self.server, call=route.name, why=why)

    def _redirected(self, answer: Answer, route: Route[object]) -> MattermostError:
        why = self._redirection(answer.header("location"))
        if route.effect is Effect.ONCE and answer.status in _SHOWS_A_PAGE:
            return AnswerLost(server=self.server, call=route.name, why=why)
        return NotMattermost(server=self.server, call=route.name, why=why)

    def _redirection(self, location: str) -> str:
        """Where it leads, without path and query: those may hold what is not ours to show."""
        try:
            target = urlsplit(location)
            host, port = target.hostname, target.port
        except ValueError:
            return "it redirects"
        here = urlsplit(self.server)
        if not host:
            return "it redirects to another path"
        if (here.scheme, target.scheme, host) == ("http", "https", here.hostname):
            secure = f"https://{host}{f':{port}' if port else ''}{here.path}"
            return visible(f"it redirects to {secure}: use that address")
        return visible(f"it redirects to {target.scheme}://{host}{f':{port}' if port else ''}")


def _said(answer: Answer) -> str:
    """The error's id, empty when there is none."""
    try:
        return _app_error.decode(answer.body).id
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
