"""Names of channels, ways to name one, and the marker of a project's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmconsole.domain.accounts import TeamId
from mmconsole.domain.channels import (
    CHANNEL_NAME_LIMIT,
    Channel,
    ChannelId,
    Project,
    ProjectId,
    is_legal_channel_name,
    legal_channel_name,
    mark,
    name_for,
    numbered_channel_name,
    reference_of,
)
from mmconsole.domain.tokens import OperationId
from mmconsole.simulator import rules

SERVER = "https://chat.example.org/mm"


@pytest.mark.parametrize(
    ("wanted", "legal"),
    [
        ("Project One", "project-one"),
        ("  Über & Söhne!  ", "uber-sohne"),
        ("Проект", "proekt"),
        ("a", "a"),
        ("__x__", "x"),
        ("a_b", "a_b"),
        ("x" * 70, "x" * 64),
        ("x" * 63 + " y", "x" * 63),
        ("!!!", ""),
        ("", ""),
        ("0123456789" * 4, "c-" + "0123456789" * 4),
        (f"{'a' * 26}__{'b' * 26}", f"c-{'a' * 26}__{'b' * 26}"),
    ],
)
def test_a_name_becomes_legal(wanted: str, legal: str) -> None:
    assert legal_channel_name(wanted) == legal


@given(st.text())
def test_every_text_becomes_a_name_that_the_server_takes_or_none(text: str) -> None:
    name = legal_channel_name(text)

    assert name == "" or (is_legal_channel_name(name) and rules.is_channel_name(name))
    assert legal_channel_name(name) == name


@given(st.text(min_size=1), st.integers(2, 10_000_000))
def test_a_numbered_name_is_legal_too_and_ends_with_its_number(text: str, number: int) -> None:
    name = legal_channel_name(text)
    if not name:
        return

    numbered = numbered_channel_name(name, number)

    assert is_legal_channel_name(numbered)
    assert numbered.endswith(f"-{number}")
    assert len(numbered) <= CHANNEL_NAME_LIMIT


@pytest.mark.parametrize("name", ["", "-a", "_a", "A", "a b", "a/b", "..", "x" * 65, "f" * 40, "é"])
def test_what_is_no_name_is_told(name: str) -> None:
    assert not is_legal_channel_name(name)


@pytest.mark.parametrize(
    ("text", "team", "name"),
    [
        ("project-1", None, "project-1"),
        (" Main/Project-1 ", "main", "project-1"),
        (f"{SERVER}/main/channels/project-1", "main", "project-1"),
        (f"{SERVER}/main/channels/project-1/", "main", "project-1"),
        (f"{SERVER}/main/channels/project-1?x=1#y", "main", "project-1"),
        ("https://CHAT.example.org/mm/main/channels/%70roject", "main", "project"),
    ],
)
def test_a_channel_is_named_in_several_ways(text: str, team: str | None, name: str) -> None:
    reference = reference_of(text, server=SERVER)

    assert reference is not None
    assert (reference.team, reference.name) == (team, name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "/",
        "/x",
        "main/",
        "a/b/c",
        "https://elsewhere.org/mm/main/channels/x",
        "https://chat.example.org:8443/mm/main/channels/x",
        "https://chat.example.org/main/channels/x",
        f"{SERVER}/main/messages/@ann",
        f"{SERVER}/main",
        "https://[oops/main/channels/x",
        "https://chat.example.org:99999/mm/main/channels/x",
    ],
)
def test_what_names_no_channel_of_this_server_is_none(text: str) -> None:
    assert reference_of(text, server=SERVER) is None


def test_only_what_looks_like_an_id_may_be_one() -> None:
    by_id, by_name = reference_of("c" * 26, server=SERVER), reference_of(f"main/{'c' * 26}", server=SERVER)

    assert by_id is not None
    assert by_id.id == "c" * 26
    assert by_name is not None
    assert by_name.id is None


def test_a_project_is_called_by_its_name_or_its_id() -> None:
    assert name_for(Project(ProjectId("7"), "Brücke")) == "brucke"
    assert name_for(Project(ProjectId("7"), "…")) == "project-7"
    assert name_for(Project(ProjectId("…"), "…")) == "project"


@given(st.text(min_size=1, max_size=191))
def test_the_marker_fits_into_a_purpose_and_an_intent(project_id: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in project_id):
        return
    marker = mark("i" * 26, ProjectId(project_id), OperationId("o" * 16))

    # What the server takes as a purpose (11.6.0), and our own column of an intent.
    assert len(marker) <= 250
    assert len(f"{'t' * 26} {'n' * 64} {marker}") <= 255


def test_a_channel_says_where_it_is_and_what() -> None:
    channel = Channel(ChannelId("c" * 26), TeamId("t" * 26), "project", type="P", delete_at=1, team="main")

    assert channel.address == "main/project"
    assert channel.archived
    assert not channel.public
    assert channel.of_a_team
    assert not Channel(ChannelId("c" * 26), TeamId(""), "a__b", type="D").of_a_team
