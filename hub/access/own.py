"""What a guardian, or a young person from 15, sees of their own: read, written in the access log and committed in one
transaction, then shown.

Of a guardian only children they have custody of today, and only until these turn 18. Whatever could take something out
of sight (lost custody, an answer, a withdrawal, a consent taken back) is looked at again once the log's head is held:
had it changed meanwhile, the page is read again. So nothing is shown that an earlier entry of the log has taken away.
All of it is read as this person (Database.begin_as): the database itself has no other rows for a page that forgets to
ask whose they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm import Session

from hub.access import log
from hub.access.askers import PersonKeyPair, day_key
from hub.access.log import Disclosure, SealedEntry
from hub.access.lookup import LogUnavailable
from hub.access.policy import Question, Relation, decide
from hub.clock import Clock, today
from hub.errors import NotAllowed
from hub.identity import ADULT, YOUNG, parse
from hub.store import tables
from hub.store.database import Database
from hub.store.people import open_key, open_keys
from hub.store.viewer import Viewer
from hub.vault import Keys, unseal_json

KIND = "own"
_TRIES = 3

T = TypeVar("T")
Shown = Mapping[UUID, Sequence[str]]
"""By child: codes of what is shown of it. A child of which nothing is shown is left out."""


@dataclass(frozen=True, slots=True)
class OwnChild:
    """A child the guardian has custody of today, or the young person themselves. `fields` is what is sealed of it: cpr,
    and after acceptance name."""

    id: UUID
    key_id: UUID
    key: bytes
    fields: Mapping[str, Any]


Reader = Callable[[Session, Mapping[UUID, OwnChild]], tuple[T, Shown]]
"""Reads what a page needs. Gets the children it may be about, and gives the page and what it shows of which child. It
only reads, and may be called again."""


@dataclass(frozen=True, slots=True)
class _Self:
    """Who reads."""

    role: Literal["guardian", "young"]
    id: UUID

    def viewer(self, day: date) -> Viewer:
        return Viewer(day=day, guardian=self.id) if self.role == "guardian" else Viewer(day=day, child=self.id)

    def row(self, session: Session) -> tables.Guardian | tables.Child | None:
        if self.role == "guardian":
            return session.get(tables.Guardian, self.id)
        return session.get(tables.Child, self.id)

    def asks(self) -> Question:
        relation: Relation = "custody" if self.role == "guardian" else "self"
        return Question(frozenset({self.role}), KIND, frozenset({relation}))


class _Changed(Exception):
    """What may be seen changed while the page was read."""


def read(database: Database, keys: Keys, clock: Clock, guardian_id: UUID, reader: Reader[T]) -> Disclosure[T]:
    """What `reader` reads, released only after its entries are durable: one per child it shows, or one about no child
    when it shows nothing. The Disclosure's entry is the first of them.

    Raises LogUnavailable when the log cannot be written, so that nothing is shown; NotAllowed when the guardian is not
    known, or `reader` shows a child that is not among those it was given."""
    return _read_again(database, keys, clock, _Self("guardian", guardian_id), reader)


def read_young(database: Database, keys: Keys, clock: Clock, child_id: UUID, reader: Reader[T]) -> Disclosure[T]:
    """As `read`, for a young person from 15 who reads of themselves: of no other child. Raises NotAllowed before that
    age too; at 18 there is nothing to show."""
    return _read_again(database, keys, clock, _Self("young", child_id), reader)


def _read_again(database: Database, keys: Keys, clock: Clock, who: _Self, reader: Reader[T]) -> Disclosure[T]:
    try:
        for _try in range(_TRIES):
            try:
                return _read(database, keys, clock, who, reader)
            except _Changed:
                continue
    except (DBAPIError, NoConnection) as error:
        raise LogUnavailable from error
    raise LogUnavailable("what may be shown changed while it was read; try again in a moment")


def _read(database: Database, keys: Keys, clock: Clock, who: _Self, reader: Reader[T]) -> Disclosure[T]:
    day = today(clock)
    with database.begin_as(who.viewer(day)) as session:
        person = who.row(session)
        if person is None:
            raise NotAllowed("whoever reads is not known")
        before, cases = _visible(session, who, day)
        children = _children(session, keys, [row[0] for row in before], day)
        if who.role == "young" and any(_age(child.fields, day) < YOUNG for child in children.values()):
            raise NotAllowed(f"a young person has a page of their own from {YOUNG}")
        value, shown = reader(session, children)
        if not shown.keys() <= children.keys():
            raise NotAllowed("a page may only show children the guardian has custody of today, or the young person")
        decision = decide(who.asks())
        if not decision.see:
            raise NotAllowed("the policy gives no page")
        asker_key = (person.key_id, open_key(session, keys, person.key_id))
        entries = [
            _entry(
                clock,
                who,
                asker_key,
                child,
                (children[child].key_id, children[child].key),
                shown[child],
                decision.basis,
            )
            for child in sorted(shown)
        ] or [_entry(clock, who, asker_key, None, day_key(session, keys, day), (), decision.basis)]
        log.append(session, entries)
        # The head is ours now: whoever changes what may be seen has done so before, or comes after this commit.
        if _visible(session, who, day) != (before, cases):
            raise _Changed
    return Disclosure(value, entries[0].id)


def _visible(session: Session, who: _Self, day: date) -> tuple[list[tuple[Any, ...]], list[UUID]]:
    """Which children the guardian has custody of (or the young person), and where their offers stand; and the cases."""
    of = tables.Child.id == who.id
    if who.role == "guardian":
        of = tables.Child.id.in_(
            select(tables.Custody.child_id).where(tables.Custody.guardian_id == who.id, tables.Custody.holds(day))
        )
    rows = session.execute(
        select(tables.Child.id, tables.Offer.state, tables.Offer.coordinator_id)
        .outerjoin(tables.Offer, tables.Offer.child_id == tables.Child.id)
        .where(of)
        .order_by(tables.Child.id)
    )
    found = [tuple(row) for row in rows]
    children = [row[0] for row in found]
    cases = select(tables.Case.id).where(tables.Case.child_id.in_(children)).order_by(tables.Case.id)
    return found, list(session.execute(cases).scalars())


def _children(session: Session, keys: Keys, ids: Sequence[UUID], day: date) -> dict[UUID, OwnChild]:
    """Those of them who are remembered, number and all, and under 18."""
    rows = session.execute(select(tables.Child).where(tables.Child.id.in_(ids))).scalars().all()
    opened = open_keys(session, keys, (row.key_id for row in rows))
    found = {}
    for row in rows:
        if row.key_id in opened:
            fields = unseal_json(opened[row.key_id], row.sealed, f"child:{row.id}")
            if "cpr" in fields and _age(fields, day) < ADULT:  # the number goes when the family's part has ended
                found[row.id] = OwnChild(row.id, row.key_id, opened[row.key_id], fields)
    return found


def _age(fields: Mapping[str, Any], day: date) -> int:
    return parse(fields["cpr"]).age(day)


def _entry(
    clock: Clock,
    who: _Self,
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
        asker=log.of_family(who.id, who.role),
        asker_key=asker_key,
        subject={"purpose": KIND, "see": child_id is not None, "basis": basis, "shown": list(shown)},
        subject_key=subject_key,
    )
