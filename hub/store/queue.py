"""Jobs go in the same commit as the rows that need them: neither without the other.

A synchronous App of its own defers on the session's connection; it is never opened, and workers have another (an async
App refuses a synchronous connection). Arguments are ids only: a worker's log prints them.
"""

from __future__ import annotations

from collections.abc import Sequence

from procrastinate import App, SyncPsycopgConnector
from procrastinate.types import JSONValue
from sqlalchemy.orm import Session

DELIVER = "deliver"
POINT = "point"
NOTICES = "notices"
"""The queue of jobs that the release before does not know."""


def backoff(tries: int) -> float:
    """How long to wait after so many tries, where nobody has said (seconds): 5, 10, 20 … at most an hour."""
    return min(3600.0, 5.0 * 2.0 ** min(tries, 10))


_defers = App(connector=SyncPsycopgConnector())


def defer(session: Session, task: str, jobs: Sequence[dict[str, JSONValue]] = ({},), *, queue: str = "letters") -> None:
    """Defer jobs by their task's name, one for each of the arguments, in the session's transaction."""
    if not jobs:
        return
    session.flush()
    connection = session.connection().connection.driver_connection
    deferrer = _defers.configure_task(task, queue=queue, connection=connection, allow_unknown=True)
    deferrer.batch_defer(*jobs)
