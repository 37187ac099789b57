"""In which order lookups and the family's own acts stand: the race."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import event

from hub import family
from hub.access.log import Disclosure
from hub.access.lookup import Answer
from hub.context import Context
from tests.access.lookups import REASON, shown


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
    assert town.open(withdrawal, "subject") == {"answer": "withdrawn", "how": "page", "capacity": "guardian"}
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
