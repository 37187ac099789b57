"""Lookups when the log cannot be written, the database is away, or too many ask: nobody is shown anything unlogged,
and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest

from hub.access import lookup
from hub.access.log import Disclosure
from hub.access.lookup import Answer, LogUnavailable, TooBusy
from hub.context import Context
from tests.access.lookups import SOF_STAFF, shown


def test_without_the_right_to_add_an_entry_nothing_is_shown_until_it_is_back(
    town: Any, as_owner: Callable[[str], None]
) -> None:
    child = town.child()

    async def run() -> Disclosure[Answer]:
        async with town.queue() as queue:
            as_owner("REVOKE INSERT ON log_entry FROM tovholder_lookup")
            failed = await asyncio.gather(*(queue.ask(town.request(child)) for _ in range(5)), return_exceptions=True)
            assert [type(each) for each in failed] == [LogUnavailable] * 5
            as_owner("GRANT INSERT ON log_entry TO tovholder_lookup")
            return await queue.ask(town.request(child))

    before = len(town.log())
    found = asyncio.run(run())
    assert shown(found)
    assert [row.seq for row in town.log()] == list(range(before + 1))


@pytest.mark.parametrize("statement", ["REVOKE UPDATE ON log_head FROM tovholder_lookup", "DELETE FROM log_head"])
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
    as_owner("REVOKE INSERT ON log_entry FROM tovholder_lookup")
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
