"""Lookups: who is shown what, in which order with the family's own acts, and what happens when the log cannot write."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import event

from hub import StaffRecord, family
from hub.access import lookup
from hub.access.log import Asker, Disclosure
from hub.access.lookup import Answer, LogUnavailable, Source, TooBusy
from hub.cases import sources
from hub.clock import SetClock
from hub.context import Context
from hub.coordination.staff import add_coordinator
from hub.store import tables

SOF_STAFF = Asker("s-1", "Sanne Toft", "staff", "SOF", "Handicap, team Nord")
BUF_STAFF = Asker("s-2", "Bo Falk", "staff", "BUF")
UNKNOWN = "0909094999"
REASON = "Skolen kan ikke få fat i forældrene"


def shown(disclosure: Disclosure[Answer]) -> bool:
    return disclosure.value.coordinator is not None


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
        "no-role",
        "no-purpose",
    ]
    assert all(rows[each.entry].kind == "lookup" for each in answers)


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


# The race (recipes.md E)


@contextmanager
def withdrawal_before_its_commit(ctx: Context, child: Any) -> Iterator[Callable[[], None]]:
    """A withdrawal that has done all it does, holds the log's head, and commits when told to."""
    commit, reached = threading.Event(), threading.Event()

    def wait(_connection: object) -> None:
        reached.set()
        assert commit.wait(30)

    with ThreadPoolExecutor(1) as pool:
        event.listen(ctx.database.engine, "commit", wait)
        done: Future[None] = pool.submit(family.withdraw, ctx, child.id, child.answerer)
        try:
            assert reached.wait(30)

            def release() -> None:
                commit.set()
                done.result()

            yield release
        finally:
            commit.set()
    event.remove(ctx.database.engine, "commit", wait)
    done.result()


def test_a_withdrawal_that_commits_while_a_lookup_waits_is_obeyed(ctx: Context, town: Any) -> None:
    child = town.child(case_in=None)

    async def run() -> Disclosure[Answer]:
        async with town.queue() as queue:
            request = town.request(child, reason=REASON)
            assert shown(await queue.ask(request))  # connected, keys at hand: what comes now waits for the head only
            with withdrawal_before_its_commit(ctx, child) as commit:
                asked = asyncio.create_task(queue.ask(request))
                await asyncio.to_thread(town.waiting_for_head)
                assert not asked.done()
                await asyncio.to_thread(commit)
            return await asked

    found = asyncio.run(run())
    assert not shown(found)
    *_before, withdrawal, entry = town.log()
    assert town.open(withdrawal, "subject") == {"answer": "withdrawn", "how": "page"}
    assert (entry.id, town.open(entry, "subject")["basis"]) == (found.entry, "no-assignment")


def test_one_statement_that_does_it_all_would_have_shown_it(ctx: Context, town: Any) -> None:
    """The same race, with lock and reading in one statement: its snapshot is older than its wait. Were this to show
    nobody, the test above would prove nothing."""
    child = town.child(case_in=None)
    one_statement = """
        WITH head AS (UPDATE log_head SET size = size + 1 WHERE id = 1 RETURNING size)
        SELECT a.coordinator_id FROM head, child c JOIN assignment a ON a.child_id = c.id AND a.until IS NULL
        WHERE c.token = %s
    """
    with psycopg.connect(ctx.database.conninfo) as connection, ThreadPoolExecutor(1) as pool:
        with withdrawal_before_its_commit(ctx, child) as commit:
            token = ctx.keys.lookup_token(child.cpr)
            asked = pool.submit(lambda: connection.execute(one_statement, [token]).fetchall())
            town.waiting_for_head()
            commit()
        assert asked.result() == [(child.coordinator,)]
        connection.rollback()


def test_a_lookup_that_comes_first_shows_what_is_withdrawn_after_it(ctx: Context, town: Any) -> None:
    child = town.child(case_in=None)

    async def run() -> Disclosure[Answer]:
        async with town.queue() as queue:
            request = town.request(child, reason=REASON)
            await queue.ask(request)
            with town.head_held():
                asked = asyncio.create_task(queue.ask(request))
                await asyncio.to_thread(town.waiting_for_head, 1)
                withdrawal = asyncio.create_task(asyncio.to_thread(family.withdraw, ctx, child.id, child.answerer))
                await asyncio.to_thread(town.waiting_for_head, 2)
            await withdrawal
            return await asked

    found = asyncio.run(run())
    assert shown(found)
    assert [row.kind for row in town.log()][-2:] == ["lookup", "acceptance"]
    [after] = town.ask(town.request(child, reason=REASON))
    assert not shown(after)


def test_the_order_holds_whatever_isolation_the_database_prefers(ctx: Context, town: Any, admin: Any) -> None:
    """A snapshot that is kept for the whole transaction would be older than the wait."""
    child = town.child(case_in=None)
    admin(f"ALTER DATABASE {ctx.database.app_url.database} SET default_transaction_isolation = 'repeatable read'")

    async def run() -> Disclosure[Answer]:
        async with town.queue() as queue:
            request = town.request(child, reason=REASON)
            await queue.ask(request)
            with withdrawal_before_its_commit(ctx, child) as commit:
                asked = asyncio.create_task(queue.ask(request))
                await asyncio.to_thread(town.waiting_for_head)
                await asyncio.to_thread(commit)
            return await asked

    assert not shown(asyncio.run(run()))


# The log cannot be written


def test_without_the_right_to_add_an_entry_nothing_is_shown_until_it_is_back(
    town: Any, as_owner: Callable[[str], None]
) -> None:
    child = town.child()

    async def run() -> Disclosure[Answer]:
        async with town.queue() as queue:
            as_owner("REVOKE INSERT ON log_entry FROM tovholder_app")
            failed = await asyncio.gather(*(queue.ask(town.request(child)) for _ in range(5)), return_exceptions=True)
            assert [type(each) for each in failed] == [LogUnavailable] * 5
            as_owner("GRANT INSERT ON log_entry TO tovholder_app")
            return await queue.ask(town.request(child))

    before = len(town.log())
    found = asyncio.run(run())
    assert shown(found)
    assert [row.seq for row in town.log()] == list(range(before + 1))


@pytest.mark.parametrize("statement", ["REVOKE UPDATE ON log_head FROM tovholder_app", "DELETE FROM log_head"])
def test_without_a_head_nothing_is_shown(town: Any, as_owner: Callable[[str], None], statement: str) -> None:
    child = town.child()
    as_owner(statement)
    with pytest.raises(LogUnavailable):
        town.ask(town.request(child))


def test_a_batch_whose_connection_is_cut_before_its_commit_is_served_on_another_once(town: Any) -> None:
    """Whoever asked is answered, each with one entry: what was begun on the old connection is rolled back."""
    child = town.child()

    async def run() -> list[Disclosure[Answer]]:
        async with town.queue() as queue:
            await queue.ask(town.request(child))
            with town.head_held():
                asked = [asyncio.create_task(queue.ask(town.request(child))) for _ in range(3)]
                [pid] = await asyncio.to_thread(town.waiting_for_head)
                await asyncio.to_thread(town.terminate, pid)
                [other] = await asyncio.to_thread(town.waiting_for_head)
                assert other != pid
                assert not any(task.done() for task in asked)
            return await asyncio.gather(*asked)

    before = len(town.log())
    answers = asyncio.run(run())
    assert all(shown(each) for each in answers)
    rows = town.log()
    assert [row.seq for row in rows] == list(range(before + 1 + 3))
    assert {each.entry for each in answers} == {row.id for row in rows[-3:]}


def test_one_that_is_cut_twice_shows_nothing(town: Any) -> None:
    child = town.child()

    async def run() -> list[Any]:
        async with town.queue() as queue:
            await queue.ask(town.request(child))
            with town.head_held():
                asked = [asyncio.create_task(queue.ask(town.request(child))) for _ in range(3)]
                for _time in range(2):
                    [pid] = await asyncio.to_thread(town.waiting_for_head)
                    await asyncio.to_thread(town.terminate, pid)
                failed = await asyncio.gather(*asked, return_exceptions=True)
            return [*failed, await queue.ask(town.request(child))]

    before = len(town.log())
    assert [type(each) for each in asyncio.run(run())] == [LogUnavailable] * 3 + [Disclosure]
    assert [row.seq for row in town.log()] == list(range(before + 2))


CUT_AT_COMMIT = """
CREATE SEQUENCE cuts;
CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  IF nextval('public.cuts') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10); END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON log_entry DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.kind = 'lookup') EXECUTE FUNCTION cut()
"""
"""The first commit of a lookup finds its connection cut; another would go well."""


def test_one_that_is_cut_while_it_commits_is_given_up_and_never_tried_again(
    town: Any, as_owner: Callable[[str], None]
) -> None:
    """Nobody knows then whether its entries were kept: answering would need a second entry for the same lookup."""
    child = town.child()

    async def run() -> list[Any]:
        async with town.queue() as queue:
            await queue.ask(town.request(child))
            as_owner(CUT_AT_COMMIT)
            failed = await asyncio.gather(queue.ask(town.request(child)), return_exceptions=True)
            return [*failed, await queue.ask(town.request(child))]

    before = len(town.log())
    assert [type(each) for each in asyncio.run(run())] == [LogUnavailable, Disclosure]
    assert len(town.log()) == before + 2


def test_the_first_lookup_after_all_connections_were_cut_is_served(ctx: Context, town: Any) -> None:
    """As after a restart of the database: also for who asks for the first time, and whose key is fetched."""
    child = town.child()
    cut = (
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    async def run() -> list[Disclosure[Answer]]:
        async with town.queue() as queue:
            await queue.ask(town.request(child))
            found = []
            for asker in (SOF_STAFF, replace(SOF_STAFF, id="s-9")):
                with psycopg.connect(ctx.database.conninfo, autocommit=True) as connection:
                    connection.execute(cut)
                found.append(await queue.ask(town.request(child, asker)))
            return found

    before = len(town.log())
    assert all(shown(each) for each in asyncio.run(run()))
    assert [row.seq for row in town.log()] == list(range(before + 3))


def test_a_process_that_stands_still_with_the_head_does_not_silence_the_others(town: Any) -> None:
    """Stopped, or on a machine that is gone: PostgreSQL takes the head from it."""
    child = town.child()

    async def run() -> tuple[Disclosure[Answer], Any]:
        async with town.queue(head_held_at_most=0.3) as frozen, town.queue(patience=60) as other:
            await frozen.ask(town.request(child))
            held = frozen._connection
            await held.execute("BEGIN")
            await held.execute("UPDATE log_head SET size = size + 1 WHERE id = 1")
            found = await other.ask(town.request(child))
            return found, await frozen.ask(town.request(child))

    before = len(town.log())
    found, again = asyncio.run(run())
    assert shown(found)
    assert shown(again)
    assert [row.seq for row in town.log()] == list(range(before + 3))


def test_a_database_that_is_away_shows_nothing_to_known_and_new_askers(ctx: Context, town: Any, admin: Any) -> None:
    child, name = town.child(), ctx.database.app_url.database
    newcomer = replace(SOF_STAFF, id="s-9")

    async def run() -> list[Any]:
        async with town.queue() as queue:
            await queue.ask(town.request(child))
            admin(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            admin(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'")
            failed = await asyncio.gather(
                queue.ask(town.request(child)), queue.ask(town.request(child, newcomer)), return_exceptions=True
            )
            admin(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            return [*failed, await queue.ask(town.request(child)), await queue.ask(town.request(child, newcomer))]

    assert [type(each) for each in asyncio.run(run())] == [LogUnavailable, LogUnavailable, Disclosure, Disclosure]


def test_nobody_waits_for_a_stuck_head_for_ever(town: Any) -> None:
    child = town.child()

    async def run() -> Disclosure[Answer]:
        async with town.queue(patience=0.3) as queue:
            await queue.ask(town.request(child))
            with town.head_held():
                async with asyncio.timeout(5):
                    with pytest.raises(LogUnavailable):
                        await queue.ask(town.request(child))
            return await queue.ask(town.request(child))

    before = len(town.log())
    assert shown(asyncio.run(run()))
    assert [row.seq for row in town.log()] == list(range(before + 2))


def test_a_full_queue_sheds_load_and_skips_nothing(town: Any) -> None:
    child = town.child()

    async def run() -> tuple[list[Any], Any]:
        async with town.queue(patience=60) as queue:
            await queue.ask(town.request(child))
            with town.head_held():
                first = asyncio.create_task(queue.ask(town.request(child)))  # in the batch that waits
                await asyncio.to_thread(town.waiting_for_head)
                filling = [asyncio.create_task(queue.ask(town.request(child))) for _ in range(lookup.WAITING_AT_MOST)]
                await asyncio.sleep(0.1)
                with pytest.raises(TooBusy):
                    await queue.ask(town.request(child))
                for task in filling[lookup.BATCH :]:  # patience of those who asked, and room again
                    task.cancel()
                newcomer = replace(SOF_STAFF, id="s-9")
                with pytest.raises(TooBusy):  # nor is the database asked for a key first
                    await queue.ask(town.request(child, newcomer))
            return await asyncio.gather(first, *filling, return_exceptions=True), await queue.ask(town.request(child))

    before = len(town.log())
    outcomes, after = asyncio.run(run())
    kinds = [type(each) for each in outcomes]
    assert kinds[: lookup.BATCH + 1] == [Disclosure] * (lookup.BATCH + 1)
    assert set(kinds[lookup.BATCH + 1 :]) == {asyncio.CancelledError}
    assert shown(after)
    assert len(town.log()) == before + 1 + 1 + lookup.BATCH + 1  # who went away before their turn left no entry


def test_one_who_goes_away_does_not_break_the_batch(town: Any) -> None:
    child = town.child()

    async def run() -> list[Any]:
        async with town.queue() as queue:
            await queue.ask(town.request(child))
            with town.head_held():
                asked = [asyncio.create_task(queue.ask(town.request(child))) for _ in range(10)]
                await asyncio.to_thread(town.waiting_for_head)
                for task in asked[::3]:
                    task.cancel()
                await asyncio.sleep(0)
            return await asyncio.gather(*asked, return_exceptions=True)

    before = len(town.log())
    kinds = [type(each) for each in asyncio.run(run())]
    assert kinds == [asyncio.CancelledError if n % 3 == 0 else Disclosure for n in range(10)]
    assert len(town.log()) == before + 11  # they were being served: their entries stay


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


def test_when_the_writer_stops_nobody_is_left_waiting(town: Any) -> None:
    child = town.child()

    async def run() -> list[Any]:
        async with town.queue() as queue:
            await queue.ask(town.request(child))
            with town.head_held():
                being_served = asyncio.create_task(queue.ask(town.request(child)))
                await asyncio.to_thread(town.waiting_for_head)
                in_line = asyncio.create_task(queue.ask(town.request(child)))
                await asyncio.sleep(0)
                stopping = queue
                for task in asyncio.all_tasks():
                    if getattr(task.get_coro(), "__qualname__", "") == "LookupQueue.run":
                        task.cancel()
                async with asyncio.timeout(10):
                    outcomes = await asyncio.gather(being_served, in_line, return_exceptions=True)
                    [late] = await asyncio.gather(stopping.ask(town.request(child)), return_exceptions=True)
            return [*outcomes, late]

    assert [type(each) for each in asyncio.run(run())] == [LogUnavailable] * 3


def test_messages_say_what_to_do_and_hold_no_number(town: Any, as_owner: Callable[[str], None]) -> None:
    child = town.child()
    as_owner("REVOKE INSERT ON log_entry FROM tovholder_app")
    with pytest.raises(LogUnavailable) as caught:
        town.ask(town.request(child))
    assert str(caught.value) == "The access log cannot be written, so nothing is shown; try again in a moment."
    error: BaseException | None = caught.value
    while error is not None:
        assert child.cpr not in f"{error} {error!r}"
        error = error.__cause__
    assert "moment" in str(TooBusy())
    assert isinstance(town.ctx.keys.lookup_token(child.cpr), bytes)
    assert isinstance(child.id, UUID)
