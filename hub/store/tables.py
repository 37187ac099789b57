"""The tables. Names are the words of the glossary; every table says what it may hold of a person.

Nothing here holds a CPR number or a name in the clear: `sealed` columns are sealed under the key of the person they are
about (hub.vault), `token` columns are lookup tokens, `reference` columns stand for a source's own ids. Times are UTC.
Ids are made by the program, since what is sealed is bound to its row's id.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Text,
    and_,
    exists,
    or_,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import Uuid


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        datetime: DateTime(timezone=True),
        str: Text,
        bytes: LargeBinary,
        UUID: Uuid,
    }


def _id() -> Mapped[UUID]:
    return mapped_column(primary_key=True, default=uuid4)


class PersonKey(Base):
    """The data key of one person (child, guardian, member of staff), wrapped by a version of the key ring."""

    __tablename__ = "person_key"
    id: Mapped[UUID] = _id()
    version: Mapped[int]
    wrapped: Mapped[bytes | None]
    destroyed_at: Mapped[datetime | None]


class RotatingKey(Base):
    """The key of a day (Danish date) for access entries that are about no child the hub knows."""

    __tablename__ = "rotating_key"
    day: Mapped[date] = mapped_column(primary_key=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("person_key.id"))


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
    id: Mapped[UUID] = _id()
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


class Child(Base):
    """A child in the target group. Sealed: the number; after acceptance also the name and name protection."""

    __tablename__ = "child"
    # What each match counts.
    __table_args__ = (Index("ix_child_eligible", "id", postgresql_where="eligible"),)
    id: Mapped[UUID] = _id()
    token: Mapped[bytes] = mapped_column(unique=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("person_key.id"))
    sealed: Mapped[bytes]
    eligible: Mapped[bool] = mapped_column(default=True)
    """Whether the match still finds the child in the target group."""
    same_as: Mapped[UUID | None] = mapped_column(ForeignKey("child.id"))
    """The row of the same child that goes on, where the child was known by two numbers. This one keeps what was logged
    and sent."""


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
    id: Mapped[UUID] = _id()
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
    id: Mapped[UUID] = _id()
    source: Mapped[str]
    reference: Mapped[bytes]
    administration: Mapped[str | None]
    key_id: Mapped[UUID] = mapped_column(ForeignKey("person_key.id"))
    sealed: Mapped[bytes]


class Coordinator(Base):
    """A member of staff who coordinates. `away` coordinators get no new families and are spoken for by `substitute`."""

    __tablename__ = "coordinator"
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)
    """The published order in which equally loaded coordinators take families."""
    active: Mapped[bool] = mapped_column(default=True)
    away: Mapped[bool] = mapped_column(default=False)
    substitute_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))


class Offer(Base):
    """The offer of a coordinator to a child's family, and the place it reserves.

    waiting: no place yet, `why` says so · offered: a place is reserved · accepted · declined · lapsed: no answer ·
    withdrawn: the family's yes was taken back · grown: the child turned 18 · died · moved: the child has another
    number, and its offer stands with that one (child.same_as)."""

    __tablename__ = "offer"
    __table_args__ = (
        CheckConstraint(
            "state in ('waiting','offered','accepted','declined','lapsed','withdrawn','grown','died','moved')",
            name="state",
        ),
        CheckConstraint("(state in ('offered','accepted')) = (coordinator_id is not null)", name="place"),
    )
    id: Mapped[UUID] = _id()
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
    id: Mapped[UUID] = _id()
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


class Consent(Base):
    """Consent to the health data of an administration. A row for each time it is given; none is ever given again."""

    __tablename__ = "consent"
    __table_args__ = (
        CheckConstraint("capacity in ('guardian','young','representative')", name="capacity"),
        CheckConstraint("(capacity = 'guardian') = (guardian_id is not null)", name="who"),
        Index("ix_consent_active", "child_id", "administration", postgresql_where="withdrawn_at is null"),
    )
    id: Mapped[UUID] = _id()
    child_id: Mapped[UUID] = mapped_column(ForeignKey("child.id"))
    administration: Mapped[str]
    capacity: Mapped[str]
    guardian_id: Mapped[UUID | None] = mapped_column(ForeignKey("guardian.id"))
    how: Mapped[str]
    """page, phone, paper or meeting."""
    registered_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    text_version: Mapped[str]
    language: Mapped[str]
    sealed: Mapped[bytes]
    """Under the child's key: evidence, and the representative's name."""
    since: Mapped[datetime]
    until: Mapped[datetime | None]
    """When it runs out by itself."""
    withdrawn_at: Mapped[datetime | None]

    @classmethod
    def holds(cls, at: datetime) -> ColumnElement[bool]:
        """Whether it is given, not taken back, and not run out."""
        return and_(cls.withdrawn_at.is_(None), cls.since <= at, or_(cls.until.is_(None), cls.until > at))


class Block(Base):
    """That a family has closed for an administration, or objects to it: it is shown nothing of the child meanwhile. A
    row for each who says so; one that is lifted leaves the others'."""

    __tablename__ = "block"
    __table_args__ = (
        CheckConstraint("kind in ('block','objection')", name="kind"),
        CheckConstraint("capacity in ('guardian','young','representative')", name="capacity"),
        CheckConstraint("(capacity = 'guardian') = (guardian_id is not null)", name="who"),
        Index("ix_block_active", "child_id", "administration", postgresql_where="lifted_at is null"),
    )
    id: Mapped[UUID] = _id()
    child_id: Mapped[UUID] = mapped_column(ForeignKey("child.id"))
    administration: Mapped[str]
    kind: Mapped[str]
    capacity: Mapped[str]
    guardian_id: Mapped[UUID | None] = mapped_column(ForeignKey("guardian.id"))
    how: Mapped[str]
    registered_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    text_version: Mapped[str]
    language: Mapped[str]
    sealed: Mapped[bytes]
    """Under the child's key: evidence, and the representative's name."""
    since: Mapped[datetime]
    lifted_at: Mapped[datetime | None]

    @classmethod
    def holds(cls) -> ColumnElement[bool]:
        """Whether it has not been lifted."""
        return cls.lifted_at.is_(None)


class Assignment(Base):
    """Which coordinator a child has, from when until when. At most one active per child: by the database."""

    __tablename__ = "assignment"
    __table_args__ = (
        Index("uq_assignment_active", "child_id", unique=True, postgresql_where="until is null"),
        Index("ix_assignment_coordinator", "coordinator_id", postgresql_where="until is null"),
    )
    id: Mapped[UUID] = _id()
    child_id: Mapped[UUID] = mapped_column(ForeignKey("child.id"))
    coordinator_id: Mapped[UUID] = mapped_column(ForeignKey("coordinator.staff_id"))
    since: Mapped[datetime]
    until: Mapped[datetime | None]


class Case(Base):
    """Index data of a case of a child whose family has said yes. Sealed under the child's key: kind, state, dates.
    `deadline` stands in the clear because time asks for it."""

    __tablename__ = "case_index"
    __table_args__ = (Index("uq_case_index_reference", "source", "reference", unique=True),)
    id: Mapped[UUID] = _id()
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


class Bundle(Base):
    """The events that wait for one letter to one guardian. At most one open per guardian: by the database."""

    __tablename__ = "bundle"
    __table_args__ = (
        Index("uq_bundle_open", "guardian_id", unique=True, postgresql_where="composed_at is null"),
        Index("ix_bundle_due", "due_at", postgresql_where="composed_at is null"),
    )
    id: Mapped[UUID] = _id()
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
    id: Mapped[UUID] = _id()
    guardian_id: Mapped[UUID] = mapped_column(ForeignKey("guardian.id"))
    child_id: Mapped[UUID] = mapped_column(ForeignKey("child.id"), index=True)
    kind: Mapped[str]
    case_id: Mapped[UUID | None] = mapped_column(ForeignKey("case_index.id", ondelete="SET NULL"))
    once: Mapped[bytes]
    """Keyed digest of what happened: the same thing seen twice is one event."""
    at: Mapped[datetime]
    bundle_id: Mapped[UUID | None] = mapped_column(ForeignKey("bundle.id"), index=True)
    why_not: Mapped[str | None]


class Letter(Base):
    """A frozen letter: what was approved is what is sent. `id` is the key given to the channel (a UUID version 4).

    `content` and `pdf` are sealed in layers, under the guardian's key and then each child's: it opens only while all
    it is about are remembered. States: frozen · sent · received · delivered · returned · failed · withheld (it must no
    longer go: custody ended, the yes was taken back)."""

    __tablename__ = "letter"
    __table_args__ = (
        CheckConstraint(
            "state in ('frozen','sent','received','delivered','returned','failed','withheld')", name="state"
        ),
    )
    id: Mapped[UUID] = _id()
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


class LetterChild(Base):
    __tablename__ = "letter_child"
    letter_id: Mapped[UUID] = mapped_column(ForeignKey("letter.id"), primary_key=True)
    child_id: Mapped[UUID] = mapped_column(ForeignKey("child.id"), primary_key=True, index=True)


class Delivery(Base):
    """An attempt to send a letter on a channel, written down before it is made. `result`: begun (under way, or broken
    off: it may have arrived) · sent · refused · later · unsure."""

    __tablename__ = "delivery"
    id: Mapped[UUID] = _id()
    letter_id: Mapped[UUID] = mapped_column(ForeignKey("letter.id"), index=True)
    channel: Mapped[str]
    attempt: Mapped[int]
    at: Mapped[datetime]
    result: Mapped[str]
    reason: Mapped[str | None]
    transmission: Mapped[str | None]


class DeliveryStatus(Base):
    """What a channel says became of a letter, as it came. `key` may be unknown to the hub: kept all the same."""

    __tablename__ = "delivery_status"
    __table_args__ = (Index("uq_delivery_status_once", "key", "channel", "status", "time", unique=True),)
    id: Mapped[UUID] = _id()
    channel: Mapped[str]
    key: Mapped[str]
    status: Mapped[str]
    time: Mapped[datetime]
    route: Mapped[str | None]
    reason: Mapped[str]
    letter_id: Mapped[UUID | None] = mapped_column(ForeignKey("letter.id"))
    seen_at: Mapped[datetime]


class Task(Base):
    """Something a person must do: for a member of staff, or an administration when nobody is named."""

    __tablename__ = "task"
    __table_args__ = (
        Index("uq_task_once", "once", unique=True),
        Index("ix_task_review", "administration", "team", postgresql_where="done_at is null and entry_id is not null"),
    )
    id: Mapped[UUID] = _id()
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


class RightsRequest(Base):
    """What a guardian asks for: that something is wrong, an objection, "we belong". The task of whoever answers it says
    which and by when. Sealed: what they wrote, and the answer with the role and administration of who gave it; under
    the child's key, or the guardian's own where the hub knows of no child of theirs that it is about."""

    __tablename__ = "rights_request"
    __table_args__ = (CheckConstraint("(answered_at is null) = (answer is null)", name="answered"),)
    id: Mapped[UUID] = _id()
    task_id: Mapped[UUID] = mapped_column(ForeignKey("task.id"), unique=True)
    guardian_id: Mapped[UUID] = mapped_column(ForeignKey("guardian.id"), index=True)
    child_id: Mapped[UUID | None] = mapped_column(ForeignKey("child.id"), index=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("person_key.id"))
    sealed: Mapped[bytes]
    answered_at: Mapped[datetime | None]
    answer: Mapped[bytes | None]


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


class Told(Base):
    """What a letter told that this database does not know of, because it was restored to an earlier moment. `said` is
    a keyed digest of the news and of whom it was for; it keeps the same from being told again, once."""

    __tablename__ = "told"
    said: Mapped[bytes] = mapped_column(primary_key=True)
    until: Mapped[datetime]


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
