"""What is shown of several children at once, to a case system or a member of staff: an entry for each of them, durable
before any of it is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm import Session

from hub.access import log
from hub.access.log import Disclosure, SealedEntry
from hub.access.lookup import LogUnavailable
from hub.store.database import Database

T = TypeVar("T")


def show(
    database: Database,
    opener: Callable[[Session], tuple[T, Sequence[SealedEntry]]],
    *,
    first: Callable[[Session], object] | None = None,
) -> Disclosure[T]:
    """What `opener` reads, released only after the entries it gives are durable; the Disclosure's entry is the first of
    them. `first` is done before, in a transaction of its own. Raises LogUnavailable when the log cannot be written."""
    try:
        if first is not None:
            with database.begin() as session:
                first(session)
        with database.begin() as session:
            value, entries = opener(session)
            log.append(session, list(entries))
    except (DBAPIError, NoConnection) as error:
        raise LogUnavailable from error
    return Disclosure(value, entries[0].id)
