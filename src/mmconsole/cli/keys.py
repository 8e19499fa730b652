"""`mmconsole keys`: what the keys of the console do, and what this terminal sends."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from mmconsole.cli import output
from mmconsole.cli.run import given

if TYPE_CHECKING:
    from mmconsole.tui.keymaps import Keymap

EXAMPLES: Final = """\b
Examples:
  mmconsole keys           press keys, and see what they are called and do
  mmconsole keys --list    all of them, by pane
  mmconsole keys --json    the same for programs, and for a file of your own
"""


def keys(
    context: typer.Context,
    *,
    listed: Annotated[
        bool, typer.Option("--list", help="Print all keys; off a terminal that is what it does.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Show what your keys are called, and what each of them does. Both are about the console in this terminal."""
    from mmconsole.cli.console import keymap_of  # noqa: PLC0415 - it imports Textual

    keymap = keymap_of(given(context).settings())
    if listed or json or not output.on_a_terminal():
        _print(keymap, json=json)
        return
    from mmconsole.tui import key_probe  # noqa: PLC0415

    raise typer.Exit(key_probe.probe(keymap))


def _print(keymap: "Keymap", *, json: bool) -> None:
    from mmconsole.cli.table import Table  # noqa: PLC0415
    from mmconsole.tui.actions import ACTIONS, binding_id  # noqa: PLC0415
    from mmconsole.tui.keymaps import shown_key  # noqa: PLC0415

    with output.reader():
        table = None if json else Table("PANE", "KEY", "NAME", "DOES…", spare=("NAME", "PANE"))
        for action in ACTIONS:
            panes, pressed = ", ".join(action.panes), keymap.of(action)
            if table is None:
                output.write_json(
                    {"panes": action.panes, "keys": pressed, "name": binding_id(action), "does": action.sentence}
                )
            else:
                table.add(panes, " ".join(map(shown_key, pressed)), binding_id(action), action.sentence)
        if table is not None:
            table.end()
