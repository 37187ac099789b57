"""What goes between the hub and its plugins: frozen records and the protocols Adapter, Channel and Mailer.

An adapter only reads: the contract has no way to write to a source. A record says as little as the hub needs to know:
no diagnosis, no case content. `cpr` is the number as the source gives it, ten characters without dash; the hub
checks it (hub.identity) and quarantines what cannot be a number, so an adapter need not.

Times are aware datetimes in UTC; dates are local Danish dates.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

REVEALS_PLACE = {"reveals_place": True}
"""Metadata of a field that can tell where a child lives or stays: never shown to the other guardian of a protected
child."""


class State(StrEnum):
    """Where something stands in a source, as far as the hub may know."""

    APPLIED = "applied"
    OPEN = "open"
    DECIDED = "decided"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Presence:
    """That a child has something open or applied for in an administration; nothing more.

    A source may give several for one child: `source_id` is the source's own id of the thing (a case, an enrolment),
    so that one can go away while the others stay.
    """

    source_id: str
    cpr: str
    state: State
    changed: datetime | None = None


@dataclass(frozen=True, slots=True)
class StaffRecord:
    """A member of staff as a source names them. `source_id` is the person's id at the source (in Denmark usually the
    UUID of FK Organisation); an id made from the name where the source has none."""

    source_id: str
    name: str
    email: str | None = None
    phone: str | None = None
    unit: str | None = field(default=None, metadata=REVEALS_PLACE)


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """Index data of one case: who works on it, where it stands, which deadline. Never what it is about beyond `kind`,
    a code that stands on the source's list of kinds in the settings."""

    source_id: str
    cpr: str
    kind: str
    state: State
    opened: date | None = None
    closed: date | None = None
    deadline: date | None = None
    """The case's own deadline (sagsbehandlingsfrist) where the source knows it; else the hub reckons it from the
    published limit of the kind."""
    follow_up: date | None = None
    """The next planned follow-up or meeting, where the source has one."""
    adviser: StaffRecord | None = None
    changed: datetime | None = None


@dataclass(frozen=True, slots=True)
class GuardianRecord:
    """That a person has custody of a child (forældremyndighed), from a source such as CPR.

    `child_cpr` is the number the child was asked for by. `until` is the first day without custody, None while it lasts.
    `protected` is name and address protection of the guardian. `digital_post` says whether the guardian is registered
    for Digital Post, None when not known. The name is the full name in reading order.
    """

    source_id: str
    child_cpr: str
    guardian_cpr: str
    guardian_name: str | None = None
    since: date | None = None
    until: date | None = None
    protected: bool = False
    digital_post: bool | None = None
    changed: datetime | None = None


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """A person asked for, as a source such as CPR knows them. `cpr` is the number asked by, `current` the one that
    holds now where the person has been given another. `protected` is name and address protection. The hub keeps the
    name (full, in reading order) only of a child whose family has said yes."""

    source_id: str
    cpr: str
    current: str | None = None
    name: str | None = None
    protected: bool = False
    dead: bool = False


@dataclass(frozen=True, slots=True)
class Gone:
    """A tombstone: what had this id at the source is no longer there, or must no longer be told."""

    source_id: str
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that could not be read. The hub puts it in quarantine, sealed, and goes on.

    `position` says where (file and line, or page and entry), `reason` what was wrong and what to do, without personal
    data; `raw` is the record as it came, cut at 64 KiB. `source_id` is the record's own id where that much could be
    read: it was in the read, so what the hub knew of it stays, also when the read is complete. `cpr` is the child it is
    about, where a source of custody knows that much: then it stands in the way of no other child.
    """

    position: str
    reason: str
    raw: bytes = b""
    source_id: str | None = None
    cpr: str | None = None


Record = Presence | CaseRecord | GuardianRecord | PersonRecord | Gone | Unreadable


@dataclass(frozen=True, slots=True)
class Page:
    """Some records, and where to go on.

    `cursor` is what the hub passes as `since` to go on right after this page, also after a crash; it is stored in the
    same transaction as the page's records, and says nothing about a person. `complete` is True only on the last page
    of a full read (`since=None` or a cursor that such a read gave): what was not in that read is gone.
    `ignored` counts records left out because their kind is not on the list.

    A source may change while it is read. What is there all the while comes in this read; what changes meanwhile comes
    in this read or the next from its cursor. An adapter that cannot keep that any more raises TryAgain.
    """

    records: tuple[Record, ...]
    cursor: str | None
    complete: bool = False
    ignored: int = 0


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a plugin's other side answers now. `detail` is for operators, without personal data."""

    ok: bool
    detail: str = ""


@runtime_checkable
class Adapter(Protocol):
    """Reads one source. All calls block; the hub gives each source its own thread and time limit.

    Raise `TryAgain` when the source does not answer as it should, `GaveUp` when a person must mend something.
    """

    name: str
    administration: str | None
    """The administration's code in the settings (SOF, BUF, SUF); None for a source without one (custody)."""
    reads: Set[tuple[str, str]]
    """Every request the adapter may send, as (method, path); enforced by `hub.ReadOnlyClient`."""

    def presence(self, since: str | None) -> Iterator[Page]:
        """Who has something open or applied for: pages of Presence, Gone, Unreadable. `None` reads all."""
        ...

    def read(self, since: str | None, children: Set[str]) -> Iterator[Page]:
        """The cases (or custodies) of the children asked for, and of nobody else: pages of CaseRecord, or of
        PersonRecord and GuardianRecord; Gone, Unreadable. `None` reads all."""
        ...

    def health(self) -> Health: ...


@runtime_checkable
class KnowsPersons(Protocol):
    """What a source of custody may offer besides: to tell of persons alone. The hub asks so where it need not know who
    the guardians are, so that nobody is looked up for nothing; without it, it calls `read`."""

    def persons(self, numbers: Set[str]) -> Iterator[Page]:
        """A PersonRecord for each number, in pages as a full read gives them: Unreadable for those it does not know."""
        ...


class DeliveryStatus(StrEnum):
    """What became of a letter, in words all channels share."""

    SENT = "sent"
    """Handed over: the channel has it."""
    RECEIVED = "received"
    """The channel's next station has it; not yet with the recipient."""
    DELIVERED = "delivered"
    """In the recipient's mailbox, or handed to the postal service as the law counts it."""
    FAILED = "failed"
    RETURNED = "returned"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Recipient:
    cpr: str
    name: str


@dataclass(frozen=True, slots=True)
class Contact:
    """A person the recipient can turn to: the coordinator."""

    id: str
    name: str
    phone: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do, or to know, by a time: becomes an entry in the recipient's calendar. `label` is neutral
    outside: it names no disability, child, kind of case or unit. Times are UTC; `url` must be https."""

    label: str
    code: str = "INFORMATION"
    starts: datetime | None = None
    ends: datetime | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """A frozen letter, as the channel gets it. `title` and `file_name` are neutral outside. `created` is UTC."""

    title: str
    language: str
    pdf: bytes
    html: str
    file_name: str
    recipient: Recipient
    created: datetime
    contact: Contact | None = None
    actions: tuple[Action, ...] = ()
    paper: bool = True
    """Whether it may go on paper. False where paper has come back from the recipient's address: a channel that could
    bring it on paper only gives Refused."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The channel has the letter. `transmission` is the channel's own id of the sending; `route` says how it goes
    on: `digital` or `print`."""

    transmission: str
    route: str = "digital"


@dataclass(frozen=True, slots=True)
class Refused:
    """The channel refuses this letter for good; `reason` is without personal data."""

    reason: str


@dataclass(frozen=True, slots=True)
class Later:
    """The channel did not take the letter; try again, with the same key. `after_seconds` None: the hub chooses."""

    reason: str
    after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Unsure:
    """The request may or may not have arrived (time-out after sending). The hub tries again with the same key where the
    channel knows keys; else it waits for a status, or for a person."""

    reason: str


SendResult = Sent | Refused | Later | Unsure


@dataclass(frozen=True, slots=True)
class Status:
    """What the channel says became of the letter sent with `key`. `reason` is without personal data. The same status
    may come twice and out of order."""

    key: str
    status: DeliveryStatus
    time: datetime
    route: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StatusPage:
    statuses: tuple[Status | Unreadable, ...]
    cursor: str | None


@runtime_checkable
class Channel(Protocol):
    """Carries letters. All calls block."""

    name: str
    knows_keys: bool
    """Whether the other side sees by the key that it has a letter already, so that a second try is never a second
    letter."""

    def reaches(self, recipient: Recipient) -> bool:
        """Whether the channel can bring this person a letter at all, by any of its routes."""
        ...

    def send(self, letter: Letter, key: str) -> SendResult:
        """Send once. `key` is a UUID version 4 in lower case, the same at every try of the same letter. Where the
        channel knows keys, a letter the other side has already counts as `Sent`."""
        ...

    def statuses(self, since: str | None) -> Iterator[StatusPage]:
        """What became of letters, oldest first, in pages; ends when there is nothing more now."""
        ...

    def health(self) -> Health: ...


@runtime_checkable
class Points(Protocol):
    """What a channel may offer besides: a short text (NemSMS) to somebody who asked for it."""

    def point(self, recipient: Recipient, text: str, key: str) -> SendResult:
        """Send `text`, which names nobody and nothing and is at most 150 characters, once. `key` is a UUID version 4 of
        its own, the same at every try."""
        ...


@dataclass(frozen=True, slots=True)
class Mail:
    """A message by e-mail to one address. It is readable on its way, on a locked screen and by whoever shares the
    mailbox: to a family it says that there is news on their page and nothing else; to staff it may say more.
    `subject` is one line; `html` says the same as `text`."""

    to: str
    subject: str
    text: str
    html: str | None = None
    language: str = "da"


@runtime_checkable
class Mailer(Protocol):
    """Carries e-mail. It is no Channel: a Letter cannot be handed to it. All calls block, and are made from a thread
    without an event loop."""

    name: str

    def send(self, mail: Mail, key: str) -> SendResult:
        """Send once. `key` is a UUID, the same at every try of the same mail, and becomes its Message-ID. A server of
        e-mail does not know keys: after `Unsure` a second try may be a second mail."""
        ...

    def health(self) -> Health: ...


@dataclass(frozen=True, slots=True)
class Look:
    """A lookup that somebody is about to make: who asks and for what, and nothing of the child. `asker` is their id
    with the one who signed them in; `role` may be several, with a space between."""

    asker: str
    role: str
    administration: str | None
    unit: str | None
    purpose: str
    reason: str | None
