"""`mmconsole serve` and `api-keys` as commands: the real server in a process of its own, over a real socket."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.cli.conftest import COMMAND, PATIENCE
from tests.web.clicks import A_CLICK

from mmconsole.simulator import Fault

if TYPE_CHECKING:
    from tests.cli.conftest import Shell


class Service:
    """A running `mmconsole serve`."""

    def __init__(self, shell: "Shell", *arguments: str, listen: str = "127.0.0.1:0") -> None:
        self.process = shell.start("--headless", "serve", "--listen", listen, *arguments)
        self.said: list[str] = []
        assert self.process.stderr is not None
        self.url = self.process.stderr.readline().strip().removeprefix("mmconsole listens on ")
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.said += self.process.stderr

    def get(self, path: str, **more: Any) -> httpx.Response:
        return httpx.get(path if "://" in path else self.url + path, timeout=PATIENCE, **more)

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        """Wait for its end."""
        code = self.process.wait(timeout=PATIENCE)
        self._reading.join()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return code

    @property
    def listens(self) -> bool:
        """Whether it takes another connection."""
        address = urlsplit(self.url)
        try:
            socket.create_connection((address.hostname, address.port), timeout=PATIENCE).close()
        except ConnectionRefusedError:
            return False
        return True

    @property
    def log(self) -> str:
        return "".join(self.said)


@pytest.fixture
def key(shell: "Shell") -> str:
    scopes = [word for scope in ("link", "sync", "channel", "project") for word in ("--scope", scope)]
    made = shell("api-keys", "create", "billing", *scopes)
    assert made.code == 0, made.err
    return made.out.strip()


def test_a_key_is_shown_once(shell: "Shell", key: str) -> None:
    listed, as_json = shell("api-keys", "list"), shell("api-keys", "list", "--json")
    secret = key.split("_", 2)[2]

    assert key.startswith("mmc_")
    assert "billing" in listed.out
    assert as_json.lines[0]["scopes"] == ["channel", "link", "project", "sync"]
    assert secret not in listed.out + as_json.out + repr(shell.sql("SELECT * FROM mmconsole_api_keys"))
    assert shell("api-keys", "revoke", "billing").code == 0
    assert shell("api-keys", "revoke", "billing").code == 1


@pytest.mark.usefixtures("key")
def test_two_keys_that_work_have_two_names(shell: "Shell") -> None:
    twice = shell("api-keys", "create", "billing", "--scope", "link")
    shell("api-keys", "revoke", "billing")
    anew = shell("api-keys", "create", "billing", "--scope", "link")

    assert (twice.code, twice.out, anew.code) == (1, "", 0)
    assert "There is an API key `billing` already" in twice.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "billing"),
        ("create", "billing", "--scope", "everything"),
        ("create", "", "--scope", "link"),
        ("create", "x" * 65, "--scope", "link"),
        ("create", "billing", "--scope", "link", "--expires-in", "soon"),
        ("create", "billing", "--scope", "link", "--expires-in", "0"),
    ],
)
def test_a_key_that_makes_no_sense_is_a_usage_error(shell: "Shell", arguments: tuple[str, ...]) -> None:
    done = shell("api-keys", *arguments)

    assert done.code == 2
    assert done.out == ""


def test_the_service_makes_and_redeems_a_link_and_ends_well(shell: "Shell", key: str) -> None:
    ann = shell.add("ann@example.org")
    service = Service(shell)
    by_key = {"authorization": f"Bearer {key}"}

    synced = httpx.post(f"{service.url}/api/mattermost/users/{ann}/sync", headers=by_key, timeout=PATIENCE)
    link = service.get("/api/mattermost/magic-link", params={"user": ann}, headers=by_key)
    path = link.json()["url"].removeprefix(f"http://127.0.0.1:{urlsplit(shell.server.url).port}")
    first = service.get(path, headers=A_CLICK)
    again = service.get(path, headers=A_CLICK)
    code = service.end()

    assert [synced.status_code, link.status_code, first.status_code, again.status_code] == [200, 200, 303, 410]
    assert first.headers["location"] == f"{shell.server.url}/"
    assert code == 0
    assert "GET /api/mattermost/redirect 303" in service.log
    for secret in (link.json()["token"], key.split("_", 2)[2], path.partition("ticket=")[2]):
        assert not [at for at in range(len(secret) - 8) if secret[at : at + 8] in service.log]
        assert secret not in " ".join(service.process.args)  # type: ignore[arg-type]


def test_it_listens_on_a_unix_socket_and_takes_over_one_that_is_left(shell: "Shell") -> None:
    path = shell.folder / "web.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    service = Service(shell, listen=f"unix:{path}")

    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
        healthy = client.get("http://x/healthz")
    mode = path.stat().st_mode & 0o777
    second = shell("serve", "--listen", f"unix:{path}")

    assert healthy.json() == {"status": "ok"}
    assert mode == 0o660
    assert second.code == 1
    assert "Address already in use" in second.err
    assert service.end() == 0
    assert not path.exists()


def test_several_processes_answer(shell: "Shell") -> None:
    service = Service(shell, "--workers", "2")
    assert service.get("/healthz").status_code == 200

    code = service.end()

    assert code == 0
    with pytest.raises(httpx.ConnectError):
        service.get("/healthz")


def test_of_a_thousand_redemptions_in_two_processes_one_signs_in(shell: "Shell", key: str) -> None:
    shell.set(web__rate={"address": 100_000})
    ann = shell.add("ann@example.org")
    assert shell("sync", "--all").code == 0
    service = Service(shell, "--workers", "2")
    link = service.get("/api/mattermost/magic-link", params={"user": ann}, headers={"authorization": f"Bearer {key}"})
    path = urlsplit(link.json()["url"])._replace(scheme="", netloc="").geturl()

    def redeem(times: int) -> list[int]:
        with httpx.Client(base_url=service.url, timeout=PATIENCE, headers=A_CLICK) as browser:
            return [browser.get(path).status_code for _ in range(times)]

    with ThreadPoolExecutor(20) as crowd:
        statuses = [status for seen in crowd.map(redeem, [50] * 20) for status in seen]
    counted = service.get("/metrics").text
    code = service.end()

    assert code == 0
    assert Counter(statuses) == {303: 1, 410: 999}
    # Whichever process is asked, it tells of both.
    assert 'mmconsole_http_seconds_count{route="/api/mattermost/redirect"} 1000.0' in counted
    assert shell.sql("SELECT COUNT(*) FROM mmconsole_activity WHERE verb = 'link redeemed'") == [(1,)]
    assert shell.sql("SELECT COUNT(*) FROM mmconsole_activity WHERE verb = 'link used again'") == [(1,)]


def test_slow_clients_keep_nobody_else_away(shell: "Shell") -> None:
    service = Service(shell)
    host, port = service.url.removeprefix("http://").split(":")

    with ExitStack() as stack:
        for number in range(400):
            slow = stack.enter_context(socket.create_connection((host, int(port)), timeout=PATIENCE))
            slow.sendall(b"POST /api/mattermost/redirect HTTP/1.1\r\nhost: x\r\n"[: 10 + number % 40])
        answers = {service.get("/healthz").status_code for _ in range(20)}

    assert answers == {200}
    assert service.end() == 0


def test_workers_that_cannot_start_end_the_service(shell: "Shell") -> None:
    shell.set(web__jwt={"algorithms": ["HS256"]})

    done = shell("serve", "--listen", "127.0.0.1:0", "--workers", "2")

    assert done.code == 1
    assert "web.jwt.issuer" in done.err


SUPERVISED = """
import os, sys, time
from mmconsole.web import workers
workers._TOO_SOON = float(sys.argv[1])
def work(place):
    # One write each, also with PYTHONUNBUFFERED: both children write into the same pipe.
    os.write(1, b"%d %d\\n" % (os.getpid(), place))
    time.sleep(600)
    return 0
sys.exit(workers.supervise(2, work))
"""


def _worker(said: str) -> tuple[int, int]:
    """Its process, and which one it is."""
    process, place = said.split()
    return int(process), int(place)


@pytest.mark.parametrize(("too_soon", "code"), [("0", 0), ("600", 1)])
def test_a_process_that_dies_is_replaced_unless_that_is_of_no_use(too_soon: str, code: int) -> None:
    command = [sys.executable, "-c", SUPERVISED, too_soon]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        assert parent.stdout is not None
        try:
            places = dict(_worker(parent.stdout.readline()) for _ in range(2))
            killed = min(places)
            os.kill(killed, signal.SIGKILL)
            if too_soon == "0":
                replacing, place = _worker(parent.stdout.readline())
                assert place == places[killed]
                places[replacing] = place
                parent.terminate()
            ended = parent.wait(timeout=PATIENCE)
        finally:
            parent.terminate()

    assert ended == code
    for child in places:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)


def test_it_speaks_tls_with_a_certificate(shell: "Shell") -> None:
    certificate, private = shell.folder / "cert.pem", shell.folder / "key.pem"
    make_certificate(certificate, private)
    shell.set(web__tls_certificate=str(certificate), web__tls_key=str(private))
    service = Service(shell)
    context = ssl.create_default_context(cafile=str(certificate))

    answer = service.get("/healthz", verify=context)

    assert service.url.startswith("https://")
    assert answer.status_code == 200
    assert service.end() == 0


def test_a_request_under_way_is_answered_before_the_end(shell: "Shell", key: str) -> None:
    ann = shell.add("ann@example.org")
    assert shell("sync", "--all").code == 0
    # A token that was tried within the hour needs no call, which could be slow.
    shell.sql("UPDATE mmconsole_tokens SET checked_at = checked_at - 90000000000")
    service = Service(shell)
    held = shell.simulator.faults.add(Fault("hold", path="/users/{id}/teams"))
    seen: list[httpx.Response] = []

    def ask() -> None:
        by_key = {"authorization": f"Bearer {key}"}
        seen.append(service.get("/api/mattermost/magic-link", params={"user": ann}, headers=by_key))

    asking = threading.Thread(target=ask)
    asking.start()
    shell.until(lambda: held.holding)
    service.process.terminate()
    shell.until(lambda: not service.listens)
    held.let_go()
    code = service.ended()
    asking.join()

    assert [answer.status_code for answer in seen] == [200]
    assert code == 0


def test_its_log_can_be_read_by_programs(shell: "Shell", key: str) -> None:
    shell.set(web__log="json")
    service = Service(shell)

    service.get("/api/mattermost/magic-link", params={"user": "17"}, headers={"authorization": f"Bearer {key}"})
    service.end()

    lines = [json.loads(line) for line in service.log.splitlines() if line.startswith("{")]
    (asked,) = [line for line in lines if line.get("path") == "/api/mattermost/magic-link"]
    assert set(asked) == {
        *("at", "level", "request_id", "method", "path", "status", "milliseconds", "address", "caller"),
    }
    assert (asked["method"], asked["status"], asked["caller"]) == ("GET", 404, "key billing")


def test_a_head_without_end_is_cut_off(shell: "Shell") -> None:
    service = Service(shell)
    host, port = service.url.removeprefix("http://").split(":")

    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        with pytest.raises(ConnectionError):
            send_for_ever(connection)
    alive = service.get("/healthz")

    assert alive.status_code == 200
    assert service.end() == 0


@pytest.mark.parametrize(
    ("settings", "arguments", "code", "word"),
    [
        ({"public_url": "https://elsewhere.example"}, (), 2, "its host must be Mattermost's, 127.0.0.1"),
        ({"mattermost_url": "http://chat.example.org"}, (), 2, "must not travel in the clear"),
        ({}, ("--listen", "nowhere"), 2, "one that looks like 127.0.0.1:8075"),
        ({}, ("--listen", "unix:/nowhere/x.sock"), 1, "No such file"),
        ({"tls_key": "/nowhere"}, (), 1, "there is no file /nowhere"),
        ({"jwt": {"algorithms": ["HS256"], "issuer": "i", "audience": "a"}}, (), 1, "32 bytes"),
    ],
)
def test_what_cannot_be_served_is_told_at_the_start(
    shell: "Shell", settings: dict[str, Any], arguments: tuple[str, ...], code: int, word: str
) -> None:
    empty = shell.folder / "secret"
    empty.touch(mode=0o600)
    shell.set(**{f"web__{name}": value for name, value in settings.items()})
    if "jwt" in settings:
        shell.set(web__jwt__secret={"source": "file", "file": str(empty)})

    done = shell("serve", *(arguments or ("--listen", "127.0.0.1:0")))

    assert done.code == code
    assert word in done.err


def send_for_ever(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"x: " + b"y" * 1_000 + b"\r\n")


def make_certificate(certificate: Path, private: Path) -> None:
    """One for this machine, good for a day."""
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject]
    subprocess.run([*command, "-keyout", str(private), "-out", str(certificate)], check=True, capture_output=True)


@pytest.mark.skipif(
    shutil.which("systemd-socket-activate") is None and os.environ.get("CI") != "true",
    reason="there is no systemd here",
)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_takes_a_socket_that_systemd_has_opened(shell: "Shell", workers: str) -> None:
    path = shell.folder / "handed.sock"
    service = Activated(shell, path, "--workers", workers)

    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), timeout=PATIENCE) as client:
        healthy = client.get("http://x/healthz")
    code = service.end()

    assert healthy.json() == {"status": "ok"}
    assert code == 0
    assert f"mmconsole listens on unix:{path}" in service.log
    assert path.exists(), "the socket is systemd's, and stays"


def test_without_a_socket_of_systemds_it_says_so(shell: "Shell") -> None:
    done = shell("serve", "--listen", "systemd")

    assert done.code == 1
    assert "systemd has handed over no socket" in done.err


class Activated:
    """`mmconsole serve` as systemd starts it: at the first connection, with the socket in its hand."""

    def __init__(self, shell: "Shell", path: Path, *arguments: str) -> None:
        command = ["systemd-socket-activate", "-l", str(path), COMMAND, "--headless", "serve", "--listen", "systemd"]
        environment = shell.saved()
        # It passes on nothing of its environment that is not named.
        named = [word for name, value in environment.items() for word in ("-E", f"{name}={value}")]
        command[1:1] = named
        self._said = shell.folder / "said.txt"
        with self._said.open("w", encoding="utf-8") as said:
            self.process = subprocess.Popen([*command, *arguments], env=environment, stderr=said, text=True)
        shell.until(path.exists)

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=PATIENCE)

    @property
    def log(self) -> str:
        return self._said.read_text(encoding="utf-8")
