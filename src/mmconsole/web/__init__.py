"""The HTTP service: magic links, and the application's calls. The only door to FastAPI.

It is given a `Gateway` and nothing else of the core, so nothing a stranger can reach leads to the other services.
"""

from mmconsole.web.app import make_app
from mmconsole.web.journal import set_up_log
from mmconsole.web.listener import Listener, listening
from mmconsole.web.serving import Signals, serve
from mmconsole.web.shared import Shared
from mmconsole.web.workers import supervise

__all__ = ["Listener", "Shared", "Signals", "listening", "make_app", "serve", "set_up_log", "supervise"]
