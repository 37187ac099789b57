"""One read of a source of custody: whom it was asked about, and what it has said so far."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub.cases import quarantine, sources
from hub.context import Context
from hub.contract import Unreadable
from hub.errors import BadRecord
from hub.identity import Cpr, parse
from hub.store import tables


@dataclass(slots=True)
class CustodyRead:
    source: str
    read: int = 0
    quarantined: int = 0
    """Records met that could not be read, those met before among them."""
    failure: str | None = None
    held: str | None = None
    """Why no custody was ended although it was not named: an operator must look."""


@dataclass(slots=True)
class Run:
    """One read of one source, and what it has said so far: of whom, and whether it is the whole truth."""

    ctx: Context
    source: str
    children: set[UUID]
    numbers: dict[str, UUID]
    """Whom it was asked about."""
    result: CustodyRead
    known: int = 0
    """How many custodies that last the hub knew of these children before."""
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

    def quarantine(self, session: Session, record: Unreadable, child: UUID | None = None) -> None:
        """Keep what could not be read. `child`: the one it is about, who is asked for again; it stands in the way of no
        other. What may be about anyone ends nobody's custody."""
        if child is None:
            self.unreadable = True
        else:
            self.spoilt.add(child)
            record = replace(record, position=f"answer about child {child}", source_id=str(child))
        keys, now = self.ctx.keys, self.ctx.clock.now()
        quarantine.keep(session, keys, self.source, record, now, sources.CUSTODY)
        self.result.quarantined += 1

    def mended(self, session: Session, children: Set[UUID], started: datetime) -> None:
        """These can be read now; and what was about nobody in particular and has not been met again is gone."""
        now, keys = self.ctx.clock.now(), self.ctx.keys
        references = [keys.refer(self.source, str(child)) for child in children]
        quarantine.mend(session, self.source, sources.CUSTODY, references, now)
        quarantine.settle(session, self.source, sources.CUSTODY, started, now, nameless=True)


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
