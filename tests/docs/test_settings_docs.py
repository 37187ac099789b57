"""What docs/operations.md tells one to write is taken."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from hub.settings import Settings
from hub.signin.person import ORDER
from hub.web import signin

TEXT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


def test_the_settings_of_the_page_are_settings() -> None:
    blocks = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", TEXT, re.S)]
    assert len(blocks) >= 6, "the test looks in the wrong place"
    assert len(blocks) == 6
    for block in blocks:
        Settings.model_validate(block)
    said = Settings.model_validate(blocks[0]).signin
    assert said.staff is not None
    assert said.staff.roles.keys() == set(ORDER) - {"source"}, "a system does not sign in"
    assert (said.hours, said.idle_minutes) == (8, 30), "the page names the defaults"
    assert Settings().signin.hours == said.hours
    assert Settings().signin.idle_minutes == said.idle_minutes
    assert Settings.model_validate(blocks[0]).access == Settings().access


def test_the_addresses_of_the_page_are_those_of_the_program() -> None:
    answers = {route.path for route in signin.router.routes}  # type: ignore[attr-defined]
    assert "/log-ind/{door}/svar" in answers
    for door in (signin.STAFF, signin.FAMILY):
        assert f"`URL/log-ind/{door}/svar`" in TEXT
