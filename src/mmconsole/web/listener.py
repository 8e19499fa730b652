"""Where the service listens: a port, a Unix socket or a socket of systemd's, with or without TLS."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mmconsole.config import WebSettings
from mmconsole.errors import CannotListen, NoAddress

_UNIX: Final = "unix:"
_SYSTEMD: Final = "systemd"
_FIRST_HANDED: Final = 3
"""The number of the first file that systemd hands over (sd_listen_fds)."""
_BACKLOG: Final = 2_048
_LARGEST_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class Listener:
    socket: socket.socket
    address: str
    """As people write it; with the port that was taken where 0 was asked for."""
    certificate: Path | None = None
    key: Path | None = None


@contextmanager
def listening(settings: WebSettings) -> Iterator[Listener]:
    """Listen where the settings say. Raises CannotListen and NoAddress."""
    certificate, key = settings.tls_certificate, settings.tls_key
    for file in (certificate, key):
        if file is not None and not file.is_file():
            raise CannotListen(
                address=settings.listen, why=f"there is no file {file}; correct `web.tls_certificate` or `web.tls_key`"
            )
    if key is not None and certificate is None:
        raise CannotListen(address=settings.listen, why="`web.tls_key` needs `web.tls_certificate`")
    path = Path(settings.listen.removeprefix(_UNIX)) if settings.listen.startswith(_UNIX) else None
    try:
        opened = _opened(settings.listen, path)
    except OSError as fault:
        # Python adds to some what it has just tried.
        why = (fault.strerror or str(fault)).partition(" (while attempting")[0]
        cure = "name another address with --listen, or as `web.listen`"
        raise CannotListen(address=settings.listen, why=f"{why}; {cure}") from fault
    try:
        yield Listener(opened, _address(opened, encrypted=certificate is not None), certificate, key)
    finally:
        opened.close()
        if path is not None:
            path.unlink(missing_ok=True)


def _opened(listen: str, path: Path | None) -> socket.socket:
    if path is not None:
        return _open_unix(path)
    return _handed_over() if listen == _SYSTEMD else _open_socket(listen)


def _handed_over() -> socket.socket:
    """The one socket that systemd has opened for this process, and listens on already. Raises CannotListen."""
    if os.environ.pop("LISTEN_PID", "") != str(os.getpid()) or os.environ.pop("LISTEN_FDS", "") != "1":
        raise CannotListen(address=_SYSTEMD, why="systemd has handed over no socket, or several; see deploy/")
    opened = socket.socket(fileno=_FIRST_HANDED)
    if not opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise CannotListen(address=_SYSTEMD, why="what systemd has handed over is no socket that listens")
    opened.set_inheritable(False)
    _spare_acknowledgements(opened)
    return opened


def _open_socket(listen: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not port.isdecimal() or int(port) > _LARGEST_PORT or not host:
        raise NoAddress(address=listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.create_server((host, int(port)), family=family, backlog=_BACKLOG)
    _spare_acknowledgements(opened)
    return opened


def _spare_acknowledgements(opened: socket.socket) -> None:
    """Inherited by each connection: without it an answer may wait 40 ms for an acknowledgement."""
    if opened.family != socket.AF_UNIX:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _open_unix(path: Path) -> socket.socket:
    if path.is_socket() and not _answers(path):
        # Left over by a process that was killed.
        path.unlink()
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        opened.bind(str(path))
        # The web server's user is usually in our group, and nobody else has business here.
        path.chmod(0o660)
        opened.listen(_BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def _address(opened: socket.socket, *, encrypted: bool) -> str:
    """As people write it."""
    if opened.family == socket.AF_UNIX:
        return f"{_UNIX}{opened.getsockname()}"
    host, port = opened.getsockname()[:2]
    named = f"[{host}]" if ":" in host else host
    return f"{'https' if encrypted else 'http'}://{named}:{port}"
