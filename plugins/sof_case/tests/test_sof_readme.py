"""The settings in the plugin's README are settings."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from tovholder_sof_case import SofAdapter, SofSettings

import hub

TEXT = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_section(example: str) -> None:
    settings = SofSettings.model_validate(tomllib.loads(example)["plugins"]["sof_case"])
    assert settings.kinds
    assert SofAdapter(settings).name == "sof_case"


def test_every_setting_of_its_own_is_explained() -> None:
    own = SofSettings.model_fields.keys() - hub.SourceSettings.model_fields.keys()
    assert {name for name in own if f"`{name}`" not in TEXT and f"{name} =" not in TEXT} == set()
    assert len(EXAMPLES) == 3
