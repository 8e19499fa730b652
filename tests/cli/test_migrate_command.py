"""`mmconsole migrate`, as operators know it from artisan."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

OURS = "2026_01_01_000001_create_mmconsole_tables"
COLUMNS = "2026_01_01_000003_add_mattermost_columns"


def columns(shell: "Shell") -> set[str]:
    return {row[1] for row in shell.sql("PRAGMA table_info(users)")}


def test_it_runs_what_has_not_run_yet(bare: "Shell") -> None:
    first = bare("migrate")
    second = bare("migrate")

    assert first.code == second.code == 0
    assert "   INFO  Running migrations.\n" in first.out
    assert re.search(rf"^  {OURS} \.+ \d+\.\d\dms DONE$", first.out, re.MULTILINE)
    assert re.search(rf"^  {COLUMNS} \.+ \d+\.\d\dms DONE$", first.out, re.MULTILINE)
    assert second.out == "\n   INFO  Nothing to migrate.\n\n"
    assert columns(bare) >= {"mattermost_token", "mattermost_user_id"}


def test_lines_are_as_wide_as_a_terminal(bare: "Shell") -> None:
    bare.width = 100

    shown = bare.shown("migrate")

    assert {len(line) for line in shown.out.splitlines() if "DONE" in line} == {98}


def test_the_status_shows_what_has_run(bare: "Shell") -> None:
    before = bare("migrate", "status")
    bare("migrate")
    after = bare("migrate", "status")
    document = bare("migrate", "status", "--json").json

    assert re.search(rf"^  {OURS} \.+ Pending$", before.out, re.MULTILINE)
    assert re.search(rf"^  {OURS} \.+ \[1\] Ran$", after.out, re.MULTILINE)
    assert re.search(r"^  Migration name \.+ Batch / Status$", after.out, re.MULTILINE)
    assert document[:2] == [
        {"migration": OURS, "batch": 1, "ran": True},
        {"migration": COLUMNS, "batch": 2, "ran": True},
    ]
    assert all(one["ran"] for one in document if "migration" in one)
    assert {"triggers": "users", "installed": False, "current": False} in document


def test_a_rollback_takes_the_columns_back(shell: "Shell") -> None:
    done = shell("migrate", "rollback", "--step", "1")
    again = shell("migrate", "rollback")

    assert done.code == 0
    assert "   INFO  Rolling back migrations.\n" in done.out
    assert re.search(rf"^  {COLUMNS} \.+ \d+\.\d\dms DONE$", done.out, re.MULTILINE)
    assert not columns(shell) & {"mattermost_token", "mattermost_user_id"}
    assert again.out == "\n   INFO  Nothing to rollback.\n\n"


def test_a_rollback_refuses_while_tokens_live(shell: "Shell") -> None:
    shell.add("ann@example.org")
    shell("sync", "--all")

    refused = shell("migrate", "rollback")
    abandoned = shell("migrate", "rollback", "--abandon-tokens", "--json")

    assert refused.code == 1
    assert "Tokens of ours still work on the server (1)" in refused.err
    assert [one["migration"] for one in abandoned.json] == [COLUMNS]


def test_our_own_tables_go_with_ours(shell: "Shell") -> None:
    shell("migrate", "rollback")

    done = shell("migrate", "rollback", "--ours")

    assert done.code == 0
    assert OURS in done.out
    assert shell.sql("SELECT name FROM sqlite_master WHERE name LIKE 'mmconsole%'") == []


def test_the_embedded_database_is_made_where_there_is_none(bare: "Shell") -> None:
    del bare.settings["database"]

    done = bare("migrate")
    listed = bare("users", "list", "--json")

    assert done.code == 0
    assert "create_users_and_projects_tables" in done.out
    assert (listed.code, listed.out) == (0, "")


def test_options_of_migrate_before_its_commands_are_not_lost_silently(bare: "Shell") -> None:
    done = bare("migrate", "--json", "status")

    assert done.code == 2
    assert "Say --json behind `status`." in done.err
