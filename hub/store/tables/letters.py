"""Events, the letters they end in, and what became of those."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from hub.store.tables.base import Base, row_id


class Bundle(Base):
    """The events that wait for one letter to one guardian. At most one open per guardian: by the database."""

    __tablename__ = "bundle"
    __table_args__ = (
        Index("uq_bundle_open", "guardian_id", unique=True, postgresql_where="composed_at is null"),
        Index("ix_bundle_due", "due_at", postgresql_where="composed_at is null"),
    )
    id: Mapped[UUID] = row_id()
    guardian_id: Mapped[UUID] = mapped_column(ForeignKey("guardian.id"))
    opened_at: Mapped[datetime]
    due_at: Mapped[datetime]
    composed_at: Mapped[datetime | None]


class Event(Base):
    """Something a guardian is to hear about a child. It ends in the letter of its bundle, or with a reason why not."""

    __tablename__ = "event"
    __table_args__ = (
        Index("uq_event_once", "guardian_id", "once", unique=True),
        CheckConstraint("bundle_id is not null or why_not is not null", name="ends"),
    )
    id: Mapped[UUID] = row_id()
    guardian_id: Mapped[UUID] = mapped_column(ForeignKey("guardian.id"))
    child_id: Mapped[UUID] = mapped_column(ForeignKey("child.id"), index=True)
    kind: Mapped[str]
    case_id: Mapped[UUID | None] = mapped_column(ForeignKey("case_index.id", ondelete="SET NULL"))
    once: Mapped[bytes]
    """Keyed digest of what happened: the same thing seen twice is one event."""
    at: Mapped[datetime]
    bundle_id: Mapped[UUID | None] = mapped_column(ForeignKey("bundle.id"), index=True)
    why_not: Mapped[str | None]
    seq: Mapped[int] = mapped_column(BigInteger, Identity())
    """What came first, also where a clock was put back in between."""
    day: Mapped[date | None]
    """The deadline it is about; of one that was moved, the date before."""
    latest: Mapped[datetime | None]
    """Its letter leaves no later."""
    administration: Mapped[str | None]
    """Of an answer: which one it is about."""
    how: Mapped[str | None]
    """Of an answer: page, phone, paper or meeting."""
    spoke: Mapped[str | None]
    """Of an answer that a representative gave: for_reader or by_reader."""


class Letter(Base):
    """A frozen letter: what was approved is what is sent. `id` is the key given to the channel (a UUID version 4).

    `content` and `pdf` are sealed in layers, under the guardian's key and then each child's: it opens only while all
    it is about are remembered. States: frozen · unsure (a try may have arrived, on a channel that does not know keys) ·
    sent · received · delivered · returned · failed · withheld (it must no longer go: custody ended, the yes was taken
    back)."""

    __tablename__ = "letter"
    __table_args__ = (
        CheckConstraint(
            "state in ('frozen','unsure','sent','received','delivered','returned','failed','withheld')", name="state"
        ),
    )
    id: Mapped[UUID] = row_id()
    bundle_id: Mapped[UUID] = mapped_column(ForeignKey("bundle.id"), unique=True)
    guardian_id: Mapped[UUID] = mapped_column(ForeignKey("guardian.id"), index=True)
    kind: Mapped[str]
    language: Mapped[str]
    template_version: Mapped[str]
    content: Mapped[bytes] = mapped_column(deferred=True)
    pdf: Mapped[bytes] = mapped_column(deferred=True)
    sha256: Mapped[bytes]
    """Of the PDF's bytes, before sealing."""
    frozen_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(default="frozen", index=True)
    state_at: Mapped[datetime]
    state_due: Mapped[datetime | None]
    """When somebody must look if the state has not moved on; None in a final state."""
    route: Mapped[str | None]
    tries: Mapped[int] = mapped_column(default=0)
    channel: Mapped[str | None]
    """Which channel it is on; None before the first try."""
    why: Mapped[str | None]
    """Why it was withheld, where that was no change at the family's: `trial`."""


class LetterChild(Base):
    __tablename__ = "letter_child"
    letter_id: Mapped[UUID] = mapped_column(ForeignKey("letter.id"), primary_key=True)
    child_id: Mapped[UUID] = mapped_column(ForeignKey("child.id"), primary_key=True, index=True)


class Delivery(Base):
    """An attempt to send a letter on a channel, written down before it is made. `result`: begun (under way, or broken
    off: it may have arrived) · sent · refused · later · unsure (it may have arrived) · lost (it did not, as a status or
    a person said)."""

    __tablename__ = "delivery"
    id: Mapped[UUID] = row_id()
    letter_id: Mapped[UUID] = mapped_column(ForeignKey("letter.id"), index=True)
    channel: Mapped[str]
    attempt: Mapped[int]
    at: Mapped[datetime]
    result: Mapped[str]
    reason: Mapped[str | None]
    transmission: Mapped[str | None]
    try_again_at: Mapped[datetime | None]
    """Not before then, of one that is to be tried again."""


class DeliveryStatus(Base):
    """What a channel says became of a letter, as it came. `key` may be unknown to the hub: kept all the same."""

    __tablename__ = "delivery_status"
    __table_args__ = (Index("uq_delivery_status_once", "key", "channel", "status", "time", unique=True),)
    id: Mapped[UUID] = row_id()
    channel: Mapped[str]
    key: Mapped[str]
    status: Mapped[str]
    time: Mapped[datetime]
    route: Mapped[str | None]
    reason: Mapped[str]
    letter_id: Mapped[UUID | None] = mapped_column(ForeignKey("letter.id"))
    seen_at: Mapped[datetime]


class ReturnedMail(Base):
    """Paper has come back from a guardian's address: no more goes there, until somebody has put the address right."""

    __tablename__ = "returned_mail"
    guardian_id: Mapped[UUID] = mapped_column(ForeignKey("guardian.id", ondelete="CASCADE"), primary_key=True)
    letter_id: Mapped[UUID] = mapped_column(ForeignKey("letter.id", ondelete="CASCADE"))
    at: Mapped[datetime]


class Preference(Base):
    """How a guardian wants to be written to, as they chose themselves. Sealed under their own key: large print, the
    language an interpreter is needed for, and where to say that there is news."""

    __tablename__ = "preference"
    guardian_id: Mapped[UUID] = mapped_column(ForeignKey("guardian.id", ondelete="CASCADE"), primary_key=True)
    sealed: Mapped[bytes]
    at: Mapped[datetime]


class Pointer(Base):
    """That there is news on the page, said beside a letter by e-mail or text message to whoever asked for it. `state`:
    waiting · begun · sent · refused · unsure. What may have arrived is not said again: the letter itself is what
    counts."""

    __tablename__ = "pointer"
    __table_args__ = (CheckConstraint("state in ('waiting','begun','sent','refused','unsure')", name="state"),)
    letter_id: Mapped[UUID] = mapped_column(ForeignKey("letter.id", ondelete="CASCADE"), primary_key=True)
    way: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str | None]


class Told(Base):
    """What a letter told that this database does not know of, because it was restored to an earlier moment. `said` is
    a keyed digest of the news and of whom it was for; it keeps the same from being told again, once."""

    __tablename__ = "told"
    said: Mapped[bytes] = mapped_column(primary_key=True)
    until: Mapped[datetime]


class Template(Base):
    """A text of a letter, as somebody drafted it: never changed. It names nobody."""

    __tablename__ = "template"
    __table_args__ = (UniqueConstraint("name", "sha256", name="uq_template_once"),)
    id: Mapped[UUID] = row_id()
    name: Mapped[str]
    """Of the file that it takes the place of."""
    text: Mapped[str] = mapped_column(deferred=True)
    sha256: Mapped[bytes]
    drafted_at: Mapped[datetime]
    drafter: Mapped[bytes]
    """Keyed digest of who drafted it, to tell that another approves."""


class TemplateStep(Base):
    """That a text was approved or published, or that what was shipped holds again; never changed. Of two from the same
    moment the later said holds."""

    __tablename__ = "template_step"
    __table_args__ = (
        CheckConstraint("step in ('approved','published','shipped')", name="step"),
        CheckConstraint("(step = 'shipped') = (template_id is null)", name="which"),
        CheckConstraint("(step = 'approved') = (since is null)", name="since"),
        Index("ix_template_step_since", "name", "since"),
    )
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Which was said first. No sequence of the database's: there are few, and two at once may not both be right."""
    name: Mapped[str]
    template_id: Mapped[UUID | None] = mapped_column(ForeignKey("template.id"), index=True)
    step: Mapped[str]
    at: Mapped[datetime]
    since: Mapped[datetime | None]
    """From when letters are written with it."""
    who: Mapped[bytes]
    """Keyed digest of who said so."""
