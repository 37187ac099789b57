"""A lookup as one writes it first: a transaction of its own, in the thread that serves the request.

The same statements in the same order as the hub's batch, the same deciding and sealing, and the same promise: the head
is locked first, and the answer leaves after COMMIT. Only that each does it alone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from hub.access import lookup
from hub.access.askers import KeyCache
from hub.access.deciding import INPUTS, Decider
from hub.access.log import Disclosure


def look_up(
    session: Session, decider: Decider, cache: KeyCache, question: lookup.Request, now: datetime
) -> Disclosure[lookup.Answer]:
    """The answer to one question. The caller commits before showing it."""
    pair = cache.known(question.asker) or cache.fetch(question.asker)
    connection = session.connection()
    first = connection.exec_driver_sql(lookup._HEAD, (1,)).scalar_one() - 1
    child = connection.exec_driver_sql(INPUTS, {"tokens": [question.token], "now": now, "decoy": None}).one_or_none()
    sources = tuple(lookup._source(row) for row in connection.exec_driver_sql(lookup._SOURCES))
    decided = decider.decide(question, child, now, *pair)
    write(connection, first, decided.entry)
    return Disclosure(lookup.Answer(decided.coordinator, sources), decided.entry.id)


def write(connection: Connection, first: int, entry: Any) -> None:
    connection.exec_driver_sql(lookup._INSERT, lookup._columns(first, [entry]))
