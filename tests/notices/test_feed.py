"""`GET /api/v1/notices`: an administration's own system reads on from a cursor and misses nothing; each is a look."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from hub import State, consents, family
from hub.access.log import Asker
from hub.cases.sync import sync
from hub.notices import facts, feed, hand_over
from hub.store import tables
from tests.notices.conftest import KARLA, MOTHER, SANNE, Calls, Receiver

pytestmark = pytest.mark.slow

SYSTEM = Asker("SOF-system", "SOF", "source", "SOF")
Opened = Callable[[], Calls]


def test_the_answer_is_a_cloud_event_of_ones_own_administration_alone(karla: UUID, calls: Opened) -> None:
    answer = calls().get("notices")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    body = answer.json()
    (event,) = body["events"]
    assert (event["type"], event["subject"], event["data"]["administration"]) == (
        "tovholder.coordinator.assigned", "A-1", "SOF",
    )  # fmt: skip
    assert (body["cursor"], body["more"]) == ("1", False)
    for word in (KARLA, MOTHER, "Karla", "B-1", "BUF", "merudgifter", str(karla)):
        assert word not in answer.text, word


def test_a_webhook_and_the_feed_say_the_same(world: Any, hooked: Receiver, karla: UUID, calls: Opened) -> None:
    import json

    hand_over.hand_over_due(world.ctx)
    assert calls().get("notices").json()["events"] == [json.loads(hooked.got[0].body)]


def test_each_look_has_its_entry_and_an_empty_one_too(world: Any, karla: UUID, calls: Opened) -> None:
    system = calls()
    first = system.get("notices").json()
    again = system.get("notices").json()
    after = system.get("notices", after=first["cursor"]).json()
    kept = {row.id: row for row in world.rows(tables.LogEntry, tables.LogEntry.kind == "notice")}
    assert first["events"] == again["events"], "the same cursor, the same answer"
    assert after["events"] == []
    assert after["cursor"] == first["cursor"]
    children = [kept[UUID(one["entry"])].child_id for one in (first, again, after)]
    assert children == [karla, karla, None]
    assert len(kept) == 3


def test_nothing_is_shown_when_the_log_cannot_be_written(world: Any, karla: UUID, calls: Opened) -> None:
    system = calls()
    with world.ctx.database.owner_engine() as engine, engine.begin() as connection:
        connection.execute(text("REVOKE INSERT ON log_entry FROM tovholder_app"))
    try:
        answer = system.get("notices")
        assert answer.status_code == 503
        assert "Koordinator" not in answer.text
    finally:
        with world.ctx.database.owner_engine() as engine, engine.begin() as connection:
            connection.execute(text("GRANT INSERT ON log_entry TO tovholder_app"))


@pytest.mark.parametrize("role", ["staff", "coordinator", "leader", "auditor", "operator", "system", ""])
@pytest.mark.parametrize("path", ["notices", "journal"])
def test_nobody_else_gets_any(karla: UUID, calls: Opened, role: str, path: str) -> None:
    answer = calls().get(path, role=role)
    assert answer.status_code == 403
    assert "Koordinator 0" not in answer.text


def test_a_system_of_no_administration_gets_none(karla: UUID, calls: Opened) -> None:
    assert calls().get("notices", administration="XYZ").status_code == 403


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "1" * 19, " 1", "²"])
def test_a_cursor_that_is_none_is_told(karla: UUID, calls: Opened, after: str) -> None:
    assert calls().get("notices", after=after).status_code == 422


def many(world: Any, count: int) -> None:
    world.accepted(KARLA, guardians=(MOTHER,))
    for n in range(count):
        world.case(world.sof, f"A-{n}", KARLA, State.OPEN, adviser=SANNE)
    sync(world.ctx)


def test_pages_follow_each_other_without_a_gap(world: Any, calls: Opened) -> None:
    many(world, 230)
    system, cursor, seen, sizes = calls(), "0", [], []
    while True:
        body = system.get("notices", after=cursor).json()
        seen += [event["subject"] for event in body["events"]]
        sizes.append(len(body["events"]))
        cursor = body["cursor"]
        if not body["more"]:
            break
    assert sizes == [100, 100, 30]
    assert sorted(seen) == sorted({f"A-{n}" for n in range(230)})


def test_what_is_committed_later_than_it_was_written_is_not_passed_over(world: Any, karla: UUID) -> None:
    """A notice whose transaction is still open when somebody reads on comes with a later place."""
    ctx = world.ctx
    (first,) = world.rows(tables.Notice, tables.Notice.administration == "SOF")
    values = {column.name: getattr(first, column.name) for column in tables.Notice.__table__.columns}
    values |= {"kind": "back", "of_id": first.id, "sealed": None, "at": first.at - timedelta(hours=1)}
    late = UUID(int=1)
    with ctx.database.begin() as session, ThreadPoolExecutor(1) as pool:
        session.add(tables.Notice(**values | {"id": late, "once": b"late"}))
        session.flush()
        before = pool.submit(feed.pull, ctx, SYSTEM, 0).result(60).value
    after = feed.pull(ctx, SYSTEM, before.cursor).value
    assert [fact.id for fact in before.facts] == [first.id]
    assert [fact.id for fact in after.facts] == [late], "though it is older"


def test_one_damaged_row_does_not_hold_up_the_others(world: Any, calls: Opened) -> None:
    many(world, 3)
    with world.ctx.database.begin() as session:
        session.execute(text("UPDATE notice SET sealed = 'x' WHERE id = (SELECT min(id::text)::uuid FROM notice)"))
    assert len(calls().get("notices").json()["events"]) == 2
    assert {row.why_not for row in world.rows(tables.Notice)} == {None, facts.UNREADABLE}


def test_two_readers_at_once_give_each_its_place_once(world: Any) -> None:
    many(world, 40)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _n: feed.pull(world.ctx, SYSTEM, 0).value, range(8)))
    assert {one.cursor for one in found} == {40}
    places = sorted(row.position for row in world.rows(tables.Notice) if row.position)
    assert places == list(range(1, 41))


def test_what_the_family_closes_is_passed_over_and_the_reason_kept(world: Any, karla: UUID, calls: Opened) -> None:
    by = consents.Speaker("guardian", "page", "text-1", "da", world.guardian(MOTHER))
    consents.close(world.ctx, karla, "SOF", by)
    assert calls().get("notices").json()["events"] == []
    assert calls().get("notices", administration="BUF").json()["events"] != []
    (row,) = world.rows(tables.Notice, tables.Notice.administration == "SOF")
    assert row.why_not == "the family has closed for the administration"


def test_an_end_comes_in_the_feed_of_whoever_read_of_the_beginning(world: Any, karla: UUID, calls: Opened) -> None:
    system = calls()
    cursor = system.get("notices").json()["cursor"]
    world.clock.move(timedelta(hours=1))
    family.withdraw(world.ctx, karla, world.by(MOTHER))
    (event,) = system.get("notices", after=cursor).json()["events"]
    assert event["type"] == "tovholder.coordinator.ended"
    assert system.get("notices", administration="BUF").json()["events"] == [], "BUF never heard of the beginning"
