"""What is a person's to do."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
)
from sqlalchemy.orm import Mapped, mapped_column

from hub.store.tables.base import Base, row_id


class Task(Base):
    """Something a person must do: for a member of staff, or an administration when nobody is named."""

    __tablename__ = "task"
    __table_args__ = (
        Index("uq_task_once", "once", unique=True),
        Index("ix_task_open", "administration", postgresql_where="done_at is null and entry_id is null"),
        Index("ix_task_review", "administration", "team", postgresql_where="done_at is null and entry_id is not null"),
    )
    id: Mapped[UUID] = row_id()
    kind: Mapped[str]
    once: Mapped[bytes]
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    administration: Mapped[str | None]
    child_id: Mapped[UUID | None] = mapped_column(ForeignKey("child.id"))
    case_id: Mapped[UUID | None] = mapped_column(ForeignKey("case_index.id", ondelete="CASCADE"))
    letter_id: Mapped[UUID | None] = mapped_column(ForeignKey("letter.id"))
    made_at: Mapped[datetime]
    due: Mapped[date | None]
    done_at: Mapped[datetime | None]
    team: Mapped[bytes | None]
    """Keyed digest of administration and unit, of a task that is the leader's of a unit."""
    entry_id: Mapped[UUID | None]
    """The entry of the access log that is to be looked at."""


class Forgetting(Base):
    """That somebody has said that a child's whole case may be forgotten, and that a second person is waited for.
    `agreed_by` is a keyed digest of the first."""

    __tablename__ = "forgetting"
    child_id: Mapped[UUID] = mapped_column(ForeignKey("child.id"), primary_key=True)
    agreed_at: Mapped[datetime]
    agreed_by: Mapped[bytes]
    entry_id: Mapped[UUID]
    """The entry of the access log that says who it was."""


class RightsRequest(Base):
    """What a guardian asks for: that something is wrong, an objection, "we belong". The task of whoever answers it says
    which and by when. Sealed: what they wrote, and the answer with the role and administration of who gave it; under
    the child's key, or the guardian's own where the hub knows of no child of theirs that it is about."""

    __tablename__ = "rights_request"
    __table_args__ = (CheckConstraint("(answered_at is null) = (answer is null)", name="answered"),)
    id: Mapped[UUID] = row_id()
    task_id: Mapped[UUID] = mapped_column(ForeignKey("task.id"), unique=True)
    guardian_id: Mapped[UUID] = mapped_column(ForeignKey("guardian.id"), index=True)
    child_id: Mapped[UUID | None] = mapped_column(ForeignKey("child.id"), index=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("person_key.id"))
    sealed: Mapped[bytes]
    answered_at: Mapped[datetime | None]
    answer: Mapped[bytes | None]
