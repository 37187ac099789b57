"""Lookups: who is shown what, and what stands in the log of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import psycopg.rows
import pytest

from hub import StaffRecord
from hub.access import lookup
from hub.access.deciding import INPUTS
from hub.access.log import Disclosure
from hub.access.lookup import Answer, Source
from hub.cases import sources
from hub.clock import SetClock
from hub.context import Context
from hub.coordination.staff import add_coordinator
from hub.store import tables
from tests.access.lookups import BUF_STAFF, REASON, SOF_STAFF, UNKNOWN, shown


def test_staff_with_a_case_see_the_coordinator(town: Any, clock: SetClock) -> None:
    child = town.child()
    [found] = town.ask(town.request(child))
    assert found.value.coordinator == lookup.Coordinator(
        "Mette Holm Østergård", "12340001", "mette@kommune.example", clock.now(), None
    )
    entry = town.log()[-1]
    assert (entry.id, entry.kind, entry.child_id, entry.at) == (found.entry, "lookup", child.id, clock.now())
    assert town.open(entry, "asker") == {
        "id": "s-1",
        "name": "Sanne Toft",
        "role": "staff",
        "administration": "SOF",
        "unit": "Handicap, team Nord",
    }
    assert town.open(entry, "subject") == {
        "purpose": "case",
        "reason": None,
        "case": None,
        "see": True,
        "basis": "case",
        "shown": ["coordinator"],
    }


def test_staff_without_a_case_see_with_a_reason_and_it_is_marked(town: Any) -> None:
    child = town.child()
    with_reason, without, too_short = town.ask(
        town.request(child, BUF_STAFF, reason=REASON),
        town.request(child, BUF_STAFF),
        town.request(child, BUF_STAFF, reason="fordi"),
    )
    assert [shown(each) for each in (with_reason, without, too_short)] == [True, False, False]
    told = {row.id: town.open(row, "subject") for row in town.log() if row.kind == "lookup"}
    assert (told[with_reason.entry]["basis"], told[with_reason.entry]["reason"]) == ("reason", REASON)
    assert (told[without.entry]["basis"], told[without.entry]["shown"]) == ("no-reason", [])


def test_a_closed_case_gives_no_way_in(town: Any) -> None:
    child = town.child(case_in=None)
    town.case(child, "SOF", is_open=False)
    town.case(child, "BUF")
    assert [shown(each) for each in town.ask(town.request(child), town.request(child, BUF_STAFF))] == [False, True]


def test_an_asker_of_no_administration_has_no_cases(town: Any) -> None:
    child = town.child()
    [found] = town.ask(town.request(child, replace(SOF_STAFF, administration=None)))
    assert not shown(found)


def test_refused_unknown_and_no_coordinator_look_alike_and_are_all_logged(town: Any) -> None:
    refused, waiting = town.child(), town.child(accepted=False)
    asked = [
        town.request(refused, BUF_STAFF),
        town.request(waiting, SOF_STAFF),
        town.request(UNKNOWN, SOF_STAFF, reason=REASON),
        town.request(refused, replace(SOF_STAFF, role="auditor")),
        town.request(refused, SOF_STAFF, purpose="curiosity"),
    ]
    answers = town.ask(*asked)
    assert {each.value for each in answers} == {Answer(None, ())}
    assert len({each.entry for each in answers}) == 5
    rows = {row.id: row for row in town.log()}
    assert [rows[each.entry].child_id for each in answers] == [refused.id, waiting.id, None, refused.id, refused.id]
    assert [town.open(rows[each.entry], "subject")["basis"] for each in answers] == [
        "no-reason",
        "no-assignment",
        "no-assignment",
        "no-purpose",
        "no-purpose",
    ]
    assert all(rows[each.entry].kind == "lookup" for each in answers)


def test_the_database_reads_as_much_for_an_unknown_child_as_for_a_known_one(ctx: Context, town: Any) -> None:
    """Else its time would tell which numbers the hub knows."""
    known, decoy = town.child(), town.child()
    plans = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"

    def reads(cpr: str, instead: Any) -> int:
        token = ctx.keys.lookup_token(cpr)
        with psycopg.connect(ctx.database.conninfo) as connection:
            connection.execute(plans)
            asked = {"tokens": [token], "now": ctx.clock.now(), "decoy": instead}
            for _warm in range(3):
                found = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {INPUTS}", asked).fetchone()
        plan = found[0][0]["Plan"]  # type: ignore[index]
        return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])

    assert reads(UNKNOWN, None) < reads(known.cpr, decoy.id) / 2, "else this measures nothing"
    assert abs(reads(UNKNOWN, decoy.id) - reads(known.cpr, decoy.id)) <= 2


def test_what_is_read_in_the_place_of_an_unknown_child_is_given_to_nobody(ctx: Context, town: Any) -> None:
    decoy = town.child()
    with psycopg.connect(ctx.database.conninfo, row_factory=psycopg.rows.dict_row) as connection:
        asked = {"tokens": [ctx.keys.lookup_token(UNKNOWN)], "now": ctx.clock.now(), "decoy": decoy.id}
        [row] = connection.execute(INPUTS, asked).fetchall()
    assert row.pop("token") == ctx.keys.lookup_token(UNKNOWN)
    assert set(row.values()) == {None}


def test_an_unknown_child_is_sealed_under_the_days_key(ctx: Context, town: Any, clock: SetClock) -> None:
    [found] = town.ask(town.request(UNKNOWN, reason=REASON))
    row = town.log()[-1]
    assert (row.id, row.child_id) == (found.entry, None)
    with ctx.database.begin() as session:
        [day] = session.query(tables.RotatingKey).all()
    assert (day.day, day.key_id) == (clock.now().date(), row.subject_key)
    assert town.open(row, "subject")["reason"] == REASON


def test_a_forgotten_child_is_unknown(ctx: Context, town: Any) -> None:
    child = town.child()
    with ctx.database.begin() as session:
        key_id = session.get_one(tables.Child, child.id).key_id
        session.get_one(tables.PersonKey, key_id).wrapped = None
    [found] = town.ask(town.request(child))
    assert not shown(found)
    assert town.log()[-1].child_id is None


def test_an_answer_comes_after_its_entry_is_durable(ctx: Context, town: Any) -> None:
    """As soon as there is an answer, another connection sees its entry."""
    child = town.child()

    async def ask_and_look(queue: lookup.LookupQueue, request: lookup.Request, other: Any) -> bool:
        disclosure = await queue.ask(request)
        # No await in between: this is the first that happens after the answer.
        found = other.execute("SELECT count(*) FROM log_entry WHERE id = %s", [disclosure.entry]).fetchone()
        return bool(found[0])

    async def run() -> list[bool]:
        with psycopg.connect(ctx.database.conninfo, autocommit=True) as other:
            async with town.queue() as queue:
                asked = [town.request(child), town.request(UNKNOWN), town.request(child, BUF_STAFF)] * 20
                return await asyncio.gather(*(ask_and_look(queue, request, other) for request in asked))

    assert asyncio.run(run()) == [True] * 60


def test_waiting_lookups_share_a_commit_and_none_is_left_over(ctx: Context, town: Any) -> None:
    child = town.child()
    before = len(town.log())
    count = 2 * lookup.BATCH + 30

    async def run() -> list[Disclosure[Answer]]:
        async with town.queue() as queue:
            await queue.ask(town.request(child))
            with town.head_held():
                asked = [asyncio.create_task(queue.ask(town.request(child))) for _ in range(count)]
                await asyncio.to_thread(town.waiting_for_head)
            return await asyncio.gather(*asked)

    assert all(shown(each) for each in asyncio.run(run()))
    rows = town.log()
    assert [row.seq for row in rows] == list(range(before + 1 + count))
    with psycopg.connect(ctx.database.conninfo) as connection:
        [[transactions]] = connection.execute("SELECT count(DISTINCT xmin::text) FROM log_entry WHERE kind = 'lookup'")
    assert transactions <= 5  # the first alone, then at most 256 at a time


def test_the_substitute_of_one_who_is_away_is_named(ctx: Context, town: Any) -> None:
    child = town.child()
    with ctx.database.begin() as session:
        substitute = add_coordinator(ctx, session, StaffRecord("k-9", "Per Dam"))
        session.get_one(tables.Coordinator, child.coordinator).substitute_id = substitute
    [at_work] = town.ask(town.request(child))
    with ctx.database.begin() as session:
        session.get_one(tables.Coordinator, child.coordinator).away = True
    [away] = town.ask(town.request(child))
    with ctx.database.begin() as session:
        key = session.get_one(tables.Staff, substitute).key_id
        session.get_one(tables.PersonKey, key).wrapped = None
    [forgotten] = town.ask(town.request(child))
    found = [each.value.coordinator for each in (at_work, away, forgotten)]
    assert [(each.name, each.substitute) for each in found] == [
        ("Mette Holm Østergård", None),
        ("Mette Holm Østergård", "Per Dam"),
        ("Mette Holm Østergård", None),
    ]


def test_silence_is_told_for_every_child_alike_and_at_once(ctx: Context, town: Any, clock: SetClock) -> None:
    """Also when the clock has not moved since the source last answered, as in the demo."""
    now = clock.now()
    with ctx.database.begin() as session:
        sources.end(session, "sof_case", sources.CASES, now)
        sources.end(session, "sof_case", sources.PRESENCE, now)
        sources.end(session, "buf_case", sources.CASES, now)
        sources.end(session, "buf_case", sources.PRESENCE, now)
        sources.failed(session, "buf_case", sources.CASES, now, "time-out")
        sources.failed(session, "suf_cura", sources.CASES, now, "time-out")
        sources.state(session, "digital_post", sources.STATUSES)  # a channel is no source
    known, unknown = town.ask(town.request(town.child()), town.request(UNKNOWN))
    assert (
        known.value.sources
        == unknown.value.sources
        == (
            Source("buf_case", "no answer", now),
            Source("sof_case", "ok", now),
            Source("suf_cura", "never", None),
        )
    )
    clock.move(timedelta(minutes=5))
    with ctx.database.begin() as session:
        sources.end(session, "buf_case", sources.CASES, clock.now())
    [later] = town.ask(town.request(UNKNOWN))
    assert later.value.sources[0] == Source("buf_case", "ok", clock.now())


def test_a_source_that_answers_half_is_silent_since_the_other_half_was(
    ctx: Context, town: Any, clock: SetClock
) -> None:
    """What it says of presence today says nothing of the cases it has not told of for a week."""
    began = clock.now()
    with ctx.database.begin() as session:
        sources.end(session, "buf_case", sources.CASES, began)
    clock.move(timedelta(days=7))
    with ctx.database.begin() as session:
        sources.failed(session, "buf_case", sources.CASES, clock.now(), "time-out")
        sources.end(session, "buf_case", sources.PRESENCE, clock.now())
        sources.failed(session, "sof_case", sources.CASES, clock.now(), "time-out")
        sources.end(session, "sof_case", sources.PRESENCE, clock.now())
    [found] = town.ask(town.request(UNKNOWN))
    # Of one that has never told of cases, what it did tell is all there is to say.
    assert found.value.sources == (Source("buf_case", "no answer", began), Source("sof_case", "no answer", clock.now()))


@pytest.mark.parametrize("damage", ["wrapped", "version", "sealed"])
@pytest.mark.parametrize("whose", ["child", "coordinator"])
def test_one_damaged_record_does_not_take_the_others_answers(ctx: Context, town: Any, whose: str, damage: str) -> None:
    damaged, well = town.child(), town.child()
    with ctx.database.begin() as session:
        row = (
            session.get_one(tables.Child, damaged.id)
            if whose == "child"
            else session.get_one(tables.Staff, damaged.coordinator)
        )
        key = session.get_one(tables.PersonKey, row.key_id)
        if damage == "wrapped":
            key.wrapped = b"x" * 60
        elif damage == "version":
            key.version = 99
        else:
            row.sealed = b"x" * 60
    first, second, third = town.ask(town.request(damaged), town.request(well), town.request(damaged, BUF_STAFF))
    assert (shown(second), shown(third)) == (True, False)
    entries = {row.id: row for row in town.log()}
    assert {first.entry, second.entry, third.entry} <= entries.keys()
    if (whose, damage) != ("child", "sealed"):  # a lookup never opens what is sealed of a child
        assert not shown(first)
        assert town.open(entries[first.entry], "subject")["basis"] == "unreadable"


def test_a_forgotten_coordinator_is_no_coordinator(ctx: Context, town: Any) -> None:
    child = town.child()
    with ctx.database.begin() as session:
        key = session.get_one(tables.Staff, child.coordinator).key_id
        session.get_one(tables.PersonKey, key).wrapped = None
    [found] = town.ask(town.request(child))
    assert not shown(found)
