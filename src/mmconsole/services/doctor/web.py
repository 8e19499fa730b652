"""The HTTP service as strangers find it: whether the web server before it forwards what it must, and nothing else.

Everything is asked through the public address, so it tells of the proxy as much as of the service.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from mmconsole.config import Settings
from mmconsole.domain.findings import Finding, Sheet
from mmconsole.domain.hosts import is_loopback
from mmconsole.errors import MmconsoleError
from mmconsole.mattermost.outside import Seen, look_from_outside

NAMES: Final = ("one host", "encrypted", "mattermost", "forwarded", "headers kept", "proxy header", "inside hidden")
_TICKET: Final = "a-look-from-outside"
_NOBODY: Final = "mmconsole-doctor"
"""An id of no user: whoever is believed to be this one hears that there is no such user."""
_USUAL_HEADER: Final = "X-Remote-User"
_CURE: Final = "Take the lines of deploy/nginx.conf or deploy/Caddyfile as they are."
_KEPT: Final = ("content-security-policy", "x-frame-options", "referrer-policy", "cache-control")
_PAGE: Final = "This link cannot be used"
_OK: Final = 200
_NOT_AUTHENTICATED: Final = 401
_NOT_FOUND: Final = 404
_TOO_MANY: Final = 429
_NOBODY_BEHIND: Final = frozenset({502, 503, 504})
_INSIDE: Final = {"/metrics": "# HELP mmconsole", "/openapi.json": '"openapi"', "/docs": "mmconsole"}


@dataclass(frozen=True, slots=True)
class _Places:
    public: str
    mattermost: str


class WebCheck:
    def __init__(self, settings: Settings, *, look: Callable[..., Awaitable[Seen]] = look_from_outside) -> None:
        self._settings = settings
        self._look = look

    async def run(self, url: str | None = None) -> tuple[Finding, ...]:
        """All findings. `url` is the service's public address, where it is another one than `web.public_url`."""
        sheet = Sheet("web", NAMES)
        try:
            places = self._places(url)
            self._judge_settings(places, sheet)
            await self._look_at_mattermost(places, sheet)
            seen = await self._look(f"{places.public}/api/mattermost/redirect?ticket={_TICKET}")
            if _is_forwarded(seen, sheet):
                _judge_headers(seen, sheet)
                await self._forge(places, sheet)
                await self._pry(places, sheet)
        except MmconsoleError as fault:
            return tuple(sheet.findings(otherwise=f"Not looked at: {fault}"))
        return tuple(sheet.findings(otherwise="Not looked at, since the service is not found there."))

    def _places(self, url: str | None) -> _Places:
        """Raises MissingSetting."""
        mattermost = self._settings.values.web.mattermost_url or self._settings.server
        public = (url or self._settings.public_url or mattermost).rstrip("/")
        return _Places(public, mattermost.rstrip("/"))

    @staticmethod
    def _judge_settings(places: _Places, sheet: Sheet) -> None:
        ours, theirs = urlsplit(places.public), urlsplit(places.mattermost)
        if ours.hostname == theirs.hostname:
            sheet.yes("one host", f"The service and Mattermost are both at {theirs.hostname}.")
        else:
            sentence = (
                f"The service is at {ours.hostname}, Mattermost at {theirs.hostname}, and cookies stay on a host."
            )
            sheet.no("one host", sentence, f"Set `web.public_url` to an address at {theirs.hostname}. {_CURE}")
        if ours.scheme == "https":
            sheet.yes("encrypted", "Links travel over https.")
        elif is_loopback(ours.hostname or ""):
            sheet.yes("encrypted", "They are not, and need not be on this machine.")
        else:
            sheet.no("encrypted", "Links and cookies travel in the clear.", "Use https.")

    async def _look_at_mattermost(self, places: _Places, sheet: Sheet) -> None:
        seen = await self._look(f"{places.mattermost}/api/v4/system/ping")
        if seen.status == _OK and "x-version-id" in seen.headers:
            sheet.yes("mattermost", f"Mattermost answers at {places.mattermost}.")
        else:
            cure = "Set `web.mattermost_url` to the address that people open."
            sheet.no("mattermost", f"What answers at {places.mattermost} is not Mattermost ({seen.status}).", cure)

    async def _forge(self, places: _Places, sheet: Sheet) -> None:
        """Come as somebody whom the web server has signed in, which only the web server itself may say."""
        proxy = self._settings.values.web.proxy
        forged = {
            proxy.header or _USUAL_HEADER: _NOBODY,
            proxy.secret_header: "forged",
            "X-Forwarded-For": "127.0.0.1",
        }
        seen = await self._look(f"{places.public}/api/mattermost/magic-link", **forged)
        if seen.status == _NOT_AUTHENTICATED:
            sheet.yes("proxy header", "Whoever sends it themselves is not believed.")
        else:
            sentence = f"A stranger who sends `{proxy.header or _USUAL_HEADER}` is believed ({seen.status})."
            sheet.no(
                "proxy header", sentence, f"The web server must overwrite it at once, before anything else. {_CURE}"
            )

    async def _pry(self, places: _Places, sheet: Sheet) -> None:
        web = self._settings.values.web
        meant = {"/metrics"} if web.metrics == "everybody" else set()
        meant |= {"/docs", "/openapi.json"} if web.docs == "everybody" else set()
        for path, sign in _INSIDE.items():
            # Without a header that tells of a proxy: only the web server itself may add one.
            seen = await self._look(f"{places.public}{path}")
            if path not in meant and seen.status == _OK and sign in seen.body:
                cure = f"Forward /api/mattermost/ and nothing else. {_CURE}"
                sheet.no("inside hidden", f"Strangers can see {path}.", cure)
                return
        sheet.yes("inside hidden", "Strangers see neither metrics nor the description of the calls.")


def _is_forwarded(seen: Seen, sheet: Sheet) -> bool:
    """Whether it is the service that answered, and not the web server or Mattermost."""
    if seen.status == _NOT_FOUND and "x-request-id" in seen.headers and _PAGE in seen.body:
        sheet.yes("forwarded", "The web server forwards links to the service.")
        return True
    if seen.status in _NOBODY_BEHIND:
        sentence = f"The web server forwards links, and the service does not answer it ({seen.status})."
        sheet.no("forwarded", sentence, "Start it (`mmconsole serve`), where the web server looks for it.")
    elif seen.status == _TOO_MANY:
        sheet.unknown("forwarded", "The service says that this address asks too much.", "Try again in a minute.")
    else:
        sentence = f"Something else answers where links are opened ({seen.status})."
        sheet.no("forwarded", sentence, f"The web server must forward /api/mattermost/ to the service. {_CURE}")
    return False


def _judge_headers(seen: Seen, sheet: Sheet) -> None:
    lost = [name for name in _KEPT if name not in seen.headers]
    if lost:
        sheet.no("headers kept", f"The web server takes away {', '.join(lost)}.", "Let it pass them on.")
    else:
        sheet.yes("headers kept", "The service's own headers arrive.")
