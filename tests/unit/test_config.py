"""Settings: where each value comes from, and what a broken file says."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmconsole.config import (
    EMBEDDED_USERS,
    SecretSource,
    Settings,
    Values,
    leaf_keys,
    load_settings,
    profile_names,
    user_config_file,
    variable_of,
)
from mmconsole.errors import (
    InvalidSetting,
    MissingSetting,
    SecretInSettings,
    SettingsError,
    UnknownProfile,
    UnknownSetting,
    UnreadableSettings,
)

TOKEN = "k3yq9jc9ab8kzfm1jd6m7w5ype"
Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Writes a settings file and reads it back, in an otherwise empty environment."""

    def write_and_load(text: str | bytes, environment: dict[str, str] | None = None, **others: object) -> Settings:
        file = tmp_path / "config.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_settings(file=file, environment=environment or {}, **others)  # type: ignore[arg-type]

    return write_and_load


def parts_of(secret: str) -> set[str]:
    return {secret[at : at + 8] for at in range(len(secret) - 7)}


def everything_said_by(fault: BaseException) -> str:
    return str(fault) + repr(fault) + "".join(traceback.format_exception(fault))


# ── layers ───────────────────────────────────────────────────────────────────────────────────────


def test_without_anything_set_all_settings_are_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("mmconsole.config.settings.find_file", lambda environment: None)

    settings = load_settings(environment={})

    assert settings.values == Values()
    assert set(settings.origins.values()) == {"default"}
    assert set(settings.origins) == set(leaf_keys())
    assert settings.profile == "default"
    assert settings.file is None


def test_what_protects_is_on_unless_somebody_says_otherwise() -> None:
    values = Values()

    assert (values.guard.removals, values.guard.percent, values.activity.keep_days) == (10, 2, 400)
    assert (values.admin_token.source, values.tokens.storage, values.mattermost.allow_http) == (
        "keyring",
        "sealed",
        False,
    )
    assert values.web.proxy.header is None
    assert not values.web.trust_same_site
    assert values.web.allowed_origins == ()
    assert {values.web.metrics, values.web.docs} == {"loopback"}


def test_flags_win_over_the_environment_which_wins_over_the_file(load: Load, tmp_path: Path) -> None:
    text = "mattermost:\n  url: https://file.example\n  timeout: 5\n  max_concurrency: 2\n"
    environment = {"MMCONSOLE_MATTERMOST_TIMEOUT": "6", "MMCONSOLE_MATTERMOST_MAX_CONCURRENCY": "3"}
    flags = {"mattermost.max_concurrency": ("--concurrency", 4)}

    settings = load(text, environment, flags=flags)

    mattermost = settings.values.mattermost
    assert (mattermost.url, mattermost.timeout, mattermost.max_concurrency) == ("https://file.example", 6.0, 4)
    assert settings.origins["mattermost.url"] == f"{tmp_path / 'config.yaml'}:2"
    assert settings.origins["mattermost.timeout"] == "MMCONSOLE_MATTERMOST_TIMEOUT"
    assert settings.origins["mattermost.max_concurrency"] == "--concurrency"
    assert settings.origins["mattermost.allow_http"] == "default"


def test_the_environment_can_name_the_file(tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    file.write_text("mattermost: {url: https://other.example}")

    settings = load_settings(environment={"MMCONSOLE_CONFIG": str(file)})

    assert settings.server == "https://other.example"
    assert settings.file == file


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("MMCONSOLE_SYNC_TEAMS", "[red, blue]", ("red", "blue")),
        ("MMCONSOLE_SYNC_DEACTIVATE", "true", True),
        ("MMCONSOLE_SYNC_MAX_MAILS", "8", 8),
        ("MMCONSOLE_TOKENS_ACCEPT", "[plain]", ("plain",)),
    ],
)
def test_variables_are_read_as_yaml_would_read_them(load: Load, variable: str, text: str, expected: object) -> None:
    settings = load("", {variable: text})

    section, _, leaf = variable.removeprefix("MMCONSOLE_").lower().partition("_")
    assert getattr(getattr(settings.values, section), leaf) == expected


def test_foreign_variables_those_of_tests_and_those_that_hold_secrets_are_no_settings(load: Load) -> None:
    environment = {
        "HOME": "/",
        "MMCONSOLE_TEST_ADMIN_TOKEN": TOKEN,
        "MMCONSOLE_ADMIN_TOKEN": TOKEN,
        "MMCONSOLE_SEAL_KEYS": "{}",
    }

    assert load("", environment).values == Values()


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("admin_token: {variable: MMCONSOLE_STAGING_TOKEN}", {}),
        ("profiles: {staging: {admin_token: {variable: MMCONSOLE_STAGING_TOKEN}}}", {}),
        ("", {"MMCONSOLE_ADMIN_TOKEN_VARIABLE": "MMCONSOLE_STAGING_TOKEN"}),
        ("", {"MMCONSOLE_SEAL_VARIABLE": "MMCONSOLE_STAGING_TOKEN"}),
    ],
)
def test_a_variable_that_settings_name_for_a_secret_is_no_unknown_setting(
    load: Load, text: str, more: dict[str, str]
) -> None:
    settings = load(text, {"MMCONSOLE_STAGING_TOKEN": TOKEN, **more})

    assert TOKEN not in repr(settings)


def test_every_setting_has_its_own_variable() -> None:
    variables = [variable_of(key) for key in leaf_keys()]

    assert len(set(variables)) == len(variables)
    assert "MMCONSOLE_DATABASE_USERS_EMAIL_VERIFIED_AT" in variables


def test_null_means_there_is_none_where_that_can_be_and_the_default_elsewhere(load: Load) -> None:
    text = "database:\n  url: sqlite:///x\n  users: {email_verified_at: , table: }\nsync:\n"

    settings = load(text)

    assert settings.users_table.email_verified_at is None
    assert settings.users_table.table == "users"
    assert settings.values.sync == Values().sync


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "---\n", "sync:\n", "sync: {}\n", "\ufeffsync: {}\n", "profiles:\n"]
)
def test_an_empty_file_or_section_is_fine(load: Load, text: str) -> None:
    assert load(text).values == Values()


def test_the_embedded_database_has_a_users_table_of_its_own(load: Load) -> None:
    embedded = load("")
    attached = load("database: {url: 'mysql://h/db', users: {table: people}}")

    assert embedded.users_table is EMBEDDED_USERS
    assert embedded.database_url == f"sqlite:///{embedded.embedded_file}"
    assert embedded.embedded_file.name == "default.sqlite3"
    assert attached.users_table.table == "people"
    assert attached.database_url == "mysql://h/db"


def test_asking_for_the_server_when_none_is_set_names_setting_file_and_variable(load: Load, tmp_path: Path) -> None:
    settings = load("")

    with pytest.raises(MissingSetting) as caught:
        _ = settings.server

    for part in ("mattermost.url", str(tmp_path / "config.yaml"), "MMCONSOLE_MATTERMOST_URL"):
        assert part in str(caught.value)
    assert user_config_file().name == "config.yaml"


@pytest.mark.parametrize(
    "url", ["https://chat.example.org", "http://127.0.0.1:8065", "https://example.org/chat", "https://[::1]:8065/chat"]
)
def test_addresses_are_taken_without_their_last_slash(load: Load, url: str) -> None:
    assert load(f"mattermost: {{url: '{url}/'}}").server == url


@pytest.mark.parametrize(
    "url",
    [
        "https://chat.example.org/api/v4",
        "chat.example.org",
        "ftp://chat.example.org",
        "https://",
        "https://chat.example.org/?a=b",
        "https://chat.example.org/#a",
        "https://user@chat.example.org",
        "https://chat example.org",
        "https://chat.example.org:abc",
        "https://chat.example.org:99999",
        "https://[::1",
        "https://:8065",
        "",
    ],
)
def test_what_is_no_address_is_refused(load: Load, url: str) -> None:
    with pytest.raises(InvalidSetting, match=r"mattermost\.url"):
        load(f"mattermost: {{url: '{url}'}}")


# ── profiles ─────────────────────────────────────────────────────────────────────────────────────

PROFILES = """\
profile: staging
sync: {teams: [all]}
mattermost: {url: https://chat.example, timeout: 7}
profiles:
  staging:
    mattermost: {url: https://staging.example}
  empty:
  also_empty: {}
"""


def test_a_profile_lies_over_what_stands_outside_of_it(load: Load, tmp_path: Path) -> None:
    settings = load(PROFILES)

    assert settings.profile == "staging"
    assert settings.server == "https://staging.example"
    assert settings.values.mattermost.timeout == 7.0
    assert settings.values.sync.teams == ("all",)
    assert settings.origins["mattermost.url"] == f"{tmp_path / 'config.yaml'}:6"


def test_a_profile_is_chosen_by_flag_then_environment_then_file(load: Load) -> None:
    by_variable = {"MMCONSOLE_PROFILE": "empty"}

    assert load(PROFILES, by_variable, profile="default").profile == "default"
    assert load(PROFILES, by_variable).profile == "empty"
    assert load(PROFILES).profile == "staging"
    assert load("").profile == "default"
    assert load("profile:\n").profile == "default"


@pytest.mark.parametrize("profile", ["empty", "also_empty", "default"])
def test_a_profile_without_settings_has_those_outside(load: Load, profile: str) -> None:
    assert load(PROFILES, profile=profile).server == "https://chat.example"


def test_profiles_have_databases_of_their_own(load: Load) -> None:
    assert load(PROFILES).embedded_file != load(PROFILES, profile="empty").embedded_file


def test_an_unknown_profile_is_answered_with_those_there_are(load: Load) -> None:
    with pytest.raises(UnknownProfile, match=r"`prod`.*default, also_empty, empty, staging"):
        load(PROFILES, profile="prod")


@pytest.mark.parametrize("profile", ["../x", "a b", "x" * 41, "ä"])
def test_a_profile_is_a_plain_word_because_files_are_named_after_it(load: Load, profile: str) -> None:
    with pytest.raises(InvalidSetting, match="profile"):
        load(PROFILES, profile=profile)


def test_a_mistake_shows_in_a_profile_that_is_not_used(load: Load, tmp_path: Path) -> None:
    with pytest.raises(UnknownSetting, match=rf"{tmp_path}/config.yaml:3: .*`sync\.taems`"):
        load("profiles:\n  other:\n    sync: {taems: [a]}\n")


@pytest.mark.parametrize("text", ["profiles: 5", "profiles: {a: 5}"])
def test_profiles_that_are_none_are_mistakes(load: Load, text: str) -> None:
    with pytest.raises(UnknownSetting, match="profiles"):
        load(text)


# ── mistakes ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "line", "nearest"),
    [
        ("mattermost:\n  ulr: x\n", 2, "mattermost.url"),
        ("sync:\n  teams: []\n  max_mail: 3\n", 3, "sync.max_mails"),
        ("max_mails: 3\n", 1, "sync.max_mails"),
        ("mattermost.urll: x\n", 1, "mattermost.url"),
    ],
)
def test_an_unknown_setting_is_answered_with_its_line_and_the_nearest_name(
    load: Load, tmp_path: Path, text: str, line: int, nearest: str
) -> None:
    with pytest.raises(UnknownSetting) as caught:
        load(text)

    assert str(caught.value).startswith(f"{tmp_path / 'config.yaml'}:{line}: ")
    assert f"did you mean `{nearest}`?" in str(caught.value)


def test_an_unknown_variable_is_answered_with_the_nearest_name(load: Load) -> None:
    with pytest.raises(UnknownSetting, match=r"environment: .*MMCONSOLE_MATTERMOST_ULR.*mean MMCONSOLE_MATTERMOST_URL"):
        load("", {"MMCONSOLE_MATTERMOST_ULR": "x"})


@pytest.mark.parametrize(
    ("text", "where", "key"),
    [
        ("mattermost:\n  timeout: soon\n", ":2", "mattermost.timeout"),
        ("guard:\n  removals: -1\n", ":2", "guard.removals"),
        ("tokens: {storage: laravell}\n", ":1", "tokens.storage"),
        ("tokens: {accept: [plain, other]}\n", ":1", "tokens.accept"),
        ("sync: {teams: {a: b}}\n", ":1", "sync.teams"),
        ("web:\n  link_life: 121s\n", ":2", "web.link_life"),
        ("mattermost: 5\n", ":1", "mattermost"),
        ("sync: [a]\n", ":1", "sync"),
    ],
)
def test_a_value_that_cannot_be_is_answered_with_its_line(
    load: Load, tmp_path: Path, text: str, where: str, key: str
) -> None:
    with pytest.raises((InvalidSetting, UnknownSetting)) as caught:
        load(text)

    assert str(caught.value).startswith(f"{tmp_path / 'config.yaml'}{where}: ")
    assert f"`{key}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("workers: {share: perhaps}", "must be true or false"),
        ("sync: {max_mails: many}", "must be a whole number"),
        ("mattermost: {timeout: soon}", "must be a number"),
        ("web: {listen: 8075}", "must be a text"),
        ("sync: {teams: 5}", "must be a list"),
        ("web: {link_life: 5m}", "less than or equal to 2m"),
        ("tokens: {lifetime: 1h}", "greater than or equal to 1d"),
    ],
)
def test_why_a_value_cannot_be_is_said_in_our_words(load: Load, text: str, why: str) -> None:
    with pytest.raises(InvalidSetting, match=why):
        load(text)


def test_a_flag_or_variable_that_cannot_be_names_itself(load: Load) -> None:
    with pytest.raises(InvalidSetting, match=r"^MMCONSOLE_GUARD_PERCENT: `guard.percent` cannot be `101`: .*100"):
        load("", {"MMCONSOLE_GUARD_PERCENT": "101"})
    with pytest.raises(InvalidSetting, match=r"^--timeout: "):
        load("", flags={"mattermost.timeout": ("--timeout", 0)})


@pytest.mark.parametrize(
    "text",
    [
        "sync: {max_mails: 1, max_mails: 2}",
        "sync: {max_mails: 1}\nsync: {teams: []}",
        "sync: {max_mails: 1}\nsync.max_mails: 2",
        "sync.max_mails: 2\nsync: {max_mails: 1}",
    ],
)
def test_a_setting_that_stands_twice_is_refused(load: Load, text: str) -> None:
    with pytest.raises(UnreadableSettings, match="a second time"):
        load(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("mattermost:\n\turl: x\n", 2),
        ("mattermost: {url: x\n", 2),
        ("a: b: c\n", 1),
        ("a: *nothing\n", 1),
        ("a: 1\n--- \nb: 2\n", 2),
        ("sync: {max_mails: !!int many}\n", 1),
        ("sync: {max_mails: !!bool many}\n", 1),
        ("sync: {max_mails: !!python/object:os.system x}\n", 1),
        ("sync:\n  max_mails: 2024-13-45\n", 2),
        ("sync:\n  teams: [[a]]\n", 2),
        ("sync:\n  ? [a, b]\n  : c\n", 2),
    ],
)
def test_what_is_not_yaml_is_answered_with_its_line(load: Load, tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(UnreadableSettings) as caught:
        load(text)

    assert str(caught.value).startswith(f"{tmp_path / 'config.yaml'}:{line}: ")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"\xff\xfe\x00s", "UTF-8"),
        ("mattermost: {url: héllo}".encode("latin-1"), "UTF-8"),
        (b"a: \x00", "characters that YAML does not allow"),
        (b"- a\n- b\n", "mapping"),
        (b"just words", "mapping"),
        (b"#" * 1_000_001, "too large"),
        (b"[" * 100_000, "too deeply"),
        (b"a: " + b"{a: " * 50 + b"1" + b"}" * 50, "too deeply"),
        (b"sync: {max_mails: " + b"9" * 6000 + b"}", "cannot be read"),
    ],
)
def test_a_file_that_holds_no_settings_says_so(load: Load, text: bytes, why: str) -> None:
    with pytest.raises(UnreadableSettings, match=why):
        load(text)


@pytest.mark.parametrize("innermost", ["{}", "{x: 1}", "[x, x]", "x"])
@pytest.mark.parametrize("opened", ["{%s}", "[%s]"])
def test_aliases_that_multiply_are_stopped(load: Load, innermost: str, opened: str) -> None:
    lines = [f"a0: &a0 {innermost}"]
    for level in range(1, 8):
        keys = (f"k{n}: *a{level - 1}" if opened == "{%s}" else f"*a{level - 1}" for n in range(10))
        lines.append(f"a{level}: &a{level} {opened % ', '.join(keys)}")

    with pytest.raises(SettingsError):
        load("\n".join(lines))


@pytest.mark.parametrize("text", ["sync: &s {x: *s}", "sync: {teams: &t [*t]}", "&r sync: *r"])
def test_an_alias_of_itself_is_stopped(load: Load, text: str) -> None:
    with pytest.raises(SettingsError):
        load(text)


def test_an_honest_alias_is_read(load: Load) -> None:
    settings = load("sync: {teams: &teams [a]}\nprofiles: {b: {sync: {teams: *teams}}}", profile="b")

    assert settings.values.sync.teams == ("a",)


@pytest.mark.parametrize(
    "text", ["*a", "[" * 5000, "{a: b}", "[[a]]", "2024-13-45", "!!bool x", "'", "&a [*a]", "!!python/none x"]
)
def test_a_variable_that_is_not_yaml_names_itself(load: Load, text: str) -> None:
    with pytest.raises(UnreadableSettings, match=r"^MMCONSOLE_SYNC_MAX_MAILS: "):
        load("", {"MMCONSOLE_SYNC_MAX_MAILS": text})


def test_a_folder_or_nothing_in_place_of_the_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSettings, match="Is a directory"):
        load_settings(file=tmp_path, environment={})
    with pytest.raises(UnreadableSettings, match="No such file"):
        load_settings(file=tmp_path / "absent.yaml", environment={})


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(UnreadableSettings):
        load_settings(file=Path("/dev/zero"), environment={})


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_as_settings(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", lambda *_, **__: _Opened(text))
        try:
            settings = load_settings(file=Path("x"), environment={})
        except SettingsError:
            return

    assert set(settings.origins) == set(leaf_keys())


class _Opened:
    """A file that holds a text, without one."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def read(self, size: int) -> str:
        return self.text[:size]


# ── secrets do not belong here ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        f"admin_token: {TOKEN}",
        f"admin_token:\n  token: {TOKEN}",
        f"admin_token:\n  source: {TOKEN}",
        f"mattermost:\n  token: {TOKEN}",
        "mattermost:\n  password: correct horse battery",
        "seal:\n  key: c29tZSBrZXkgdGhhdCBpcyBsb25nIGVub3VnaA==",
        "api_secret: correct horse battery",
        f"profiles:\n  a:\n    admin_token: {TOKEN}",
        f"profiles:\n  a:\n    mattermost:\n      pat: {TOKEN}",
        f"mattermost:\n  url: {TOKEN}",
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_shown(load: Load, text: str) -> None:
    with pytest.raises(SecretInSettings, match="mmconsole login") as caught:
        load(text)

    said = everything_said_by(caught.value)
    assert not any(part in said for part in parts_of(TOKEN) | parts_of("correct horse battery"))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "text",
    [
        f"mattermost: {{url: 'https://admin:{TOKEN}@chat.example'}}",
        "mattermost: {url: 'https://admin:s3cr3tp4ss@chat.example'}",
        "mattermost: {url: 'https://admin:s3cr3t/p4ss@chat.example'}",
        "database: {url: ['mysql://app:s3cr3tp4ss@db/app']}",
        f"mattermost: {{timeout: Bearer-{TOKEN}}}",
        f"mattermost: {{url: {TOKEN}, timeout: *{TOKEN}}}",
        f"mattermost: {{timeout: !{TOKEN} x}}",
        f"mattermost: {{timeout: 'a{TOKEN}\n",
        f"mattermost:\n  timeout: 1\n   url: {TOKEN}\n",
        f"mattermost:\n\ttoken: {TOKEN}\n",
    ],
)
def test_a_secret_in_a_wrong_place_is_not_shown_by_the_error(load: Load, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(text)

    said = everything_said_by(caught.value)
    assert not any(part in said for part in parts_of(TOKEN) | {"s3cr3tp4", "s3cr3t/p", "p4ss"})


@pytest.mark.parametrize(
    "variable", ["MMCONSOLE_MATTERMOST_URL", "MMCONSOLE_ADMIN_TOKEN_SOURCE", "MMCONSOLE_MATTERMOST_TIMEOUT"]
)
@pytest.mark.parametrize("value", [TOKEN, f"*{TOKEN}", f"!{TOKEN} x", f"'{TOKEN}", f"https://a:{TOKEN}@h"])
def test_a_secret_in_a_wrong_variable_is_not_shown(load: Load, variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load("", {variable: value})

    assert not any(part in everything_said_by(caught.value) for part in parts_of(TOKEN))


def test_sources_of_secrets_are_those_the_secrets_room_knows() -> None:
    assert SecretSource.__args__ == ("keyring", "credential", "file", "environment")  # type: ignore[attr-defined]


def test_the_profiles_of_a_file_are_named_the_one_outside_first(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("profiles:\n  staging: {sync: {teams: [main]}}\n  default: {}\n  live: {}\n")

    assert profile_names(file) == ("default", "live", "staging")
    assert profile_names(None) == ("default",)


def test_the_databases_password_can_stay_in_the_applications_env(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text("DB_PASSWORD='p@ss/word'\n", encoding="utf-8")
    flags = {"database.url": ("test", "postgresql://app@db/app"), "database.env_file": ("test", str(env))}

    settings = load_settings(environment={}, flags=flags)

    assert settings.database_url == "postgresql://app:p%40ss%2Fword@db/app"
    assert "p@ss" not in repr(settings)


@pytest.mark.parametrize("text", ["", "DB_PASSWORD=${OTHER}", None])
def test_an_env_file_without_the_password_is_told_of(tmp_path: Path, text: str | None) -> None:
    env = tmp_path / ".env"
    if text is not None:
        env.write_text(text, encoding="utf-8")
    flags = {"database.url": ("test", "postgresql://app@db/app"), "database.env_file": ("test", str(env))}

    with pytest.raises(UnreadableSettings, match=str(env)):
        _ = load_settings(environment={}, flags=flags).database_url
