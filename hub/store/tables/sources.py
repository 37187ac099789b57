"""What sources say, and how far each has been read."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    ForeignKey,
    Index,
)
from sqlalchemy.orm import Mapped, mapped_column

from hub.store.tables.base import Base, row_id


class Presence(Base):
    """That somebody has something open or applied for in an administration. All that the hub knows of a child outside
    the target group: token, administration, state, last seen."""

    __tablename__ = "presence"
    # BRIN: small, and rows may still be updated in place (heap-only) though last_seen is what changes in them.
    __table_args__ = (Index("ix_presence_last_seen", "last_seen", postgresql_using="brin"),)
    source: Mapped[str] = mapped_column(primary_key=True)
    reference: Mapped[bytes] = mapped_column(primary_key=True)
    token: Mapped[bytes] = mapped_column(index=True)
    administration: Mapped[str]
    state: Mapped[str]
    last_seen: Mapped[datetime]
    """The beginning of the run that last showed it."""


class SourceState(Base):
    """How far the hub has read a source, and when it last answered. `purpose` is presence, cases, custody or statuses.
    Everything a run shows is stamped with `began_at`, which moves on with every run: what a whole read leaves behind
    an older stamp was not in it."""

    __tablename__ = "source_state"
    source: Mapped[str] = mapped_column(primary_key=True)
    purpose: Mapped[str] = mapped_column(primary_key=True)
    cursor: Mapped[str | None]
    began_at: Mapped[datetime | None]
    under_way: Mapped[bool] = mapped_column(default=False)
    """Whether a run has begun and not come to its end: the next one goes on with it."""
    full_at: Mapped[datetime | None]
    """When a full read last came to its end."""
    first_cursor: Mapped[str | None]
    """Where the first read of children who are new goes on."""
    kinds: Mapped[str | None]
    """The list of kinds that held when the last run began (JSON); another list asks for a full read."""
    new_kinds: Mapped[str | None]
    """Kinds that have come onto the list and not yet been read in full: what is old of them is no news (JSON)."""
    blind_at: Mapped[datetime | None]
    """When the youngest record of this run was first met that cannot be read and says not which it is: it may be
    anything that was last seen before then."""
    answered_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    failure: Mapped[str | None]
    failures: Mapped[int] = mapped_column(default=0)
    """How many times in a row it did not answer."""
    next_try_at: Mapped[datetime | None]
    known_rows: Mapped[int | None]
    """How many rows the hub knew when the run began; None: however few the read shows is right."""
    held_rows: Mapped[int | None]
    """How many a whole read showed of `held_of`, when that was so few that nothing was ended and an operator was
    asked."""
    held_of: Mapped[int | None]
    held_at: Mapped[datetime | None]
    accepted_rows: Mapped[int | None]
    """The number of rows an operator has said is right, for the next whole read."""


class Quarantine(Base):
    """A record that could not be read: sealed under a key of its own, with where it stood and why. The same record met
    again and again is one row."""

    __tablename__ = "quarantine"
    __table_args__ = (
        Index("uq_quarantine_record", "source", "purpose", "identity", unique=True),
        Index("ix_quarantine_reference", "source", "purpose", "reference", postgresql_where="resolved_at is null"),
    )
    id: Mapped[UUID] = row_id()
    source: Mapped[str]
    purpose: Mapped[str]
    identity: Mapped[bytes]
    """Keyed digest of what makes it the same record: its id, else its content."""
    content: Mapped[bytes]
    """Keyed digest of its content: what is new is sealed anew."""
    reference: Mapped[bytes | None]
    """For its id at the source, where that could be read: it leaves quarantine when that is read."""
    position: Mapped[str]
    reason: Mapped[str]
    key_id: Mapped[UUID] = mapped_column(ForeignKey("person_key.id"))
    sealed: Mapped[bytes]
    first_seen: Mapped[datetime]
    last_seen: Mapped[datetime]
    times: Mapped[int] = mapped_column(default=1)
    resolved_at: Mapped[datetime | None]
    """When it was read after all, or was no longer there."""


class Case(Base):
    """Index data of a case of a child whose family has said yes. Sealed under the child's key: kind, state, dates.
    `deadline` stands in the clear because time asks for it."""

    __tablename__ = "case_index"
    __table_args__ = (Index("uq_case_index_reference", "source", "reference", unique=True),)
    id: Mapped[UUID] = row_id()
    child_id: Mapped[UUID] = mapped_column(ForeignKey("child.id"), index=True)
    source: Mapped[str]
    reference: Mapped[bytes]
    administration: Mapped[str]
    adviser_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    is_open: Mapped[bool]
    deadline: Mapped[date | None] = mapped_column(index=True)
    sealed: Mapped[bytes]
    digest: Mapped[bytes]
    """Keyed digest of the record as the source gave it: equal means nothing changed."""
    changed: Mapped[datetime | None]
    """When the source says it changed it: an older version never overwrites a newer."""
    seen_at: Mapped[datetime]
    """The beginning of the run that last showed it."""


class ChildSource(Base):
    """That a child's cases have been read once, in full, from a source: after this, changes are news. `read_at` is
    empty while that first read is under way."""

    __tablename__ = "child_source"
    child_id: Mapped[UUID] = mapped_column(ForeignKey("child.id"), primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    read_at: Mapped[datetime | None]
