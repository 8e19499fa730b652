"""The words of a token's health."""

from mmconsole.cli.output import _COLORS
from mmconsole.domain.health import STATUSES
from mmconsole.domain.tokens import Health


def test_every_health_has_a_glyph_and_a_word_of_its_own() -> None:
    assert set(STATUSES) == set(Health)
    assert len(set(STATUSES.values())) == len(Health)


def test_every_glyph_has_a_colour() -> None:
    assert {status[0] for status in STATUSES.values()} == set(_COLORS)
