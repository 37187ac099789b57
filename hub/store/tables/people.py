"""Who the hub knows: children, guardians, staff, and the key of each."""

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


class PersonKey(Base):
    """The data key of one person (child, guardian, member of staff), wrapped by a version of the key ring."""

    __tablename__ = "person_key"
    id: Mapped[UUID] = row_id()
    version: Mapped[int]
    wrapped: Mapped[bytes | None]
    destroyed_at: Mapped[datetime | None]


class RotatingKey(Base):
    """The key of a day (Danish date) for access entries that are about no child the hub knows."""

    __tablename__ = "rotating_key"
    day: Mapped[date] = mapped_column(primary_key=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("person_key.id"))


class Child(Base):
    """A child in the target group. Sealed: the number; after acceptance also the name and name protection."""

    __tablename__ = "child"
    # What each match counts.
    __table_args__ = (Index("ix_child_eligible", "id", postgresql_where="eligible"),)
    id: Mapped[UUID] = row_id()
    token: Mapped[bytes] = mapped_column(unique=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("person_key.id"))
    sealed: Mapped[bytes]
    eligible: Mapped[bool] = mapped_column(default=True)
    """Whether the match still finds the child in the target group."""
    same_as: Mapped[UUID | None] = mapped_column(ForeignKey("child.id"))
    """The row of the same child that goes on, where the child was known by two numbers. This one keeps what was logged
    and sent."""
    left_at: Mapped[datetime | None]
    """When it was first found that the child is no longer in the target group."""


class FormerNumber(Base):
    """A number that a child had before: it leads to the same child. Sealed: the number, since a source may still use
    it."""

    __tablename__ = "former_number"
    token: Mapped[bytes] = mapped_column(primary_key=True)
    child_id: Mapped[UUID] = mapped_column(ForeignKey("child.id"), index=True)
    sealed: Mapped[bytes]


class Guardian(Base):
    """Somebody who is written to: with custody of a child offered a coordinator, or by `hears`. Sealed: number, name,
    protection, Digital Post."""

    __tablename__ = "guardian"
    id: Mapped[UUID] = row_id()
    token: Mapped[bytes] = mapped_column(unique=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("person_key.id"))
    sealed: Mapped[bytes]
    language: Mapped[str] = mapped_column(default="da")


class Custody(Base):
    __tablename__ = "custody"
    child_id: Mapped[UUID] = mapped_column(ForeignKey("child.id"), primary_key=True)
    guardian_id: Mapped[UUID] = mapped_column(ForeignKey("guardian.id"), primary_key=True, index=True)
    since: Mapped[date | None]
    until: Mapped[date | None]
    seen_at: Mapped[datetime]

    @classmethod
    def holds(cls, on: date) -> ColumnElement[bool]:
        """Whether it lasts on a date: begun by then, and not ended (`until` is the first day without it)."""
        return and_(or_(cls.since.is_(None), cls.since <= on), or_(cls.until.is_(None), cls.until > on))

    @classmethod
    def is_held(cls, child: Any, guardian: Any, on: date) -> ColumnElement[bool]:
        """Whether a guardian has custody of a child on a date. Each is a row id, or a column of them."""
        return exists().where(cls.child_id == child, cls.guardian_id == guardian, cls.holds(on))


class Hears(Base):
    """Somebody who is written to about a child without having custody: the young person from 15, or a representative
    with a mandate. Never in `custody`, which says who decides.

    A mandate is a guardian's, or the young person's own (no `principal_id`). `instead`: letters go to the
    representative and not to the one whose mandate it is. `past_18`: it goes on when the young person is an adult; only
    their own."""

    __tablename__ = "hears"
    __table_args__ = (
        CheckConstraint("capacity in ('young','representative')", name="capacity"),
        CheckConstraint("capacity = 'representative' or not (instead or past_18)", name="mandate"),
        CheckConstraint("principal_id is null or not past_18", name="past_18"),
        Index("uq_hears_young", "child_id", unique=True, postgresql_where="capacity = 'young'"),
        Index("ix_hears_child", "child_id", postgresql_where="ended_at is null"),
    )
    id: Mapped[UUID] = row_id()
    child_id: Mapped[UUID] = mapped_column(ForeignKey("child.id"))
    person_id: Mapped[UUID] = mapped_column(ForeignKey("guardian.id"), index=True)
    capacity: Mapped[str]
    principal_id: Mapped[UUID | None] = mapped_column(ForeignKey("guardian.id"))
    instead: Mapped[bool] = mapped_column(default=False)
    past_18: Mapped[bool] = mapped_column(default=False)
    since: Mapped[date]
    until: Mapped[date | None]
    """The first day without."""
    registered_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    sealed: Mapped[bytes | None]
    """Under the child's key: where the paper lies."""
    ended_at: Mapped[datetime | None]
    """When it was taken back."""

    @classmethod
    def holds(cls, on: date) -> ColumnElement[bool]:
        """Whether it lasts on a date: begun by then, not over and not taken back."""
        return and_(cls.since <= on, or_(cls.until.is_(None), cls.until > on), cls.ended_at.is_(None))


class Staff(Base):
    """A member of staff: an adviser as a source names them, a coordinator, or somebody who signed in. Sealed: name,
    mail, phone, unit."""

    __tablename__ = "staff"
    __table_args__ = (Index("uq_staff_reference", "source", "reference", unique=True),)
    id: Mapped[UUID] = row_id()
    source: Mapped[str]
    reference: Mapped[bytes]
    administration: Mapped[str | None]
    key_id: Mapped[UUID] = mapped_column(ForeignKey("person_key.id"))
    sealed: Mapped[bytes]
    seen_at: Mapped[datetime | None]
    """When it was last found that a case names them, that they coordinate, or that they have looked."""
