"""What runs in the background: each job a few lines that call one use case. Arguments are ids only.

Procrastinate keeps, retries and schedules them in the same PostgreSQL. What a killed worker held is taken up again by
the others; a task claims its row first, so that a job which ran after all does nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import structlog
from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job
from sqlalchemy.exc import OperationalError

from hub import family
from hub.cases import custody, match, reminders, sync
from hub.context import Context
from hub.coordination import offers, silence
from hub.errors import TryAgain
from hub.letters import compose, delivery
from hub.letters.templates import Templates
from hub.store import home, queue

log = structlog.get_logger()

MATCH, LETTERS = "match", "letters"
QUEUES = (MATCH, LETTERS)
"""`match` holds the lookup-token key; a worker without that queue does not."""


class Backoff(BaseRetryStrategy):
    """Retry what may go well later: after what the other side asked for, else 5 s, 10 s, 20 s … at most an hour. So may
    what the database broke off (a restart, two that waited for each other): nothing of it was committed."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if not isinstance(exception, TryAgain | OperationalError) or job.attempts >= 100:
            return None
        asked = exception.after_seconds if isinstance(exception, TryAgain) else None
        wait = asked or min(3600.0, 5.0 * 2.0 ** min(job.attempts, 10))
        return RetryDecision(retry_in={"seconds": int(wait) or 1})


def build(ctx: Context) -> App:
    """The App with all tasks, for a worker."""
    app = App(connector=PsycopgConnector(conninfo=ctx.database.conninfo, min_size=1, max_size=6))
    templates = Templates(ctx.settings.letters.folder)
    retry = Backoff()

    @app.task(name=queue.DELIVER, queue=LETTERS, retry=retry)
    def deliver(letter_ids: list[str]) -> None:
        delivery.deliver_all(ctx, [UUID(letter_id) for letter_id in letter_ids])

    @app.task(name="compose", queue=LETTERS, retry=retry)
    def compose_due(timestamp: int = 0) -> None:
        try:
            compose.compose_due(ctx, templates)
        except home.OnHold as error:  # not tried again: the next minute's job asks anyway
            log.warning("no letter is written", why=str(error))

    @app.task(name="statuses", queue=LETTERS, retry=retry)
    def statuses(timestamp: int = 0) -> None:
        delivery.take_statuses(ctx)
        delivery.overdue(ctx)

    @app.task(name="remind", queue=LETTERS, retry=retry)
    def remind(timestamp: int = 0) -> None:
        reminders.remind(ctx)

    @app.task(name="match", queue=MATCH, retry=retry)
    def match_all(timestamp: int = 0) -> None:
        find_and_offer(ctx)

    @app.task(name="sync", queue=MATCH, retry=retry)
    def sync_all(timestamp: int = 0) -> None:
        sync.sync(ctx)

    if ctx.settings.demo is None:  # the demo moves its own time and says when each is due
        for task, cron in (
            (compose_due, "* * * * *"),
            (statuses, "*/5 * * * *"),
            (remind, "30 4 * * *"),
            (match_all, "0 * * * *"),
            (sync_all, "20 * * * *"),
        ):
            app.periodic(cron=cron)(task)
    return app


def find_and_offer(ctx: Context) -> tuple[match.Match, list[custody.CustodyRead], offers.Placed]:
    """Match, ask who the guardians are, and offer: what happens to newly found children in one night. Whoever has
    turned 18 leaves the scheme first, and who has not answered is reminded or let go."""
    family.come_of_age(ctx)
    silence.follow_up(ctx)
    found = match.match(ctx)
    with ctx.database.begin() as session:
        children = custody.unread(session, ctx.clock.now())
    return found, custody.read_custody(ctx, children), offers.place(ctx)


async def take_up(app: App, heartbeat: float) -> int:
    """Give the jobs of workers without a sign of life for `heartbeat` seconds back to the queue. Gives how many."""
    stalled = list(await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=heartbeat))
    for job in stalled:
        await app.job_manager.retry_job(job)
    return len(stalled)


async def _rescue(app: App, heartbeat: float) -> None:
    """For as long as the worker runs, take up what others have left. Not a job itself: a worker whose hands are full
    does it too."""
    while True:
        try:
            await take_up(app, heartbeat)
        except ConnectorException as error:
            log.warning("the queue does not answer", error=type(error).__name__)
        await asyncio.sleep(heartbeat / 3)


def work(ctx: Context, queues: Sequence[str], concurrency: int) -> None:
    """Run a worker until it is stopped. What a killed one held is taken up within `worker.heartbeat_seconds` and a
    third."""
    heartbeat = ctx.settings.worker.heartbeat_seconds

    async def run() -> None:
        app = build(ctx)
        async with app.open_async():
            rescue = asyncio.create_task(_rescue(app, heartbeat))
            try:
                await app.run_worker_async(
                    queues=list(queues),
                    concurrency=concurrency,
                    fetch_job_polling_interval=1.0,
                    delete_jobs="successful",
                    shutdown_graceful_timeout=20.0,
                    update_heartbeat_interval=heartbeat / 3,
                    stalled_worker_timeout=heartbeat,
                )
            finally:
                rescue.cancel()
                await asyncio.gather(rescue, return_exceptions=True)

    asyncio.run(run())
