"""The shell of the command line's own tests."""

from tests.cli.conftest import bare, options, server, shell

__all__ = ["bare", "options", "server", "shell"]
