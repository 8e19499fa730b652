"""The checklist of the Laravel version, item by item, with the commands an operator types; on every database.

`pytest -s tests/acceptance/test_laravel_checklist.py` prints it.
"""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest
from tests.acceptance.conftest import COMMAND, Application
from tests.web.clicks import A_CLICK

from mmconsole.simulator.entities import Token

Tick = Callable[[str], None]


@pytest.fixture
def tick(request: pytest.FixtureRequest) -> Tick:
    """Says that an item of the list holds."""
    print(f"\n\nThe checklist of the Laravel version, on {request.node.callspec.id}")  # noqa: T201 - it is the output
    return lambda item: print(f"  [x] {item}")  # noqa: T201


def token_of(application: Application, user: str) -> Token:
    """The server's token behind what stands in the row, which must work and be that user's."""
    secret = application.token(user)
    token = application.simulator.state.by_secret[secret or ""]
    (email,) = application("SELECT email FROM users WHERE id = :i", i=int(user))[0]
    assert token.is_active
    assert application.simulator.state.users[token.user_id].email == email
    return token


def done(application: Application, *arguments: str) -> str:
    """What a command says; it must succeed."""
    ended: subprocess.CompletedProcess[str] = application.run(*arguments)
    assert ended.returncode == 0, (arguments, ended.stdout, ended.stderr)
    return ended.stdout


def test_the_checklist_of_the_laravel_version(unmigrated: Application, tick: Tick) -> None:
    application = unmigrated
    # As the Laravel version stored them, so that the row and the server can be compared from outside.
    application.settings["tokens"] = {"storage": "plain"}
    before = [application.add(f"before{n}@example.org") for n in range(20)]

    done(application, "migrate", "--triggers")
    assert done(application, "migrate", "status").count("Ran") >= 2
    assert [application.token(user) for user in before] == [None] * 20
    tick("the migration runs")

    ann = application.add("ann@example.org")
    done(application, "watch", "--once")
    first = token_of(application, ann)
    tick("a new user: account made, token generated and stored")

    application("UPDATE users SET name = 'Anna Lee' WHERE id = :i", i=int(ann))
    done(application, "watch", "--once")
    account = application.account("ann@example.org")
    assert account is not None
    assert account.first_name == "Anna"
    assert token_of(application, ann) is first
    application("UPDATE users SET mattermost_token = NULL, name = 'Anna Lee-Fox' WHERE id = :i", i=int(ann))
    done(application, "sync", "--missing")
    assert token_of(application, ann).secret != first.secret
    tick("an updated user: account updated, token preserved; generated where it was missing")

    with _served(application) as get:
        link = get("/api/mattermost/magic-link", user=ann).json()
        signed_in = get(link["url"])
    assert link["token"] == application.token(ann)
    assert f"MMAUTHTOKEN={application.token(ann)}" in signed_in.headers["set-cookie"]
    assert f"MMUSERID={account.id}" in str(signed_in.headers.multi_items())
    tick("a magic link: signs in with that user's own token")

    done(application, "channel", "create", "Bridge", "--team", "main")
    done(application, "channel", "add", "main/bridge", ann)
    joins = [audit for audit in application.simulator.state.audits if audit.action.endswith("/members")]
    assert joins[-1].user_id == account.id
    tick("a user joins a channel: with the user's own token")

    done(application, "sync", "--all")
    assert len({token_of(application, user).id for user in [*before, ann]}) == 21
    done(application, "validate", "--all", "--deep")
    tick("users who were there before: all have tokens after a sync")


@contextmanager
def _served(application: Application) -> Iterator[Callable[..., httpx.Response]]:
    """The HTTP service, asked by the application's back end, and its links by the user's browser."""
    key = done(application, "api-keys", "create", "app", "--scope", "link").strip()
    process = subprocess.Popen(
        [COMMAND, "--headless", "serve", "--listen", "127.0.0.1:0"],
        env=application.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    application.started.append(process)
    assert process.stderr is not None
    url = next(line for line in process.stderr if "listens on " in line).strip().rpartition("listens on ")[2]

    def get(address: str, **query: str) -> httpx.Response:
        if "://" in address:
            parts = urlsplit(address)
            return httpx.get(f"{url}{parts.path}?{parts.query}", headers=A_CLICK, timeout=60)
        return httpx.get(f"{url}{address}", params=query, headers={"authorization": f"Bearer {key}"}, timeout=60)

    yield get
    assert application.end(process) == 0
    process.stderr.close()
