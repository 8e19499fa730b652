"""What a Laravel application's `.env` tells."""

from pathlib import PurePath

import pytest

from mmconsole.domain.laravel_env import LaravelEnv, database_password, read_env


def read(*lines: str) -> LaravelEnv:
    found = read_env("\n".join(["APP_KEY=base64:x", *lines]), folder=PurePath("/srv/app"))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("lines", "url"),
    [
        (["DB_CONNECTION=sqlite"], "sqlite:////srv/app/database/database.sqlite"),
        (["DB_CONNECTION=sqlite", "DB_DATABASE=/data/app.sqlite"], "sqlite:////data/app.sqlite"),
        (
            [
                "DB_CONNECTION=pgsql",
                "DB_HOST=db",
                "DB_PORT=5432",
                "DB_DATABASE=app",
                "DB_USERNAME=me",
                "DB_PASSWORD=pw",
            ],
            "postgresql://me@db/app",
        ),
        (["DB_CONNECTION=mariadb", "DB_PORT=3307", "DB_DATABASE=app"], "mysql://127.0.0.1:3307/app"),
        (["DB_CONNECTION=mysql", "DB_DATABASE='a b'", 'DB_USERNAME="m@e"'], "mysql://m%40e@127.0.0.1/a%20b"),
        (
            ["DB_CONNECTION=mysql", "DB_URL=postgres://me:p%40w@db:5433/a%20b?sslmode=require"],
            "postgresql://me@db:5433/a%20b",
        ),
        (["DATABASE_URL=mysql://me:pw@db/app", "DB_HOST=other"], "mysql://me@db/app"),
        (["DB_URL=mysql2://me:pw@db/app"], "mysql://me@db/app"),
        (["DB_URL=sqlite:////data/app.sqlite"], "sqlite:////data/app.sqlite"),
        (["DB_URL=mysql://me:pw@[::1]:3307/app"], "mysql://me@[::1]:3307/app"),
        (["DB_CONNECTION=mysql", "DB_DATABASE=app", "DB_URL=mysql://[::1"], "mysql://127.0.0.1/app"),
        (["DB_CONNECTION=mysql"], None),
        (["DB_CONNECTION=sqlsrv", "DB_DATABASE=app"], None),
        (["DB_CONNECTION=mysql", "DB_DATABASE=${APP_NAME}"], None),
    ],
)
def test_the_database_is_told_without_its_password(lines: list[str], url: str | None) -> None:
    assert read(*lines).database_url == url


@pytest.mark.parametrize(
    ("text", "password"),
    [
        ("DB_PASSWORD=one\nDB_URL=mysql://me:t%40wo@db/app", "t@wo"),
        ("DB_PASSWORD=one\nDB_URL=mysql://me@db/app", "one"),
        ("DB_PASSWORD=one\nDATABASE_URL=mysql://m%65:two@db/app", "two"),
        ("DB_PASSWORD=one\nDATABASE_URL=postgres://somebody:else@other/app", "one"),
        ("DATABASE_URL=postgres://somebody:else@other/app", None),
        ("DB_PASSWORD=", ""),
        ("DB_PASSWORD=${OTHER}", None),
        ("DB_URL=mysql://me:${DB_PASSWORD}@db/app", None),
    ],
)
def test_the_password_is_the_addresss_if_that_has_one_of_the_same_user(text: str, password: str | None) -> None:
    assert database_password(text, user="me") == password


def test_mattermost_is_known_by_the_address_people_open() -> None:
    found = read("MATTERMOST_URL=chat.example.org/api/v4/ # ours", "MATTERMOST_TEAM=main", "MATTERMOST_TOKEN=secret")

    assert (found.mattermost_url, found.team) == ("https://chat.example.org", "main")
    assert found.admin_token is not None
    assert "secret" not in repr(found)


def test_a_file_of_something_else_is_none() -> None:
    assert read_env("PORT=80\nSECRET=x", folder=PurePath("/srv/app")) is None
