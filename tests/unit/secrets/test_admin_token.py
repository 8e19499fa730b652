"""The administrator's token: kept with its server, and used for no other."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmconsole.config import Settings, Values
from mmconsole.domain.secrets import Secret
from mmconsole.errors import (
    AdminTokenElsewhere,
    AdminTokenMissing,
    InsecureTransport,
    MissingSetting,
    SecretError,
)
from mmconsole.secrets import admin_token, check_transport
from mmconsole.secrets.admin_token import origin_of

SERVER = "https://chat.example.org"
TOKEN = Secret("k3yq9jc9ab8kzfm1jd6m7w5ype")
Silence = Callable[[BaseException, str], None]
Build = Callable[..., Settings]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sub" / "token"


def in_file(settings_of: Build, file: Path, **others: object) -> Settings:
    return settings_of(admin_token={"source": "file", "file": str(file)}, **others)


def in_variable(settings_of: Build, **others: object) -> Settings:
    return settings_of(admin_token={"source": "environment"}, **others)


def test_a_stored_token_is_loaded_again(settings_of: Build, file: Path) -> None:
    settings = in_file(settings_of, file)

    admin_token.store(settings, Secret(f" {TOKEN.reveal()}\n"))

    assert admin_token.load(settings) == TOKEN
    assert json.loads(file.read_text()) == {"server": SERVER, "token": TOKEN.reveal()}


def test_a_forgotten_token_is_missing(settings_of: Build, file: Path) -> None:
    settings = in_file(settings_of, file)
    admin_token.store(settings, TOKEN)

    admin_token.forget(settings)
    admin_token.forget(settings)

    with pytest.raises(AdminTokenMissing, match=f"{SERVER} in the file {file}.*mmconsole login"):
        admin_token.load(settings)


@pytest.mark.parametrize("url", ["https://other.example.org", f"{SERVER}:8443", f"{SERVER}/chat", "http://localhost"])
def test_a_token_stored_for_one_server_is_not_sent_to_another(
    assert_silent: Silence, settings_of: Build, file: Path, url: str
) -> None:
    admin_token.store(in_file(settings_of, file), TOKEN)

    with pytest.raises(AdminTokenElsewhere, match=SERVER) as caught:
        admin_token.load(in_file(settings_of, file, url=url))

    assert_silent(caught.value, TOKEN.reveal())


@pytest.mark.parametrize("url", ["https://CHAT.example.org", f"{SERVER}:443", f"{SERVER}/"])
def test_the_same_server_written_differently_is_the_same(settings_of: Build, file: Path, url: str) -> None:
    admin_token.store(in_file(settings_of, file), TOKEN)

    assert admin_token.load(in_file(settings_of, file, url=url)) == TOKEN


@pytest.mark.parametrize("text", ["{0}", " {0}\n", '{{"server": "https://chat.example.org", "token": " {0} "}}'])
def test_a_variable_may_hold_the_bare_token_or_what_we_store(settings_of: Build, text: str) -> None:
    environment = {"MMCONSOLE_ADMIN_TOKEN": text.format(TOKEN.reveal())}

    assert admin_token.load(in_variable(settings_of), environment=environment) == TOKEN


def test_a_credential_may_hold_the_bare_token(settings_of: Build, tmp_path: Path) -> None:
    (tmp_path / "mmconsole-admin-token").write_text(TOKEN.reveal() + "\n")
    settings = settings_of(admin_token={"source": "credential"})

    assert admin_token.load(settings, environment={"CREDENTIALS_DIRECTORY": str(tmp_path)}) == TOKEN


@pytest.mark.parametrize("text", ["", " \n", '{"server": "https://chat.example.org", "token": " "}'])
def test_an_empty_token_is_a_missing_one(settings_of: Build, text: str) -> None:
    with pytest.raises(AdminTokenMissing, match="environment variable MMCONSOLE_ADMIN_TOKEN"):
        admin_token.load(in_variable(settings_of), environment={"MMCONSOLE_ADMIN_TOKEN": text})


def test_without_the_folder_of_credentials_the_error_says_that_there_is_none(settings_of: Build) -> None:
    with pytest.raises(AdminTokenMissing, match="CREDENTIALS_DIRECTORY is not set"):
        admin_token.load(settings_of(admin_token={"source": "credential"}), environment={})


@pytest.mark.parametrize(
    "wrong", ["k3yq9jc9 ab8kzfm1jd6", "k3yq9jc9\nab8kzfm1jd6", "k3yq9jc9\x1bab8kzfm1jd6", "k3yq9jc9é", "k3yq9jc9" * 26]
)
def test_what_cannot_be_a_token_is_refused_and_not_shown(
    assert_silent: Silence, settings_of: Build, file: Path, wrong: str
) -> None:
    with pytest.raises(SecretError, match="without spaces") as loaded:
        admin_token.load(in_variable(settings_of), environment={"MMCONSOLE_ADMIN_TOKEN": wrong})
    with pytest.raises(SecretError, match="without spaces") as stored:
        admin_token.store(in_file(settings_of, file), Secret(wrong))

    assert_silent(loaded.value, wrong)
    assert_silent(stored.value, wrong)
    assert not file.exists()


@pytest.mark.parametrize(
    "text",
    [
        '{"token": "k3yq9jc9ab8kzfm1jd6m7w5ype"',
        '{"token": "k3yq9jc9ab8kzfm1jd6m7w5ype"}',
        '{"server": 5, "token": "k3yq9jc9ab8kzfm1jd6m7w5ype"}',
        '{"server": "https://chat.example.org", "token": ["k3yq9jc9ab8kzfm1jd6m7w5ype"]}',
        '{"a":' + "[" * 20_000,
    ],
)
def test_a_damaged_text_is_not_shown(assert_silent: Silence, settings_of: Build, text: str) -> None:
    with pytest.raises(SecretError, match="no admin token") as caught:
        admin_token.load(in_variable(settings_of), environment={"MMCONSOLE_ADMIN_TOKEN": text})

    assert_silent(caught.value, TOKEN.reveal())


def test_a_token_is_neither_read_nor_stored_for_a_server_in_the_clear(settings_of: Build, file: Path) -> None:
    open_wire = in_file(settings_of, file, url="http://chat.example.org")
    allowed = in_file(settings_of, file, url="http://chat.example.org", allow_http=True)

    with pytest.raises(InsecureTransport, match="allow_http"):
        admin_token.store(open_wire, TOKEN)
    admin_token.store(allowed, TOKEN)

    assert admin_token.load(allowed) == TOKEN
    with pytest.raises(InsecureTransport):
        admin_token.load(open_wire)


@pytest.mark.parametrize(
    "url", ["https://chat.example.org", "http://localhost:8065", "http://127.0.0.1", "http://127.9.9.9", "http://[::1]"]
)
def test_https_and_this_machine_are_safe(url: str) -> None:
    check_transport(url, allow_http=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://chat.example.org",
        "http://localhost.example.org",
        "http://127.0.0.1.example.org",
        "http://localhost@example.org",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://[::2]",
        "ftp://localhost",
        "localhost:8065",
        "",
    ],
)
def test_anything_else_is_not(url: str) -> None:
    with pytest.raises(InsecureTransport):
        check_transport(url, allow_http=False)


def test_allow_http_allows_http_and_nothing_else() -> None:
    check_transport("http://chat.example.org", allow_http=True)
    with pytest.raises(InsecureTransport):
        check_transport("ftp://chat.example.org", allow_http=True)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Chat.Example.org:443/", "https://chat.example.org"),
        ("http://chat.example.org:80/Sub/", "http://chat.example.org/Sub"),
        ("http://chat.example.org:443", "http://chat.example.org:443"),
        ("https://user:pass@chat.example.org:8443/x", "https://chat.example.org:8443/x"),
        ("http://[::1]:8065", "http://[::1]:8065"),
    ],
)
def test_an_origin_is_scheme_host_port_and_path(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@given(st.text(st.characters(), max_size=250))
def test_any_text_in_the_variable_is_a_token_or_a_silent_error(text: str) -> None:
    values = Values.model_validate({"mattermost": {"url": SERVER}, "admin_token": {"source": "environment"}})
    settings, environment = Settings("default", values, {}), {"MMCONSOLE_ADMIN_TOKEN": text}

    if re.fullmatch(r"[!-z|}~][!-~]{0,199}", text.strip()):
        assert admin_token.load(settings, environment=environment).reveal() == text.strip()
        return
    with pytest.raises(SecretError) as caught:
        admin_token.load(settings, environment=environment)
    assert len(text) < 20 or text.strip() not in str(caught.value)


def test_without_a_server_there_is_nothing_to_bind_a_token_to(settings_of: Build) -> None:
    with pytest.raises(MissingSetting, match=r"mattermost\.url"):
        admin_token.load(settings_of(url=None))


def test_each_profile_has_a_file_of_its_own(settings_of: Build, empty_home: Path) -> None:
    one, other = (settings_of(profile=name, admin_token={"source": "file"}) for name in ("one", "other"))

    admin_token.store(one, TOKEN)

    assert (empty_home / ".config/mmconsole/secrets/one.admin-token").is_file()
    with pytest.raises(AdminTokenMissing):
        admin_token.load(other)


def test_the_environment_comes_with_a_warning(settings_of: Build, file: Path) -> None:
    assert "every process" in admin_token.place(in_variable(settings_of)).warning
    assert admin_token.place(in_file(settings_of, file)).warning == ""


def test_nothing_of_a_token_is_logged(
    settings_of: Build, file: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")

    admin_token.store(in_file(settings_of, file), TOKEN)
    admin_token.load(in_file(settings_of, file))

    text = TOKEN.reveal()
    said = caplog.text + "".join(capfd.readouterr())
    assert not any(text[at : at + 8] in said for at in range(len(text) - 7))
