"""The only door to Mattermost, and the only room that imports httpx and aiohttp.

`open_client` is the way in; answers are values of `mmconsole.domain`, faults are leaves of `mmconsole.errors`.
"""

from mmconsole.mattermost.client import MattermostClient, open_client
from mmconsole.mattermost.exchange import HttpDiagnostic, Timing
from mmconsole.mattermost.pace import Pace
from mmconsole.mattermost.tokens import Session

__all__ = ["HttpDiagnostic", "MattermostClient", "Pace", "Session", "Timing", "open_client"]
