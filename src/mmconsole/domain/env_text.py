"""The text of a Laravel application's `.env`, as vlucas/phpdotenv reads it."""

import re
from collections.abc import Collection, Iterator


def values_of(text: str, names: Collection[str]) -> dict[str, str]:
    """The settings of these names; of two with one name the last one counts. `${…}` is left as it stands."""
    return {name: value for name, value in _settings(text) if name in names}


def _settings(text: str) -> Iterator[tuple[str, str]]:
    for line in text.split("\n"):
        name, equals, value = line.partition("=")
        name = name.strip().removeprefix("export ").strip()
        if equals:
            yield name, _unquoted(value.strip())


def _unquoted(value: str) -> str:
    quote = value[:1]
    if quote and quote in "\"'":
        return value[1:].partition(quote)[0]
    return re.split(r"[ \t]#", value, maxsplit=1)[0].strip()
