"""Imports leave the collector as they found it."""

import gc

import pytest

from mmconsole.cli.importing import uncollected


def test_nothing_is_collected_within_and_all_is_as_before_when_it_fails() -> None:
    with pytest.raises(ImportError), uncollected():
        assert not gc.isenabled()
        raise ImportError

    assert gc.isenabled()
