"""Looks with a reason: a leader settles those of the own team, the auditor all, and the family reads what came of
it."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from hub import family as acts
from hub.access import pace
from hub.access.log import Asker
from hub.context import Context
from hub.store import tables

IDA = "0311164234"
REASON = "Skolen kan ikke få fat i forældrene"
PAGE = "/personale/gennemgang"
LEADER, AUDITOR, STAFF = "staff:l-2", "staff:a-1", "staff:s-2"


def text(answer: Any) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def tasks(ctx: Context, kind: str = "review") -> list[tables.Task]:
    with ctx.database.begin() as session:
        return list(session.execute(select(tables.Task).where(tables.Task.kind == kind)).scalars())


def entries(ctx: Context) -> list[tuple[str, Any]]:
    with ctx.database.begin() as session:
        rows = select(tables.LogEntry.kind, tables.LogEntry.child_id).order_by(tables.LogEntry.seq)
        return [(row.kind, row.child_id) for row in session.execute(rows)]


@pytest.fixture
def looked(ctx: Context, town: Any, family: SimpleNamespace, browser: Any, another: Any) -> SimpleNamespace:
    """Bo of BUF, who has no case, has looked Ida up with a reason."""
    acts.accept(ctx, family.ida, acts.Answerer(family.mother, "page", "test"))
    town.name(family.ida, "Ida Bæk Lund")
    browser.sign_in(STAFF)
    assert "Mette Holm" in browser.look_up(IDA, "contact", REASON).text
    mother = another()
    mother.sign_in(f"guardian:{family.mother}")
    return SimpleNamespace(office=browser, mother=mother, ida=family.ida)


def settle(looked: SimpleNamespace, task: tables.Task, **fields: str) -> Any:
    return looked.office.submit("/personale", f"{PAGE}/{task.id}", **fields)


def test_the_leader_reads_who_and_why_and_nothing_of_the_child_and_that_is_logged(
    looked: SimpleNamespace, ctx: Context
) -> None:
    looked.office.sign_in(LEADER)
    assert PAGE in looked.office.get("/personale/opgaver").text
    listed = text(looked.office.get(PAGE))
    for word in ("Bo Falk , Rebslagerskolen, Børne- og Ungdomsforvaltningen", REASON, "Få fat i koordinatoren"):
        assert word in listed
    for word in ("Ida", IDA, "0311", "Mette"):
        assert word not in listed
    assert entries(ctx)[-1] == ("review", None)


def test_found_in_order_the_family_reads_by_whom_without_a_name(looked: SimpleNamespace, ctx: Context) -> None:
    (task,) = tasks(ctx)
    assert "Opslag uden sag" not in looked.mother.get("/familie").text
    looked.office.sign_in(LEADER)
    done = settle(looked, task, verdict="i-orden", note="Skolestart")
    assert "Gennemgangen er gemt" in text(done)
    assert "Der er ingen opslag, som venter" in text(done)
    page = text(looked.mother.get("/familie"))
    assert "Opslag uden sag" in page
    assert "En medarbejder, Rebslagerskolen, Børne- og Ungdomsforvaltningen I dag kl. 08.00. Formål:" in page
    assert "Det var i orden." in page
    for word in ("Bo Falk", "Lis Bro", REASON, "Skolestart"):
        assert word not in page
    assert "Lookups without a case" in text(looked.mother.get("/familie?sprog=en"))


def test_found_not_in_order_it_is_the_auditors_whose_verdict_the_family_reads(
    looked: SimpleNamespace, ctx: Context
) -> None:
    (task,) = tasks(ctx)
    looked.office.sign_in(LEADER)
    missing = settle(looked, task, verdict="ikke-i-orden", note="  ")
    assert missing.status_code == 422
    assert "Skriv, hvad der ikke var i orden" in missing.text
    assert tasks(ctx)[0].done_at is None
    settle(looked, task, verdict="ikke-i-orden", note="Ikke hans opgave")
    assert "Det var ikke i orden." in text(looked.mother.get("/familie"))
    looked.office.sign_in(AUDITOR)
    assert "En leder har fundet, at det ikke var i orden." in text(looked.office.get(PAGE))
    (wrong,) = tasks(ctx, "look_wrong")
    settle(looked, wrong, verdict="i-orden", note="Han var stedfortræder")
    page = text(looked.mother.get("/familie"))
    assert "Det var i orden." in page
    assert "ikke i orden" not in page


def test_what_is_late_is_said_on_the_list_of_tasks_and_to_whom_it_has_come(
    looked: SimpleNamespace, ctx: Context, clock: Any
) -> None:
    looked.office.sign_in(LEADER)
    assert "Gennemgås senest mandag den 9. november 2026." in text(looked.office.get(PAGE))
    assert "Overskredet" not in text(looked.office.get("/personale/opgaver"))
    clock.move(timedelta(days=8))
    looked.office.sign_in(LEADER)
    assert "Overskredet: 1" in text(looked.office.get("/personale/opgaver"))
    assert "Overskredet. Skulle være gennemgået senest mandag den 9. november 2026." in text(looked.office.get(PAGE))
    looked.office.sign_in(AUDITOR)
    assert "Overskredet: 1" in text(looked.office.get("/personale/opgaver"))
    listed = text(looked.office.get(PAGE))
    assert "Lederen skulle have gennemgået det senest mandag den 9. november 2026. Nu er det dit." in listed


def test_the_auditor_reads_who_has_looked_up_very_many(looked: SimpleNamespace, ctx: Context) -> None:
    counted = pace.Pace(ctx.database, ctx.keys, ctx.clock, 100)
    sanne = Asker("s-1", "Sanne Toft", "staff", "SOF", "Handicap, team Nord")
    counted.tell(sanne, counted.looks(sanne, [b"1"], None))
    (task,) = tasks(ctx, pace.KIND)
    looked.office.sign_in(LEADER)
    assert "Sanne Toft" not in text(looked.office.get(PAGE))
    looked.office.sign_in(AUDITOR)
    assert "Har slået mere end 100 forskellige børn op på en time. Spørg hvorfor." in text(looked.office.get(PAGE))
    done = text(settle(looked, task, verdict="i-orden", note="Ny i teamet"))
    assert "Sanne Toft" not in done
    assert "Gennemgangen er gemt." in done
    assert "Familien kan se" not in done, "it is about no one family"


@pytest.mark.parametrize("fields", [{}, {"verdict": "maaske"}, {"verdict": "i-orden", "note": "x" * 1001}])
def test_what_is_missing_is_said_and_the_rest_kept(
    looked: SimpleNamespace, ctx: Context, fields: dict[str, str]
) -> None:
    (task,) = tasks(ctx)
    looked.office.sign_in(LEADER)
    again = settle(looked, task, **({"note": "Skolestart"} | fields))
    assert again.status_code == 422
    assert "Fejl:" in again.text
    assert fields.get("note", "Skolestart") in again.text
    assert tasks(ctx)[0].done_at is None


@pytest.mark.parametrize("who", [STAFF, "staff:s-1", None])
def test_nobody_else_reads_or_settles(looked: SimpleNamespace, ctx: Context, who: str | None, another: Any) -> None:
    (task,) = tasks(ctx)
    if who is None:
        for answer in (
            another().get(PAGE, follow_redirects=False),
            another().post(f"{PAGE}/{task.id}", follow_redirects=False),
        ):
            assert answer.headers["location"] == "/demo/login"
        return
    looked.office.sign_in(who)
    assert PAGE not in looked.office.get("/personale/opgaver").text
    read = looked.office.get(PAGE)
    assert read.status_code == 403
    assert REASON not in read.text
    assert settle(looked, task, verdict="i-orden").status_code == 403
    assert tasks(ctx)[0].done_at is None


def test_a_leader_of_another_team_and_a_task_that_is_none_are_one_and_the_same_answer(
    looked: SimpleNamespace, ctx: Context
) -> None:
    (task,) = tasks(ctx)
    with ctx.database.begin() as session:
        session.get_one(tables.Task, task.id).team = b"another"
    looked.office.sign_in(LEADER)
    assert REASON not in looked.office.get(PAGE).text
    path = f"{PAGE}/00000000-0000-4000-8000-000000000000"
    done = [
        *(settle(looked, task, **fields) for fields in ({"verdict": "i-orden"}, {})),
        looked.office.submit("/personale", path, verdict="i-orden"),
    ]
    assert {each.status_code for each in done} == {403}
    tokens = re.compile(r'name="csrf" value="[^"]+"')
    assert len({tokens.sub("", each.text) for each in done}) == 1


def test_a_form_from_elsewhere_settles_nothing(looked: SimpleNamespace, ctx: Context) -> None:
    (task,) = tasks(ctx)
    looked.office.sign_in(LEADER)
    data = {"csrf": "guessed", "verdict": "i-orden"}
    assert (
        looked.office.post(f"{PAGE}/{task.id}", data=data, headers={"Origin": looked.office.origin}).status_code == 403
    )
    assert tasks(ctx)[0].done_at is None
