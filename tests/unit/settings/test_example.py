"""config.example.yaml: whole, true and loadable."""

from __future__ import annotations

from pathlib import Path

import yaml

from chatctl.settings import load_settings, schema
from chatctl.settings.flags import Flags

EXAMPLE = Path(__file__).parents[3] / "config.example.yaml"


def test_the_example_loads(tmp_path: Path) -> None:
    settings = load_settings(Flags(config=str(EXAMPLE)), {"HOME": str(tmp_path)}, tmp_path)
    assert settings.context_name == "staging"
    assert settings.warnings == ()
    assert load_settings(Flags(config=str(EXAMPLE), context="production"), {"HOME": str(tmp_path)}, tmp_path).protected


def test_the_example_shows_every_key_with_a_comment() -> None:
    shown = yaml.safe_load(EXAMPLE.read_text())["contexts"]["staging"]
    section = schema.Context.model_validate(shown)
    assert list(schema.values(section)) == schema.dotted_keys()
    lines = EXAMPLE.read_text().splitlines()
    for key in schema.dotted_keys():
        name = key.split(".")[-1]
        position = next(number for number, line in enumerate(lines) if line.strip().startswith(f"{name}:"))
        assert any("#" in line for line in lines[position - 2 : position]), key


def test_the_examples_defaults_are_the_real_ones(tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    settings = load_settings(Flags(), {"HOME": str(tmp_path)}, tmp_path)
    for value in (settings.layout, settings.redis.url.reveal(), str(settings.purge.retention_days)):
        assert f"Default: {value}\n" in text
