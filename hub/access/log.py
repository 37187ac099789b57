"""The access log: one gapless sequence of entries, added and never changed, each sealed in two parts.

The asker's part is sealed under the asker's key and the subject's under the child's, so that forgetting one keeps the
proof about the other. Whatever changes what can be seen (acceptance, withdrawal, assignment) adds an entry here too, as
the last statement before its commit: the head's lock then gives it and every lookup an order.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from hub.store.tables import LogEntry, LogHead
from hub.vault import json_bytes, seal, seal_json

VERSION = 1
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks or acts, as it stood at that moment. `id` is the person's id with the one who signed them in; `person`
    is what is the same of them wherever they come in, where that is another. `leads`: they are a leader too, in
    whatever role they act."""

    id: str
    name: str
    role: str
    administration: str | None = None
    unit: str | None = None
    person: str | None = None
    leads: bool = False

    @property
    def roles(self) -> frozenset[str]:
        """`role` may name several, with spaces between."""
        return frozenset(self.role.split())

    @property
    def who(self) -> str:
        """Which person it is, by whichever way they have come in."""
        return self.person or self.id

    @property
    def is_leader(self) -> bool:
        return self.leads or "leader" in self.roles

    def as_json(self) -> dict[str, Any]:
        """For what is kept: what the release before does not know is left out where it says nothing."""
        fields = asdict(self)
        return {name: value for name, value in fields.items() if value or name not in ("person", "leads")}


@lru_cache(maxsize=4096)
def _as_bytes(asker: Asker) -> bytes:
    """The same people ask again and again."""
    return json_bytes(asker.as_json())


def of_family(row_id: UUID, role: Literal["guardian", "young"] = "guardian") -> Asker:
    """A guardian, or a young person, who acts for themselves: by row id, without a name."""
    return Asker(str(row_id), "", role)


SYSTEM = Asker("system", "Tovholder", "system")
"""The hub itself, where a rule and not a person acts."""


@dataclass(frozen=True, slots=True)
class SealedEntry:
    """An entry that only lacks its place in the sequence."""

    id: UUID
    at: datetime
    kind: str
    child_id: UUID | None
    asker_key: UUID
    asker: bytes
    subject_key: UUID
    subject: bytes


@dataclass(frozen=True, slots=True)
class Disclosure(Generic[T]):
    """Something personal that may leave the hub, because its entry is durable. Only this package makes one, and only
    after COMMIT; whatever shows personal data takes a Disclosure (a test keeps both true)."""

    value: T
    entry: UUID


def new_id(at: datetime) -> UUID:
    """An id of version 7 (RFC 9562, 5.7): milliseconds, then chance. Ids of one time lie side by side in their index,
    so that one more costs a long log no more than a short one."""
    milliseconds = int(at.timestamp() * 1000) & (1 << 48) - 1
    chance = secrets.randbits(74)
    return UUID(int=milliseconds << 80 | 7 << 76 | (chance >> 62) << 64 | 2 << 62 | chance & (1 << 62) - 1)


def seal_entry(
    *,
    at: datetime,
    kind: str,
    child_id: UUID | None,
    asker: Asker,
    asker_key: tuple[UUID, bytes],
    subject: dict[str, Any],
    subject_key: tuple[UUID, bytes],
) -> SealedEntry:
    """Seal both parts of an entry, each bound to the entry's id."""
    entry_id = new_id(at)
    return SealedEntry(
        id=entry_id,
        at=at,
        kind=kind,
        child_id=child_id,
        asker_key=asker_key[0],
        asker=seal(asker_key[1], _as_bytes(asker), f"log-asker:{entry_id}"),
        subject_key=subject_key[0],
        subject=seal_json(subject_key[1], subject, f"log-subject:{entry_id}"),
    )


def append(session: Session, entries: list[SealedEntry]) -> None:
    """Add entries. Takes the head's lock: call it last, and commit at once."""
    session.flush()
    size = session.execute(
        update(LogHead).where(LogHead.id == 1).values(size=LogHead.size + len(entries)).returning(LogHead.size)
    ).scalar_one()
    first = size - len(entries)
    session.execute(insert(LogEntry), [_row(first + i, entry) for i, entry in enumerate(entries)])


def _row(seq: int, entry: SealedEntry) -> dict[str, Any]:
    return {"seq": seq, "version": VERSION} | asdict(entry)


def envelope(seq: int, version: int, entry: SealedEntry) -> bytes:
    """What a leaf of the tree covers: canonical JSON (sorted keys, no spaces, ASCII, time in UTC) of the whole entry,
    the sealed parts by the SHA-256 of their ciphertext, so that a destroyed key leaves every proof valid."""
    fields = {
        "seq": seq,
        "v": version,
        "id": str(entry.id),
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "kind": entry.kind,
        "child": str(entry.child_id) if entry.child_id else None,
        "asker_key": str(entry.asker_key),
        "asker": hashlib.sha256(entry.asker).hexdigest(),
        "subject_key": str(entry.subject_key),
        "subject": hashlib.sha256(entry.subject).hexdigest(),
    }
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
