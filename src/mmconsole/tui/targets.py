"""Whom an order is about."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Targets:
    """Whom an order is about: the marked users that are shown, else the one under the cursor."""

    shown: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    """Marked, but not shown by the filter. They are left out unless they are asked for."""
    marked: bool = False

    @property
    def only(self) -> str | None:
        """The one under the cursor, if that is all."""
        return self.shown[0] if self.shown and not self.marked else None
