"""config.example.yaml: every setting, explained, with its default."""

import itertools
from pathlib import Path

import yaml

from mmconsole.config import Values, leaf_keys, load_settings

EXAMPLE = Path(__file__).parents[3] / "config.example.yaml"


def test_it_holds_every_setting_and_no_other() -> None:
    settings = load_settings(file=EXAMPLE, environment={})

    assert [key for key in leaf_keys() if settings.origins[key] == "default"] == []


def test_each_value_in_it_is_the_default() -> None:
    settings = load_settings(file=EXAMPLE, environment={})

    assert settings.values == Values()


def test_every_section_but_the_names_of_columns_is_explained() -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    explained = {line.split(":")[0].strip() for before, line in itertools.pairwise(lines) if "#" in before}

    leaves = {key.rsplit(".", 1)[1] for key in leaf_keys()}
    obvious = {"email", "first_name", "last_name", "token"}

    assert leaves - explained - obvious == set()


def test_the_profiles_in_it_are_settings_too(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    profiles = text[text.index("# profile: default") :].replace("# ", "")
    file = tmp_path / "config.yaml"
    file.write_text(profiles, encoding="utf-8")

    staging = load_settings(file=file, profile="staging", environment={})

    assert staging.server == yaml.safe_load(profiles)["profiles"]["staging"]["mattermost"]["url"]
