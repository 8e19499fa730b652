"""What is written in a settings file: values by their dotted keys, each with its line."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import platformdirs
import yaml

from mmconsole.errors import NoSettingsFile, UnreadableSettings

_FILE_LIMIT: Final = 1_000_000
_NODE_LIMIT: Final = 10_000
_DEPTH_LIMIT: Final = 8


@dataclass(frozen=True, slots=True)
class Given:
    """A value and where it was given."""

    value: Any
    origin: str


def find_file(environment: Mapping[str, str]) -> Path | None:
    named = environment.get("MMCONSOLE_CONFIG")
    if named:
        return Path(named)
    places = (user_config_file(), platformdirs.site_config_path("mmconsole") / "config.yaml")
    return next((place for place in places if place.is_file()), None)


def user_config_file() -> Path:
    return platformdirs.user_config_path("mmconsole") / "config.yaml"


def read_file(path: Path) -> dict[str, Given]:
    """A YAML file as dotted keys with file:line, without aliases blowing up."""
    root = _compose(path)
    if root is None or root.tag == "tag:yaml.org,2002:null":
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise UnreadableSettings(where=path, why="it must be a mapping of sections")
    found: dict[str, Given] = {}
    for count, (key, node) in enumerate(_walk(root, "", path)):
        if count > _NODE_LIMIT:
            raise UnreadableSettings(where=path, why="it has too many values")
        if key in found:
            raise UnreadableSettings(where=_where(path, node), why=f"`{key}` stands here a second time")
        if not isinstance(node, yaml.MappingNode):
            found[key] = Given(_construct(node, path), _where(path, node))
        elif not node.value:
            found[key] = Given(None, _where(path, node))
    return found


def _compose(path: Path) -> yaml.Node | None:
    try:
        with path.open(encoding="utf-8") as file:
            # One more than the limit, and never all of a path that has no end.
            text = file.read(_FILE_LIMIT + 1)
    except OSError as fault:
        raise NoSettingsFile(where=path, why=fault.strerror or "it is no file") from fault
    except UnicodeDecodeError as fault:
        raise UnreadableSettings(where=path, why="it is not UTF-8 text") from fault
    if len(text) > _FILE_LIMIT:
        raise UnreadableSettings(where=path, why="it is too large for a settings file")
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as fault:
        line = fault.problem_mark.line + 1 if fault.problem_mark else 1
        # Neither what it quotes nor the excerpt it carries: the line that cannot be read may be a secret.
        problem = re.sub(r"'[^']{3,}'|\"[^\"]{3,}\"", "…", fault.problem or "")
        raise UnreadableSettings(where=f"{path}:{line}", why=f"not YAML: {problem}") from None
    except (RecursionError, ValueError) as fault:
        raise UnreadableSettings(where=path, why="it is nested too deeply to be read") from fault
    except yaml.YAMLError as fault:
        raise UnreadableSettings(where=path, why="not YAML: it has characters that YAML does not allow") from fault


def _walk(node: yaml.MappingNode, prefix: str, path: Path) -> Iterator[tuple[str, yaml.Node]]:
    """Every key below a node, those of mappings too: aliases can make a small file visit endlessly many."""
    seen = set()
    if prefix.count(".") > _DEPTH_LIMIT:
        raise UnreadableSettings(where=_where(path, node), why="it is nested too deeply to be settings")
    for key_node, value in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise UnreadableSettings(where=_where(path, key_node), why="the name of a setting must be a word")
        key = prefix + str(key_node.value)
        if key in seen:
            raise UnreadableSettings(where=_where(path, key_node), why=f"`{key}` stands here a second time")
        seen.add(key)
        yield key, value
        if isinstance(value, yaml.MappingNode):
            yield from _walk(value, f"{key}.", path)


def _construct(node: yaml.Node, path: Path) -> Any:  # noqa: ANN401 - a YAML value is anything
    if isinstance(node, yaml.SequenceNode) and not all(isinstance(one, yaml.ScalarNode) for one in node.value):
        raise UnreadableSettings(where=_where(path, node), why="a list of settings holds single values")
    try:
        return yaml.SafeLoader("").construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError, LookupError):
        # The fault carries the value, which may be a secret.
        raise UnreadableSettings(where=_where(path, node), why="this value cannot be read") from None


def _where(path: Path, node: yaml.Node) -> str:
    return f"{path}:{node.start_mark.line + 1}"
