"""Imports leave the collector as they found it."""

import gc

from mmconsole.cli.importing import uncollected


def test_nothing_is_collected_within_and_all_is_as_before_after_it() -> None:
    with uncollected():
        within = gc.isenabled()

    assert not within
    assert gc.isenabled()
