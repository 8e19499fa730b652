"""The cookies of a sign-in, as Mattermost's own page would set them, and the one that guards our button.

The web client needs MMUSERID beside MMAUTHTOKEN, and cannot change anything while an old MMCSRF is there (seen on
11.6.0). Mattermost cannot delete a cookie that has a Domain, so what another sign-in left with one is cleared, too.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from mmconsole.errors import LinkRefused
from mmconsole.services.magic_links import SignIn

_OURS: Final = ("MMAUTHTOKEN", "MMUSERID", "MMCSRF")
_VALUE: Final = re.compile(r"[A-Za-z0-9._~-]{1,200}\Z")
_GONE: Final = "Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"


def sign_in_cookies(entered: SignIn, *, public_url: str, mattermost_url: str) -> list[str]:
    """The Set-Cookie lines, in their order. They end with the browser's session, and stay on this host."""
    # The one place where a secret leaves for a browser.
    token = entered.token.reveal()
    if not _VALUE.match(token):
        raise LinkRefused(user_id=entered.user_id, why="its token cannot be a cookie")
    place = f"Path={urlsplit(mattermost_url).path or '/'}; SameSite=Lax{_secure(public_url)}"
    host = urlsplit(public_url).hostname or ""
    # Cleared first: a browser that takes both for one cookie must keep the one that is set.
    cleared = [f"{name}=; Domain={host}; {place}; {_GONE}" for name in _OURS]
    return [
        *cleared,
        f"MMCSRF=; {place}; {_GONE}",
        f"MMAUTHTOKEN={token}; {place}; HttpOnly",
        f"MMUSERID={entered.account_id}; {place}",
    ]


def are_sent_to(address: str, *, mattermost_url: str) -> bool:
    """Whether a browser sends Mattermost's cookies to an address of ours: those of a path stay below it."""
    path = urlsplit(mattermost_url).path.rstrip("/")
    return f"{urlsplit(address).path}/".startswith(f"{path}/")


def signed_in_as_another(sent: Mapping[str, str], account_id: str | None) -> bool:
    """Whether a browser has a session of Mattermost's that is, by what it says, not this account's."""
    return bool(sent.get("MMAUTHTOKEN")) and sent.get("MMUSERID") != account_id


def nonce_cookie_name(public_url: str) -> str:
    """With the prefix no other host of the domain can set it, but only https has that."""
    return "__Host-mmconsole-link" if _secure(public_url) else "mmconsole-link"


def nonce_cookie(nonce: str, *, public_url: str) -> str:
    name = nonce_cookie_name(public_url)
    return f"{name}={nonce}; Path=/; HttpOnly; SameSite=Strict; Max-Age=600{_secure(public_url)}"


def cleared_nonce(public_url: str) -> str:
    return f"{nonce_cookie_name(public_url)}=; Path=/; HttpOnly; SameSite=Strict; {_GONE}{_secure(public_url)}"


def _secure(public_url: str) -> str:
    return "; Secure" if public_url.startswith("https://") else ""
