"""A database that is there and cannot be worked with: read only, out of connections, on a full disk. The messages say
which; nothing is lost or doubled; and when it is over, all goes on by itself."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from procrastinate.jobs import Job

from hub import DeliveryStatus, State, TryAgain, Unsure, jobs
from hub.access.askers import KeyCache
from hub.access.log import Asker
from hub.access.lookup import LogUnavailable, LookupQueue, Request
from hub.cases.sync import sync
from hub.letters.delivery import deliver
from hub.letters.statuses import take_statuses
from hub.store import outage, tables
from hub.testing.fakes import FakeChannel

pytestmark = pytest.mark.slow

KARLA, EMIL = "0311164234", "1405134321"
STAFF = Asker("s-1", "Sanne Toft", "staff", "SOF")


def cut_all(races, admin: Callable[[str], None]) -> None:
    name = races.ctx.database.app_url.database
    admin(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'")


@contextmanager
def read_only(races, admin: Callable[[str], None]) -> Iterator[None]:
    name = races.ctx.database.app_url.database
    admin(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    cut_all(races, admin)
    yield
    admin(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    cut_all(races, admin)


@contextmanager
def no_connection(races, admin: Callable[[str], None]) -> Iterator[None]:
    name = races.ctx.database.app_url.database
    admin(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
    cut_all(races, admin)
    yield
    admin(f"ALTER DATABASE {name} CONNECTION LIMIT -1")


OUTAGES = {"read only": (read_only, outage.READ_ONLY), "out of connections": (no_connection, outage.NO_ROOM)}
outages = pytest.mark.parametrize("kind", OUTAGES)


def fails(work: Callable[[], Any], said: str) -> None:
    """It fails, the reason is the right one, and as a job it comes again by itself."""
    with pytest.raises(outage.Unavailable) as caught:
        work()
    assert outage.why(caught.value) == said
    job = Job(id=1, queue="letters", lock=None, queueing_lock=None, task_name="deliver", attempts=0)
    assert jobs.Backoff().get_retry_decision(exception=caught.value, job=job) is not None


@pytest.fixture
def busy(siblings):
    """News that waits to be told, a letter that waits to be sent, and more news at the source."""
    world = siblings.world
    world.case(world.sof, "s1", KARLA, State.DECIDED)
    sync(siblings.ctx)
    siblings.frozen = siblings.write()
    world.case(world.sof, "s2", KARLA)
    sync(siblings.ctx)
    world.case(world.buf, "b1", EMIL, State.CLOSED)
    siblings.due()
    return siblings


@outages
def test_all_work_fails_with_the_reason_and_goes_on_when_it_is_over(busy, admin, kind):
    outage_of, said = OUTAGES[kind]
    ctx, world = busy.ctx, busy.world
    before = len(busy.letters())
    with outage_of(busy, admin):
        fails(lambda: deliver(ctx, busy.frozen), said)
        fails(busy.compose, said)
        fails(lambda: sync(ctx), said)
        fails(lambda: jobs.find_and_offer(ctx), said)
        fails(lambda: take_statuses(ctx), said)
        with pytest.raises(TryAgain) as caught:
            ctx.database.check()
        assert str(caught.value) == said
    assert world.channel.tries == []  # nothing leaves before it is written down that it may
    sync(ctx)
    jobs.find_and_offer(ctx)
    assert busy.compose() == 1
    assert len(busy.letters()) == before + 1
    for letter in busy.letters(tables.Letter.state == "frozen"):
        assert deliver(ctx, letter.id) == "sent"
    assert "waits" not in busy.ends().values()
    assert len(world.channel.tries) == len(world.channel.taken)
    assert sorted(event.kind for event in world.events()) == ["case_closed", "case_opened", "decided"]
    assert busy.log_is_gapless()


@outages
def test_lookups_show_nothing_and_come_back(busy, admin, kind):
    outage_of, _said = OUTAGES[kind]
    ctx = busy.ctx
    request = Request(STAFF, ctx.keys.lookup_token(KARLA), "case")
    newcomer = Request(Asker("s-9", "Bo Falk", "staff", "SOF"), request.token, "case")

    async def run() -> list[Any]:
        cache = KeyCache(ctx.database, ctx.keys, ctx.clock)
        queue = LookupQueue(ctx, cache, ensure=ctx.database.ensure)
        writer = asyncio.create_task(queue.run())
        try:
            found = [await queue.ask(request)]
            with outage_of(busy, admin):
                failed = await asyncio.gather(queue.ask(request), queue.ask(newcomer), return_exceptions=True)
                assert [type(each) for each in failed] == [LogUnavailable] * 2
            return [*found, await queue.ask(request), await queue.ask(newcomer)]
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    answers = asyncio.run(run())
    assert all(each.value.coordinator is not None for each in answers)
    assert {each.entry for each in answers} == {
        row.id for row in busy.world.rows(tables.LogEntry, tables.LogEntry.kind == "lookup")
    }
    assert busy.log_is_gapless()


def test_a_lookup_with_a_connection_is_served_when_others_get_none(siblings, admin):
    """What serves now goes on, also when a newcomer cannot get in."""
    ctx = siblings.ctx
    request = Request(STAFF, ctx.keys.lookup_token(KARLA), "case")
    name = ctx.database.app_url.database

    async def run() -> list[Any]:
        cache = KeyCache(ctx.database, ctx.keys, ctx.clock)
        queue = LookupQueue(ctx, cache)
        writer = asyncio.create_task(queue.run())
        try:
            await queue.ask(request)
            admin(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
            return [await queue.ask(request) for _ in range(3)]
        finally:
            admin(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    assert all(each.value.coordinator is not None for each in asyncio.run(run()))


@outages
def test_a_command_says_it_in_one_line_and_without_a_traceback(siblings, admin, tmp_path, kind):
    outage_of, said = OUTAGES[kind]
    url = siblings.ctx.database.app_url.set(drivername="postgresql").render_as_string(hide_password=False)
    with outage_of(siblings, admin):
        done = subprocess.run(
            [sys.executable, "-m", "hub.cli", "doctor"],
            env={k: v for k, v in os.environ.items() if not k.startswith("TOVHOLDER_")}
            | {"TOVHOLDER_DATABASE_URL": url, "TOVHOLDER_DATA": str(tmp_path / "none")},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.strip() == f"tovholder: {said}"


class TestATimeOutAfterTheOtherSideHasIt:
    """The request arrived, and its answer did not."""

    def test_a_letter_is_one_letter(self, busy):
        class Deaf(FakeChannel):
            """Takes the letter, and its answer is lost on the way; the second time it says that it has it already."""

            def send(self, letter, key):
                known = key in self.taken
                result = super().send(letter, key)
                return result if known else Unsure("time-out")

        channel = busy.world.channel
        channel.__class__ = Deaf
        with pytest.raises(TryAgain):
            deliver(busy.ctx, busy.frozen)
        assert busy.letter(busy.frozen).state == "frozen"
        assert deliver(busy.ctx, busy.frozen) == "sent"
        assert [key for key, _letter in channel.tries] == [str(busy.frozen)] * 2
        assert list(channel.taken) == [str(busy.frozen)]

    @pytest.mark.parametrize("page", [0, 1, 2])
    def test_a_sources_page_is_read_again_and_told_once(self, siblings, page):
        world = siblings.world
        for n in range(6):
            world.case(world.sof, f"new {n}", KARLA)
        world.sof.fail_at, world.sof.error = page, TryAgain("time-out")
        [failed] = sync(siblings.ctx, ["sof"])
        assert failed.failure == "time-out"
        world.sof.fail_at = None
        sync(siblings.ctx, ["sof"])
        assert len(world.events("case_opened")) == 6
        assert len(world.rows(tables.Case)) == 8

    def test_statuses_that_were_given_once_are_taken_once(self, busy):
        """The channel's page was committed, and the next one never came."""
        world = busy.world
        deliver(busy.ctx, busy.frozen)
        for status in (DeliveryStatus.RECEIVED, DeliveryStatus.DELIVERED, DeliveryStatus.DELIVERED):
            world.channel.say(str(busy.frozen), status, world.clock.now())
        statuses = world.channel.statuses

        def cut(since):
            yield next(iter(statuses(since)))
            raise TryAgain("time-out")

        world.channel.statuses = cut
        with pytest.raises(TryAgain):
            take_statuses(busy.ctx)
        world.channel.statuses = statuses
        take_statuses(busy.ctx)
        assert busy.letter(busy.frozen).state == "delivered"


class TestFullDisk:
    """A file system of its own, for the machine's whole data folder."""

    pytestmark = pytest.mark.slow

    @pytest.fixture
    def data(self, tmp_path: Path) -> Iterator[Path]:
        folder = tmp_path / "mounted"
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120m,mode=711", "none", str(folder)], check=False)
        if done.returncode != 0:
            pytest.skip("no right to mount here")
        yield folder
        subprocess.run(["umount", "--lazy", str(folder)], check=True)

    @contextmanager
    def full(self, machine) -> Iterator[None]:
        ballast = machine.data / "ballast"
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"\0" * 4096)
        yield
        ballast.unlink()

    @pytest.mark.timeout(300)
    def test_what_was_answered_is_kept_and_what_was_not_is_not_told(self, machine_siblings):
        """Lookups, news and letters until nothing goes any more; PostgreSQL itself may go down with it. Afterwards all
        goes on by itself."""
        machine, world, ctx = machine_siblings, machine_siblings.world, machine_siblings.ctx
        request = Request(STAFF, ctx.keys.lookup_token(KARLA), "case")

        async def ask_until_it_fails() -> list[Any]:
            cache = KeyCache(ctx.database, ctx.keys, ctx.clock)
            queue = LookupQueue(ctx, cache)
            writer = asyncio.create_task(queue.run())
            found: list[Any] = []
            try:
                while not any(isinstance(each, Exception) for each in found):
                    found += await asyncio.gather(*(queue.ask(request) for _ in range(200)), return_exceptions=True)
                return found
            finally:
                writer.cancel()
                await asyncio.gather(writer, return_exceptions=True)

        with self.full(machine):
            outcomes = asyncio.run(ask_until_it_fails())
            failed = [each for each in outcomes if isinstance(each, Exception)]
            assert {type(each) for each in failed} == {LogUnavailable}
            world.case(world.sof, "s1", KARLA, State.DECIDED)

            def write_until_it_fails() -> None:
                for n in range(2000):
                    world.case(world.sof, f"n{n}", KARLA)
                    sync(ctx)
                    machine.due()
                    machine.compose()

            with pytest.raises((*outage.Unavailable, TryAgain)) as caught:
                write_until_it_fails()
            assert isinstance(caught.value, TryAgain) or outage.why(caught.value) is not None
        answered = {each.entry for each in outcomes if not isinstance(each, Exception)}
        machine.wait_for(lambda: machine.go(sync, ctx).result(60) is not None)
        kept = {row.id for row in world.rows(tables.LogEntry, tables.LogEntry.kind == "lookup")}
        assert answered <= kept
        assert machine.log_is_gapless()
        sync(ctx)
        machine.due()
        machine.compose()
        for letter in machine.letters(tables.Letter.state == "frozen"):
            assert deliver(ctx, letter.id) == "sent"
        ends = machine.ends()
        assert "waits" not in ends.values()
        assert len(world.channel.tries) == len(world.channel.taken)
        assert len(world.events("decided")) == 1
        assert len(world.events("case_opened")) == len(world.rows(tables.Case)) - 2

    @pytest.mark.timeout(300)
    def test_a_letter_that_was_taken_when_the_disk_was_full_is_one_letter(self, machine_siblings, moments):
        """The platform has it, and that cannot be written down."""
        machine, world, ctx = machine_siblings, machine_siblings.world, machine_siblings.ctx
        world.case(world.sof, "s1", KARLA, State.DECIDED)
        sync(ctx)
        letter = machine.write()
        with moments.stop("letters.handed_over") as taken:
            sending = machine.go(deliver, ctx, letter)
            taken.arrive()
            with self.full(machine):
                self.use_up(machine)
                taken.go.set()
                error = sending.exception(100)
        assert error is None or outage.why(error) is not None
        machine.wait_for(lambda: deliver(ctx, letter) == "sent")
        assert list(world.channel.taken) == [str(letter)]
        assert {key for key, _letter in world.channel.tries} == {str(letter)}

    def use_up(self, machine) -> None:
        """What room PostgreSQL has left in its own files."""
        with suppress(psycopg.Error), psycopg.connect(machine.ctx.database.conninfo, autocommit=True) as connection:
            connection.execute("CREATE TEMPORARY TABLE filler (words text)")
            while True:
                connection.execute(
                    "INSERT INTO filler SELECT repeat(md5(n::text), 300) FROM generate_series(1, 1000) n"
                )
