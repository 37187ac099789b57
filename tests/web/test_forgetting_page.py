"""Whole cases that may be forgotten: two people say so on a page that names nobody."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from hub.context import Context
from hub.settings import Retention
from hub.store import tables
from hub.store.people import open_key
from hub.vault import seal_json
from tests.web.conftest import IDA

PAGE = "/personale/sletning"
LEADER, AUDITOR, STAFF = "staff:l-2", "staff:a-1", "staff:s-2"


@pytest.fixture
def ctx(ctx: Context) -> Context:
    kept = Retention(archive="Byrådets beslutning 2020-114")
    return replace(ctx, settings=ctx.settings.model_copy(update={"retention": kept}))


@pytest.fixture
def old(ctx: Context, family: SimpleNamespace) -> UUID:
    """Ida's part ended six years ago, and her number has gone."""
    with ctx.database.begin() as session:
        ended = ctx.clock.now() - timedelta(days=6 * 365)
        gone = {"state": "declined", "coordinator_id": None, "answered_at": ended}
        session.execute(update(tables.Offer).values(**gone))
        session.execute(update(tables.Bundle).values(composed_at=ended))
        row = session.get_one(tables.Child, family.ida)
        row.sealed = seal_json(open_key(session, ctx.keys, row.key_id), {}, f"child:{row.id}")
    ida: UUID = family.ida
    return ida


def text(answer: Any) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def which(answer: Any) -> str:
    found = re.search(r'name="which" value="([0-9a-f]+)"', answer.text)
    assert found
    return found[1]


def yes(browser: Any, **but: str) -> Any:
    return browser.submit(PAGE, PAGE, **{"act": "slet", "sure": "ja", "which": which(browser.get(PAGE))} | but)


def key(ctx: Context, child: UUID) -> bytes | None:
    with ctx.database.begin() as session:
        of = select(tables.PersonKey.wrapped).join(tables.Child, tables.Child.key_id == tables.PersonKey.id)
        return session.execute(of.where(tables.Child.id == child)).scalar_one()


def test_two_people_say_yes_and_then_it_is_gone(old: UUID, browser: Any, ctx: Context) -> None:
    browser.sign_in(LEADER)
    assert PAGE in browser.get("/personale/opgaver").text
    page = browser.get(PAGE)
    assert "1 sag skal slettes." in text(page)
    assert "Byrådets beslutning 2020-114" in text(page)
    for word in ("Ida", IDA, "Anne", str(old)):
        assert word not in page.text
    assert "Dit ja er gemt. En anden skal også sige ja" in text(yes(browser))
    mine = browser.get(PAGE)
    assert 'name="which"' not in mine.text, "whoever said the first yes has no second"
    assert key(ctx, old) is not None
    browser.sign_in(AUDITOR)
    assert "Det første ja blev givet" in text(browser.get(PAGE))
    assert "Sagerne er slettet." in text(yes(browser))
    assert key(ctx, old) is None
    assert "Der er ingen sager, som skal slettes." in text(browser.get(PAGE))


def test_without_the_tick_or_of_other_cases_nothing_is_said(old: UUID, browser: Any, ctx: Context) -> None:
    browser.sign_in(LEADER)
    unsure = yes(browser, sure="")
    assert unsure.status_code == 422
    assert "Fejl: Sæt kryds" in text(unsure)
    others = yes(browser, which="0" * 64)
    assert others.status_code == 422
    assert "Intet er slettet" in text(others)
    with ctx.database.begin() as session:
        assert session.execute(select(tables.Forgetting)).all() == []


def test_the_same_person_does_not_say_it_twice_however_the_form_is_sent(old: UUID, browser: Any, ctx: Context) -> None:
    browser.sign_in(LEADER)
    seen = which(browser.get(PAGE))
    yes(browser)
    again = browser.submit(PAGE, PAGE, act="slet", sure="ja", which=seen)
    assert again.status_code == 422
    assert key(ctx, old) is not None


def test_the_first_yes_is_taken_back(old: UUID, browser: Any, ctx: Context) -> None:
    browser.sign_in(LEADER)
    yes(browser)
    assert "Det første ja er taget tilbage." in text(browser.submit(PAGE, PAGE, act="fortryd"))
    browser.sign_in(AUDITOR)
    assert "Dit ja er gemt." in text(yes(browser)), "and is the first again"
    assert key(ctx, old) is not None


@pytest.mark.parametrize("who", [STAFF, "staff:s-1"])
def test_nobody_else_comes_there(old: UUID, browser: Any, who: str, ctx: Context) -> None:
    browser.sign_in(LEADER)
    seen = which(browser.get(PAGE))
    browser.sign_in(who)
    assert PAGE not in browser.get("/personale/opgaver").text
    assert browser.get(PAGE).status_code == 403
    sent = browser.submit("/personale", PAGE, act="slet", sure="ja", which=seen)
    assert sent.status_code == 403
    assert key(ctx, old) is not None


def test_without_an_archive_decision_the_page_says_so(old: UUID, browser: Any, ctx: Context) -> None:
    object.__setattr__(ctx.settings.retention, "archive", "")
    browser.sign_in(LEADER)
    page = browser.get(PAGE)
    assert "hvilken arkivbeslutning der gælder" in text(page)
    assert 'name="which"' not in page.text
