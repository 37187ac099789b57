"""Jobs go in the same commit as the rows that need them: neither without the other.

A synchronous App of its own defers on the session's connection; it is never opened, and workers have another (an async
App refuses a synchronous connection). Arguments are ids only: a worker's log prints them.
"""

from __future__ import annotations

from procrastinate import App, SyncPsycopgConnector
from sqlalchemy.orm import Session

DELIVER = "deliver"

_defers = App(connector=SyncPsycopgConnector())


def defer(session: Session, task: str, *, queue: str = "letters", **arguments: str) -> None:
    """Defer a job by its task's name, in the session's transaction."""
    connection = session.connection().connection.driver_connection
    _defers.configure_task(task, queue=queue, connection=connection, allow_unknown=True).defer(**arguments)
