"""The embedded PostgreSQL is killed under those who use it: its keeper, its first process, one that serves a
connection. Everything goes on by itself, and is as if nothing had happened."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from procrastinate.jobs import Job
from sqlalchemy import select, text

from hub import State, jobs, vault
from hub.access.askers import KeyCache
from hub.access.log import Asker, Disclosure
from hub.access.lookup import LookupQueue, Request
from hub.cases.sync import sync
from hub.letters.delivery import deliver
from hub.store import embedded, outage, queue, tables

KARLA, EMIL = "0311164234", "1405134321"
MOTHER = "0101804001"
STAFF = Asker("s-1", "Sanne Toft", "staff", "SOF")

pytestmark = pytest.mark.slow
parts = pytest.mark.parametrize("part", ["keeper", "postgres", "backend"])


@parts
def test_the_first_lookup_after_it_is_served(machine_siblings, part):
    """Its connection is gone and the server not yet back: the queue has it brought back, and asks once more. Also for
    who asks for the first time, whose key is fetched on another connection."""
    machine, ctx = machine_siblings, machine_siblings.ctx
    request = Request(STAFF, ctx.keys.lookup_token(KARLA), "case")
    cache = KeyCache(ctx.database, ctx.keys, ctx.clock)

    async def run() -> list[Disclosure]:
        queue = LookupQueue(ctx, cache, ensure=ctx.database.ensure, patience=60)
        writer = asyncio.create_task(queue.run())
        try:
            found = [await queue.ask(request)]
            for asker in (STAFF, Asker("s-2", "Bo Falk", "staff", "SOF")):
                machine.kill(part)
                found.append(await queue.ask(Request(asker, request.token, "case")))
            return found
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    answers = asyncio.run(run())
    assert all(each.value.coordinator is not None for each in answers)
    lookups = machine.world.rows(tables.LogEntry, tables.LogEntry.kind == "lookup")
    assert {row.id for row in lookups} == {each.entry for each in answers}
    assert machine.log_is_gapless()


@parts
def test_pages_are_served_by_all_threads_again(machine, part):
    for _again in range(2):
        machine.kill(part)

        def ask() -> int:
            with machine.ctx.database.begin() as session:
                return session.execute(text("SELECT 1")).scalar_one()

        errors = [each.exception(60) for each in [machine.go(ask) for _ in range(8)]]
        assert all(error is None or outage.why(error) is not None for error in errors)  # in use when it was killed
        assert [each.result(60) for each in [machine.go(ask) for _ in range(8)]] == [1] * 8


@parts
def test_a_sync_and_a_match_under_way_are_done_by_the_next(machine_siblings, moments, part):
    machine, world = machine_siblings, machine_siblings.world
    for n in range(5):
        world.case(world.sof, f"new {n}", KARLA)
    world.case(world.sof, "s1", KARLA, State.DECIDED)
    world.present("2003154444")
    world.custody("2003154444", "0101804002")
    for point, work in (("sync.page", sync), ("match.page", jobs.find_and_offer)):
        with machine.held(moments, point, work, machine.ctx) as working:
            machine.kill(part)
        error = working.exception(100)
        assert error is None or outage.why(error) is not None, error
        decision = jobs.Backoff().get_retry_decision(exception=error, job=_job()) if error else True
        assert decision  # as a job it comes again by itself
        assert work(machine.ctx)
    told = Counter(event.kind for event in world.events() if event.why_not is None)
    assert told == {"decided": 1, "case_opened": 5}
    assert len(world.rows(tables.Case)) == 7
    assert len(world.rows(tables.Child)) == 3
    assert len(world.events("offered")) == 3
    assert machine.log_is_gapless()


def _job() -> Job:
    return Job(id=1, queue="letters", lock=None, queueing_lock=None, task_name="deliver", attempts=0)


@parts
def test_a_letter_in_the_platforms_hands_is_one_letter(machine_siblings, moments, part):
    """The platform has taken it, and what it answered could not be written down."""
    machine, world = machine_siblings, machine_siblings.world
    world.case(world.sof, "s1", KARLA, State.DECIDED)
    sync(machine.ctx)
    machine.due()
    with machine.held(moments, "letters.composed", machine.compose) as composed:
        machine.kill(part)
    assert outage.why(composed.exception(100)) is not None
    assert machine.compose() == 1
    letter = machine.newest().id
    with machine.held(moments, "letters.handed_over", deliver, machine.ctx, letter) as sending:
        machine.kill(part)
    assert outage.why(sending.exception(100)) is not None
    assert machine.letter(letter).state == "frozen"
    assert deliver(machine.ctx, letter) == "sent"
    assert Counter(key for key, _letter in world.channel.tries) == {str(letter): 2}
    assert len(world.channel.taken) == 1
    assert sorted(row.result for row in world.rows(tables.Delivery)) == ["begun", "sent"]
    assert "waits" not in machine.ends().values()


WORKER = """
import sys
from pathlib import Path
from hub import jobs, vault
from hub.clock import SystemClock
from hub.context import Context
from hub.contract import Sent
from hub.plugins import Plugins
from hub.settings import Settings, Worker
from hub.store.database import Database
from hub.testing.fakes import FakeChannel

data, keys, taken = map(Path, sys.argv[1:4])
named = sys.argv[4] or None

class Channel(FakeChannel):
    def send(self, letter, key):
        with taken.open("a") as file:
            file.write(key + "\\n")
        return Sent("t")

settings = Settings(data=data, database_url=named, worker=Worker(heartbeat_seconds=3))
ctx = Context(settings, SystemClock(), Database(settings), vault.load_keys(keys, with_token=False),
              Plugins((), {}, {"digital_post": Channel()}, {}))
jobs.work(ctx, [jobs.LETTERS], 2)
"""


class TestWorker:
    @pytest.fixture
    def keys(self, tmp_path: Path) -> vault.Keys:
        """Keys in a folder, so that another process has the same."""
        vault.make_keys(tmp_path / "keys")
        return vault.load_keys(tmp_path / "keys", with_token=True)

    @pytest.fixture(params=["its own", "named"])
    def worker(self, machine, tmp_path, request):
        """On the embedded database of its own, and on one that somebody else keeps and named for it."""
        url = machine.ctx.database.app_url.set(drivername="postgresql").render_as_string(hide_password=False)
        named = url if request.param == "named" else ""
        with (tmp_path / "worker.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", WORKER, *map(str, (machine.data, tmp_path / "keys", tmp_path / "taken")), named],
                stdout=log,
                stderr=log,
                env={k: v for k, v in os.environ.items() if not k.startswith("TOVHOLDER_")},
            )
        yield process
        process.kill()
        process.wait()

    @pytest.mark.timeout(300)
    @parts
    def test_goes_on_by_itself_each_time(self, machine_siblings, worker, tmp_path, part):
        """The same process: nobody has to start it again, and a letter that is due leaves, once."""
        machine, world = machine_siblings, machine_siblings.world
        for state in (State.DECIDED, State.OPEN, State.CLOSED):
            world.case(world.sof, "s1", KARLA, state)
            sync(machine.ctx)
            machine.due()
            machine.compose()
            machine.kill(part)
            machine.wait_for(lambda: {row.state for row in machine.letters()} == {"sent"})
            assert worker.poll() is None
        sent = [str(row.id) for row in machine.letters()]
        taken = Counter((tmp_path / "taken").read_text().split())
        assert taken.keys() == set(sent)
        with machine.ctx.database.session() as session:
            tries = dict(session.execute(select(tables.Letter.id, tables.Letter.tries)).tuples().all())
        assert all(taken[str(letter)] <= count for letter, count in tries.items())  # each try with its own row


@parts
def test_a_command_waits_for_it_to_come_back(machine, part):
    """One that starts while it is away."""
    machine.kill(part)
    with embedded.start(machine.data) as used:
        assert used.socket
    machine.ctx.database.check()
    with machine.ctx.database.begin() as session:
        queue.defer(session, "compose")
