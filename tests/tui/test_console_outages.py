"""What a console does while its database or its server is away, and how little it asks when there are many users."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from tests.tui.conftest import Watched, console_over, new_office
from textual import events

from mmconsole.core import open_core
from mmconsole.database.readers import Readers
from mmconsole.errors import DatabaseUnreachable
from mmconsole.simulator import Fault
from mmconsole.tui.user_rows import SeenUsers
from mmconsole.tui.virtual_table import VirtualTable

if TYPE_CHECKING:
    from tests.conftest import World
    from tests.tui.conftest import Office, OpenAtWork, OpenConsole


async def test_a_database_that_fails_is_told_of_and_read_when_it_is_back(
    office: "Office", console: "OpenConsole"
) -> None:
    await office.fill(9)
    async with console((120, 36)) as (app, pilot):
        office.sql("ALTER TABLE mmconsole_tokens RENAME TO elsewhere")
        await pilot.press("R")
        await app.settled(pilot)
        assert "mmconsole_tokens" in app.bar.word
        assert len(app.users.table().source) == 9

        office.sql("ALTER TABLE elsewhere RENAME TO mmconsole_tokens")
        office.sql("UPDATE users SET email = 'back@example.org' WHERE id = 1")
        await pilot.press("R")
        await app.settled(pilot)

        assert "back@example.org" in app.text()


async def test_a_log_that_cannot_be_followed_goes_on_when_it_can(
    office: "Office", console: "OpenConsole", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmconsole.tui.reader.LOOK_EVERY", 0.05)
    await office.fill(3)
    async with console((120, 36)) as (app, pilot):
        while not app.log_pane.view().lines:
            await pilot.pause(0.02)
        office.sql("ALTER TABLE mmconsole_activity RENAME TO elsewhere")
        while "mmconsole_activity" not in app.bar.word:
            await pilot.pause(0.02)
        office.sql("ALTER TABLE elsewhere RENAME TO mmconsole_activity")
        office.sql(
            "INSERT INTO mmconsole_activity (at, actor, verb, detail, level, request_id)"
            " SELECT at, actor, 'came later', detail, level, request_id FROM mmconsole_activity LIMIT 1"
        )

        while "came later" not in app.text():
            await pilot.pause(0.02)


async def test_a_server_that_is_away_is_said_and_works_again_when_it_is_back(
    world: "World", at_work: "OpenAtWork"
) -> None:
    ann = world.add("ann@x.test")
    await world.sync()
    away = world.server.faults.add(Fault("status", status=503, times=None))
    async with at_work() as (app, pilot):
        await pilot.press("t")
        await app.done(pilot)
        assert "did not answer" in app.bar.word or "503" in app.bar.word
        assert app.status(ann) in {"+ ok", "? unknown"}

        away.times = 0
        await pilot.press("t")
        await app.done(pilot)

        assert "+ ok" in app.bar.word
        assert app.status(ann) == "+ ok"
        assert "mattermost 11." in app.text()


async def test_a_text_that_is_pasted_into_the_table_presses_no_key(office: "Office", console: "OpenConsole") -> None:
    await office.fill(9)
    async with console() as (app, pilot):
        app.post_message(events.Paste("SXyq\nr"))
        await pilot.pause()
        await app.settled(pilot)

        assert app.is_running
        assert len(app.screen_stack) == 1
        assert app.users.table().marks == ()
        assert app.bar.word == ""


async def test_many_users_are_opened_with_the_questions_and_the_lines_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: Counter[str] = Counter()
    asked, loaded, drawn = Readers.read, SeenUsers.load, VirtualTable.render_line

    async def counting(readers: Readers, query: Callable[..., Any]) -> Any:
        counts["questions"] += 1
        return await asked(readers, query)

    async def loading(seen: SeenUsers, keys: Sequence[str]) -> None:
        counts["rows"] += len(keys)
        await loaded(seen, keys)

    def painting(table: VirtualTable, y: int) -> Any:
        counts["lines"] += 1
        return drawn(table, y)

    monkeypatch.setattr(Readers, "read", counting)
    monkeypatch.setattr(SeenUsers, "load", loading)
    monkeypatch.setattr(VirtualTable, "render_line", painting)
    seen = []
    for users in (60, 5_000):
        with new_office() as office:
            await office.fill(users)
            counts.clear()
            async with console_over(office, (120, 36)):
                seen.append(dict(counts))
    few, many = seen

    # The same but for one more picture or look that time may bring.
    assert many["questions"] <= few["questions"] + 3
    assert many["rows"] <= few["rows"] + 36
    assert many["lines"] <= few["lines"] + 36


async def test_a_console_that_cannot_open_its_database_ends_with_the_reason(office: "Office") -> None:
    office.file.unlink()
    app = Watched(office.settings, partial(open_core, office.settings, face="test"))

    with pytest.raises(DatabaseUnreachable, match="There is no database file"):
        await _run_to_its_crash(app)


async def _run_to_its_crash(app: Watched) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        while app.crash is None:
            await pilot.pause(0.01)
