"""Who is let in, and how little everybody else learns."""

import base64
import contextlib
import hashlib
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import BaseRequestHandler, TCPServer
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from mmconsole.config import JwtSettings
from mmconsole.domain.callers import Scope
from mmconsole.domain.secrets import Secret
from mmconsole.errors import DatabaseError, IssuerUnreachable, NotAuthenticated, SecretError
from mmconsole.secrets.jwt import JwtVerifier, fetch_key_set

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import World
    from tests.web.conftest import OpenSite, Site

LINK = "/api/mattermost/magic-link"
SHARED = "s" * 40
PROXY = "p" * 40


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic eDp5",
        "Bearer mmc_",
        "Bearer mmc_00000000_x",
        "Bearer mmc_x",
        "Bearer 1|abc",
        "Bearer a.b.c",
        "Bearer " + "x" * 9_000,
    ],
)
async def test_whoever_is_not_known_learns_nothing(site: "Site", ann: str, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}

    there = await site.browser().get(LINK, params={"user": ann}, headers=headers)
    not_there = await site.browser().get(LINK, params={"user": "999"}, headers=headers)

    assert there.status_code == not_there.status_code == 401
    assert there.headers["www-authenticate"] == "Bearer"
    assert there.headers["content-type"] == "application/problem+json"
    assert [there.json() | {"request_id": ""}] == [not_there.json() | {"request_id": ""}]


async def test_a_key_does_what_its_scopes_say(site: "Site", ann: str) -> None:
    key = await site.new_key(Scope.LINK)

    link = await site.ask("GET", LINK, key=key, params={"user": ann})
    others = [
        await site.ask("POST", f"/api/mattermost/users/{ann}/sync", key=key),
        await site.ask("POST", "/api/mattermost/channels/main%2Ftown-square/members", key=key, json={"user": ann}),
        await site.ask("PUT", "/api/mattermost/projects/7/channel", key=key, json={"name": "Seven"}),
        await site.ask("DELETE", "/api/mattermost/projects/7/channel", key=key),
    ]

    assert link.status_code == 200
    assert [other.status_code for other in others] == [403] * 4


async def test_a_key_ends_when_it_is_revoked_or_over(site: "Site", ann: str) -> None:
    short, long = await site.new_key(expires_in=timedelta(microseconds=1)), site.key
    over = await site.ask("GET", LINK, params={"user": ann}, key=short)
    before = await site.ask("GET", LINK, params={"user": ann}, key=long)
    for key in await site.core.callers.list():
        await site.core.callers.revoke(key.id)

    after = await site.ask("GET", LINK, params={"user": ann}, key=long)

    assert [over.status_code, before.status_code, after.status_code] == [401, 200, 401]


async def test_of_a_key_only_the_hash_is_stored_and_its_use_is_known(site: "Site", ann: str) -> None:
    await site.ask("GET", LINK, params={"user": ann})

    everything = repr(site.world.dump())
    secret = site.key.split("_", 2)[2]
    assert not any(secret[at : at + 8] in everything for at in range(len(secret) - 8))
    assert hashlib.sha256(site.key.encode()).hexdigest() in everything
    (used,) = [key.last_used_at for key in await site.core.callers.list()]
    assert used is not None


async def test_an_application_says_for_whom(site: "Site") -> None:
    answer = await site.ask("GET", LINK)

    assert answer.status_code == 400
    assert "`user`" in answer.json()["detail"]


async def test_a_user_who_is_not_there_is_a_404_for_who_may_ask(site: "Site") -> None:
    answer = await site.ask("GET", LINK, params={"user": "999"})

    assert answer.status_code == 404


# ── Sanctum ──────────────────────────────────────────────────────────────────────────────────────

SANCTUM = """
CREATE TABLE personal_access_tokens (
    id integer primary key, tokenable_type varchar, tokenable_id integer, name varchar, token varchar(64),
    abilities text, last_used_at datetime, expires_at datetime, created_at datetime, updated_at datetime
)
"""


def sanctum(world: "World", user_id: str, plain: str = "plain", **columns: Any) -> str:
    now = datetime.now(UTC).replace(tzinfo=None)
    row = {
        "tokenable_type": "App\\Models\\User",
        "tokenable_id": user_id,
        "token": hashlib.sha256(plain.encode()).hexdigest(),
        "abilities": '["*"]',
        "created_at": now.isoformat(" "),
        "expires_at": None,
    } | columns
    marks = ", ".join("?" * len(row))
    statement = f"INSERT INTO personal_access_tokens ({', '.join(row)}) VALUES ({marks}) RETURNING id"
    return f"{world.sql(statement, *row.values())[0][0]}|{plain}"


async def test_a_sanctum_token_gets_its_own_user_a_link(open_site: "OpenSite") -> None:
    site = await open_site(sanctum__enabled=True)
    site.world.sql(SANCTUM)
    ann, bo = await site.synced(), await site.synced("bo@example.org")
    token = sanctum(site.world, ann)

    own = await site.ask("GET", LINK, key=token)
    named = await site.ask("GET", LINK, key=token, params={"user": ann})
    another = await site.ask("GET", LINK, key=token, params={"user": bo})
    sync = await site.ask("POST", f"/api/mattermost/users/{ann}/sync", key=token)

    assert own.json()["token"] == named.json()["token"] == site.world.secret(ann)
    assert [another.status_code, sync.status_code] == [403, 403]


async def test_a_service_that_cannot_read_the_sanctum_tokens_does_not_start(open_site: "OpenSite") -> None:
    site = await open_site(sanctum__enabled=True)

    with pytest.raises(DatabaseError, match="personal_access_tokens"):
        await site.core.gateway.callers.check_settings()
    site.world.sql(SANCTUM)
    await site.core.gateway.callers.check_settings()


async def test_a_sanctum_token_of_endless_digits_is_none(open_site: "OpenSite") -> None:
    site = await open_site(sanctum__enabled=True)

    answer = await site.ask("GET", LINK, key=f"{'9' * 5_000}|plain")

    assert answer.status_code == 401


@pytest.mark.parametrize(
    "columns",
    [
        {"tokenable_type": "App\\Models\\Admin"},
        {"abilities": '["read"]'},
        {"abilities": "not JSON"},
        {"abilities": None},
        {"expires_at": "2020-01-01 00:00:00"},
        {"expires_at": "never"},
        {"created_at": "2020-01-01 00:00:00"},
        {"created_at": None},
        {"token": "0" * 64},
    ],
)
async def test_a_sanctum_token_that_is_not_for_this_is_none(open_site: "OpenSite", columns: dict[str, Any]) -> None:
    site = await open_site(sanctum__enabled=True, sanctum__expiration="1d")
    site.world.sql(SANCTUM)
    ann = await site.synced()

    answer = await site.ask("GET", LINK, key=sanctum(site.world, ann, **columns))

    assert answer.status_code == 401


# ── JWT ──────────────────────────────────────────────────────────────────────────────────────────


def token(user_id: str, *, secret: Any = SHARED, algorithm: str = "HS256", **claims: Any) -> str:
    good = {"sub": user_id, "iss": "https://id.example", "aud": "mmconsole", "exp": time.time() + 60} | claims
    return jwt.encode({k: v for k, v in good.items() if v is not None}, secret, algorithm=algorithm)


@pytest.fixture
def by_jwt(tmp_path: "Path") -> dict[str, Any]:
    file = tmp_path / "jwt-secret"
    file.touch(mode=0o600)
    file.write_text(SHARED)
    return {
        "jwt__algorithms": ["HS256"],
        "jwt__issuer": "https://id.example",
        "jwt__audience": "mmconsole",
        "jwt__secret__source": "file",
        "jwt__secret__file": str(file),
    }


async def test_a_jwt_gets_its_own_user_a_link(open_site: "OpenSite", by_jwt: dict[str, Any]) -> None:
    site = await open_site(**by_jwt)
    ann = await site.synced()

    own = await site.ask("GET", LINK, key=token(ann))
    another = await site.ask("GET", LINK, key=token(ann), params={"user": "999"})

    assert own.json()["token"] == site.world.secret(ann)
    assert another.status_code == 403


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"},
        {"iss": None},
        {"aud": "other"},
        {"aud": None},
        {"exp": time.time() - 3_600},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": time.time() + 3_600},
        {"iat": time.time() + 3_600},
        {"sub": None},
        {"secret": "t" * 40},
        {"algorithm": "HS384", "secret": "t" * 48},
    ],
)
async def test_a_jwt_that_is_not_for_us_is_none(
    open_site: "OpenSite", by_jwt: dict[str, Any], claims: dict[str, Any]
) -> None:
    site = await open_site(**by_jwt)
    ann = await site.synced()

    answer = await site.ask("GET", LINK, key=token(ann, **claims))

    assert answer.status_code == 401


async def test_a_jwt_without_signature_is_none(open_site: "OpenSite", by_jwt: dict[str, Any]) -> None:
    site = await open_site(**by_jwt)
    ann = await site.synced()

    answer = await site.ask("GET", LINK, key=token(ann, secret="", algorithm="none"))

    assert answer.status_code == 401


async def test_an_address_counts_only_when_the_issuer_has_verified_it(
    open_site: "OpenSite", by_jwt: dict[str, Any]
) -> None:
    site = await open_site(**by_jwt, jwt__claim="email")
    ann = await site.synced()

    verified = await site.ask("GET", LINK, key=token("x", email="Ann@example.org", email_verified=True))
    others = [
        await site.ask("GET", LINK, key=token("x", email="ann@example.org", email_verified=word))
        for word in (False, "true", 1, None)
    ]
    by_id = await site.ask("GET", LINK, key=token("x", email=ann, email_verified=True))

    site.world.add("Ann@Example.org")
    of_two = await site.ask("GET", LINK, key=token("x", email="ann@example.org", email_verified=True))

    assert verified.json()["token"] == site.world.secret(ann)
    assert {answer.status_code for answer in (*others, by_id, of_two)} == {401}


class Issuer:
    """Somebody who signs tokens, and whose keys can be fetched when they are not away."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        self.name = "one"
        self.away = False
        self.fetched = 0
        self.now = 0.0

    def fetch(self, _url: str) -> Any:
        self.fetched += 1
        if self.away:
            raise OSError
        numbers = self.key.public_key().public_numbers()
        shown = {"kty": "RSA", "kid": self.name, "alg": "RS256", "use": "sig"}
        return {"keys": [shown | {"n": _number(numbers.n), "e": _number(numbers.e)}]}

    def token(self, **header: Any) -> Secret:
        claims = {"sub": "1", "iss": "i", "aud": "a", "exp": time.time() + 60}
        return Secret(jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": self.name} | header))

    def verifier(self) -> JwtVerifier:
        settings = JwtSettings(algorithms=("RS256",), issuer="i", audience="a", jwks_url="https://i.example/keys")
        return JwtVerifier(settings, secret=lambda: None, fetch=self.fetch, clock=lambda: self.now)


def _number(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8)).rstrip(b"=").decode()


def test_keys_are_fetched_once_and_anew_for_an_unknown_name_at_most_once_a_minute() -> None:
    issuer = Issuer()
    verifier = issuer.verifier()
    assert verifier.claims(issuer.token())["sub"] == "1"

    for _ in range(5):
        with pytest.raises(NotAuthenticated):
            verifier.claims(issuer.token(kid="unknown"))
    assert issuer.fetched == 1
    issuer.now = 61.0
    issuer.name = "two"

    assert verifier.claims(issuer.token())["sub"] == "1"
    assert issuer.fetched == 2


def test_an_issuer_that_is_away_is_survived_with_the_keys_from_before() -> None:
    issuer = Issuer()
    verifier = issuer.verifier()
    verifier.claims(issuer.token())

    issuer.away, issuer.now = True, 7_200.0

    assert verifier.claims(issuer.token())["sub"] == "1"
    with pytest.raises(IssuerUnreachable):
        issuer.verifier().claims(issuer.token())


def test_a_key_that_the_issuer_no_longer_shows_counts_for_an_hour_at_most() -> None:
    issuer = Issuer()
    verifier = issuer.verifier()
    withdrawn = issuer.token()
    verifier.claims(withdrawn)

    issuer.name, issuer.now = "two", 3_601.0

    with pytest.raises(NotAuthenticated):
        verifier.claims(withdrawn)


def test_keys_are_taken_from_nowhere_but_the_address_in_the_settings() -> None:
    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302 if self.path == "/keys" else 200)
            self.send_header("location", "/other")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as issuer:
        threading.Thread(target=issuer.handle_request).start()
        with pytest.raises(OSError, match="302"):
            fetch_key_set(f"http://127.0.0.1:{issuer.server_port}/keys")


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\n{",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000,
    ],
    ids=["garbled", "cut", "deep"],
)
def test_an_issuer_that_answers_nonsense_is_as_good_as_away(answer: bytes) -> None:
    class Nonsense(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(4_096)
            self.request.sendall(answer)

    with TCPServer(("127.0.0.1", 0), Nonsense) as issuer:
        threading.Thread(target=issuer.handle_request).start()
        with pytest.raises(OSError, match=r"BadStatusLine|IncompleteRead|RecursionError"):
            fetch_key_set(f"http://127.0.0.1:{issuer.server_address[1]}/keys")


def test_an_issuer_that_dribbles_is_as_good_as_away(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dribbling(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(4_096)
            self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with contextlib.suppress(OSError):
                while not threading.Event().wait(0.02):
                    self.request.sendall(b" ")

    monkeypatch.setattr("mmconsole.secrets.jwt._WITHIN", 2.0)
    with TCPServer(("127.0.0.1", 0), Dribbling) as issuer:
        threading.Thread(target=issuer.handle_request).start()
        with pytest.raises(TimeoutError):
            fetch_key_set(f"http://127.0.0.1:{issuer.server_address[1]}/keys")


def test_a_public_key_is_no_shared_secret() -> None:
    issuer = Issuer()
    forged = jwt.encode({"sub": "1", "iss": "i", "aud": "a", "exp": time.time() + 60}, "n" * 40, algorithm="HS256")

    with pytest.raises(NotAuthenticated):
        issuer.verifier().claims(Secret(forged))
    with pytest.raises(ValueError, match="HS256 is not mixed"):
        JwtSettings(algorithms=("HS256", "RS256"))
    with pytest.raises(ValueError, match="only fetched over https"):
        JwtSettings(jwks_url="http://i.example/keys")


@pytest.mark.parametrize(
    "settings",
    [
        {"algorithms": ("HS256",), "issuer": "i"},
        {"algorithms": ("RS256",), "issuer": "i", "audience": "a"},
        {"algorithms": ("HS256",), "issuer": "i", "audience": "a"},
    ],
)
def test_settings_that_could_check_nothing_are_refused_at_the_start(settings: dict[str, Any]) -> None:
    verifier = JwtVerifier(JwtSettings(**settings), secret=lambda: Secret("short"))

    with pytest.raises(SecretError):
        verifier.check_settings()


# ── proxy header ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def by_proxy(tmp_path: "Path") -> dict[str, Any]:
    file = tmp_path / "proxy-secret"
    file.touch(mode=0o600)
    file.write_text(PROXY)
    return {
        "proxy__header": "X-Remote-User",
        "proxy__trusted": ["192.0.2.0/28"],
        "proxy__secret__source": "file",
        "proxy__secret__file": str(file),
    }


async def test_a_proxy_names_the_user_if_it_knows_the_secret(open_site: "OpenSite", by_proxy: dict[str, Any]) -> None:
    site = await open_site(**by_proxy)
    ann = await site.synced()
    good = {"x-remote-user": ann, "x-mmconsole-proxy-secret": PROXY}

    answers = [
        await site.browser(address=address).get(LINK, headers=headers)
        for address, headers in (
            ("192.0.2.1", good),
            ("192.0.2.77", good),
            ("192.0.2.1", good | {"x-mmconsole-proxy-secret": "p" * 39}),
            ("192.0.2.1", {"x-remote-user": ann}),
            ("192.0.2.1", {"x-mmconsole-proxy-secret": PROXY}),
        )
    ]

    assert [answer.status_code for answer in answers] == [200, 401, 401, 401, 401]


async def test_a_proxy_that_adds_its_header_to_the_clients_own_is_not_believed(
    open_site: "OpenSite", by_proxy: dict[str, Any]
) -> None:
    site = await open_site(**by_proxy)
    ann, bo = await site.synced(), await site.synced("bo@example.org")
    headers = [("x-remote-user", bo), ("x-remote-user", ann), ("x-mmconsole-proxy-secret", PROXY)]

    answer = await site.browser(address="192.0.2.1").get(LINK, headers=headers)

    assert answer.status_code == 401


async def test_without_the_setting_the_header_says_nothing(site: "Site", ann: str) -> None:
    headers = {"x-remote-user": ann, "x-mmconsole-proxy-secret": ""}

    answer = await site.browser(address="127.0.0.1").get(LINK, headers=headers)

    assert answer.status_code == 401
