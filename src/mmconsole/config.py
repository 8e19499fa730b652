"""Settings: defaults < YAML file < environment < flags; each value knows where it came from.

A secret is never a setting. The settings say where a secret lives, and the secrets room fetches it.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args
from urllib.parse import urlsplit

import platformdirs
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mmconsole.errors import (
    InvalidSetting,
    MissingSetting,
    SecretInSettings,
    SettingsError,
    UnknownProfile,
    UnknownSetting,
    UnreadableSettings,
)

PREFIX: Final = "MMCONSOLE_"
DEFAULT_PROFILE: Final = "default"
_FILE_LIMIT: Final = 1_000_000
_NODE_LIMIT: Final = 10_000
_DEPTH_LIMIT: Final = 8
_OTHER_VARIABLES: Final = frozenset(
    {"MMCONSOLE_CONFIG", "MMCONSOLE_PROFILE", "MMCONSOLE_ADMIN_TOKEN", "MMCONSOLE_SEAL_KEYS"}
)
_TEST_PREFIX: Final = "MMCONSOLE_TEST_"
_SECRET_KEY: Final = re.compile(r"(^|[._])(token|secret|password|pat|key)$")
_SECRET_VALUE: Final = re.compile(r"[a-z0-9]{26}\Z")
_NOT_TO_SHOW: Final = re.compile(r"://\S*@|[A-Za-z0-9+/=_-]{20,}")
"""A password in an address, and whatever may be a token or a key."""
_NAMES_A_VARIABLE: Final = ("admin_token.variable", "seal.variable")

SecretSource = Literal["keyring", "credential", "file", "environment"]
Storage = Literal["sealed", "plain"]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MattermostSettings(Section):
    url: str | None = None
    allow_http: bool = False
    timeout: Annotated[float, Field(gt=0, le=600)] = 30.0
    max_concurrency: Annotated[int, Field(ge=1, le=256)] = 16

    @field_validator("url")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if not re.match(r"https?://[^/\s?#@]+(/[^\s?#]*)?\Z", url) or not _has_host_and_port(url):
            message = "it must look like https://chat.example.org or https://example.org/chat"
            raise ValueError(message)
        return url.rstrip("/")


class AdminTokenSettings(Section):
    source: SecretSource = "keyring"
    file: Path | None = None
    credential: str = "mmconsole-admin-token"
    variable: str = "MMCONSOLE_ADMIN_TOKEN"


class SealSettings(Section):
    source: SecretSource = "keyring"
    file: Path | None = None
    credential: str = "mmconsole-seal-keys"
    variable: str = "MMCONSOLE_SEAL_KEYS"


class UsersTable(Section):
    """Names in the application's database. None means that there is no such column."""

    table: str = "users"
    id: str = "id"
    email: str = "email"
    name: str | None = "name"
    first_name: str | None = None
    last_name: str | None = None
    username: str | None = None
    locale: str | None = None
    email_verified_at: str | None = "email_verified_at"
    active: str | None = None
    deleted_at: str | None = None
    account_id: str = "mattermost_user_id"
    token: str = "mattermost_token"  # noqa: S105 - the name of a column


EMBEDDED_USERS: Final = UsersTable(
    name=None,
    first_name="first_name",
    last_name="last_name",
    username="username",
    locale="locale",
    active="active",
    deleted_at="deleted_at",
)
"""The users table of the embedded database, which is our own."""


class DatabaseSettings(Section):
    url: str | None = None
    users: UsersTable = UsersTable()

    @property
    def embedded(self) -> bool:
        return self.url is None


class SyncSettings(Section):
    teams: tuple[str, ...] = ()
    update_username: bool = False
    reactivate: bool = True
    deactivate: bool = False
    max_mails: Annotated[int, Field(ge=0)] | None = None
    full_every_hours: Annotated[int, Field(ge=1)] = 24


class TokenSettings(Section):
    storage: Storage = "sealed"
    accept: tuple[Storage, ...] = ()


class GuardSettings(Section):
    removals: Annotated[int, Field(ge=0)] = 10
    percent: Annotated[float, Field(ge=0, le=100)] = 2.0


class ActivitySettings(Section):
    keep_days: Annotated[int, Field(ge=1)] = 400


class Values(Section):
    """Everything that can be set, by room."""

    mattermost: MattermostSettings = MattermostSettings()
    admin_token: AdminTokenSettings = AdminTokenSettings()
    database: DatabaseSettings = DatabaseSettings()
    seal: SealSettings = SealSettings()
    sync: SyncSettings = SyncSettings()
    tokens: TokenSettings = TokenSettings()
    guard: GuardSettings = GuardSettings()
    activity: ActivitySettings = ActivitySettings()


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
            raise MissingSetting(key="mattermost.url", file=where, variable=variable_of("mattermost.url"))
        return url

    @property
    def database_url(self) -> str:
        """The database as an SQLAlchemy URL; the embedded one is a file in the user's data folder."""
        return self.values.database.url or f"sqlite:///{self.embedded_file}"

    @property
    def embedded_file(self) -> Path:
        return platformdirs.user_data_path("mmconsole") / f"{self.profile}.sqlite3"

    @property
    def users_table(self) -> UsersTable:
        return EMBEDDED_USERS if self.values.database.embedded else self.values.database.users


@dataclass(frozen=True, slots=True)
class _Given:
    """A value and where it was given."""

    value: Any
    origin: str


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
    path = file or _find_file(environment)
    written = _read_file(path) if path else {}
    chosen = profile or environment.get("MMCONSOLE_PROFILE") or _chosen_in(written)
    given = _for_profile(written, chosen, path)
    given |= _from_environment(environment, secrets_in=_named_variables(written, environment))
    given |= {key: _Given(value, flag) for key, (flag, value) in (flags or {}).items()}
    return Settings(chosen, _validated(given), _origins(given), path)


def leaf_keys() -> tuple[str, ...]:
    """All settings by their dotted keys, in the order of `Values`."""
    return tuple(_leaves(Values))


def variable_of(key: str) -> str:
    """The environment variable of a setting, as MMCONSOLE_SYNC_TEAMS."""
    return PREFIX + key.replace(".", "_").upper()


def _has_host_and_port(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def user_config_file() -> Path:
    return platformdirs.user_config_path("mmconsole") / "config.yaml"


# ── files ────────────────────────────────────────────────────────────────────────────────────────


def _find_file(environment: Mapping[str, str]) -> Path | None:
    named = environment.get("MMCONSOLE_CONFIG")
    if named:
        return Path(named)
    places = (user_config_file(), platformdirs.site_config_path("mmconsole") / "config.yaml")
    return next((place for place in places if place.is_file()), None)


def _read_file(path: Path) -> dict[str, _Given]:
    """A YAML file as dotted keys with file:line, without aliases blowing up."""
    root = _compose(path)
    if root is None or root.tag == "tag:yaml.org,2002:null":
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise UnreadableSettings(where=path, why="it must be a mapping of sections")
    found: dict[str, _Given] = {}
    for count, (key, node) in enumerate(_walk(root, "", path)):
        if count > _NODE_LIMIT:
            raise UnreadableSettings(where=path, why="it has too many values")
        if key in found:
            raise UnreadableSettings(where=_where(path, node), why=f"`{key}` stands here a second time")
        if not isinstance(node, yaml.MappingNode):
            found[key] = _Given(_construct(node, path), _where(path, node))
        elif not node.value:
            found[key] = _Given(None, _where(path, node))
    return found


def _compose(path: Path) -> yaml.Node | None:
    try:
        with path.open(encoding="utf-8") as file:
            # One more than the limit, and never all of a path that has no end.
            text = file.read(_FILE_LIMIT + 1)
    except (OSError, UnicodeDecodeError) as fault:
        why = getattr(fault, "strerror", None) or "it is not UTF-8 text"
        raise UnreadableSettings(where=path, why=why) from fault
    if len(text) > _FILE_LIMIT:
        raise UnreadableSettings(where=path, why="it is too large for a settings file")
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as fault:
        line = fault.problem_mark.line + 1 if fault.problem_mark else 1
        # Neither what it quotes nor the excerpt it carries: the line that cannot be read may be a secret.
        problem = re.sub(r"'[^']{3,}'|\"[^\"]{3,}\"", "…", fault.problem or "")
        raise UnreadableSettings(where=f"{path}:{line}", why=f"not YAML: {problem}") from None
    except (RecursionError, ValueError) as fault:
        raise UnreadableSettings(where=path, why="it is nested too deeply to be read") from fault
    except yaml.YAMLError as fault:
        raise UnreadableSettings(where=path, why="not YAML: it has characters that YAML does not allow") from fault


def _walk(node: yaml.MappingNode, prefix: str, path: Path) -> Iterator[tuple[str, yaml.Node]]:
    """Every key below a node, those of mappings too: aliases can make a small file visit endlessly many."""
    seen = set()
    if prefix.count(".") > _DEPTH_LIMIT:
        raise UnreadableSettings(where=_where(path, node), why="it is nested too deeply to be settings")
    for key_node, value in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise UnreadableSettings(where=_where(path, key_node), why="the name of a setting must be a word")
        key = prefix + str(key_node.value)
        if key in seen:
            raise UnreadableSettings(where=_where(path, key_node), why=f"`{key}` stands here a second time")
        seen.add(key)
        yield key, value
        if isinstance(value, yaml.MappingNode):
            yield from _walk(value, f"{key}.", path)


def _construct(node: yaml.Node, path: Path) -> Any:  # noqa: ANN401 - a YAML value is anything
    if isinstance(node, yaml.SequenceNode) and not all(isinstance(one, yaml.ScalarNode) for one in node.value):
        raise UnreadableSettings(where=_where(path, node), why="a list of settings holds single values")
    try:
        return yaml.SafeLoader("").construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError, LookupError):
        # The fault carries the value, which may be a secret.
        raise UnreadableSettings(where=_where(path, node), why="this value cannot be read") from None


def _where(path: Path, node: yaml.Node) -> str:
    return f"{path}:{node.start_mark.line + 1}"


# ── profiles and layers ──────────────────────────────────────────────────────────────────────────


def _chosen_in(written: Mapping[str, _Given]) -> str:
    named = written.get("profile")
    return str(named.value) if named and named.value is not None else DEFAULT_PROFILE


def _for_profile(written: Mapping[str, _Given], profile: str, path: Path | None) -> dict[str, _Given]:
    """The file's values for one profile: those of `profiles.<name>` lie over those outside."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", profile):
        raise InvalidSetting(where=path or "--profile", key="profile", value="this", why="use letters, digits, - and _")
    names = sorted({key.split(".")[1] for key in written if key.startswith("profiles.")})
    if profile != DEFAULT_PROFILE and profile not in names:
        known = ", ".join([DEFAULT_PROFILE, *names])
        raise UnknownProfile(where=path or "no settings file", profile=profile, known=known)
    plain = {key: given for key, given in written.items() if key.split(".")[0] not in {"profile", "profiles"}}
    own = f"profiles.{profile}."
    plain |= {key.removeprefix(own): given for key, given in written.items() if key.startswith(own)}
    for key, given in _all_named(written):
        _check_known(key, given)
    return plain


def _all_named(written: Mapping[str, _Given]) -> Iterator[tuple[str, _Given]]:
    """Every setting of every profile, so that a mistake in a profile shows before the day it is used."""
    for key, given in written.items():
        of_profile = key.split(".")[0] == "profiles"
        if of_profile and key.count(".") < 2:  # noqa: PLR2004 - profiles.<name>.<key>
            if given.value is not None:
                yield key, given
        elif of_profile:
            yield ".".join(key.split(".")[2:]), given
        elif key != "profile":
            yield key, given


def _check_known(key: str, given: _Given) -> None:
    known = leaf_keys()
    if _looks_secret(key, given.value, known=key in known):
        raise SecretInSettings(where=given.origin, key=key)
    if key in known or (given.value is None and any(leaf.startswith(f"{key}.") for leaf in known)):
        return
    raise UnknownSetting(where=given.origin, key=key, nearest=_nearest(key, known))


def _looks_secret(key: str, value: object, *, known: bool) -> bool:
    if not isinstance(value, str):
        return False
    return bool(_SECRET_VALUE.match(value)) or (not known and bool(_SECRET_KEY.search(key)))


def _nearest(key: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(key, known, n=1, cutoff=0.6)
    close = close or [leaf for leaf in known if leaf.rsplit(".", 1)[-1] == key.rsplit(".", 1)[-1]][:1]
    return f" (did you mean `{close[0]}`?)" if close else ""


def _named_variables(written: Mapping[str, _Given], environment: Mapping[str, str]) -> frozenset[str]:
    """The variables that hold secrets because a setting of some profile says so."""
    in_file = {str(given.value) for key, given in written.items() if key.endswith(_NAMES_A_VARIABLE)}
    return frozenset(in_file | {environment.get(variable_of(key), "") for key in _NAMES_A_VARIABLE})


def _from_environment(environment: Mapping[str, str], *, secrets_in: frozenset[str]) -> dict[str, _Given]:
    by_variable = {variable_of(key): key for key in leaf_keys()}
    given = {}
    for variable, text in environment.items():
        if not variable.startswith(PREFIX) or variable.startswith(_TEST_PREFIX):
            continue
        if variable in _OTHER_VARIABLES | secrets_in:
            continue
        if variable in by_variable:
            given[by_variable[variable]] = _Given(_parsed(text, variable), variable)
        else:
            close = get_close_matches(variable, by_variable, n=1)
            nearest = f" (did you mean {close[0]}?)" if close else ""
            raise UnknownSetting(where="environment", key=variable, nearest=nearest)
    return given


def _parsed(text: str, variable: str) -> Any:  # noqa: ANN401 - a YAML value is anything
    """A variable's value as YAML reads it (`true`, `8`, `[a, b]`), except where it is an address or a path."""
    if variable.endswith(("_URL", "_FILE")):
        return text
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, LookupError, RecursionError):
        raise UnreadableSettings(where=variable, why="its value is not YAML") from None
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, list | dict) for one in value)):
        raise UnreadableSettings(where=variable, why="it must be a single value or a list of them")
    return value


def _validated(given: Mapping[str, _Given]) -> Values:
    tree: dict[str, Any] = {}
    for key, one in given.items():
        *sections, leaf = key.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        if one.value is not None or leaf in _OPTIONAL:
            place[leaf] = one.value
    try:
        return Values.model_validate(_without_empty_sections(tree))
    except ValidationError as fault:
        # Not `from fault`: it shows the value, which may be a secret.
        raise _first_mistake(fault, given) from None


def _without_empty_sections(tree: dict[str, Any]) -> dict[str, Any]:
    sections = {key.rsplit(".", 1)[0] for key in leaf_keys()} | set(Values.model_fields)
    return {key: value for key, value in tree.items() if value is not None or key not in sections}


def _first_mistake(fault: ValidationError, given: Mapping[str, _Given]) -> SettingsError:
    mistake = fault.errors(include_url=False)[0]
    parts = [str(part) for part in mistake["loc"]]
    known = leaf_keys()
    key = next((".".join(parts[:n]) for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in known), ".".join(parts))
    one = given.get(key)
    where = one.origin if one else "settings"
    shown = "this" if one is None or _NOT_TO_SHOW.search(str(one.value)) else f"`{str(one.value)[:60]}`"
    why = mistake["msg"].removeprefix("Value error, ")
    return InvalidSetting(where=where, key=key, value=shown, why=why[:1].lower() + why[1:])


def _origins(given: Mapping[str, _Given]) -> dict[str, str]:
    return {key: given[key].origin if key in given else "default" for key in leaf_keys()}


def _leaves(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _leaves(kind, f"{prefix}{name}.")
        else:
            yield prefix + name


def _optional_leaves(model: type[BaseModel]) -> Iterator[str]:
    """Leaves for which `null` says something: that there is none."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _optional_leaves(kind)
        elif type(None) in get_args(kind):
            yield name


_OPTIONAL: Final = frozenset(_optional_leaves(Values))
