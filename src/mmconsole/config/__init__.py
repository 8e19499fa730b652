"""Settings: defaults < YAML file < environment < flags; each value knows where it came from.

A secret is never a setting. The settings say where a secret lives, and the secrets room fetches it.
"""

from mmconsole.config.files import user_config_file
from mmconsole.config.profiles import profile_names
from mmconsole.config.settings import Settings, load_settings
from mmconsole.config.values import (
    EMBEDDED_USERS,
    AdminTokenSettings,
    Audience,
    ConsoleSettings,
    GuardSettings,
    JwtSecretSettings,
    JwtSettings,
    LaravelSettings,
    ProjectsTable,
    ProxySecretSettings,
    RateSettings,
    SealSettings,
    SecretSource,
    UsersTable,
    Values,
    WebSettings,
    leaf_keys,
    variable_of,
)

__all__ = [
    "EMBEDDED_USERS",
    "AdminTokenSettings",
    "Audience",
    "ConsoleSettings",
    "GuardSettings",
    "JwtSecretSettings",
    "JwtSettings",
    "LaravelSettings",
    "ProjectsTable",
    "ProxySecretSettings",
    "RateSettings",
    "SealSettings",
    "SecretSource",
    "Settings",
    "UsersTable",
    "Values",
    "WebSettings",
    "leaf_keys",
    "load_settings",
    "profile_names",
    "user_config_file",
    "variable_of",
]
