"""What stands before a command. It imports nothing heavy: the console's first picture waits for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmconsole.config import Settings


@dataclass(slots=True)
class Given:
    """What stands before the command."""

    config: Path | None = None
    profile: str | None = None
    headless: bool = False
    debug: bool = False

    def settings(self, flags: Mapping[str, tuple[str, object]] | None = None) -> "Settings":
        """The settings of the chosen profile. `flags` are a command's own, by the setting each of them stands for;
        one that is None was not given. Raises SettingsError.
        """
        from mmconsole.config import load_settings  # noqa: PLC0415 - it imports pydantic, which help needs not

        meant = {key: flag for key, flag in (flags or {}).items() if flag[1] is not None}
        return load_settings(file=self.config, profile=self.profile, flags=meant)
