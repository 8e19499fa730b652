"""The application of the demo: a database as a Laravel application has it, and what its people had on the server."""

from collections.abc import Sequence
from typing import Final

from mmconsole.cli.people import Before, Person
from mmconsole.config import Settings
from mmconsole.database.address import address_of, make_engine
from mmconsole.simulator import Simulator
from mmconsole.simulator.entities import User as MadeUpAccount

_TABLE: Final = """
CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name VARCHAR NOT NULL,
    email VARCHAR,
    email_verified_at DATETIME,
    password VARCHAR,
    remember_token VARCHAR,
    locale VARCHAR,
    mattermost_token TEXT,
    created_at DATETIME,
    updated_at DATETIME,
    deleted_at DATETIME
)
"""
"""As a Laravel application has it that used the Laravel version of this before."""
_INSERT: Final = """
INSERT INTO users (name, email, email_verified_at, locale, mattermost_token, created_at, updated_at, deleted_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_THEN: Final = "2025-11-03 09:00:00"


def make_application(settings: Settings, cast: Sequence[Person], simulator: Simulator) -> None:
    """Make the application's table with these people, and the accounts that some of them had before."""
    rows = [_row(person, _on_server(person, simulator)) for person in cast]
    engine = make_engine(address_of(settings), plain=False)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(_TABLE)
            connection.exec_driver_sql(_INSERT, rows)
    finally:
        engine.dispose()


def _row(person: Person, token: str | None) -> tuple[str | None, ...]:
    verified, deleted = _THEN if person.verified else None, _THEN if person.deleted else None
    return person.name, person.email, verified, person.locale, token, _THEN, _THEN, deleted


def _on_server(person: Person, simulator: Simulator) -> str | None:
    """Make the account somebody had before. Returns the token the application stored for it, if any."""
    if person.before is Before.NOTHING or person.email is None:
        return None
    state = simulator.state
    stamp = state.millis()
    name = person.email.partition("@")[0]
    account = MadeUpAccount(state.ids.new(), name, person.email, stamp, stamp)
    account.email_verified = person.before is not Before.UNVERIFIED
    state.add_user(account)
    state.join_team(state.teams_by_name["main"], account)
    if person.before is Before.DEACTIVATED:
        state.set_active(account, active=False)
    if person.before not in {Before.LIVE_TOKEN, Before.DEAD_TOKEN}:
        return None
    token = state.add_token(account, "laravel")
    if person.before is Before.DEAD_TOKEN:
        state.remove_token(token)
    return token.secret
