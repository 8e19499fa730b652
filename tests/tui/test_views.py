"""Saved views: those of the beginning, and the operator's in a file."""

import stat
from pathlib import Path

import pytest

from mmconsole.domain.filters import Filter, Order, Sort, parse
from mmconsole.domain.tokens import Health
from mmconsole.errors import BadViews, FileUnwritable
from mmconsole.tui.views import BUILT_IN, SavedViews, View

NEW_STAFF = View("new staff", parse('status:missing "Ann Lee"'), Order(Sort.NAME, descending=True))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "new folder" / "views.yaml"


def test_what_is_saved_is_there_the_next_time_and_for_nobody_else(file: Path) -> None:
    SavedViews(file).save(NEW_STAFF)

    views = SavedViews(file)
    views.read()
    assert views.all == (*BUILT_IN, NEW_STAFF)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["views.yaml"]


def test_what_another_console_saved_meanwhile_stays(file: Path) -> None:
    here, there = SavedViews(file), SavedViews(file)
    there.save(View("theirs", parse("bot")))

    here.save(NEW_STAFF)

    assert here.find("theirs") is not None
    there.read()
    assert there.find("new staff") == NEW_STAFF


def test_one_of_the_operators_hides_the_one_of_the_beginning_until_it_is_forgotten(file: Path) -> None:
    views = SavedViews(file)
    views.save(View("broken", parse("status:revoked")))
    assert [str(view.wanted) for view in views.all if view.name == "broken"] == ["status:revoked"]

    assert views.forget("broken")
    assert not views.forget("broken")
    assert views.all == BUILT_IN


def test_stepping_goes_round_and_begins_at_the_end_from_a_filter_that_is_no_view() -> None:
    views = SavedViews(None)
    names, here = [], Filter()
    for _ in BUILT_IN:
        here = views.beside(here, 1).wanted
        names.append(views.of(here))

    assert names == [*BUILT_IN[1:], BUILT_IN[0]]
    assert views.beside(parse("zzz"), 1) == BUILT_IN[0]
    assert views.beside(parse("zzz"), -1) == BUILT_IN[-1]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 10),
        ("status:ok", 7),
        ("-status:ok", 3),
        ("status:ok,missing,ok", 9),
        ("status:ok ann", None),
        ("ann", None),
    ],
)
def test_what_statuses_alone_decide_needs_no_counting(text: str, count: int | None) -> None:
    by_status = {Health.OK: 7, Health.MISSING: 2, Health.REVOKED: 1}

    assert View("one", parse(text)).counted(by_status) == count


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- one", "it must name views"),
        ("one: [", "it is not YAML"),
        ("one: 'stat:ok'", "the filter of `one`: there is no field `stat`"),
        ("one: {filter: ann, sort: height}", "`one` is sorted by one of id, email"),
        ("one: {filter: 5}", "`one` must have a `filter`"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_and_nothing_is_lost(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "views.yaml"
    file.write_text(text)

    with pytest.raises(BadViews) as caught:
        SavedViews(file).save(NEW_STAFF)

    assert why in str(caught.value)
    assert file.read_text() == text


def test_a_filter_alone_is_a_view(tmp_path: Path) -> None:
    file = tmp_path / "views.yaml"
    file.write_text("bots: -bot\n")
    views = SavedViews(file)

    views.read()

    assert views.find("bots") == View("bots", parse("-bot"), Order(Sort.STATUS))


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(FileUnwritable):
        SavedViews(tmp_path / "file" / "views.yaml")._write({NEW_STAFF.name: NEW_STAFF})
