"""One read of a source of custody: whom it was asked about, and what it has said so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub.cases import quarantine
from hub.context import Context
from hub.contract import PersonRecord, Unreadable
from hub.errors import BadRecord
from hub.identity import Cpr, parse
from hub.store import tables


@dataclass(slots=True)
class CustodyRead:
    source: str
    read: int = 0
    quarantined: int = 0
    failure: str | None = None


@dataclass(slots=True)
class Run:
    """One read of one source, and what it has said so far: of whom, and whether it is the whole truth."""

    ctx: Context
    source: str
    children: set[UUID]
    numbers: dict[str, UUID]
    """Whom it was asked about."""
    result: CustodyRead
    about: set[UUID] = field(default_factory=set)
    """Children with a guardian who could be read."""
    spoilt: set[UUID] = field(default_factory=set)
    """Children with something that could not."""
    unreadable: bool = False
    """Something could not be read, and it may be about any child."""
    complete: bool = False

    def follow(self, merged: dict[UUID, UUID]) -> None:
        """Rows that were the same child's are one from now on."""
        for gone, stays in merged.items():
            self.numbers = {digits: stays if child == gone else child for digits, child in self.numbers.items()}
            for children in (self.children, self.about, self.spoilt):
                if gone in children:
                    children.remove(gone)
                    children.add(stays)

    def quarantine(self, session: Session, record: Unreadable) -> None:
        self.result.quarantined += quarantine.keep(session, self.ctx.keys, self.source, record, self.ctx.clock.now())

    def number(self, session: Session, record: PersonRecord) -> Cpr | None:
        """The number a person has now, where it is another than was asked by; None otherwise, and with the record in
        quarantine when it is none."""
        if record.current is None or record.current == record.cpr:
            return None
        try:
            return matchable(record.current)
        except BadRecord as error:
            reference = self.ctx.keys.refer(self.source, record.source_id).hex()
            reason = f"the number now: {error}"
            self.quarantine(session, Unreadable(f"person {reference}", reason, repr(record).encode()))
            return None


def matchable(digits: str) -> Cpr:
    """A number that tells one person from all others. Raises BadRecord."""
    number = parse(digits)
    if not number.matchable:
        raise BadRecord(f"a {number.kind} may be two persons; the source should give the CPR number")
    return number


def note(session: Session, what: str, children: set[UUID], now: datetime) -> None:
    """Remember that something has been asked for about these children."""
    rows = [{"child_id": child, "source": what, "read_at": now} for child in sorted(children)]
    if rows:
        made = insert(tables.ChildSource)
        session.execute(
            made.on_conflict_do_update(index_elements=["child_id", "source"], set_={"read_at": made.excluded.read_at}),
            rows,
        )
