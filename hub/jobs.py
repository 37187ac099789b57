"""What runs in the background: each job a few lines that call one use case. Arguments are ids only.

Procrastinate keeps, retries and schedules them in the same PostgreSQL. What a killed worker held is taken up again by
`rescue`; a task claims its row first, so that a job which ran after all does nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import structlog
from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision
from procrastinate.jobs import Job
from sqlalchemy.exc import OperationalError

from hub import family
from hub.cases import custody, match, reminders, sync
from hub.context import Context
from hub.coordination import offers, silence
from hub.errors import TryAgain
from hub.letters import compose, delivery
from hub.letters.templates import Templates
from hub.store import queue

log = structlog.get_logger()

MATCH, LETTERS = "match", "letters"
QUEUES = (MATCH, LETTERS)
"""`match` holds the lookup-token key; a worker without that queue does not."""

_HEARTBEAT = 30.0
"""Seconds without a sign of life after which a worker's jobs are taken up by another."""


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
        compose.compose_due(ctx, templates)

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

    @app.task(name="rescue", queue=LETTERS)
    async def rescue(timestamp: int = 0) -> None:
        await take_up(app)

    if ctx.settings.demo is None:  # the demo moves its own time and says when each is due
        for task, cron in (
            (compose_due, "* * * * *"),
            (statuses, "*/5 * * * *"),
            (remind, "30 4 * * *"),
            (match_all, "0 * * * *"),
            (sync_all, "20 * * * *"),
        ):
            app.periodic(cron=cron)(task)
    app.periodic(cron="* * * * *")(rescue)
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


async def take_up(app: App) -> int:
    """Give the jobs of workers without a sign of life back to the queue. Gives how many."""
    stalled = list(await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=_HEARTBEAT))
    for job in stalled:
        await app.job_manager.retry_job(job)
    return len(stalled)


def work(ctx: Context, queues: Sequence[str], concurrency: int) -> None:
    """Run a worker until it is stopped; first take up what a killed one held."""

    async def run() -> None:
        app = build(ctx)
        async with app.open_async():
            await take_up(app)
            await app.run_worker_async(
                queues=list(queues),
                concurrency=concurrency,
                fetch_job_polling_interval=1.0,
                delete_jobs="successful",
                shutdown_graceful_timeout=20.0,
            )

    asyncio.run(run())
