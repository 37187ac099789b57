"""The scheme: offers, what families say to them, and who coordinates."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    and_,
    exists,
    or_,
)
from sqlalchemy.orm import Mapped, mapped_column

from hub.store.tables.base import Base, row_id


class Coordinator(Base):
    """A member of staff who coordinates. `away` coordinators get no new families and are spoken for by `substitute`."""

    __tablename__ = "coordinator"
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)
    """The published order in which equally loaded coordinators take families."""
    active: Mapped[bool] = mapped_column(default=True)
    away: Mapped[bool] = mapped_column(default=False)
    substitute_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    away_until: Mapped[date | None]
    """The day on which whoever is away expects to be back, where they know."""


class Offer(Base):
    """The offer of a coordinator to a child's family, and the place it reserves.

    waiting: no place yet, `why` says so · offered: a place is reserved · accepted · declined · lapsed: no answer ·
    withdrawn: the family's yes was taken back · grown: the child turned 18 · died · moved: the child has another
    number, and its offer stands with that one (child.same_as) · left: a coordinator has ended it (hub.coordination.
    goodbye)."""

    __tablename__ = "offer"
    __table_args__ = (
        CheckConstraint(
            "state in ('waiting','offered','accepted','declined','lapsed','withdrawn','grown','died','moved','left')",
            name="state",
        ),
        CheckConstraint("(state in ('offered','accepted')) = (coordinator_id is not null)", name="place"),
    )
    id: Mapped[UUID] = row_id()
    child_id: Mapped[UUID] = mapped_column(ForeignKey("child.id"), unique=True)
    coordinator_id: Mapped[UUID | None] = mapped_column(ForeignKey("coordinator.staff_id"), index=True)
    state: Mapped[str]
    why: Mapped[str | None]
    found_at: Mapped[datetime]
    offered_at: Mapped[datetime | None]
    answer_by: Mapped[date | None]
    reminded_at: Mapped[datetime | None]
    """When the family was reminded: once."""
    answered_at: Mapped[datetime | None]


class Acceptance(Base):
    """A family's answer: who, when, how, which text. A withdrawal is a row of its own."""

    __tablename__ = "acceptance"
    __table_args__ = (CheckConstraint("answer in ('yes','no','withdrawn')", name="answer"),)
    id: Mapped[UUID] = row_id()
    child_id: Mapped[UUID] = mapped_column(ForeignKey("child.id"), index=True)
    guardian_id: Mapped[UUID | None] = mapped_column(ForeignKey("guardian.id"))
    answer: Mapped[str]
    how: Mapped[str]
    """page, phone, paper or meeting."""
    registered_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    text_version: Mapped[str]
    at: Mapped[datetime]
    capacity: Mapped[str | None]
    """guardian, young (from 15) or representative; empty in answers from before this was asked."""
    language: Mapped[str | None]
    """Of the text they answered."""
    evidence: Mapped[bytes | None]
    """Sealed under the child's key: where the paper lies, or the note of the call or meeting."""

    @classmethod
    def says_no(cls, child: Any, guardian: Any) -> ColumnElement[bool]:
        """Whether a guardian has said no to an offer that is still open. Each is a row id, or a column of them."""
        return exists().where(cls.child_id == child, cls.guardian_id == guardian, cls.answer == "no")


class Said(Base):
    """What somebody who speaks for a child says of an administration: who, in which capacity, how it came, which text
    they had before them."""

    __abstract__ = True
    id: Mapped[UUID] = row_id()
    child_id: Mapped[UUID] = mapped_column(ForeignKey("child.id"))
    administration: Mapped[str]
    capacity: Mapped[str]
    guardian_id: Mapped[UUID | None] = mapped_column(ForeignKey("guardian.id"))
    """Whose say it is: a guardian, also where their representative speaks; empty for the young person."""
    how: Mapped[str]
    """page, phone, paper or meeting."""
    registered_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    text_version: Mapped[str]
    language: Mapped[str]
    sealed: Mapped[bytes]
    """Under the child's key: evidence, and the representative's name."""
    since: Mapped[datetime]


def _by_whom() -> tuple[CheckConstraint, CheckConstraint]:
    return (
        CheckConstraint("capacity in ('guardian','young','representative')", name="capacity"),
        CheckConstraint(
            "capacity = 'representative' or (capacity = 'guardian') = (guardian_id is not null)", name="who"
        ),
    )


class Consent(Said):
    """Consent to the health data of an administration. A row for each time it is given; none is ever given again."""

    __tablename__ = "consent"
    __table_args__ = (
        *_by_whom(),
        Index("ix_consent_active", "child_id", "administration", postgresql_where="withdrawn_at is null"),
    )
    until: Mapped[datetime | None]
    """When it runs out by itself."""
    withdrawn_at: Mapped[datetime | None]

    @classmethod
    def holds(cls, at: datetime) -> ColumnElement[bool]:
        """Whether it is given, not taken back, and not run out."""
        return and_(cls.withdrawn_at.is_(None), cls.since <= at, or_(cls.until.is_(None), cls.until > at))


class Block(Said):
    """That a family has closed for an administration, or objects to it: it is shown nothing of the child meanwhile. A
    row for each who says so; one that is lifted leaves the others'."""

    __tablename__ = "block"
    __table_args__ = (
        CheckConstraint("kind in ('block','objection')", name="kind"),
        *_by_whom(),
        Index("ix_block_active", "child_id", "administration", postgresql_where="lifted_at is null"),
    )
    kind: Mapped[str]
    lifted_at: Mapped[datetime | None]

    @classmethod
    def holds(cls) -> ColumnElement[bool]:
        """Whether it has not been lifted."""
        return cls.lifted_at.is_(None)


class Act(Base):
    """Something was done with coordinators: what a restored database has lost is done again, and nothing else."""

    __tablename__ = "act"
    id: Mapped[UUID] = row_id()
    at: Mapped[datetime]


class Assignment(Base):
    """Which coordinator a child has, from when until when. At most one active per child: by the database."""

    __tablename__ = "assignment"
    __table_args__ = (
        Index("uq_assignment_active", "child_id", unique=True, postgresql_where="until is null"),
        Index("ix_assignment_coordinator", "coordinator_id", postgresql_where="until is null"),
    )
    id: Mapped[UUID] = row_id()
    child_id: Mapped[UUID] = mapped_column(ForeignKey("child.id"))
    coordinator_id: Mapped[UUID] = mapped_column(ForeignKey("coordinator.staff_id"))
    since: Mapped[datetime]
    until: Mapped[datetime | None]
