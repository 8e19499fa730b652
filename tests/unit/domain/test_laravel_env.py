"""What a Laravel application's `.env` tells."""

from pathlib import PurePath

import pytest

from mmconsole.domain.laravel_env import LaravelEnv, read_env


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
        (["DB_CONNECTION=mysql"], None),
        (["DB_CONNECTION=sqlsrv", "DB_DATABASE=app"], None),
        (["DB_CONNECTION=mysql", "DB_DATABASE=${APP_NAME}"], None),
    ],
)
def test_the_database_is_told_without_its_password(lines: list[str], url: str | None) -> None:
    assert read(*lines).database_url == url


def test_mattermost_is_known_by_the_address_people_open() -> None:
    found = read("MATTERMOST_URL=chat.example.org/api/v4/ # ours", "MATTERMOST_TEAM=main", "MATTERMOST_TOKEN=secret")

    assert (found.mattermost_url, found.team) == ("https://chat.example.org", "main")
    assert found.admin_token is not None
    assert "secret" not in repr(found)


def test_a_file_of_something_else_is_none() -> None:
    assert read_env("PORT=80\nSECRET=x", folder=PurePath("/srv/app")) is None
