"""The access log."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from hub.store.tables.base import Base


class LogHead(Base):
    """The log's head: its row lock puts all entries in one gapless order."""

    __tablename__ = "log_head"
    __table_args__ = (CheckConstraint("id = 1", name="one"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)


class LogEntry(Base):
    """One entry of the access log. `hub.access.log.envelope` says what a leaf of the tree will cover: all of this, the
    sealed parts by their digests. The application may add entries; it may not change or remove them."""

    __tablename__ = "log_entry"
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """From 0, without gaps."""
    id: Mapped[UUID] = mapped_column(unique=True)
    version: Mapped[int]
    at: Mapped[datetime]
    kind: Mapped[str]
    child_id: Mapped[UUID | None] = mapped_column(index=True)
    asker_key: Mapped[UUID]
    asker: Mapped[bytes]
    """Sealed under the asker's key: who, role, unit, administration."""
    subject_key: Mapped[UUID]
    subject: Mapped[bytes]
    """Sealed under the child's key (or the day's, when no child is known): purpose, reason, basis, what was shown."""
