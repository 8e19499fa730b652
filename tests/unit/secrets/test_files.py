"""Secrets in files: ours alone, written whole or not at all."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from mmconsole.domain.secrets import Secret
from mmconsole.errors import ExposedFile, FileThere, SecretError
from mmconsole.secrets import files
from mmconsole.secrets.files import SecretFile, new_draft, write_new

TEXT = "k3yq9jc9ab8kzfm1jd6m7w5ype"
Silence = Callable[[BaseException, str], None]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "token"


def put(path: Path, text: str | bytes = TEXT, mode: int = 0o600) -> SecretFile:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return SecretFile(path)


def test_a_draft_that_a_crash_has_left_goes_with_the_next_writing_and_a_fresh_one_stays(path: Path) -> None:
    left, fresh, other = (path.with_name(name) for name in (f".token.{'a' * 16}", f".token.{'b' * 16}", ".token.bak"))
    for file in (left, fresh, other):
        put(file)
    for file in (left, other):
        os.utime(file, (0, 0))

    SecretFile(path).write(Secret(TEXT))

    assert [file.exists() for file in (left, fresh, other, path)] == [False, True, True, True]


def test_a_draft_that_belongs_to_somebody_else_stays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = path.with_name(f".token.{'a' * 16}")
    put(left)
    os.utime(left, (0, 0))

    with monkeypatch.context() as patched:
        patched.setattr(os, "geteuid", lambda: left.stat().st_uid + 1)
        new_draft(path)

    assert left.exists()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_written_file_and_its_new_folders_are_ours_alone(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "a" / "b" / "token"
    before = os.umask(umask)

    try:
        SecretFile(path).write(Secret(TEXT))
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)] == [0o700, 0o700]
    assert [file.name for file in path.parent.iterdir()] == ["token"]
    assert SecretFile(path).read() == Secret(TEXT)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o777])
def test_a_file_that_others_can_use_is_refused_and_writing_it_anew_cures_it(
    assert_silent: Silence, path: Path, mode: int
) -> None:
    file = put(path, mode=mode)

    with pytest.raises(ExposedFile, match=f"mode 0{mode:o}.*chmod 600 {path}") as caught:
        file.read()
    file.write(Secret("new"))

    assert_silent(caught.value, TEXT)
    assert file.read() == Secret("new")


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_that_only_we_can_read_is_read(path: Path, mode: int) -> None:
    assert put(path, f" {TEXT}\n", mode).read() == Secret(TEXT)


@as_root
def test_a_file_of_another_user_is_refused(path: Path) -> None:
    file = put(path)
    os.chown(path, 12345, -1)

    with pytest.raises(ExposedFile, match="another user"):
        file.read()


@as_root
def test_a_file_of_root_is_taken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = put(path)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)

    assert file.read() == Secret(TEXT)


def test_a_symbolic_link_is_refused_and_replaced_by_writing(path: Path, tmp_path: Path) -> None:
    put(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    file = SecretFile(path)

    with pytest.raises(ExposedFile, match="symbolic link"):
        file.read()
    file.write(Secret("new"))

    assert not path.is_symlink()
    assert (tmp_path / "elsewhere").read_text() == TEXT


def test_a_link_to_nowhere_is_no_missing_file(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "absent")

    with pytest.raises(ExposedFile, match="symbolic link"):
        SecretFile(path).read()


def test_a_pipe_or_folder_is_no_file_and_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)

    with pytest.raises(ExposedFile, match="not a plain file"):
        SecretFile(tmp_path / "pipe").read()
    with pytest.raises(ExposedFile, match="not a plain file"):
        SecretFile(tmp_path / "home").read()


@pytest.mark.parametrize("name", ["absent", "absent/token", "file/token"])
def test_a_missing_file_holds_nothing_and_is_forgotten_already(tmp_path: Path, name: str) -> None:
    put(tmp_path / "file")

    assert SecretFile(tmp_path / name).read() is None
    SecretFile(tmp_path / name).delete()


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_file_holds_nothing(path: Path, text: str) -> None:
    assert put(path, text).read() is None


@pytest.mark.parametrize("raw", [b"k3yq9jc9ab8kzfm1jd6m7w5ype\xff", b"k3yq9jc9" * 10_000])
def test_what_is_no_short_text_is_refused_and_not_shown(assert_silent: Silence, path: Path, raw: bytes) -> None:
    with pytest.raises(SecretError, match="64 KiB") as caught:
        put(path, raw).read()

    assert_silent(caught.value, TEXT)


def test_a_file_where_a_folder_should_be_cannot_be_written(assert_silent: Silence, tmp_path: Path) -> None:
    put(tmp_path / "file")
    (tmp_path / "folder").mkdir()

    for name in ("file/token", "folder"):
        with pytest.raises(SecretError, match="cannot be written") as caught:
            SecretFile(tmp_path / name).write(Secret(TEXT))
        assert_silent(caught.value, TEXT)
    assert list((tmp_path / "folder").iterdir()) == []
    assert {file.name for file in tmp_path.iterdir()} == {"file", "folder", "home"}


def test_a_folder_is_not_removed(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="cannot be removed"):
        SecretFile(tmp_path).delete()


@pytest.mark.parametrize("broken", ["os.fsync", "pathlib.Path.replace"])
def test_a_failed_write_leaves_the_old_secret_and_no_draft(
    assert_silent: Silence, path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    file = put(path, "old")

    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(broken, no_room)
    with pytest.raises(SecretError, match="No space left") as caught:
        file.write(Secret(TEXT))

    assert_silent(caught.value, TEXT)
    assert file.read() == Secret("old")
    assert {one.name for one in path.parent.iterdir()} == {"token", "home"}


def test_a_file_that_does_not_keep_what_was_written_is_noticed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_replace", lambda path, secret: put(path, "other"))

    with pytest.raises(SecretError, match="does not hold"):
        SecretFile(path).write(Secret(TEXT))


def test_a_secret_that_is_no_unicode_text_fails_silently(assert_silent: Silence, path: Path) -> None:
    with pytest.raises(SecretError) as caught:
        SecretFile(path).write(Secret(TEXT + "\ud800"))

    assert_silent(caught.value, TEXT)


def test_a_new_file_is_ours_alone_and_never_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "copy"

    write_new(path, Secret("known-secret"))
    with pytest.raises(FileThere, match="exists already"):
        write_new(path, Secret("another"))

    assert path.read_text() == "known-secret\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.glob(".copy*")) == []


def test_a_new_file_where_there_is_no_folder_or_no_room_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="No such file or directory"):
        write_new(tmp_path / "nowhere" / "copy", Secret("known-secret"))
    with pytest.raises(SecretError, match="cannot be written"):
        write_new(Path("/dev/full/copy"), Secret("known-secret"))
