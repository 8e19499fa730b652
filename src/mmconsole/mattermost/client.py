"""The client of one Mattermost server: one method per call, each answering with values of the domain.

Calls made for a user take that user's secret; all others are made with the admin token given to `open_client`. Which
credential an operation uses is decided by the services, never here.
"""

from mmconsole.domain.secrets import Secret
from mmconsole.mattermost.accounts import AccountCalls
from mmconsole.mattermost.channels import ChannelCalls
from mmconsole.mattermost.exchange import Exchange
from mmconsole.mattermost.pace import Pace
from mmconsole.mattermost.server import ServerCalls
from mmconsole.mattermost.teams import TeamCalls
from mmconsole.mattermost.tokens import TokenCalls


class MattermostClient(AccountCalls, TokenCalls, TeamCalls, ChannelCalls, ServerCalls):
    """What can be asked of a server. Every method raises leaves of MattermostError and nothing else of this room's."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    @property
    def server(self) -> str:
        """The server's address."""
        return self._exchange.server

    def use_admin_token(self, token: Secret) -> None:
        """Ask with this one from now on, in place of one that the server does not accept any more."""
        self._exchange.use_admin_token(token)

    @property
    def pace(self) -> Pace:
        """How many calls are on the way at once, and how long the server wants everybody to wait."""
        return self._exchange.pace

    @property
    def last_request_id(self) -> str:
        """The server's id of the last call that this task made, for the activity row; empty when it said none."""
        return self._exchange.last_request_id

    def server_time_ms(self) -> int:
        """The server's milliseconds since 1970 by its last answer, to about a second."""
        return self._exchange.clock.now_ms()
