"""A look at a sealed record that is about no child the hub knows: a record in quarantine. It may name anybody, so it is
a look like any other: with a reason, and with its entry durable before it is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm import Session

from hub.access import log
from hub.access.askers import asker_key, day_key
from hub.access.log import Asker, Disclosure
from hub.access.lookup import LogUnavailable
from hub.clock import Clock, today
from hub.errors import NotAllowed
from hub.store.database import Database
from hub.vault import Keys

KIND = "record"
SHORTEST_REASON = 10
"""Characters: a reason that says less says nothing to whoever reviews it."""

T = TypeVar("T")


def look(
    database: Database, keys: Keys, clock: Clock, asker: Asker, reason: str, shown: str, opener: Callable[[Session], T]
) -> Disclosure[T]:
    """What `opener` reads, released only after its entry is durable. `shown` says in the log which record it was.

    Raises NotAllowed without a reason worth the name, LogUnavailable when the log cannot be written."""
    if len(reason.strip()) < SHORTEST_REASON:
        raise NotAllowed(
            f"say in at least {SHORTEST_REASON} characters why the record must be seen: it stands in the log"
        )
    try:
        with database.begin() as session:
            value = opener(session)
            entry = log.seal_entry(
                at=clock.now(),
                kind=KIND,
                child_id=None,
                asker=asker,
                asker_key=asker_key(session, keys, asker),
                subject={
                    "purpose": KIND,
                    "reason": reason.strip(),
                    "see": True,
                    "basis": "operations",
                    "shown": [shown],
                },
                subject_key=day_key(session, keys, today(clock)),
            )
            log.append(session, [entry])
    except (DBAPIError, NoConnection) as error:
        raise LogUnavailable from error
    return Disclosure(value, entry.id)
