"""The detail pane tells more of whoever the cursor rests on, without a call for anybody it passes."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conftest import World
    from tests.tui.conftest import AtWork, Office, OpenAtWork, OpenConsole
    from textual.pilot import Pilot


async def rested(app: "AtWork", pilot: "Pilot[None]") -> str:
    """What is seen when the cursor has rested, and everything was answered."""
    await app.rest(pilot)
    return app.text()


async def in_step(world: "World", *names: str) -> None:
    for name in names:
        world.add(f"{name}@x.test", name.title(), verified=True)
    await world.sync()


async def test_roles_teams_and_where_the_token_is_kept_come_when_the_cursor_rests(
    world: "World", at_work: "OpenAtWork"
) -> None:
    await in_step(world, "ann", "bob")
    async with at_work() as (app, pilot):
        await rested(app, pilot)
        await pilot.press("j")

        shown = await rested(app, pilot)

        assert "Roles       system_user" in shown
        assert "Teams       main" in shown
        assert "Stored in   sealed, key " in shown
        assert "by sync (job 1)" in shown


async def test_no_server_is_asked_for_whom_the_cursor_passes_nor_at_the_start(
    world: "World", at_work: "OpenAtWork"
) -> None:
    await in_step(world, "ann", "bob", "cem")
    before = world.server.calls.total()
    async with at_work() as (app, pilot):
        shown = await rested(app, pilot)
        for key in "jj":
            await pilot.press(key)
            app._paint()
        await app.settled(pilot)

        assert "? not asked yet" in shown
        assert world.server.calls.total() == before


async def test_who_was_asked_for_is_not_asked_for_again(world: "World", at_work: "OpenAtWork") -> None:
    await in_step(world, "ann", "bob")
    async with at_work() as (app, pilot):
        await rested(app, pilot)
        await pilot.press("j")
        await rested(app, pilot)
        await pilot.press("k")
        await rested(app, pilot)
        asked = world.server.calls.total()

        await pilot.press("j")
        shown = await rested(app, pilot)

        assert "Teams       main" in shown
        assert world.server.calls.total() == asked


async def test_a_server_that_is_away_leaves_a_question_mark_and_its_reason(
    world: "World", at_work: "OpenAtWork"
) -> None:
    await in_step(world, "ann", "bob")
    await world.stop()
    async with at_work() as (app, pilot):
        await rested(app, pilot)
        await pilot.press("j")
        away = await rested(app, pilot)
        await world.start()
        await pilot.press("R")
        await app.settled(pilot)
        back = await rested(app, pilot)

        assert "Roles       ? " in away
        assert "Teams       ?" in away
        assert "Teams       main" in back


async def test_what_was_heard_before_an_outage_stays_with_its_age(world: "World", at_work: "OpenAtWork") -> None:
    await in_step(world, "ann", "bob")
    async with at_work() as (app, pilot):
        await rested(app, pilot)
        await pilot.press("j")
        await rested(app, pilot)
        await world.stop()
        await pilot.press("R")
        await app.settled(pilot)

        away = await rested(app, pilot)

        assert "Roles       system_user" in away
        assert "Teams       main  (now)" in away
        assert "Since then  ? " in away


async def test_teams_of_who_is_in_sight_are_asked_for_once_and_only_where_their_column_is_shown(
    world: "World", at_work: "OpenAtWork"
) -> None:
    await in_step(world, "ann", "bob", "cem")
    before = world.server.calls.total()
    async with at_work() as (app, pilot):
        await rested(app, pilot)
        assert world.server.calls.total() == before
        app.users.toggle_column("team")
        await rested(app, pilot)
        asked = world.server.calls.total()
        await rested(app, pilot)

        assert [app.row(str(n))[-2] for n in (1, 2, 3)] == ["main"] * 3
        assert "Teams       main" in app.text()
        assert world.server.calls.total() == asked


async def test_whoever_refreshes_has_the_column_of_teams_asked_for_anew(world: "World", at_work: "OpenAtWork") -> None:
    await in_step(world, "ann", "bob")
    async with at_work() as (app, pilot):
        app.users.toggle_column("team")
        await app.rest(pilot)
        await app.rest(pilot)
        server = world.server.state
        server.join_team(world.server.add_team("second"), server.users[world.token("2").user_id])

        await pilot.press("R")
        await app.settled(pilot)
        await app.rest(pilot)
        await app.rest(pilot)

        assert [app.row(n)[-2] for n in "12"] == ["main", "main, second"]


async def test_a_new_token_is_told_with_who_made_it(world: "World", at_work: "OpenAtWork") -> None:
    await in_step(world, "ann", "bob")
    async with at_work() as (app, pilot):
        await rested(app, pilot)
        world.server.state.remove_token(world.token("1"))
        world.sql("UPDATE mmconsole_tokens SET health = 'revoked' WHERE user_id = '1'")
        app.look()
        await app.settled(pilot)

        await pilot.press("r")
        await app.done(pilot)

        assert "by tokens (job 2)" in await rested(app, pilot)


async def test_where_there_are_three_lines_for_details_nothing_is_looked_up(
    world: "World", at_work: "OpenAtWork"
) -> None:
    await in_step(world, "ann", "bob")
    async with at_work((80, 24)) as (app, pilot):
        await rested(app, pilot)
        await pilot.press("j")
        await rested(app, pilot)

        assert app.known.closer is None


async def test_in_a_low_pane_keys_are_named_rather_than_what_stands_elsewhere(
    office: "Office", console: "OpenConsole"
) -> None:
    await office.fill(10)
    async with console((120, 31)) as (app, _):
        assert "r  make a new token" in app.text()
        assert "Stored in" in app.text()
        assert "making another is" not in app.text()
