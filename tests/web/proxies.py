"""nginx and Caddy with the files of deploy/, as Debian has them: the service and Mattermost under one host name."""

import asyncio
import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
SERVICE = "127.0.0.1:8075"
MATTERMOST = "127.0.0.1:8065"
HOST = "chat.example.org"


def found(program: str) -> str | None:
    """A program that Debian may keep outside of PATH."""
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


def needs(program: str) -> pytest.MarkDecorator:
    missing = found(program) is None and os.environ.get("CI") != "true"
    return pytest.mark.skipif(missing, reason=f"there is no {program} here")


@dataclass(frozen=True)
class Site:
    """What stands behind a proxy, and the certificate it shows."""

    service: str
    mattermost: str
    folder: Path
    changes: dict[str, str] = field(default_factory=dict)
    """Mistakes that somebody made with our own file."""

    @property
    def certificate(self) -> Path:
        return self.folder / "cert.pem"

    @property
    def key(self) -> Path:
        return self.folder / "key.pem"

    def pasted(self, file: str) -> str:
        """A file of deploy/ with the addresses of this machine in it."""
        text = (DEPLOY / file).read_text(encoding="utf-8")
        for right, wrong in self.changes.items():
            assert right in text
            text = text.replace(right, wrong)
        return text.replace(SERVICE, self.service).replace(MATTERMOST, self.mattermost)


@dataclass(frozen=True)
class Proxy:
    """A web server at work."""

    port: int
    folder: Path
    process: asyncio.subprocess.Process

    @property
    def logs(self) -> str:
        return "".join(file.read_text(encoding="utf-8") for file in sorted(self.folder.glob("*.log")))

    async def logged(self, text: str) -> None:
        """Wait until its logs say something: what it writes after an answer may be late."""
        while text not in self.logs:  # noqa: ASYNC110 - a file tells nobody that it grew
            await asyncio.sleep(0.01)


def make_certificate(site: Site) -> None:
    subject = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST},IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject]
    subprocess.run([*command, "-keyout", str(site.key), "-out", str(site.certificate)], check=True, capture_output=True)


def nginx_files(site: Site, port: int) -> Path:
    """Mattermost's own server block, as its documentation has it, with the one line of deploy/nginx.conf."""
    (site.folder / "mmconsole.conf").write_text(site.pasted("nginx.conf"), encoding="utf-8")
    main = site.folder / "nginx.conf"
    places = " ".join(f"{kind}_temp_path {site.folder}/{kind};" for kind in _TEMPORARY)
    main.write_text(
        f"""
        daemon off; pid {site.folder}/nginx.pid; error_log {site.folder}/error.log info;
        {f"user {getpass.getuser()};" if os.geteuid() == 0 else ""}
        events {{}}
        http {{
            {places}
            access_log {site.folder}/access.log combined;
            server {{
                listen 127.0.0.1:{port} ssl;
                server_name {HOST};
                ssl_certificate {site.certificate};
                ssl_certificate_key {site.key};
                location ~ /api/v[0-9]+/(users/)?websocket$ {{ proxy_pass http://{site.mattermost}; }}
                location / {{ proxy_pass http://{site.mattermost}; proxy_set_header Host $http_host; }}
                include {site.folder}/mmconsole.conf;
            }}
        }}
        """,
        encoding="utf-8",
    )
    return main


def nginx_command(site: Site, port: int) -> list[str]:
    main = nginx_files(site, port)
    return [found("nginx") or "nginx", "-p", str(site.folder), "-c", str(main), "-e", f"{site.folder}/error.log"]


def caddy_command(site: Site, port: int) -> list[str]:
    """deploy/Caddyfile with a certificate of our own, and without what is the machine's (port 80, admin port)."""
    text = site.pasted("Caddyfile")
    text = text.replace("{\n", "{\n\tadmin off\n\tauto_https disable_redirects\n", 1)
    at = f"https://{HOST} {{\n"
    assert at in text
    text = text.replace(
        at,
        f"https://{HOST}:{port}, https://127.0.0.1:{port} {{\n\tbind 127.0.0.1\n\ttls {site.certificate} {site.key}\n",
    )
    file = site.folder / "Caddyfile"
    file.write_text(text, encoding="utf-8")
    return [found("caddy") or "caddy", "run", "--adapter", "caddyfile", "--config", str(file)]


COMMANDS: dict[str, Callable[[Site, int], list[str]]] = {"nginx": nginx_command, "caddy": caddy_command}
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@asynccontextmanager
async def running(name: str, site: Site) -> AsyncIterator[Proxy]:
    """A proxy before a site, from the moment it answers."""
    if not site.certificate.exists():
        make_certificate(site)
    port = _free_port()
    command = COMMANDS[name](site, port)
    environment = os.environ | {"HOME": str(site.folder), "XDG_DATA_HOME": str(site.folder)}
    with (site.folder / "said.log").open("wb") as said:
        process = await asyncio.create_subprocess_exec(*command, stdout=said, stderr=said, env=environment)
    proxy = Proxy(port, site.folder, process)
    try:
        await _answers(proxy)
        yield proxy
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _answers(proxy: Proxy) -> None:
    while True:
        assert proxy.process.returncode is None, proxy.logs
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port
