"""The plugin's README says what is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from tovholder_buf_case import BufSettings
from tovholder_buf_case.settings import Column, Variant
from tovholder_buf_case.unit import MOST
from tovholder_buf_case.words import KNOWN, REQUIRED

import hub

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_its_settings_are_settings() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    for text in (block, re.sub(r"# (url|variant|system_id)", r"\1", block).replace("folder =", "# folder =")):
        found = BufSettings.model_validate(tomllib.loads(text)["plugins"]["buf_case"])
        assert set(found.kinds) == {"101001", "group:Specialklasse *", "case:Specialundervisning*"}
        assert found.case_list.columns == {Column.CASE: "Journalnummer", Column.OPENED: "Modtaget i PPR"}
        assert found.case_list.states == {"Til konference": hub.State.APPLIED}
        assert found.variant is Variant.FULD_MYNDIGHED


def test_its_table_of_headings_is_the_programs() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (needed)? *\|$", README, re.MULTILINE)
    assert {column: tuple(names.split(", ")) for column, names, _needed in rows} == dict(KNOWN)
    assert {column for column, _names, needed in rows if needed} == set(REQUIRED)


def test_its_limit_is_the_programs() -> None:
    assert f"{MOST:,} records" in README
