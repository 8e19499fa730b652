"""The command line: parse, one service call, print. The only door to Typer."""

from mmconsole.cli.run import main

__all__ = ["main"]
