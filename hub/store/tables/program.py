"""What the program knows of itself and of who uses it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from hub.store.tables.base import Base


class SignedIn(Base):
    """Somebody who is signed in. Sealed under a key that only their cookie gives: who it is, and what the pages keep
    for them. Gone when they sign out."""

    __tablename__ = "sign_in"
    id_hash: Mapped[bytes] = mapped_column(primary_key=True)
    """SHA-256 of the cookie's secret."""
    sealed: Mapped[bytes]
    made_at: Mapped[datetime]
    used_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class AskerHour(Base):
    """That somebody looked up a child within the last hour, both as keyed digests; only to count."""

    __tablename__ = "asker_hour"
    asker: Mapped[bytes] = mapped_column(primary_key=True)
    child: Mapped[bytes] = mapped_column(primary_key=True)
    """Of asker and child together, so that two persons' rows about one child have nothing in common."""
    at: Mapped[datetime]


class ProgramFit(Base):
    """The revisions whose programs may work on this schema: the newest, and those before it that lack nothing here.
    Written by migrations alone."""

    __tablename__ = "program_fit"
    revision: Mapped[str] = mapped_column(primary_key=True)


class Sender(Base):
    """The database that letters leave from, as it says of itself: hub.store.home. In a copy the row names another."""

    __tablename__ = "sender"
    __table_args__ = (CheckConstraint("id = 1", name="one"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    place: Mapped[str]
    since: Mapped[datetime]
