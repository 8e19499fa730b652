"""The tree in the docstring of `errors.py` is what stands below it."""

import inspect
import re
from collections.abc import Iterator

from mmconsole import errors

LEAF = re.compile(r"^    (?P<branch>[│├└─ ]*)(?P<name>[A-Z]\w+)(?: +(?P<exit_code>\d+))?$")


def drawn() -> Iterator[tuple[str, str, int]]:
    """Name, parent and exit code of each error as the tree has it: a code that is not named is the parent's."""
    above: list[tuple[str, int]] = []
    for line in (errors.__doc__ or "").splitlines():
        if (leaf := LEAF.match(line)) is None:
            continue
        del above[len(leaf["branch"]) // 4 :]
        parent, inherited = above[-1] if above else ("Exception", 1)
        exit_code = int(leaf["exit_code"] or inherited)
        above.append((leaf["name"], exit_code))
        yield leaf["name"], parent, exit_code


def defined() -> Iterator[tuple[str, str, int]]:
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.MmconsoleError):
            yield name, kind.__bases__[0].__name__, kind.exit_code


def test_the_tree_draws_every_error_with_its_parent_and_exit_code() -> None:
    assert sorted(drawn()) == sorted(defined())
