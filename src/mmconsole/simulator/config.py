"""The server's configuration: the settings that change how it answers, and what clients are told of them."""

from __future__ import annotations

import base64
import copy
import hashlib
import random
from typing import Any, Final

import msgspec

from mmconsole.simulator.client_defaults import ANONYMOUS, SIGNED_IN
from mmconsole.simulator.errors import AppError, bad_body

DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "ServiceSettings": {
        "SiteURL": "http://localhost:8065",
        "EnableUserAccessTokens": False,
        "EnableBotAccountCreation": False,
        "EnableAPIUserDeletion": False,
        "EnableAPIChannelDeletion": False,
        "EnableAPITeamDeletion": False,
        "EnableDeveloper": False,
        "EnableMultifactorAuthentication": False,
        "EnforceMultifactorAuthentication": False,
        "ExperimentalStrictCSRFEnforcement": False,
        "ExperimentalEnableHardenedMode": False,
        "AllowCookiesForSubdomains": False,
        "DisableBotsWhenOwnerIsDeactivated": True,
        "MaximumLoginAttempts": 10,
        "MaximumPayloadSizeBytes": 300_000,
        "MaximumURLLength": 2_048,
        "SessionLengthWebInHours": 4_320,
        "SessionCacheInMinutes": 10,
        "WebserverMode": "gzip",
    },
    "TeamSettings": {
        "SiteName": "Mattermost",
        "MaxUsersPerTeam": 50,
        "MaxChannelsPerTeam": 2_000,
        "EnableUserCreation": True,
        "EnableOpenServer": True,
        "EnableUserDeactivation": False,
        "RestrictCreationToDomains": "",
        "TeammateNameDisplay": "username",
    },
    "EmailSettings": {
        "EnableSignUpWithEmail": True,
        "EnableSignInWithEmail": True,
        "EnableSignInWithUsername": True,
        "SendEmailNotifications": False,
        "RequireEmailVerification": False,
        "FeedbackEmail": "",
        "SMTPServer": "localhost",
        "SMTPPort": "10025",
        "EnableSMTPAuth": False,
        "SMTPUsername": "",
        "SMTPPassword": "",
        "ConnectionSecurity": "",
    },
    "PasswordSettings": {
        "MinimumLength": 8,
        "Lowercase": False,
        "Uppercase": False,
        "Number": False,
        "Symbol": False,
        "EnableForgotLink": True,
    },
    "PrivacySettings": {"ShowEmailAddress": True, "ShowFullName": True},
    "GuestAccountsSettings": {
        "Enable": False,
        "EnforceMultifactorAuthentication": False,
        "EnableGuestMagicLink": False,
    },
    "LocalizationSettings": {"DefaultServerLocale": "en", "DefaultClientLocale": "en", "AvailableLocales": ""},
    "RateLimitSettings": {
        "Enable": False,
        "PerSec": 10,
        "MaxBurst": 100,
        "MemoryStoreSize": 10_000,
        "VaryByRemoteAddr": True,
        "VaryByUser": False,
        "VaryByHeader": "",
    },
    "SqlSettings": {"DriverName": "postgres", "DataSource": ""},
    "LogSettings": {"EnableConsole": True, "ConsoleLevel": "DEBUG", "FileLevel": "DEBUG", "EnableDiagnostics": False},
    "PluginSettings": {"Enable": False},
}

TOLD: Final[dict[str, tuple[str, str]]] = {
    "SiteURL": ("ServiceSettings", "SiteURL"),
    "SiteName": ("TeamSettings", "SiteName"),
    "EnableBotAccountCreation": ("ServiceSettings", "EnableBotAccountCreation"),
    "EnableMultifactorAuthentication": ("ServiceSettings", "EnableMultifactorAuthentication"),
    "EnforceMultifactorAuthentication": ("ServiceSettings", "EnforceMultifactorAuthentication"),
    "EnableOpenServer": ("TeamSettings", "EnableOpenServer"),
    "EnableUserCreation": ("TeamSettings", "EnableUserCreation"),
    "EnableSignUpWithEmail": ("EmailSettings", "EnableSignUpWithEmail"),
    "EnableSignInWithEmail": ("EmailSettings", "EnableSignInWithEmail"),
    "EnableSignInWithUsername": ("EmailSettings", "EnableSignInWithUsername"),
    "EnableGuestAccounts": ("GuestAccountsSettings", "Enable"),
    "PasswordMinimumLength": ("PasswordSettings", "MinimumLength"),
    "PasswordRequireLowercase": ("PasswordSettings", "Lowercase"),
    "PasswordRequireUppercase": ("PasswordSettings", "Uppercase"),
    "PasswordRequireNumber": ("PasswordSettings", "Number"),
    "PasswordRequireSymbol": ("PasswordSettings", "Symbol"),
    "DefaultClientLocale": ("LocalizationSettings", "DefaultClientLocale"),
}
"""What everybody is told of the settings."""

TOLD_SIGNED_IN: Final[dict[str, tuple[str, str]]] = {
    "EnableUserAccessTokens": ("ServiceSettings", "EnableUserAccessTokens"),
    "EnableDeveloper": ("ServiceSettings", "EnableDeveloper"),
    "RequireEmailVerification": ("EmailSettings", "RequireEmailVerification"),
    "SendEmailNotifications": ("EmailSettings", "SendEmailNotifications"),
    "EnableUserDeactivation": ("TeamSettings", "EnableUserDeactivation"),
    "ShowEmailAddress": ("PrivacySettings", "ShowEmailAddress"),
    "ShowFullName": ("PrivacySettings", "ShowFullName"),
    "TeammateNameDisplay": ("TeamSettings", "TeammateNameDisplay"),
    "AvailableLocales": ("LocalizationSettings", "AvailableLocales"),
}

LIFETIME: Final = "MaximumPersonalAccessTokenLifetimeDays"


class ServerConfig:
    """The settings, read as `config["TeamSettings", "MaxUsersPerTeam"]`."""

    def __init__(self, release: tuple[int, int], *, diagnostic_id: str, version: str) -> None:
        self.release = release
        self.version = version
        self.diagnostic_id = diagnostic_id
        self.sections: dict[str, dict[str, Any]] = copy.deepcopy(DEFAULTS)
        if release >= (11, 9):
            self.sections["ServiceSettings"][LIFETIME] = 0
        self.refresh()

    def __getitem__(self, key: tuple[str, str]) -> Any:  # noqa: ANN401 - a setting is whatever it is
        return self.sections[key[0]][key[1]]

    def __setitem__(self, key: tuple[str, str], value: object) -> None:
        self.sections[key[0]][key[1]] = value
        self.refresh()

    @property
    def mail_reachable(self) -> bool:
        """Nothing listens at the default address; any other is taken to be a working mail server."""
        return (self["EmailSettings", "SMTPServer"], self["EmailSettings", "SMTPPort"]) != ("localhost", "10025")

    @property
    def token_lifetime_days(self) -> int:
        return int(self.sections["ServiceSettings"].get(LIFETIME, 0))

    def patch(self, changes: dict[str, Any]) -> None:
        """Merge known settings; unknown ones are ignored, as by the server's JSON decoder."""
        merged = copy.deepcopy(self.sections)
        for section, settings in changes.items():
            if section not in merged or settings is None:
                continue
            if not isinstance(settings, dict):
                raise bad_body("config")
            for name, value in settings.items():
                if name not in merged[section] or value is None:
                    continue
                if type(value) is not type(merged[section][name]):
                    raise bad_body("config")
                merged[section][name] = value
        _fill_blanks(merged)
        _validate(merged)
        self.sections = merged
        self.refresh()

    def refresh(self) -> None:
        """Encode what clients are told. Its digest is the third part of X-Version-Id."""
        anonymous = ANONYMOUS | {"DiagnosticId": self.diagnostic_id, "TelemetryId": self.diagnostic_id}
        anonymous |= {"AsymmetricSigningPublicKey": _public_key(self.diagnostic_id), "Version": self.version}
        anonymous |= {key: _text(self[where]) for key, where in TOLD.items()}
        full = anonymous | SIGNED_IN | {key: _text(self[where]) for key, where in TOLD_SIGNED_IN.items()}
        full["InstallationDate"] = "1735689600000"
        if self.release >= (11, 9):
            full[LIFETIME] = str(self.token_lifetime_days)
        if self.release < (11, 3):
            anonymous.pop("EnableGuestMagicLink")
            full.pop("EnableGuestMagicLink")
        self.anonymous = msgspec.json.encode(anonymous)
        self.signed_in = msgspec.json.encode(full)
        self.digest = hashlib.sha256(self.signed_in).hexdigest()
        self.tokens_enabled = bool(self["ServiceSettings", "EnableUserAccessTokens"])
        self.shows_email = bool(self["PrivacySettings", "ShowEmailAddress"])
        self.shows_names = bool(self["PrivacySettings", "ShowFullName"])
        self.max_url = int(self["ServiceSettings", "MaximumURLLength"])
        self.max_body = int(self["ServiceSettings", "MaximumPayloadSizeBytes"])

    def for_admins(self) -> dict[str, Any]:
        """The whole configuration with its secrets starred."""
        shown = copy.deepcopy(self.sections)
        if shown["EmailSettings"]["SMTPPassword"]:
            shown["EmailSettings"]["SMTPPassword"] = "*" * 32
        shown["SqlSettings"]["DataSource"] = "*" * 32
        return shown


def _fill_blanks(sections: dict[str, dict[str, Any]]) -> None:
    """Blank mail settings become the defaults again, so mail cannot be switched off by blanking."""
    mail = sections["EmailSettings"]
    mail["SMTPServer"] = mail["SMTPServer"] or "localhost"
    mail["SMTPPort"] = mail["SMTPPort"] or "10025"


def _validate(sections: dict[str, dict[str, Any]]) -> None:
    if sections["TeamSettings"]["MaxUsersPerTeam"] <= 0:
        raise AppError("model.config.is_valid.max_users.app_error", 400)
    if sections["TeamSettings"]["MaxChannelsPerTeam"] <= 0:
        raise AppError("model.config.is_valid.max_channels.app_error", 400)
    if not 5 <= sections["PasswordSettings"]["MinimumLength"] <= 72:
        raise AppError("model.config.is_valid.password_length.app_error", 400)
    if not 0 <= sections["ServiceSettings"].get(LIFETIME, 0) <= 36_500:
        raise AppError("model.config.is_valid.maximum_personal_access_token_lifetime_days.app_error", 400)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _public_key(seed: str) -> str:
    made_up = random.Random(seed).randbytes(91)  # noqa: S311 - nobody verifies anything with it
    return base64.b64encode(made_up).decode()
