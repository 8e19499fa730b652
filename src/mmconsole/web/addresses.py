"""Where a request comes from: the peer, or what a proxy that is trusted says of it."""

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Final

from starlette.requests import Request

from mmconsole.domain.hosts import is_loopback

_FORWARDED: Final = frozenset({b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"forwarded", b"via"})
SOCKET: Final = "unix"
"""The peer of a Unix socket: whoever may open its file."""


@dataclass(frozen=True, slots=True)
class Origin:
    address: str
    by_proxy: bool
    """Whether the peer is one whose word counts (`web.proxy.trusted`)."""
    local: bool
    """Whether it comes from this very machine, and through no proxy."""

    @property
    def counted(self) -> str:
        """As whom its requests are counted: one household has 2^64 addresses of IPv6."""
        return str(ip_network(f"{self.address}/64", strict=False)) if ":" in self.address else self.address


def origin_of(request: Request, *, trusted: tuple[str, ...]) -> Origin:
    peer = _plain(request.client.host) if request.client else SOCKET
    forwarded = not _FORWARDED.isdisjoint(name for name, _ in request.scope["headers"])
    believed = peer == SOCKET or _is_among(peer, trusted)
    if not forwarded:
        return Origin(peer, believed, peer == SOCKET or _is_this_machine(peer))
    # A proxy may add a line of its own behind the client's, which together are one list.
    lines = request.headers.getlist("x-forwarded-for")
    address = _told(",".join(lines), trusted) if believed else None
    return Origin(address or peer, believed, local=False)


def _told(header: str, trusted: tuple[str, ...]) -> str | None:
    """The last address of the list that is none of our proxies': those before it are the client's own words."""
    for text in reversed([part.strip() for part in header.split(",")]):
        try:
            address = _plain(str(ip_address(text)))
        except ValueError:
            return None
        if not _is_among(address, trusted):
            return address
    return None


def _plain(address: str) -> str:
    """Without the interface of a link-local address, which is any text; and one of IPv4 as such.

    A socket for both families says `::ffff:192.0.2.1`, and all of these are in one /64.
    """
    bare = address.partition("%")[0]
    mapped = ip_address(bare) if bare.startswith("::ffff:") else None
    return str(getattr(mapped, "ipv4_mapped", None) or bare)


# Requests come from few peers, and to read an address costs as much as to find a route.
_is_this_machine = lru_cache(maxsize=1024)(is_loopback)


@lru_cache(maxsize=1024)
def _is_among(address: str, networks: tuple[str, ...]) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in ip_network(one, strict=False) for one in networks)
