"""The server's address: what is allowed to be one, and the URL of each call."""

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from mmconsole.domain.hosts import is_loopback
from mmconsole.errors import InsecureTransport, InvalidSetting

_API = "/api/v4"
_SHOULD_BE = "it must look like https://chat.example.org or https://example.org/chat"


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is: scheme, host, port and, where it shares the host, its subpath."""

    text: str
    encrypted: bool

    def url_of(self, path: str, query: str = "") -> str:
        """The URL of an API path. It never carries a secret."""
        return f"{self.text}{_API}{path}?{query}" if query else f"{self.text}{_API}{path}"


def checked_address(url: str, *, allow_http: bool = False) -> Address:
    """The address a URL names.

    Raises InvalidSetting for what cannot be one, and InsecureTransport for http to anywhere but this machine.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError as fault:
        raise _invalid() from fault
    if parts.scheme not in {"http", "https"} or not host or _has_more(parts):
        raise _invalid()
    text = f"{parts.scheme}://{_bracketed(host)}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
    if parts.scheme == "http" and not allow_http and not is_loopback(host):
        raise InsecureTransport(server=text)
    return Address(text, encrypted=parts.scheme == "https")


def _has_more(parts: SplitResult) -> bool:
    """A user, password, query or fragment: nothing of that belongs to an address, and it may be a secret."""
    return "@" in parts.netloc or bool(parts.query or parts.fragment)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _invalid() -> InvalidSetting:
    # The address itself is left out: it may hold a password.
    return InvalidSetting(where="settings", key="mattermost.url", value="this", why=_SHOULD_BE)
