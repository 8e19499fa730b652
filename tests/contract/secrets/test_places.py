"""One suite for every place a secret can live in."""

from pathlib import Path

import pytest

from mmconsole.config import AdminTokenSettings
from mmconsole.domain.secrets import Secret
from mmconsole.errors import SecretError
from mmconsole.secrets import Place
from mmconsole.secrets.places import Credential, EnvironmentVariable, place_of

TEXT = "k3yq9jc9ab8kzfm1jd6m7w5ype"
KEYRING = pytest.param("keyring", marks=pytest.mark.keyring)


class Places:
    """Makes places of one source, as the settings would."""

    def __init__(self, source: str, folder: Path) -> None:
        self._source = source
        self._folder = folder

    def __getitem__(self, name: str) -> Place:
        chosen = AdminTokenSettings.model_validate({"source": self._source, "file": self._folder / "sub" / name})
        return place_of(chosen, key="admin_token.source", name=f"{self._folder.name}.{name}", interactive=True)


@pytest.fixture(params=["file", KEYRING])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Places:
    if request.param == "keyring":
        request.getfixturevalue("keyring_session")
    return Places(request.param, tmp_path)


def test_what_is_written_is_read_until_it_is_deleted(places: Places) -> None:
    place = places["token"]

    assert place.read() is None
    place.write(Secret(TEXT))
    assert place.read() == Secret(TEXT)
    place.delete()
    assert place.read() is None
    place.delete()


def test_writing_replaces(places: Places) -> None:
    places["token"].write(Secret(TEXT))
    places["token"].write(Secret("another"))

    assert places["token"].read() == Secret("another")


def test_two_names_are_two_secrets(places: Places) -> None:
    places["one"].write(Secret(TEXT))
    places["other"].write(Secret("another"))
    places["other"].delete()

    assert places["one"].read() == Secret(TEXT)
    assert places["other"].read() is None


@pytest.mark.parametrize("text", ["x", "héllo ✓ 🔑", '{"a": "b\\n"}', "two\nlines", "k3yq9jc9" * 1000])
def test_every_text_comes_back_as_it_was(places: Places, text: str) -> None:
    places["token"].write(Secret(text))

    assert places["token"].read() == Secret(text)


def test_a_place_says_where_it_is_without_showing_what_it_holds(places: Places) -> None:
    place = places["token"]
    place.write(Secret(TEXT))

    assert place.description.startswith(("keyring", "file /"))
    assert place.warning == ""
    assert place.writable
    assert TEXT[:8] not in repr(place)


@pytest.fixture(params=["credential", "environment"])
def fixed(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A place that others fill, holding the token and a newline."""
    if request.param == "environment":
        return EnvironmentVariable("TOKEN", {"TOKEN": f" {TEXT}\n", "OTHER": "x"})
    (tmp_path / "token").write_text(f" {TEXT}\n")
    # As systemd leaves it where it uses ACLs.
    (tmp_path / "token").chmod(0o440)
    return Credential("token", {"CREDENTIALS_DIRECTORY": str(tmp_path)})


@pytest.fixture(params=["no credentials", "no such credential", "no variable", "an empty variable"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    by_name: dict[str, Place] = {
        "no credentials": Credential("token", {}),
        "no such credential": Credential("token", {"CREDENTIALS_DIRECTORY": str(tmp_path)}),
        "no variable": EnvironmentVariable("TOKEN", {}),
        "an empty variable": EnvironmentVariable("TOKEN", {"TOKEN": " \n"}),
    }
    return by_name[request.param]


def test_what_others_put_there_is_read_without_its_outer_space(fixed: Place) -> None:
    assert fixed.read() == Secret(TEXT)
    assert TEXT[:8] not in repr(fixed) + fixed.description + fixed.warning


def test_an_empty_place_holds_nothing(empty: Place) -> None:
    assert empty.read() is None


def test_where_only_others_write_the_error_says_how(fixed: Place) -> None:
    with pytest.raises(SecretError, match=r"systemd-creds encrypt --name=token|export TOKEN=") as caught:
        fixed.write(Secret("new-and-secret"))
    with pytest.raises(SecretError, match=r"removed in its unit|unset TOKEN"):
        fixed.delete()

    assert "new-and-secret" not in str(caught.value)
    assert fixed.read() == Secret(TEXT)
    assert not fixed.writable


@pytest.mark.parametrize("name", ["../token", "/etc/passwd", "a/b", "", ".", ".."])
def test_a_credential_is_a_name_and_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(SecretError, match="not the name"):
        Credential(name, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).read()


def test_a_credential_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").mkdir()

    with pytest.raises(SecretError, match="not a plain file"):
        Credential("token", {"CREDENTIALS_DIRECTORY": str(tmp_path)}).read()


def test_only_the_environment_comes_with_a_warning(fixed: Place) -> None:
    assert bool(fixed.warning) is isinstance(fixed, EnvironmentVariable)
