"""What a guardian sees of their own: read, written in the access log and committed in one transaction, then shown.

Only children the guardian has custody of today, and only until they turn 18. Whatever could take a child out of sight
(lost custody, an answer, a withdrawal) is looked at again once the log's head is held: had it changed meanwhile, the
page is read again. So nothing is shown that an earlier entry of the log has taken away. All of it is read as this
guardian (Database.begin_as): the database itself has no other rows for a page that forgets to ask whose they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm import Session

from hub.access import log
from hub.access.askers import PersonKeyPair, day_key
from hub.access.log import Asker, Disclosure, SealedEntry
from hub.access.lookup import LogUnavailable
from hub.access.policy import Question, decide
from hub.clock import Clock, today
from hub.errors import NotAllowed
from hub.identity import parse
from hub.store import tables
from hub.store.database import Database
from hub.store.people import open_key, open_keys
from hub.store.viewer import Viewer
from hub.vault import Keys, unseal_json

KIND = "own"
_TRIES = 3
_ADULT = 18

T = TypeVar("T")
Shown = Mapping[UUID, Sequence[str]]
"""By child: codes of what is shown of it. A child of which nothing is shown is left out."""


@dataclass(frozen=True, slots=True)
class OwnChild:
    """A child the guardian has custody of today. `fields` is what is sealed of it: cpr, and after acceptance name."""

    id: UUID
    key_id: UUID
    key: bytes
    fields: Mapping[str, Any]


Reader = Callable[[Session, Mapping[UUID, OwnChild]], tuple[T, Shown]]
"""Reads what a page needs. Gets the children it may be about, and gives the page and what it shows of which child. It
only reads, and may be called again."""


class _Changed(Exception):
    """What may be seen changed while the page was read."""


def read(database: Database, keys: Keys, clock: Clock, guardian_id: UUID, reader: Reader[T]) -> Disclosure[T]:
    """What `reader` reads, released only after its entries are durable: one per child it shows, or one about no child
    when it shows nothing. The Disclosure's entry is the first of them.

    Raises LogUnavailable when the log cannot be written, so that nothing is shown; NotAllowed when the guardian is not
    known, or `reader` shows a child that is not among those it was given."""
    try:
        for _try in range(_TRIES):
            try:
                return _read(database, keys, clock, guardian_id, reader)
            except _Changed:
                continue
    except (DBAPIError, NoConnection) as error:
        raise LogUnavailable from error
    raise LogUnavailable("what may be shown changed while it was read; try again in a moment")


def _read(database: Database, keys: Keys, clock: Clock, guardian_id: UUID, reader: Reader[T]) -> Disclosure[T]:
    day = today(clock)
    with database.begin_as(Viewer(day=day, guardian=guardian_id)) as session:
        guardian = session.get(tables.Guardian, guardian_id)
        if guardian is None:
            raise NotAllowed("this guardian is not known")
        before = _visible(session, guardian_id, day)
        children = _children(session, keys, [row[0] for row in before], day)
        value, shown = reader(session, children)
        if not shown.keys() <= children.keys():
            raise NotAllowed("a page for a guardian may only show children the guardian has custody of today")
        decision = decide(Question(frozenset({"guardian"}), KIND, frozenset({"custody"})))
        if not decision.see:
            raise NotAllowed("the policy gives guardians no page")
        asker_key = (guardian.key_id, open_key(session, keys, guardian.key_id))
        entries = [
            _entry(
                clock,
                guardian_id,
                asker_key,
                child,
                (children[child].key_id, children[child].key),
                shown[child],
                decision.basis,
            )
            for child in sorted(shown)
        ] or [_entry(clock, guardian_id, asker_key, None, day_key(session, keys, day), (), decision.basis)]
        log.append(session, entries)
        # The head is ours now: whoever changes what may be seen has done so before, or comes after this commit.
        if _visible(session, guardian_id, day) != before:
            raise _Changed
    return Disclosure(value, entries[0].id)


def _visible(session: Session, guardian_id: UUID, day: date) -> list[tuple[Any, ...]]:
    """Which children the guardian has custody of, and where their offers stand."""
    rows = session.execute(
        select(tables.Custody.child_id, tables.Offer.state, tables.Offer.coordinator_id)
        .outerjoin(tables.Offer, tables.Offer.child_id == tables.Custody.child_id)
        .where(
            tables.Custody.guardian_id == guardian_id,
            tables.Custody.holds(day),
        )
        .order_by(tables.Custody.child_id)
    )
    return [tuple(row) for row in rows]


def _children(session: Session, keys: Keys, ids: Sequence[UUID], day: date) -> dict[UUID, OwnChild]:
    """Those of them who are remembered and under 18."""
    rows = session.execute(select(tables.Child).where(tables.Child.id.in_(ids))).scalars().all()
    opened = open_keys(session, keys, (row.key_id for row in rows))
    found = {}
    for row in rows:
        if row.key_id in opened:
            fields = unseal_json(opened[row.key_id], row.sealed, f"child:{row.id}")
            if parse(fields["cpr"]).age(day) < _ADULT:
                found[row.id] = OwnChild(row.id, row.key_id, opened[row.key_id], fields)
    return found


def _entry(
    clock: Clock,
    guardian_id: UUID,
    asker_key: PersonKeyPair,
    child_id: UUID | None,
    subject_key: PersonKeyPair,
    shown: Sequence[str],
    basis: str,
) -> SealedEntry:
    return log.seal_entry(
        at=clock.now(),
        kind=KIND,
        child_id=child_id,
        asker=Asker(str(guardian_id), "", "guardian"),
        asker_key=asker_key,
        subject={"purpose": KIND, "see": child_id is not None, "basis": basis, "shown": list(shown)},
        subject_key=subject_key,
    )
