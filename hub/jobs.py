"""What runs in the background: each job a few lines that call one use case. Arguments are ids only.

Procrastinate keeps, retries and schedules them in the same PostgreSQL. What a killed worker held is taken up again by
the others; a task claims its row first, so that a job which ran after all does nothing twice. A worker that loses the
database begins anew when it is back, under another number: so whatever its old one held is taken up as well.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from time import monotonic
from time import time as wall
from typing import Any, LiteralString
from uuid import UUID

import structlog
from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job

from hub import consents, family
from hub.access import pace
from hub.cases import custody, match, reminders, sync, transition
from hub.context import Context
from hub.coordination import offers, silence
from hub.errors import TryAgain
from hub.letters import compose, delivery, journalising, pointers, statuses, versions
from hub.notices import hand_over
from hub.retention import forget as retention
from hub.signin.sessions import Sessions
from hub.store import home, outage, queue

log = structlog.get_logger()

MATCH, LETTERS, NOTICES = "match", "letters", queue.NOTICES
QUEUES = (MATCH, LETTERS, NOTICES)
"""`match` holds the lookup-token key; a worker without that queue does not. `notices` is watched by no worker of the
release before, which knows none of its jobs and would fail them."""
LONGEST_WAIT = 4 * 3600.0
"""No job waits longer for its next try (seconds). One that does was put off by a clock that was wrong."""
CLOCK_BACK = 30.0
"""A clock that was put back by more than this (seconds) has a worker begin anew: it would else wait for the time it saw
before until it defers what is due every minute."""
PAUSE = 1.0
"""Before a worker that lost the database tries again (seconds)."""


class Backoff(BaseRetryStrategy):
    """Retry what may go well later: after what the other side asked for, else 5 s, 10 s, 20 s … at most an hour. So may
    what the database broke off (a restart, a full disk, two that waited for each other): nothing of it was
    committed."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if not _passes(exception) or job.attempts >= 100:
            return None
        asked = exception.after_seconds if isinstance(exception, TryAgain) else None
        wait = min(LONGEST_WAIT, asked or queue.backoff(job.attempts))
        return RetryDecision(retry_in={"seconds": int(wait) or 1})


class Connector(PsycopgConnector):
    """Tells when a statement of the queue's own has failed. If it was to say that a job is done, the job would be held
    for ever by a worker that lives and does nothing with it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.failed = asyncio.Event()

    async def execute_query_async(self, query: LiteralString, **arguments: Any) -> None:
        try:
            await super().execute_query_async(query, **arguments)
        except ConnectorException:
            self.failed.set()
            raise


def build(ctx: Context) -> App:
    """The App with all tasks, for a worker."""
    app = App(connector=Connector(conninfo=ctx.database.conninfo, min_size=1, max_size=6))
    book = versions.Book(ctx)
    retry = Backoff()

    @app.task(name=queue.DELIVER, queue=LETTERS, retry=retry)
    def deliver(letter_ids: list[str]) -> None:
        delivery.deliver_all(ctx, [UUID(letter_id) for letter_id in letter_ids])

    @app.task(name=queue.POINT, queue=NOTICES, retry=retry)
    def point(letter_id: str, way: str) -> None:
        pointers.point(ctx, UUID(letter_id), way)

    @app.task(name="compose", queue=LETTERS, retry=retry)
    def compose_due(timestamp: int = 0) -> None:
        try:
            compose.compose_due(ctx, book.now())
        except home.OnHold as error:  # not tried again: the next minute's job asks anyway
            log.warning("no letter is written", why=str(error))

    @app.task(name="statuses", queue=LETTERS, retry=retry)
    def what_became(timestamp: int = 0) -> None:
        statuses.take_statuses(ctx)
        statuses.overdue(ctx)

    @app.task(name="remind", queue=LETTERS, retry=retry)
    def remind(timestamp: int = 0) -> None:
        reminders.remind(ctx)
        transition.remind(ctx)
        journalising.overdue(ctx)

    @app.task(name="notices", queue=NOTICES, retry=retry)
    def tell_staff(timestamp: int = 0) -> None:
        hand_over.hand_over_due(ctx)

    @app.task(name="match", queue=MATCH, retry=retry)
    def match_all(timestamp: int = 0) -> None:
        find_and_offer(ctx)

    @app.task(name="sync", queue=MATCH, retry=retry)
    def sync_all(timestamp: int = 0) -> None:
        sync.sync(ctx)

    @app.task(name="forget", queue=LETTERS, retry=retry)
    def forget(timestamp: int = 0) -> None:
        pace.purge(ctx.database, ctx.clock)
        Sessions(ctx.database, ctx.clock, ctx.settings.signin).purge()
        hand_over.purge(ctx)
        journalising.purge(ctx)

    @app.task(name="retention", queue=NOTICES, retry=retry)
    def keep_no_longer(timestamp: int = 0) -> None:
        retention.forget(ctx)

    if ctx.settings.demo is None:  # the demo moves its own time and says when each is due
        for task, cron in (
            (compose_due, "* * * * *"),
            (tell_staff, "* * * * *"),
            (what_became, "*/5 * * * *"),
            (remind, "30 4 * * *"),
            (forget, "*/10 * * * *"),
            (keep_no_longer, "40 2 * * *"),
            (match_all, "0 * * * *"),
            (sync_all, "20 * * * *"),
        ):
            app.periodic(cron=cron)(task)
    return app


def find_and_offer(ctx: Context) -> tuple[match.Match, list[custody.CustodyRead], offers.Placed]:
    """Match, ask who the guardians are, and offer: what happens to newly found children in one night."""
    found = find(ctx)
    return (found, *offer(ctx))


def find(ctx: Context) -> match.Match:
    """Who is in the target group. Whoever has turned 18 leaves the scheme first, and who has not answered is reminded
    or let go."""
    family.come_of_age(ctx)
    consents.run_out(ctx)
    consents.end_with_say(ctx)
    silence.follow_up(ctx)
    return match.match(ctx)


def offer(ctx: Context) -> tuple[list[custody.CustodyRead], offers.Placed]:
    """Ask who the guardians are, and offer."""
    with ctx.database.begin() as session:
        children = custody.unread(session, ctx.clock.now())
    return custody.read_custody(ctx, children), offers.place(ctx)


_CLOCK_WAS_WRONG: tuple[LiteralString, ...] = (
    """UPDATE procrastinate_jobs SET scheduled_at = now()
    WHERE status = 'todo' AND scheduled_at > now() + make_interval(secs => %(longest)s)""",
    """UPDATE procrastinate_workers SET last_heartbeat = now()
    WHERE last_heartbeat > now() + make_interval(secs => %(longest)s)""",
)
"""A job that was put off until next month, and a worker that was alive then."""


async def take_up(app: App, heartbeat: float) -> int:
    """Give the jobs of workers without a sign of life for `heartbeat` seconds back to the queue, and let none wait
    longer than LONGEST_WAIT. Gives how many were given back."""
    stalled = list(await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=heartbeat))
    for job in stalled:
        await app.job_manager.retry_job(job)
    for statement in _CLOCK_WAS_WRONG:
        await app.connector.execute_query_async(statement, longest=LONGEST_WAIT)
    return len(stalled)


async def _rescue(app: App, heartbeat: float) -> None:
    """For as long as the clock goes on, take up what others have left. Not a job itself: a worker whose hands are full
    does it too."""
    while True:
        ahead = wall() - monotonic()
        await take_up(app, heartbeat)
        await asyncio.sleep(heartbeat / 3)
        if ahead - (wall() - monotonic()) > CLOCK_BACK:
            log.warning("the clock was put back")
            return


def work(ctx: Context, queues: Sequence[str], concurrency: int) -> None:
    """Run a worker until SIGTERM or SIGINT; the jobs under way are then brought to their end. What a killed one held is
    taken up within `worker.heartbeat_seconds` and a third."""
    asyncio.run(_work(ctx, queues, concurrency))


async def _work(ctx: Context, queues: Sequence[str], concurrency: int) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        loop.remove_signal_handler(number)  # who asks twice does not want to wait
        told.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    waits = asyncio.create_task(told.wait())
    while not told.is_set():
        turn = asyncio.create_task(_turn(ctx, queues, concurrency))
        await asyncio.wait({turn, waits}, return_when=asyncio.FIRST_COMPLETED)
        turn.cancel()
        [error] = await asyncio.gather(turn, return_exceptions=True)
        if told.is_set():
            return
        if isinstance(error, BaseException) and not _passes(error):
            raise error
        log.warning("the worker begins anew", why=None if error is None else str(error))
        await asyncio.wait({waits}, timeout=PAUSE)


def _passes(error: BaseException) -> bool:
    return isinstance(error, ConnectorException | TryAgain) or outage.why(error) is not None


async def _turn(ctx: Context, queues: Sequence[str], concurrency: int) -> None:
    """Work under one number, until cancelled, or the queue or the clock has failed."""
    await asyncio.to_thread(ctx.database.ensure)
    heartbeat = ctx.settings.worker.heartbeat_seconds
    app = build(ctx)
    assert isinstance(app.connector, Connector)  # noqa: S101 - as built above
    async with app.open_async():
        tasks = [
            asyncio.create_task(work)
            for work in (
                app.run_worker_async(
                    queues=list(queues),
                    concurrency=concurrency,
                    fetch_job_polling_interval=1.0,
                    delete_jobs="successful",
                    shutdown_graceful_timeout=20.0,
                    update_heartbeat_interval=heartbeat / 3,
                    stalled_worker_timeout=heartbeat,
                    install_signal_handlers=False,
                ),
                _rescue(app, heartbeat),
                app.connector.failed.wait(),
            )
        ]
        try:
            done, _others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
