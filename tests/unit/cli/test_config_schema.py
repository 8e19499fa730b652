"""The JSON Schema of the settings file."""

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from mmconsole.cli.config_schema import schema
from mmconsole.config import leaf_keys

EXAMPLE = Path(__file__).parents[3] / "config.example.yaml"


@pytest.fixture(scope="module")
def validator() -> Any:
    return jsonschema_rs.validator_for(schema())


def test_the_example_is_allowed(validator: Any) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    profiles = text[text.index("# profile: default") :].replace("# ", "")

    validator.validate(yaml.safe_load(text))
    validator.validate(yaml.safe_load(profiles))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mattermost:",
        "mattermost: {url: null, timeout: 5}",
        "tokens: {grace: 0, lifetime: 90d, accept: [plain]}",
        "profiles: {staging: {mattermost: {url: https://x.test}}, empty: }",
    ],
)
def test_what_can_be_loaded_is_allowed(validator: Any, text: str) -> None:
    validator.validate(yaml.safe_load(text) or {})


@pytest.mark.parametrize(
    "text",
    [
        "matermost: {}",
        "mattermost: {uri: x}",
        "mattermost: {timeout: 0}",
        "tokens: {grace: soon}",
        "tokens: {grace: 10}",
        "tokens: {storage: paper}",
        "sync: {teams: main}",
        "profiles: {staging: {sync: {team: x}}}",
    ],
)
def test_what_cannot_be_meant_is_not(validator: Any, text: str) -> None:
    assert not validator.is_valid(yaml.safe_load(text))


def test_every_setting_tells_its_default_and_variable() -> None:
    made = schema()
    for key in leaf_keys():
        *path, leaf = key.split(".")
        place = made["properties"][path[0]]
        for part in [*path[1:], leaf]:
            place = made["$defs"][place["anyOf"][0]["$ref"].rpartition("/")[2]]["properties"][part]

        assert "default" in place, key
        assert place["description"].startswith("Also MMCONSOLE_"), key
