"""Who the hub knows: children, guardians, staff, and the key of each."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
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
    """Somebody with custody of a child offered a coordinator. Sealed: number, name, protection, Digital Post."""

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
