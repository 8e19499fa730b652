"""The only door to Mattermost, and the only room that imports httpx and aiohttp.

`open_client` is the way in; answers are values of `mmconsole.domain`, faults are leaves of `mmconsole.errors`.
Importing the room loads neither library; a `MattermostClient` is met by who has opened one.
"""

from mmconsole.mattermost.limits import MEMBERS_AT_ONCE
from mmconsole.mattermost.opening import open_client
from mmconsole.mattermost.pace import Pace

__all__ = ["MEMBERS_AT_ONCE", "Pace", "open_client"]
