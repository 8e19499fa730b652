"""Which host is this machine."""

import pytest

from mmconsole.domain.hosts import is_loopback


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["mm.localhost", "localhost.example.org", "127.0.0.1.example.org", "10.0.0.1", "0.0.0.0", "::2", ""]
)
def test_another_one_or_one_that_only_the_resolver_knows(host: str) -> None:
    assert not is_loopback(host)
