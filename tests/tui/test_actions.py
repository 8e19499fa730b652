"""The table of actions, and the keys that keymaps give them."""

from pathlib import Path

import pytest

from mmconsole.errors import BadKeymap
from mmconsole.tui.actions import ACTIONS, PANES, Danger, Need, Pane, State, actions_of, binding_id, bindings_of, find
from mmconsole.tui.app import Console
from mmconsole.tui.health_pane import HealthPane
from mmconsole.tui.help_screen import key_rows
from mmconsole.tui.jobs_pane import JobsPane
from mmconsole.tui.key_probe import meaning
from mmconsole.tui.keymaps import BASES, keymap, problems, read_keymap, shown_key
from mmconsole.tui.log_pane import LogPane
from mmconsole.tui.orders import Orders
from mmconsole.tui.panes import missing_methods
from mmconsole.tui.users_pane import UsersPane

WIDGETS = (UsersPane, HealthPane, JobsPane, LogPane)


def test_every_action_can_be_done_where_it_is_at_home() -> None:
    own = [(pane, action.id) for pane in PANES for action in actions_of(pane) if not action.ordered]
    assert missing_methods(WIDGETS, own) == []
    everywhere = [action.id for action in actions_of(Pane.EVERYWHERE) if not action.ordered]
    assert [id_ for id_ in everywhere if not hasattr(Console, f"do_{id_}")] == []
    assert [action.id for action in ACTIONS if action.ordered and not hasattr(Orders, f"do_{action.id}")] == []


def test_every_method_is_in_the_table() -> None:
    for pane, widget in [*zip(PANES, WIDGETS, strict=True), (Pane.EVERYWHERE, Console)]:
        methods = {name.removeprefix("do_") for name in dir(widget) if name.startswith("do_")}
        assert methods == {action.id for action in actions_of(pane) if not action.ordered}
    ordered = {name.removeprefix("do_") for name in dir(Orders) if name.startswith("do_")}
    assert ordered == {action.id for action in ACTIONS if action.ordered}


def test_every_action_has_a_name_of_its_own_and_a_sentence() -> None:
    names = [binding_id(action) for action in ACTIONS]

    assert len(names) == len(set(names))
    for action in ACTIONS:
        assert action.sentence.endswith(".")
        assert action.vim
        assert action.plain


def test_no_small_letter_removes_anything() -> None:
    risky = [action for action in ACTIONS if action.danger is not Danger.NONE]

    assert [key for action in risky for key in action.vim if key.islower() and len(key) == 1] == []


@pytest.mark.parametrize("base", BASES)
def test_the_keymaps_have_no_clash_and_no_key_that_terminals_do_not_send(base: str) -> None:
    assert list(problems(keymap(base))) == []


def test_every_need_says_why_and_what_would_help() -> None:
    for need in Need:
        assert not State().has(need)
        assert "; " in need


def test_a_need_that_is_not_met_is_the_reason() -> None:
    assert find(Pane.USERS, "unmark").why_not(State()) == "nothing is marked; space marks"
    assert find(Pane.USERS, "unmark").why_not(State(marks=True)) is None


def test_bindings_carry_the_ids_that_keymaps_name() -> None:
    ids = {getattr(binding, "id", None) for pane in (*PANES, Pane.EVERYWHERE) for binding in bindings_of(pane)}

    assert ids == set(keymap("vim").keys) == set(keymap("plain").keys)


def test_help_names_every_key_of_a_pane_and_the_reason_of_a_disabled_one() -> None:
    rows = key_rows(Pane.USERS, State(row=True, rows=True), keymap("vim"))

    assert len(rows) == len(actions_of(Pane.USERS)) + len(actions_of(Pane.EVERYWHERE))
    (unmark,) = [row for row in rows if row.verb == "unmark all"]
    assert not unmark.able
    assert "Not now: nothing is marked" in unmark.sentence


def test_a_key_means_what_the_keymap_says() -> None:
    assert meaning(keymap("vim"), "slash") == "filter (users), filter (log)"
    assert meaning(keymap("vim"), "f12") == "nothing"


@pytest.mark.parametrize(
    ("key", "shown"), [("shift+down", "shift+↓"), ("+", "+"), ("ctrl+r", "ctrl+r"), ("escape", "esc"), ("/", "/")]
)
def test_keys_are_shown_as_people_read_them(key: str, shown: str) -> None:
    assert shown_key(key) == shown


# ── files ────────────────────────────────────────────────────────────────────────────────────────


def read(folder: Path, text: str, base: str = "vim") -> dict[str, tuple[str, ...]]:
    file = folder / "keys.yaml"
    file.write_text(text, encoding="utf-8")
    return dict(read_keymap(file, base=base).keys)


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    keys = read(tmp_path, "mark: [space, x]\nlog.filter: ctrl+f\nwrap: null\n")

    assert keys["mark"] == ("space", "x")
    assert keys["log.filter"] == ("ctrl+f",)
    assert {name: keys[name] for name in keys if name not in {"mark", "log.filter", "wrap"}} == {
        name: found for name, found in keymap("vim").keys.items() if name not in {"mark", "log.filter", "wrap"}
    }


def test_an_empty_file_is_the_base(tmp_path: Path) -> None:
    assert read(tmp_path, "", base="plain") == keymap("plain").keys


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("mrak: x", "there is no action `mrak` (did you mean `mark`?)"),
        ("mark: j", "j means both `down` and `mark`"),
        ("mark: q", "q means both `mark` and `quit`"),
        ("mark: ctrl+h", "a terminal sends it as Backspace"),
        ("mark: ctrl+i", "a terminal sends it as Tab"),
        ("mark: ctrl+m", "a terminal sends it as Enter"),
        ("mark: ctrl+b", "tmux takes it for itself"),
        ("mark: ctrl+shift+x", "few terminals send it"),
        ("mark: spcae", "there is no such key"),
        ("quit: []", "`quit` needs a key"),
        ("- mark", "it must name actions with their keys"),
        ("mark: [", "it is not YAML"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(BadKeymap) as caught:
        read(tmp_path, text)

    assert why in str(caught.value)
    assert str(tmp_path / "keys.yaml") in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadKeymap, match="No such file"):
        read_keymap(tmp_path / "nowhere.yaml", base="vim")
