"""What a member of staff sees of a child because something about it is theirs to do: a look, with its entry.

Whether it is theirs says the policy; here the look is written down before it is shown, also one that is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, exists
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm import Session

from hub.access import log, viewers
from hub.access.askers import PersonKeyPair, asker_key, day_key
from hub.access.log import Asker, Disclosure
from hub.access.lookup import LogUnavailable
from hub.clock import Clock, today
from hub.store import tables
from hub.store.database import Database
from hub.vault import Keys

KIND = "duty"
NOTHING = "no-duty"
"""The basis where somebody may look and there is nothing to do."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """What is to be shown: of which child (None: of none the hub knows), under whose key that is kept, what, and on
    which basis."""

    value: T
    child_id: UUID | None
    key: PersonKeyPair | None
    shown: Sequence[str]
    basis: str


def closed(administrations: Container[str], asker: Asker, child: Any, *, coordinates: bool) -> ColumnElement[bool]:
    """Whether a family has closed for the asker, as for a lookup: for their administration; for one that is none of
    `administrations` as soon as for any, save for whoever coordinates. `child`: a row id, or a column of them."""
    blocked = exists().where(tables.Block.child_id == child, tables.Block.holds())
    if coordinates or asker.administration in administrations:
        return blocked.where(tables.Block.administration == asker.administration)
    return blocked


def look(
    database: Database,
    keys: Keys,
    clock: Clock,
    asker: Asker,
    purpose: str,
    opener: Callable[[Session], Found[T] | str],
    *,
    kind: str = KIND,
    said: Mapping[str, Any] = MappingProxyType({}),
    lookup: UUID | None = None,
    begin: Callable[[], AbstractContextManager[Session]] | None = None,
) -> Disclosure[T | None]:
    """What `opener` reads, released only after its entry is durable; None where it gives the basis of a no, which is an
    entry too. `said` is what more stands in the entry. It is read as the asker, who came from their own `lookup`, or
    else in the transaction of `begin`. Raises LogUnavailable when the log cannot be written."""
    begin = begin or partial(viewers.begin_as, database, keys, clock, asker, lookup)
    try:
        with begin() as session:
            read = opener(session)
            found = None if isinstance(read, str) else read
            entry = log.seal_entry(
                at=clock.now(),
                kind=kind,
                child_id=found.child_id if found is not None else None,
                asker=asker,
                asker_key=asker_key(session, keys, asker),
                subject={
                    "purpose": purpose,
                    "see": found is not None,
                    "basis": read if isinstance(read, str) else read.basis,
                    "shown": list(found.shown) if found is not None else [],
                }
                | dict(said),
                subject_key=(found.key if found is not None else None) or day_key(session, keys, today(clock)),
            )
            log.append(session, [entry])
    except (DBAPIError, NoConnection) as error:
        raise LogUnavailable from error
    return Disclosure(found.value if found is not None else None, entry.id)
