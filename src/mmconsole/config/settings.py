"""The settings of one profile: defaults < YAML file < environment < flags; each value knows where it came from."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

import platformdirs
from pydantic import ValidationError

from mmconsole.config.environment import from_environment, named_variables
from mmconsole.config.files import Given, find_file, read_file, user_config_file
from mmconsole.config.profiles import chosen_in, for_profile
from mmconsole.config.values import (
    EMBEDDED_PROJECTS,
    EMBEDDED_USERS,
    OPTIONAL,
    ProjectsTable,
    UsersTable,
    Values,
    leaf_keys,
    variable_of,
)
from mmconsole.domain.health import AsOf
from mmconsole.domain.hosts import is_loopback
from mmconsole.domain.laravel_env import database_password
from mmconsole.domain.spans import span_text
from mmconsole.errors import InvalidSetting, MissingSetting, NoPassword, SettingsError

_NOT_TO_SHOW: Final = re.compile(r"://\S*@|[A-Za-z0-9+/=_-]{20,}")
"""A password in an address, and whatever may be a token or a key."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one profile, with the origin of each value."""

    profile: str
    values: Values
    origins: Mapping[str, str]
    """By dotted key: `default`, `config.yaml:12`, `MMCONSOLE_SYNC_TEAMS` or `--url`."""
    file: Path | None = None

    @property
    def server(self) -> str:
        """The address of Mattermost. Raises MissingSetting when none is set."""
        url = self.values.mattermost.url
        if url is None:
            where = str(self.file or user_config_file())
            otherwise = "" if self.file else "; or have a file written by `mmconsole init`"
            raise MissingSetting(
                key="mattermost.url", file=where, variable=variable_of("mattermost.url"), otherwise=otherwise
            )
        return url

    @property
    def mattermost_for_people(self) -> str | None:
        """Where browsers find Mattermost, which need not be where this process does."""
        return self.values.web.mattermost_url or self.values.mattermost.url

    @property
    def public_url(self) -> str | None:
        """Where browsers find the HTTP service: under Mattermost's own host name, unless it is said otherwise."""
        seen = self.mattermost_for_people
        origin = None if seen is None else "{0.scheme}://{0.netloc}".format(urlsplit(seen))
        return self.values.web.public_url or origin

    def check_web(self) -> None:
        """Raises MissingSetting and InvalidSetting for what the HTTP service cannot work with."""
        seen = self.values.web.mattermost_url or self.server
        public = self.public_url or seen
        host = urlsplit(seen).hostname
        safe = public.startswith("https:") or is_loopback(host or "") or self.values.mattermost.allow_http
        why = "" if safe else "a sign-in must not travel in the clear; use https, or set `mattermost.allow_http`"
        if urlsplit(public).hostname != host:
            why = f"its host must be Mattermost's, {host}, since that is where browsers send its cookies"
        if why:
            where = self.origins["web.public_url"]
            raise InvalidSetting(where=where, key="web.public_url", value=f"`{public}`", why=why)

    @property
    def database_url(self) -> str:
        """The database as an SQLAlchemy URL; the embedded one is a file in the user's data folder.

        It may carry a password. Raises NoPassword for a `database.env_file` that holds none.
        """
        url, file = self.values.database.url, self.values.database.env_file
        if url is None:
            return f"sqlite:///{self.embedded_file}"
        return url if file is None or ":///" in url else _with_password(url, file.expanduser())

    def as_of(self, now: datetime) -> AsOf:
        """The moment that a status is about, with what counts as old."""
        return AsOf(now, lifetime=self.values.tokens.lifetime)

    @property
    def embedded_file(self) -> Path:
        return platformdirs.user_data_path("mmconsole") / f"{self.profile}.sqlite3"

    @property
    def users_table(self) -> UsersTable:
        return EMBEDDED_USERS if self.values.database.embedded else self.values.database.users

    @property
    def projects_table(self) -> ProjectsTable:
        return EMBEDDED_PROJECTS if self.values.database.embedded else self.values.database.projects


_PYTHONS_SPAN: Final = re.compile(r"datetime\.timedelta\((?:(\w+)=)?(\d+)\)")
_MUST_BE: Final = {
    "bool": "it must be true or false",
    "int": "it must be a whole number",
    "float": "it must be a number",
    "string": "it must be a text, in quotes where it looks like something else",
    "list": "it must be a list, as in [one, two]",
    "tuple": "it must be a list, as in [one, two]",
}
"""What a type of pydantic's mistakes is about, in our words."""


def load_settings(
    *,
    file: Path | None = None,
    profile: str | None = None,
    flags: Mapping[str, tuple[str, Any]] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """Read the settings of a profile. `flags` maps a dotted key to the flag's name and its value.

    Raises SettingsError (with file and line) for everything that cannot be meant.
    """
    path = file or find_file(environment)
    written = read_file(path) if path else {}
    chosen = profile or environment.get("MMCONSOLE_PROFILE") or chosen_in(written)
    given = for_profile(written, chosen, path)
    given |= from_environment(environment, secrets_in=named_variables(written, environment))
    given |= {key: Given(value, flag) for key, (flag, value) in (flags or {}).items()}
    return Settings(chosen, _validated(given), _origins(given), path)


def _validated(given: Mapping[str, Given]) -> Values:
    tree: dict[str, Any] = {}
    for key, one in given.items():
        *sections, leaf = key.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        if one.value is not None or key in OPTIONAL:
            place[leaf] = one.value
    try:
        return Values.model_validate(_without_empty_sections(tree))
    except ValidationError as fault:
        # Not `from fault`: it shows the value, which may be a secret.
        raise _first_mistake(fault, given) from None


def _without_empty_sections(tree: dict[str, Any]) -> dict[str, Any]:
    sections = {key.rsplit(".", 1)[0] for key in leaf_keys()} | set(Values.model_fields)
    return {key: value for key, value in tree.items() if value is not None or key not in sections}


def _first_mistake(fault: ValidationError, given: Mapping[str, Given]) -> SettingsError:
    mistake = fault.errors(include_url=False)[0]
    parts = [str(part) for part in mistake["loc"]]
    known = leaf_keys()
    key = next((".".join(parts[:n]) for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in known), ".".join(parts))
    one = given.get(key)
    where = one.origin if one else "settings"
    shown = "this" if one is None or _NOT_TO_SHOW.search(str(one.value)) else f"`{str(one.value)[:60]}`"
    why = _MUST_BE.get(mistake["type"].partition("_")[0]) or mistake["msg"].removeprefix("Value error, ")
    why = _PYTHONS_SPAN.sub(lambda found: span_text(timedelta(**{found[1] or "days": int(found[2])})), why)
    return InvalidSetting(where=where, key=key, value=shown, why=why[:1].lower() + why[1:])


def _origins(given: Mapping[str, Given]) -> dict[str, str]:
    return {key: given[key].origin if key in given else "default" for key in leaf_keys()}


def _with_password(url: str, file: Path) -> str:
    """The address with the application's own password, so that it stands in one place only."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at or ":" in user:
        return url
    try:
        password = database_password(file.read_text(encoding="utf-8"), user=unquote(user))
    except (OSError, UnicodeDecodeError) as fault:
        raise NoPassword(where=file, why=getattr(fault, "strerror", None) or "it is not UTF-8 text") from None
    if password is None:
        raise NoPassword(where=file, why="it does not say DB_PASSWORD, nor DB_URL with one")
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}").geturl()
