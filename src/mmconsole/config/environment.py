"""What the environment sets: `sync.teams` is MMCONSOLE_SYNC_TEAMS."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

import yaml

from mmconsole.config.files import Given
from mmconsole.config.values import PREFIX, leaf_keys, variable_of
from mmconsole.errors import UnknownSetting, UnreadableSettings

_OTHER_VARIABLES: Final = frozenset(
    {
        "MMCONSOLE_CONFIG",
        "MMCONSOLE_PROFILE",
        "MMCONSOLE_ADMIN_TOKEN",
        "MMCONSOLE_SEAL_KEYS",
        "MMCONSOLE_LARAVEL_KEYS",
        "MMCONSOLE_JWT_SECRET",
        "MMCONSOLE_PROXY_SECRET",
    }
)
_TEST_PREFIX: Final = "MMCONSOLE_TEST_"
_NAMES_A_VARIABLE: Final = (
    *("admin_token.variable", "seal.variable", "laravel.variable"),
    *("web.jwt.secret.variable", "web.proxy.secret.variable"),
)


def named_variables(written: Mapping[str, Given], environment: Mapping[str, str]) -> frozenset[str]:
    """The variables that hold secrets because a setting of some profile says so."""
    in_file = {str(given.value) for key, given in written.items() if key.endswith(_NAMES_A_VARIABLE)}
    return frozenset(in_file | {environment.get(variable_of(key), "") for key in _NAMES_A_VARIABLE})


def from_environment(environment: Mapping[str, str], *, secrets_in: frozenset[str]) -> dict[str, Given]:
    by_variable = {variable_of(key): key for key in leaf_keys()}
    given = {}
    for variable, text in environment.items():
        if not variable.startswith(PREFIX) or variable.startswith(_TEST_PREFIX):
            continue
        if variable in _OTHER_VARIABLES | secrets_in:
            continue
        if variable in by_variable:
            given[by_variable[variable]] = Given(_parsed(text, variable), variable)
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
