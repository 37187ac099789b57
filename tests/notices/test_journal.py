"""`GET /api/v1/journal` and its receipts: each administration journalises its own part of a letter, and no other's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text, update

from hub import StaffRecord, State, consents, family
from hub.cases.sync import sync
from hub.clock import DENMARK, today
from hub.coordination import tasklist
from hub.letters import journalising
from hub.letters.compose import compose_due
from hub.letters.delivery import deliver
from hub.letters.stuck import Stuck, stuck
from hub.letters.templates import Templates
from hub.store import tables
from hub.store.people import open_key
from hub.vault import unseal_json
from tests.notices.conftest import KARLA, MOTHER, Calls

pytestmark = pytest.mark.slow

OTTO = "0502174235"
Opened = Callable[[], Calls]


def write(world: Any, *, send: bool = True) -> None:
    with world.ctx.database.begin() as session:
        session.execute(text("UPDATE bundle SET due_at = '2000-01-01' WHERE composed_at IS NULL"))
    assert compose_due(world.ctx, Templates()).unwritable == 0
    if send:
        for letter in world.rows(tables.Letter, tables.Letter.state == "frozen"):
            deliver(world.ctx, letter.id)


@pytest.fixture
def siblings(world: Any) -> tuple[UUID, UUID]:
    """Karla with cases in SOF and BUF, her brother Otto with one in SOF; their mother has the receipt."""
    karla, otto = world.accepted(KARLA, OTTO, guardians=(MOTHER,))
    near = date(2026, 11, 20)
    world.case(world.sof, "A-1", KARLA, State.APPLIED, deadline=near, adviser=StaffRecord("sanne", "Sanne Toft"))
    world.case(world.buf, "B-1", KARLA, State.OPEN, kind="relief", adviser=StaffRecord("bo", "Bo Falk"))
    world.case(world.sof, "O-1", OTTO, State.OPEN, kind="relief", adviser=StaffRecord("soren", "Søren Lund"))
    sync(world.ctx)
    write(world)
    return karla, otto


def test_each_gets_its_own_part_of_one_child_and_nothing_else(siblings: Any, calls: Opened) -> None:
    system = calls()
    sof = system.get("journal").json()["items"]
    buf = system.get("journal", administration="BUF").json()["items"]
    assert sorted(item["cases"][0]["id"] for item in sof) == ["A-1", "O-1"]
    (karlas,) = [item for item in sof if item["cases"] == [{"source": "sof", "id": "A-1"}]]
    assert "Sanne Toft" in karlas["text"]
    assert "dækning af merudgifter" in karlas["text"]
    assert "20. november 2026" in karlas["text"]
    for word in ("Bo Falk", "Søren Lund", "aflastning", "B-1", "O-1", "Testvoksen", MOTHER, KARLA, "Børne- og Ung"):
        assert word not in str(karlas), word
    (only,) = buf
    assert "Bo Falk" in only["text"]
    for word in ("Sanne Toft", "Søren Lund", "merudgifter", "Socialforvaltningen"):
        assert word not in str(only), word


def test_it_says_which_letter_to_whom_by_role_and_when(world: Any, siblings: Any, calls: Opened) -> None:
    (item,) = calls().get("journal", administration="BUF").json()["items"]
    letter = next(row for row in world.rows(tables.Letter) if str(row.id) == item["letter"])
    assert item["letter_sha256"] == letter.sha256.hex()
    assert (item["kind"], item["state"], item["recipient"]) == ("receipt", "sent", "forældremyndighedsindehaver")
    assert item["date"] == "2026-11-02"
    assert item["text_sha256"] == hashlib.sha256(item["text"].encode()).hexdigest()
    assert item["journalised"] is False


def test_what_was_frozen_is_what_is_journalised(world: Any, siblings: Any, calls: Opened) -> None:
    system = calls()
    before = system.get("journal").json()["items"]
    world.case(
        world.sof, "A-1", KARLA, State.APPLIED, deadline=date(2026, 12, 24), adviser=StaffRecord("x", "En Anden")
    )
    sync(world.ctx)
    assert system.get("journal").json()["items"] == before


def test_a_letter_that_has_not_left_is_not_journalised(world: Any, calls: Opened) -> None:
    world.accepted(KARLA, guardians=(MOTHER,))
    world.case(world.sof, "A-1", KARLA, State.OPEN)
    sync(world.ctx)
    write(world, send=False)
    system = calls()
    assert system.get("journal").json()["items"] == []
    write(world)
    assert len(system.get("journal").json()["items"]) == 1


def test_each_look_has_its_entries(world: Any, siblings: tuple[UUID, UUID], calls: Opened) -> None:
    body = calls().get("journal").json()
    kept = world.rows(tables.LogEntry, tables.LogEntry.kind == "journal")
    assert {row.child_id for row in kept} == set(siblings)
    assert UUID(body["entry"]) in {row.id for row in kept}


def test_the_letter_is_done_when_all_have_journalised(world: Any, siblings: Any, calls: Opened) -> None:
    system = calls()
    first, second = (item["id"] for item in system.get("journal").json()["items"])
    (third,) = (item["id"] for item in system.get("journal", administration="BUF").json()["items"])
    assert system.acknowledge(first, "D-1").json() == {"letter_done": False}
    assert system.acknowledge(third, "D-3", "BUF").json() == {"letter_done": False}
    assert system.acknowledge(second, "D-2").json() == {"letter_done": True}
    assert system.acknowledge(second, "D-2").json() == {"letter_done": True}, "twice is once"
    assert system.acknowledge(second, "D-9").status_code == 409
    assert {item["journalised"] for item in system.get("journal").json()["items"]} == {True}


def test_many_are_acknowledged_at_once_each_by_itself(world: Any, siblings: Any, calls: Opened) -> None:
    system = calls()
    first, second = (item["id"] for item in system.get("journal").json()["items"])
    (bufs,) = (item["id"] for item in system.get("journal", administration="BUF").json()["items"])
    system.acknowledge(first, "D-1")
    said = [(first, "D-9"), (second, "D-2"), (bufs, "D-3")]
    body = {"receipts": [{"part": part, "document": document} for part, document in said]}
    headers = system.bearer("SOF", "source")
    answer = system.client.post("/api/v1/journal/receipts", json=body, headers=headers)
    assert answer.json() == {
        "receipts": [
            {"part": first, "result": "other", "letter_done": False},
            {"part": second, "result": "taken", "letter_done": False},
            {"part": bufs, "result": "unknown", "letter_done": None},
        ]
    }
    body["receipts"].append(body["receipts"][0])
    assert system.client.post("/api/v1/journal/receipts", json=body, headers=headers).status_code == 422
    assert len(world.rows(tables.LetterPart, tables.LetterPart.journalised_at.is_not(None))) == 2


def test_the_documents_id_is_kept_sealed(world: Any, siblings: Any, calls: Opened) -> None:
    system = calls()
    part = system.get("journal").json()["items"][0]["id"]
    system.acknowledge(part, "ESDH-2026-117")
    with world.session() as session:
        row = session.get_one(tables.LetterPart, UUID(part))
        key = open_key(session, world.ctx.keys, session.get_one(tables.Child, row.child_id).key_id)
        assert unseal_json(key, row.receipt, f"letter-part-receipt:{row.id}") == {"document": "ESDH-2026-117"}


def test_nobody_acknowledges_anothers_or_what_is_not_there(world: Any, siblings: Any, calls: Opened) -> None:
    system = calls()
    part = system.get("journal").json()["items"][0]["id"]
    assert system.acknowledge(part, administration="BUF").status_code == 404
    assert system.acknowledge("00000000-0000-4000-8000-000000000000").status_code == 404
    assert system.acknowledge(part, "D 1").status_code == 422
    assert {row.journalised_at for row in world.rows(tables.LetterPart)} == {None}


def closed(world: Any) -> None:
    by = consents.Speaker("guardian", "page", "text-1", "da", world.guardian(MOTHER))
    consents.close(world.ctx, world.child(KARLA), "BUF", by)


def opened_again(world: Any) -> None:
    by = consents.Speaker("guardian", "page", "text-1", "da", world.guardian(MOTHER))
    consents.open_again(world.ctx, world.child(KARLA), "BUF", by)


@pytest.mark.parametrize("read_before", [False, True])
def test_a_closed_administration_gets_its_parts_when_it_is_opened_again(
    world: Any, siblings: Any, calls: Opened, read_before: bool
) -> None:
    system = calls()
    if read_before:
        assert len(system.get("journal", administration="BUF").json()["items"]) == 1
    closed(world)
    assert system.get("journal", administration="BUF").json()["items"] == []
    opened_again(world)
    body = system.get("journal", administration="BUF").json()
    assert [item["cases"][0]["id"] for item in body["items"]] == ["B-1"]


def test_a_case_that_must_not_be_told_is_not_told_here(world: Any, siblings: Any, calls: Opened) -> None:
    world.buf.take_away("B-1")
    sync(world.ctx)
    assert calls().get("journal", administration="BUF").json()["items"] == []
    (row,) = world.rows(tables.LetterPart, tables.LetterPart.administration == "BUF")
    assert row.why_not == "the source no longer shows the case, or it is closed"


def test_what_the_yes_carried_is_not_given_once_it_is_taken_back(world: Any, siblings: Any, calls: Opened) -> None:
    family.withdraw(world.ctx, world.child(KARLA), world.by(MOTHER))
    items = calls().get("journal").json()["items"]
    assert [item["cases"][0]["id"] for item in items] == ["O-1"]


def test_nothing_opens_once_the_child_is_forgotten(world: Any, siblings: tuple[UUID, UUID], calls: Opened) -> None:
    with world.ctx.database.begin() as session:
        child = session.get_one(tables.Child, siblings[0])
        session.execute(update(tables.PersonKey).where(tables.PersonKey.id == child.key_id).values(wrapped=None))
    items = calls().get("journal").json()["items"]
    assert [item["cases"][0]["id"] for item in items] == ["O-1"]


def _parts(world: Any) -> list[Stuck]:
    return [late for late in stuck(world.ctx) if late.what == "part"]


def test_what_nobody_acknowledges_in_time_becomes_a_task_once_and_goes_by_itself(
    world: Any, siblings: Any, calls: Opened
) -> None:
    system = calls()
    part = system.get("journal", administration="BUF").json()["items"][0]["id"]
    assert journalising.overdue(world.ctx) == 0
    world.clock.move(timedelta(days=3))
    assert journalising.overdue(world.ctx) == 0, "three working days, of which this is the last"
    world.clock.move(timedelta(days=1))
    assert [journalising.overdue(world.ctx) for _day in range(2)] == [1, 0]
    (late,) = _parts(world)
    midnight = datetime.combine(today(world.clock), time.min, DENMARK)
    assert (str(late.id), late.owner, late.due) == (part, "BUF", midnight)
    (task,) = world.rows(tables.Task, tables.Task.kind == journalising.TASK)
    assert (task.administration, task.child_id, task.letter_id, task.done_at) == ("BUF", world.child(KARLA), None, None)
    system.acknowledge(part, "D-1", "BUF")
    (task,) = world.rows(tables.Task, tables.Task.kind == journalising.TASK)
    assert task.done_at is not None
    assert _parts(world) == []
    assert tasklist.PURPOSE


def test_a_system_that_has_stopped_reading_is_late_too_and_one_that_never_read_is_not(
    world: Any, siblings: Any, calls: Opened
) -> None:
    for _week in range(2):
        assert journalising.overdue(world.ctx) == 0
        world.clock.move(timedelta(days=7))
    calls().get("journal", administration="BUF")
    with world.ctx.database.begin() as session:  # as if those parts had come after it stopped
        theirs = tables.LetterPart.administration == "BUF"
        (first, *later) = session.execute(select(tables.LetterPart).where(theirs)).scalars().all()
        copy = {name: getattr(first, name) for name in ("letter_id", "administration", "sealed", "sha256")}
        (other,) = set(siblings) - {first.child_id}
        session.add(tables.LetterPart(**copy, child_id=other))
        assert not later
    assert journalising.overdue(world.ctx) == 0
    world.clock.move(timedelta(days=7))
    assert journalising.overdue(world.ctx) == 2
    tasks = world.rows(tables.Task, tables.Task.kind == journalising.TASK)
    assert [task.administration for task in tasks] == ["BUF", "BUF"]


def test_the_text_is_forgotten_when_its_time_is_over(world: Any, siblings: Any, calls: Opened) -> None:
    system = calls()
    part = system.get("journal", administration="BUF").json()["items"][0]["id"]
    system.acknowledge(part, "D-1", "BUF")
    world.clock.move(timedelta(days=89))
    assert journalising.purge(world.ctx) == 0
    world.clock.move(timedelta(days=2))
    assert journalising.purge(world.ctx) == 1
    with world.session() as session:
        assert journalising.is_done(session, session.execute(select(tables.Letter.id).limit(1)).scalar_one()) in (
            True, False,
        )  # fmt: skip
    assert calls().get("journal", administration="BUF").json()["items"] == []


def test_an_offer_has_no_parts(world: Any) -> None:
    world.coordinators()
    world.present(KARLA)
    world.custody(KARLA, MOTHER)
    world.night()
    write(world)
    assert world.rows(tables.LetterPart) == []
    (letter,) = world.rows(tables.Letter)
    with world.session() as session:
        assert journalising.is_done(session, letter.id)
