"""Which host is this machine: the one rule for whom a token may be told without encryption."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether a host is this machine for sure.

    Not `mm.localhost`: a resolver that does not know RFC 6761 asks the network for it, and gets any answer.
    """
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
