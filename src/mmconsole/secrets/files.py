"""A secret in a file that is ours and that nobody else can read.

What is checked is the opened file, not its name, so that nobody can exchange it between the look and the reading.
"""

import os
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from errno import ELOOP
from glob import escape
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, ClassVar, Final

from mmconsole.domain.secrets import Secret
from mmconsole.errors import ExposedFile, FileThere, SecretError

SIZE_LIMIT: Final = 64 * 1024
"""Bytes. No secret is larger, and a wrong path may name something endless."""
_DRAFT_BYTES: Final = 8
_HEX: Final = "[0-9a-f]"
_DRAFT_IS_LEFT_AFTER: Final = 3_600
"""Seconds. One that is younger may be another operator's, who writes it right now."""
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class SecretFile:
    path: Path
    warning: str = ""
    writable: ClassVar[bool] = True

    @property
    def description(self) -> str:
        return f"file {self.path}"

    def read(self) -> Secret | None:
        """Raises ExposedFile unless it is a plain file of ours (or root's) without any right for others."""
        return read_text(self.path, private=True)

    def write(self, secret: Secret) -> None:
        try:
            _make_folder(self.path.parent)
            _replace(self.path, secret)
        except OSError as fault:
            raise SecretError(why=f"{self.path} cannot be written: {fault.strerror}") from fault
        if self.read() != secret:
            raise SecretError(why=f"{self.path} does not hold what was just written to it")

    def delete(self) -> None:
        try:
            self.path.unlink(missing_ok=True)
            if self.path.parent.is_dir():
                _settle(self.path.parent)
        except NotADirectoryError:
            return
        except OSError as fault:
            raise SecretError(why=f"{self.path} cannot be removed: {fault.strerror}") from fault


def write_new(path: Path, secret: Secret) -> None:
    """Write a file for us alone where there is none yet. Raises FileThere, and SecretError when it cannot be written.

    A link in its place counts as a file, too: what it leads to is not written.
    """
    try:
        _write_draft(path, secret)
        _settle(path.parent)
    except FileExistsError as fault:
        raise FileThere(file=path) from fault
    except OSError as fault:
        raise SecretError(why=f"{path} cannot be written: {fault.strerror}") from fault


def read_text(path: Path, *, private: bool = False) -> Secret | None:
    """A small text file's content without its outer space; None when there is none.

    `private` demands that it is ours (or root's) alone.
    """
    try:
        raw = _content(path, private=private)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as fault:
        if fault.errno == ELOOP:
            raise ExposedFile(file=path, why="is a symbolic link") from fault
        raise SecretError(why=f"{path} cannot be read: {fault.strerror}") from fault
    text = _decoded(raw)
    if text is None or len(raw) > SIZE_LIMIT:
        raise SecretError(why=f"{path} does not hold a text of at most {SIZE_LIMIT // 1024} KiB")
    return Secret(text) if text else None


def open_private(path: Path) -> BinaryIO:
    """A large file that is ours (or root's) alone, opened for reading. Raises ExposedFile, and OSError."""
    try:
        return os.fdopen(_opened(path, private=True), "rb")
    except OSError as fault:
        if fault.errno == ELOOP:
            raise ExposedFile(file=path, why="is a symbolic link") from fault
        raise


def _content(path: Path, *, private: bool) -> bytes:
    opened = _opened(path, private=private)
    try:
        return os.read(opened, SIZE_LIMIT + 1)
    finally:
        os.close(opened)


def _opened(path: Path, *, private: bool) -> int:
    # Without O_NONBLOCK a pipe in the file's place would hang us.
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (os.O_NOFOLLOW if private else 0))
    facts = os.fstat(opened)
    exposed = _exposure(facts) if private else _no_plain_file(facts)
    if exposed:
        os.close(opened)
        raise ExposedFile(file=path, why=exposed)
    return opened


def _exposure(facts: os.stat_result) -> str:
    """Why a file is no place for a secret; empty when it is."""
    if facts.st_uid not in {os.geteuid(), 0}:
        return f"belongs to another user (uid {facts.st_uid})"
    if stat.S_ISREG(facts.st_mode) and facts.st_mode & _OTHERS:
        return f"can be used by others (mode {stat.S_IMODE(facts.st_mode):04o})"
    return _no_plain_file(facts)


def _no_plain_file(facts: os.stat_result) -> str:
    return "" if stat.S_ISREG(facts.st_mode) else "is not a plain file"


def _decoded(raw: bytes) -> str | None:
    """The text, or None: an error of decoding would carry the bytes along."""
    try:
        return raw.decode().strip()
    except UnicodeDecodeError:
        return None


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each for us alone."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(mode=0o700, exist_ok=True)


def new_draft(path: Path) -> Path:
    """Where a file is written before it gets its name. Drafts that a kill -9 has left there are removed."""
    for left in path.parent.glob(f".{escape(path.name)}.{_HEX * 2 * _DRAFT_BYTES}"):
        with suppress(OSError):
            facts = left.lstat()
            ours = stat.S_ISREG(facts.st_mode) and facts.st_uid == os.geteuid()
            if ours and time.time() - facts.st_mtime > _DRAFT_IS_LEFT_AFTER:
                left.unlink()
    return path.with_name(f".{path.name}.{token_hex(_DRAFT_BYTES)}")


def _replace(path: Path, secret: Secret) -> None:
    """Put a complete new file in the old one's place, durably: a crash leaves the old or the new one."""
    draft = new_draft(path)
    _write_draft(draft, secret)
    try:
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
    _settle(path.parent)


def _write_draft(path: Path, secret: Secret) -> None:
    """Write a file that is not there yet, whole and durably, or leave none."""
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(opened, "wb") as file:  # noqa: PTH123 - it is a descriptor, not a path
            # A strict encoder's error would carry the secret along.
            file.write(secret.reveal().encode("utf-8", "surrogatepass") + b"\n")
            file.flush()
            os.fsync(opened)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def _settle(folder: Path) -> None:
    """Make a change of names in a folder durable."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
