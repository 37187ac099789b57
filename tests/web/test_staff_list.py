"""The staff page for a worklist: a pasted list, answered row by row, with no number anywhere."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from hub import family as acts
from hub.context import Context
from hub.store import tables
from hub.web.staff_list import cells

IDA, OTHER, NOBODY = "0311164234", "0909094999", "1010104000"
NAME, NEUTRAL = "Mette Holm Østergård", "Vi kan ikke vise en koordinator"


@pytest.fixture
def staff(ctx: Context, town: Any, family: SimpleNamespace, browser: Any) -> Any:
    acts.accept(ctx, family.ida, acts.Answerer(family.mother, "phone", "test"))
    town.case(family.ida, "sof_case", "32.18.04")
    browser.sign_in("staff:s-1")
    return browser


def look_up(browser: Any, cprs: str, purpose: str = "case", reason: str = "") -> Any:
    return browser.submit("/personale/liste", "/personale/liste", cprs=cprs, purpose=purpose, reason=reason)


def rows(page: str) -> list[str]:
    """What each row says, without markup."""
    found = re.findall(r"<li>(.*?)</li>", page.partition('class="worklist"')[2].partition("</ol>")[0], re.S)
    return [re.sub(r"<[^>]+>", "", row).strip() for row in found]


def entries(ctx: Context) -> int:
    with ctx.database.begin() as session:
        return len(session.execute(select(tables.LogEntry).where(tables.LogEntry.kind == "lookup")).all())


@pytest.mark.parametrize(
    "pasted",
    [
        f"{IDA}\r\n{OTHER}\r\n",
        f"{IDA},{OTHER}",
        f" {IDA[:6]}-{IDA[6:]} ; {OTHER}",
        f"{IDA[:6]} {IDA[6:]}\n\n{OTHER}",
        f"{IDA}\t{OTHER}\t\r\n",
        f"{IDA} {OTHER}",
    ],
)
def test_however_it_is_pasted_each_row_is_answered_in_its_place(staff: Any, ctx: Context, pasted: str) -> None:
    answer = look_up(staff, pasted)
    assert answer.status_code == 200
    first, second = rows(answer.text)
    assert first.startswith("3. november 2016: " + NAME)
    assert second == f"9. september 2009: {NEUTRAL}"
    assert entries(ctx) == 2
    for number in (IDA, IDA[6:], OTHER, OTHER[6:]):
        assert number not in answer.text
    assert not answer.url.query


def test_a_number_that_can_be_nobodys_is_explained_in_its_place(staff: Any, ctx: Context) -> None:
    """Also a spreadsheet's heading, and a name."""
    answer = look_up(staff, f"CPR\n{IDA}\n3113164234\nIda Bæk\n{OTHER}")
    found = rows(answer.text)
    assert [row.startswith("Ikke slået op:") for row in found] == [True, False, True, True, False]
    assert "ikke en dato" in found[2]
    assert "Ida Bæk" not in answer.text
    assert entries(ctx) == 2
    assert all(row.startswith("Ikke slået op:") for row in rows(look_up(staff, "CPR").text))
    assert entries(ctx) == 2


def test_nothing_too_many_and_no_purpose_are_refused_with_words(staff: Any, ctx: Context) -> None:
    many = "\n".join([IDA] * 101)
    for pasted, purpose, said in (
        (" \n,;", "case", "mindst ét CPR-nummer"),
        (many, "case", "højst slå 100 børn op på én gang. Din liste har 101"),
        (IDA, "", "Vælg, hvad du skal bruge svaret til."),
    ):
        answer = look_up(staff, pasted, purpose)
        assert answer.status_code == 422
        assert said in answer.text
        assert 'role="alert"' in answer.text
    assert "<title>Fejl: " in look_up(staff, "").text
    assert entries(ctx) == 0
    assert len(rows(look_up(staff, many.removeprefix(IDA)).text)) == 100


def test_one_reason_stands_for_all_of_them(staff: Any, family: SimpleNamespace, browser: Any, ctx: Context) -> None:
    browser.submit("/personale", "/log-ud")
    browser.sign_in("staff:s-2")
    assert NAME not in look_up(browser, IDA).text
    assert NAME in look_up(browser, f"{IDA}\n{NOBODY}", reason="Børnene begynder hos os i morgen").text
    with ctx.database.begin() as session:
        assert len(session.execute(select(tables.Task).where(tables.Task.kind == "review")).all()) == 1


def test_the_log_that_cannot_be_written_shows_nothing_and_keeps_what_was_typed(
    staff: Any, ctx: Context, admin: Any
) -> None:
    with ctx.database.owner_engine() as engine, engine.begin() as connection:
        connection.exec_driver_sql("REVOKE INSERT ON log_entry FROM tovholder_lookup")
    answer = look_up(staff, IDA)
    assert (answer.status_code, bool(answer.headers["retry-after"])) == (503, True)
    assert NAME not in answer.text
    assert f">{IDA}</textarea>" in answer.text


def test_who_is_not_signed_in_as_staff_gets_no_list(family: SimpleNamespace, browser: Any) -> None:
    browser.sign_in(f"guardian:{family.mother}")
    for ask in (browser.get, browser.post):
        assert ask("/personale/liste", follow_redirects=False).status_code == 303


def test_it_speaks_english_too(staff: Any) -> None:
    staff.get("/personale/liste?sprog=en")
    assert "Look up other children" in look_up(staff, IDA).text


numbers = st.sampled_from([IDA, OTHER, NOBODY, f"{IDA[:6]}-{IDA[6:]}", "0703921VJ4"])


@given(st.lists(numbers, max_size=12), st.sampled_from([",", ";", "\t", "\n", "\r\n", " ", ", ", "\n\n", " ;\t"]))
def test_every_separator_keeps_every_number_in_order(given_: list[str], separator: str) -> None:
    assert cells(separator.join(given_)) == given_


@given(st.text())
def test_whatever_is_pasted_comes_apart_without_error(pasted: str) -> None:
    assert all(cell.strip() for cell in cells(pasted))
