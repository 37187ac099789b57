"""The page Advis: an adviser sees what concerns their own cases, and chooses how to be told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub import State
from hub.cases.sync import sync
from hub.clock import FileClock
from hub.notices.kinds import KINDS
from hub.settings import Demo
from hub.store import tables
from hub.web.app import build
from tests.notices.conftest import BO, KARLA, MOTHER, SANNE
from tests.web.conftest import Browser

PAGE = "/personale/advis"


@pytest.fixture
def pages(world: Any, tmp_path: Path) -> Any:
    """Sanne of SOF and Bo of BUF each have a case on Karla; Lea of SOF has none."""
    demo = tmp_path / "advis"
    demo.mkdir()
    FileClock(demo / "clock").set(world.clock.now())
    staff = [
        {"id": id_, "name": name, "role": "staff", "administration": administration, "unit": None}
        for id_, name, administration in (
            ("sanne", "Sanne Toft", "SOF"),
            ("bo", "Bo Falk", "BUF"),
            ("lea", "Lea", "SOF"),
        )
    ]
    (demo / "personas.json").write_text(json.dumps({"staff": staff, "guardians": [], "examples": []}))
    world.ctx = replace(world.ctx, settings=world.ctx.settings.model_copy(update={"demo": Demo(folder=demo)}))
    world.accepted(KARLA, guardians=(MOTHER,))
    world.case(world.sof, "A-1", KARLA, State.OPEN, adviser=SANNE)
    world.case(world.buf, "B-1", KARLA, State.OPEN, adviser=BO)
    sync(world.ctx)
    with Browser(build(world.ctx)) as browser:
        yield browser


def test_an_adviser_sees_their_own_and_each_is_in_the_log(world: Any, pages: Browser) -> None:
    pages.sign_in("staff:sanne")
    page = pages.get(PAGE).text
    assert "Barnet har fået en koordinator" in page
    assert "A-1" in page
    assert "Koordinator 0" in page
    for word in ("B-1", "Karla", KARLA, "Testvoksen", "merudgifter"):
        assert word not in page, word
    (entry,) = world.rows(tables.LogEntry, tables.LogEntry.kind == "notice")
    assert entry.child_id == world.child(KARLA)
    assert str(entry.id) in page


def test_who_has_no_case_sees_nothing_and_chooses_nothing(world: Any, pages: Browser) -> None:
    pages.sign_in("staff:lea")
    assert "Koordinator 0" not in pages.get(PAGE).text
    answer = pages.submit("/personale", PAGE, **dict.fromkeys(KINDS, "page"))
    assert answer.status_code == 403
    assert world.rows(tables.NoticeChoice) == []
    assert world.rows(tables.LogEntry, tables.LogEntry.kind == "notice") == []


def test_choices_are_kept_and_what_is_off_is_not_shown(world: Any, pages: Browser) -> None:
    pages.sign_in("staff:sanne")
    page = pages.submit(PAGE, PAGE, **(dict.fromkeys(KINDS, "page") | {"assigned": "off"}))
    assert page.status_code == 200
    assert "Dine valg er gemt." in page.text
    assert "A-1" not in page.text
    assert {(row.kind, row.way) for row in world.rows(tables.NoticeChoice)} >= {("assigned", "off"), ("ended", "page")}


@pytest.mark.parametrize("given", [{}, {"assigned": "page"}, dict.fromkeys(KINDS, "fax")])
def test_what_is_no_choice_is_told(world: Any, pages: Browser, given: dict[str, str]) -> None:
    pages.sign_in("staff:sanne")
    page = pages.submit(PAGE, PAGE, **given)
    assert page.status_code == 422
    assert "Vælg én måde" in page.text
    assert world.rows(tables.NoticeChoice) == []


def test_mail_is_offered_only_where_it_leaves(pages: Browser) -> None:
    pages.sign_in("staff:sanne")
    assert "Send mig en mail" not in pages.get(PAGE).text
