"""What staff are told (notices), and what their case systems are given to journalise."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from hub.store.tables.base import Base, row_id


class Notice(Base):
    """That the coordinator of a child was assigned or has changed, for the adviser of one case. Whom the family calls
    stands in `coordinator`; here is only who it was, and, sealed under the child's key, the case's id at its source."""

    __tablename__ = "notice"
    __table_args__ = (
        CheckConstraint("kind in ('assigned','substitute','back','handed_over','ended')", name="kind"),
        CheckConstraint("(sealed is not null) = (of_id is null)", name="sealed"),
        # Partial: a unique index of the whole table would make its columns a key, and giving a place would wait for
        # whoever writes a notice that follows this one.
        Index("uq_notice_position", "administration", "position", unique=True, postgresql_where="position is not null"),
        Index("ix_notice_new", "administration", postgresql_where="position is null"),
        Index("ix_notice_unrouted", "at", postgresql_where="routed_at is null"),
    )
    id: Mapped[UUID] = row_id()
    kind: Mapped[str]
    child_id: Mapped[UUID] = mapped_column(ForeignKey("child.id"), index=True)
    case_id: Mapped[UUID | None] = mapped_column(ForeignKey("case_index.id", ondelete="SET NULL"), index=True)
    source: Mapped[str]
    administration: Mapped[str]
    adviser_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), index=True)
    coordinator_id: Mapped[UUID] = mapped_column(ForeignKey("coordinator.staff_id"))
    of_id: Mapped[UUID | None] = mapped_column(ForeignKey("notice.id", ondelete="CASCADE"), index=True)
    """The first notice about the case, in which its id is sealed."""
    once: Mapped[bytes] = mapped_column(unique=True)
    """Keyed digest of what happened and whom it is for: the same thing seen twice is one notice."""
    at: Mapped[datetime]
    sealed: Mapped[bytes | None]
    position: Mapped[int | None] = mapped_column(BigInteger)
    """Its place in the administration's feed, from 1: given when somebody reads on."""
    routed_at: Mapped[datetime | None]
    """When it was decided by which ways it goes."""
    told_at: Mapped[datetime | None]
    """When it was first handed over, read in the feed or seen on the page: the entry in the log is as old."""
    why_not: Mapped[str | None]
    """Why it is told no more."""


class Handover(Base):
    """A notice on its way to one receiver. States: waiting (`next_at` says until when) · sent · withheld · dead."""

    __tablename__ = "notice_handover"
    __table_args__ = (
        CheckConstraint("state in ('waiting','sent','withheld','dead')", name="state"),
        Index("ix_notice_handover_due", "next_at", postgresql_where="state = 'waiting'"),
    )
    notice_id: Mapped[UUID] = mapped_column(ForeignKey("notice.id", ondelete="CASCADE"), primary_key=True)
    way: Mapped[str] = mapped_column(primary_key=True)
    """`mail`, or `webhook/NAME` of the settings."""
    state: Mapped[str] = mapped_column(default="waiting")
    tries: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime]
    state_at: Mapped[datetime]
    entry_id: Mapped[UUID | None]
    """The entry of the access log that was durable before it left for the first time."""
    reason: Mapped[str | None]
    """What came of the last try that came to nothing."""


class NoticeChoice(Base):
    """How an adviser wants to be told of a kind of thing; without a row, by the first way that is configured."""

    __tablename__ = "notice_choice"
    __table_args__ = (CheckConstraint("way in ('mail','page','off')", name="way"),)
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    way: Mapped[str]


class LetterPart(Base):
    """What a letter says of one child's cases in one administration, for its case system to journalise. Sealed under
    the child's key when the letter is composed, and never changed: what was frozen is what is journalised."""

    __tablename__ = "letter_part"
    __table_args__ = (
        Index("uq_letter_part_once", "letter_id", "child_id", "administration", unique=True),
        Index(
            "uq_letter_part_position",
            "administration",
            "position",
            unique=True,
            postgresql_where="position is not null",
        ),
        Index("ix_letter_part_new", "administration", postgresql_where="position is null"),
        Index("ix_letter_part_due", "due", postgresql_where="journalised_at is null and why_not is null"),
    )
    id: Mapped[UUID] = row_id()
    letter_id: Mapped[UUID] = mapped_column(ForeignKey("letter.id"))
    child_id: Mapped[UUID] = mapped_column(ForeignKey("child.id"), index=True)
    administration: Mapped[str]
    sealed: Mapped[bytes | None] = mapped_column(deferred=True)
    """None once it is journalised and no longer kept, or goes to nobody any more."""
    sha256: Mapped[bytes]
    """Of the part's bytes, before sealing."""
    position: Mapped[int | None] = mapped_column(BigInteger)
    """Its place in the administration's list, from 1: given once the letter has left and somebody reads on."""
    due: Mapped[date | None]
    """By when the case system is to have acknowledged it; set when it is given its place, or should have been."""
    journalised_at: Mapped[datetime | None]
    receipt: Mapped[bytes | None]
    """Sealed under the child's key: the document's id in the case system."""
    why_not: Mapped[str | None]
    """Why it is given to nobody any more."""
