"""`mmconsole doctor`: what it finds, that it changes nothing, and that nothing broken stops it."""

import hashlib
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Ended, Shell

GROUPS = ["settings", "keys", "server", "database", "tokens"]


@pytest.fixture
def well(shell: "Shell") -> "Shell":
    """A shell in which a sync has brought everybody into step, with a bot for an administrator."""
    shell.keep_token(shell.simulator.bot_token)
    shell.set(sync__teams=["main"])
    shell.add("ann@example.org")
    shell.add("bob@example.org")
    assert shell("migrate", "--triggers").code == 0
    assert shell("sync", "--all").code == 0
    return shell


def found(ended: "Ended") -> dict[tuple[str, str], dict[str, Any]]:
    """The findings by group and name; none may be there twice."""
    findings = {(one["group"], one["name"]): one for one in ended.lines}
    assert len(findings) == len(ended.lines)
    return findings


def test_all_is_well_after_a_sync(well: "Shell") -> None:
    done = well("doctor", "--json")

    assert [one for one in done.lines if one["verdict"] != "yes"] == []
    assert done.code == 0
    assert list(dict.fromkeys(one["group"] for one in done.lines)) == GROUPS
    assert "@consolebot" in found(done)["server", "admin token"]["sentence"]


def test_it_changes_nothing(well: "Shell") -> None:
    well.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    before = hashlib.sha256(well.file.read_bytes()).hexdigest(), well.sql("SELECT COUNT(*) FROM mmconsole_activity")
    calls = len(well.simulator.calls.recent)

    done = well("doctor")

    asked = list(well.simulator.calls.recent)[calls:]
    after = hashlib.sha256(well.file.read_bytes()).hexdigest(), well.sql("SELECT COUNT(*) FROM mmconsole_activity")
    assert done.code == 0
    assert {call.method for call in asked} == {"GET"}
    assert after == before


def test_people_read_it_by_groups_with_the_cure_below(well: "Shell") -> None:
    well.keep_token("z" * 26)

    done = well("doctor")

    lines = done.out.splitlines()
    assert [line for line in lines if line and not line.startswith(" ")] == GROUPS
    at = next(number for number, line in enumerate(lines) if line.startswith("  x admin token"))
    assert "does not accept the admin token" in " ".join(" ".join(lines[at : at + 4]).split())
    assert any(line.strip().startswith("→ Check System Console") for line in lines[at : at + 5])
    assert max(len(line) for line in lines if str(well.folder) not in line) <= 80
    assert done.code == 3
    assert " unknown" in done.err


def _no_config(shell: "Shell") -> None:
    shell.settings.clear()
    shell.config.unlink(missing_ok=True)
    del shell.environment["MMCONSOLE_CONFIG"]


def _broken_config(shell: "Shell") -> None:
    shell.settings.clear()
    shell.config.write_text("mattermost: [\n", encoding="utf-8")


def _keyring(shell: "Shell") -> None:
    shell.set(admin_token__source="keyring", seal__source="keyring")


BROKEN: list[tuple[str, Callable[["Shell"], object], tuple[str, str], str]] = [
    ("no settings", _no_config, ("settings", "server's address"), "mattermost.url"),
    ("settings that are not YAML", _broken_config, ("settings", "settings"), "not YAML"),
    ("no keyring", _keyring, ("keys", "keyring"), "credential, file or environment"),
    ("no token", lambda shell: shell.token_file.unlink(), ("keys", "admin token"), "mmconsole login"),
]


@pytest.mark.parametrize(("damage", "name", "cure"), [one[1:] for one in BROKEN], ids=[one[0] for one in BROKEN])
def test_what_is_broken_is_named_with_its_cure(
    shell: "Shell", damage: Callable[["Shell"], object], name: tuple[str, str], cure: str
) -> None:
    damage(shell)

    done = shell("doctor", "--json")

    finding = found(done)[name]
    assert done.code == 3
    assert finding["verdict"] == "no"
    assert not finding["advice"]
    assert finding["cure"]
    assert cure in f"{finding['sentence']} {finding['cure']}"


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield listener.getsockname()[1]


def test_a_server_that_never_answers_is_not_waited_for(well: "Shell", silent: int) -> None:
    well.set(mattermost__url=f"http://127.0.0.1:{silent}")

    findings = found(well("doctor", "--json", timeout=120))

    assert findings["server", "reachable"]["verdict"] != "yes"
    assert findings["database", "prepared"]["verdict"] == "yes"


def test_no_secret_is_in_what_it_says(well: "Shell") -> None:
    said = well("doctor").out + well("doctor", "--json").out

    secrets = [token.secret for token in well.simulator.state.token_rows] + [well.simulator.bot_token]
    keys = (well.folder / "seal-keys").read_text(encoding="utf-8").split('"')
    for secret in [*secrets, *(key for key in keys if len(key) > 30)]:
        assert secret[:8] not in said


def test_the_service_is_looked_at_from_outside_when_asked(well: "Shell") -> None:
    usual, asked = well("doctor", "--json"), well("doctor", "--web", "--json")

    web = [one for one in asked.lines if one["group"] == "web"]
    assert [one for one in usual.lines if one["group"] == "web"] == []
    # The simulator is Mattermost, and nobody serves beside it.
    assert {one["name"]: one["verdict"] for one in web}["forwarded"] == "no"
    assert asked.code == 3


def test_the_rights_that_are_needed_are_told_as_sql(shell: "Shell") -> None:
    nothing = shell("doctor", "--grants")
    shell.set(database__url="postgresql://app@127.0.0.1:9/app")

    done, as_json = shell("doctor", "--grants"), shell("doctor", "--grants", "--role", "Ops", "--json")

    assert (nothing.code, nothing.out) == (0, "")
    assert done.code == as_json.code == 0
    assert all(line.startswith("-- ") or line.endswith(";") for line in done.out.splitlines())
    assert "GRANT SELECT, INSERT, UPDATE, DELETE ON " in done.out
    assert '"Ops"' in as_json.json["running"][-1]
    assert shell("doctor", "--role", "x").code == 2
