"""Draws the pictures of this folder, and writes the table of keys into docs/console.md.

Commands run for real in a terminal of 80x24, by tmux, and are drawn by rich; the console draws itself.
"""

import io
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

FOLDER = Path(__file__).parent
CONSOLE_PAGE = FOLDER.parent / "docs" / "console.md"
COMMAND = Path(sys.executable).parent / "mmconsole"
SOCKET = "mmconsole-screenshots"
WIDTH, HEIGHT = 80, 24


def main() -> None:
    sys.path.insert(0, str(FOLDER.parent))
    from screenshots.console import draw_console  # noqa: PLC0415 - it imports what the tests stand on

    from mmconsole.tui.key_table import with_key_table  # noqa: PLC0415 - it imports Textual

    draw("help", "--help")
    draw("demo", "--headless demo")
    draw_console(FOLDER)
    CONSOLE_PAGE.write_text(with_key_table(CONSOLE_PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def draw(name: str, arguments: str) -> None:
    """Run a command to its end, and keep what the terminal shows then as `<name>.svg`."""
    shown = _run(f"{COMMAND} {arguments}; echo END-OF-$((1+1))")
    lines = shown[: shown.rindex("END-OF-2")].rstrip().replace(str(COMMAND), "mmconsole")
    console = Console(width=WIDTH, record=True, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(f"$ mmconsole {arguments}\n{lines}"))
    console.save_svg(str(FOLDER / f"{name}.svg"), title=f"mmconsole {arguments}")


def _run(command: str) -> str:
    """What a terminal shows once a command has ended, with its colours."""
    _tmux("new-session", "-d", "-x", str(WIDTH), "-y", str(HEIGHT), f"clear; {command}; sleep 60")
    try:
        shown = ""
        while "END-OF-2" not in shown:
            time.sleep(0.5)
            # The history too: the command may have scrolled.
            shown = _tmux("capture-pane", "-e", "-p", "-S", "-100")
        return shown
    finally:
        _tmux("kill-server")


def _tmux(*arguments: str) -> str:
    return subprocess.run(("tmux", "-L", SOCKET, *arguments), check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
