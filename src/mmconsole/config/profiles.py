"""The profiles of a settings file: what is written for one of them, and mistakes in all of them."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from mmconsole.config.files import Given, read_file
from mmconsole.config.values import leaf_keys
from mmconsole.errors import InvalidSetting, SecretInSettings, UnknownProfile, UnknownSetting

DEFAULT_PROFILE: Final = "default"
_SECRET_KEY: Final = re.compile(r"(^|[._])(token|secret|password|pat|key)$")
_SECRET_VALUE: Final = re.compile(r"[a-z0-9]{26}\Z")


def profile_names(file: Path | None) -> tuple[str, ...]:
    """The profiles that a settings file names, the one outside of `profiles` first. Raises UnreadableSettings."""
    return (DEFAULT_PROFILE, *_profiles_in(read_file(file))) if file is not None else (DEFAULT_PROFILE,)


def chosen_in(written: Mapping[str, Given]) -> str:
    named = written.get("profile")
    return str(named.value) if named and named.value is not None else DEFAULT_PROFILE


def for_profile(written: Mapping[str, Given], profile: str, path: Path | None) -> dict[str, Given]:
    """The file's values for one profile: those of `profiles.<name>` lie over those outside."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", profile):
        raise InvalidSetting(where=path or "--profile", key="profile", value="this", why="use letters, digits, - and _")
    names = _profiles_in(written)
    if profile != DEFAULT_PROFILE and profile not in names:
        known = ", ".join([DEFAULT_PROFILE, *names])
        raise UnknownProfile(where=path or "no settings file", profile=profile, known=known)
    plain = {key: given for key, given in written.items() if key.split(".")[0] not in {"profile", "profiles"}}
    own = f"profiles.{profile}."
    plain |= {key.removeprefix(own): given for key, given in written.items() if key.startswith(own)}
    for key, given in _all_named(written):
        _check_known(key, given)
    return plain


def _profiles_in(written: Mapping[str, Given]) -> list[str]:
    return sorted({key.split(".")[1] for key in written if key.startswith("profiles.")} - {DEFAULT_PROFILE})


def _all_named(written: Mapping[str, Given]) -> Iterator[tuple[str, Given]]:
    """Every setting of every profile, so that a mistake in a profile shows before the day it is used."""
    for key, given in written.items():
        of_profile = key.split(".")[0] == "profiles"
        if of_profile and key.count(".") < 2:  # noqa: PLR2004 - profiles.<name>.<key>
            if given.value is not None:
                yield key, given
        elif of_profile:
            yield ".".join(key.split(".")[2:]), given
        elif key != "profile":
            yield key, given


def _check_known(key: str, given: Given) -> None:
    known = leaf_keys()
    if _looks_secret(key, given.value, known=key in known):
        raise SecretInSettings(where=given.origin, key=key)
    if key in known or (given.value is None and any(leaf.startswith(f"{key}.") for leaf in known)):
        return
    raise UnknownSetting(where=given.origin, key=key, nearest=_nearest(key, known))


def _looks_secret(key: str, value: object, *, known: bool) -> bool:
    if not isinstance(value, str):
        return False
    return bool(_SECRET_VALUE.match(value)) or (not known and bool(_SECRET_KEY.search(key)))


def _nearest(key: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(key, known, n=1, cutoff=0.6)
    close = close or [leaf for leaf in known if leaf.rsplit(".", 1)[-1] == key.rsplit(".", 1)[-1]][:1]
    return f" (did you mean `{close[0]}`?)" if close else ""
