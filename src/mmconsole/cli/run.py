"""From the shell and back: runs a command line, and turns every end of it into one line and an exit code."""

import errno
import os
import re
import sys
import traceback
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mmconsole.cli import output
from mmconsole.cli.given import Given
from mmconsole.cli.importing import uncollected
from mmconsole.errors import FileUnwritable, Interrupted, MmconsoleError

if TYPE_CHECKING:
    import typer

    from mmconsole.cli.loop import Interrupts
    from mmconsole.core import Core

T = TypeVar("T")

_COMPLETING: Final = "_MMCONSOLE_COMPLETE"
SOME_FAILED: Final = 3
"""All was tried, and some of it failed."""
UNEXPECTED: Final = 70
"""EX_SOFTWARE: a mistake of ours."""
_CLUMSY: Final = {
    "Value error, ": "",
    "Input should be a valid integer, unable to parse string as an integer": "it must be a whole number",
    "Input should be a valid number, unable to parse string as a number": "it must be a number",
    "Input should be ": "it must be ",
}
"""What Typer hands on from pydantic, in our words."""
_NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_LIKE_A_SECRET: Final = re.compile(r"[A-Za-z0-9+/=_-]{20,}")


def given(context: "typer.Context") -> Given:
    found = context.find_object(Given)
    return found if found is not None else Given()


def code_of_end(*, troubled: int, interrupted: bool = False, fault: MmconsoleError | None = None) -> int:
    """The exit code of what does much: a signal says more than what stopped it, and that more than what failed."""
    if interrupted:
        return Interrupted.exit_code
    if fault is not None:
        return fault.exit_code
    return SOME_FAILED if troubled else 0


def run_core(context: "typer.Context", work: "Callable[[Core, Interrupts], Coroutine[Any, Any, T]]") -> T:
    """Run something asynchronous with the core of the chosen profile. Raises SettingsError, DatabaseError, Interrupted.

    Help needs no event loop and no core, so they are imported here.
    """
    settings = given(context).settings()
    from mmconsole.cli import loop  # noqa: PLC0415

    return loop.run_core(settings, work)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; without a word of it, the console. Returns the exit code; only a mistake in here raises."""
    options = Given()
    try:
        code = _obeyed(arguments, options) if arguments or _COMPLETING in os.environ else _shown(options)
        sys.stdout.flush()
    except BrokenPipeError:
        output.let_go_of_stdout()
        return 0
    except SystemExit as fault:
        # So Typer ends what a reader has left.
        if not isinstance(fault.__context__, BrokenPipeError):
            raise
        output.let_go_of_stdout()
        return 0
    except KeyboardInterrupt:
        output.end_line()
        return Interrupted.exit_code
    except Exception as fault:  # noqa: BLE001 - this is where every fault ends
        return _told(_from_stdout(fault), options)
    return code if isinstance(code, int) else 0


def _obeyed(arguments: Sequence[str], options: Given) -> object:
    from mmconsole.cli.app import command  # noqa: PLC0415 - the app imports the commands, which import this module

    return command(*arguments[:1]).main(list(arguments), prog_name="mmconsole", standalone_mode=False, obj=options)


def _shown(options: Given) -> int:
    with uncollected():
        from mmconsole.cli.console import open_console  # noqa: PLC0415 - it imports Textual

    return open_console(options)


def _from_stdout(fault: Exception) -> Exception:
    """A full disk behind stdout in our words. Files that we write ourselves have theirs before they get here."""
    if not isinstance(fault, OSError) or fault.errno not in _NO_ROOM:
        return fault
    output.let_go_of_stdout()
    return FileUnwritable(file="Standard output", why=fault.strerror or "")


def _told(fault: Exception, options: Given) -> int:
    """Say what went wrong in one line."""
    import typer  # noqa: PLC0415 - the console stands long before, and needs nothing of it

    if isinstance(fault, typer.TyperException):
        output.note(f"mmconsole: {_usage(fault)}")
        return fault.exit_code
    if isinstance(fault, typer.Abort):
        output.end_line()
        output.note("mmconsole: Nothing was done.")
        return Interrupted.exit_code if isinstance(fault.__context__, KeyboardInterrupt) else 1
    if isinstance(fault, MmconsoleError):
        output.note(f"mmconsole: {output.visible(str(fault))}")
        if options.debug:
            _show_places(fault)
        return fault.exit_code
    return _unexpected(fault, options)


def _usage(fault: "typer.TyperException") -> str:
    # A token typed as an argument would be quoted by the message.
    sentence = " ".join(_LIKE_A_SECRET.sub("***", fault.format_message()).split())
    for theirs, ours in _CLUMSY.items():
        sentence = sentence.replace(theirs, ours)
    context = getattr(fault, "ctx", None)
    hint = f" Try `{context.command_path} --help`." if context is not None else ""
    stop = "" if sentence.endswith((".", "?", "!")) else "."
    return output.visible(sentence) + stop + hint


def _unexpected(fault: Exception, options: Given) -> int:
    where = traceback.extract_tb(fault.__traceback__)[-1]
    place = f"{type(fault).__name__} at {Path(where.filename).name}:{where.lineno}"
    hint = "" if options.debug else " `mmconsole --debug` before the command shows the way there."
    output.note(f"mmconsole: This is a mistake in mmconsole ({place}), please report it.{hint}")
    if options.debug:
        _show_places(fault)
    return UNEXPECTED


def _show_places(fault: BaseException) -> None:
    """Where it happened, without any value: the text of a foreign exception may carry a secret."""
    for cause in _chain(fault):
        output.note(f"{type(cause).__name__}:")
        output.note("".join(traceback.format_list(traceback.extract_tb(cause.__traceback__))).rstrip())


def _chain(fault: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while fault is not None and fault not in chain:
        chain.append(fault)
        fault = fault.__cause__ or fault.__context__
    return chain
