"""The JSON Schema of the settings file, by which editors complete and check it: made from the settings themselves."""

from typing import Any, Final

from mmconsole.config import Values, leaf_keys, variable_of

_SPAN: Final = {"type": ["string", "integer"], "pattern": "^ *([0-9]{1,9}[smhdwSMHDW]|0) *$", "maximum": 0}
"""`10m`, `36h`, `90d`; only none at all needs no unit."""
_NULL: Final = {"type": "null"}


def schema() -> dict[str, Any]:
    """A document of draft 2020-12. Whatever it allows can still be refused for its meaning by `config check`."""
    made = Values.model_json_schema()
    sections = {name: _with_nulls(_tidied(section)) for name, section in made["$defs"].items()}
    settings = {name: _or_null(_tidied(one)) for name, one in made["properties"].items()}
    profile = {"type": "object", "properties": settings, "additionalProperties": False}
    _describe(sections, settings)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of mmconsole",
        "type": "object",
        "properties": {
            **settings,
            "profile": {"type": ["string", "null"], "description": "The profile that is used without --profile."},
            "profiles": _or_null({"type": "object", "additionalProperties": _or_null(profile)}),
        },
        "additionalProperties": False,
        "$defs": sections,
    }


def _tidied(node: Any) -> Any:  # noqa: ANN401 - a schema nests whatever it likes
    """Without what pydantic says about Python, and with spans as people write them."""
    if isinstance(node, list):
        return [_tidied(one) for one in node]
    if not isinstance(node, dict):
        return node
    if node.get("format") == "duration":
        return dict(_SPAN)
    kept = {name: _tidied(one) for name, one in node.items() if name not in {"title", "description", "default"}}
    # A path is any text; editors that know the format would complain of `~`.
    return {name: one for name, one in kept.items() if (name, one) != ("format", "path")}


def _or_null(node: dict[str, Any]) -> dict[str, Any]:
    """A section or value that is named and left empty says nothing."""
    return {"anyOf": [node, _NULL]}


def _with_nulls(section: dict[str, Any]) -> dict[str, Any]:
    properties = {name: _or_null(one) for name, one in section["properties"].items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _describe(sections: dict[str, Any], settings: dict[str, Any]) -> None:
    """Say at each setting what its default is, and which variable of the environment sets it."""
    tree = Values().model_dump(mode="json")
    for key in leaf_keys():
        *path, leaf = key.split(".")
        place, value = settings[path[0]], tree[path[0]]
        for part in [*path[1:], leaf]:
            place = sections[place["anyOf"][0]["$ref"].rpartition("/")[2]]["properties"][part]
            value = value[part]
        place.setdefault("default", value)
        place.setdefault("description", f"Also {variable_of(key)} in the environment.")
