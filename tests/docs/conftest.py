"""The shell of the command line's own tests."""

from tests.cli.conftest import bare, options, prepared, server, shell

__all__ = ["bare", "options", "prepared", "server", "shell"]
