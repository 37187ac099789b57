"""Whether the access log is whole: gapless from 0, as long as its head says, and one digest over every entry.

Two databases with the same digest hold the same log. It is what a backup writes down and a restore compares; a signed
tree that convinces outsiders is another thing, and comes later.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import Connection, select

from hub.access.log import SealedEntry, envelope
from hub.errors import GaveUp
from hub.store.tables import LogEntry, LogHead

_AT_ONCE = 5000


class LogBroken(GaveUp):
    """The access log is not whole."""


@dataclass(frozen=True, slots=True)
class LogState:
    size: int
    sha256: str
    """Hexadecimal, over all envelopes in order, each after its length (4 bytes, big-endian)."""


def state(connection: Connection) -> LogState:
    """Read the whole log, in the connection's transaction. Raises LogBroken, with the place, when it has a gap or more
    or fewer entries than its head says."""
    size = connection.execute(select(LogHead.size)).scalar_one()
    digest = hashlib.sha256()
    expected = 0
    columns = (getattr(LogEntry, name) for name in SealedEntry.__dataclass_fields__)
    rows = connection.execution_options(yield_per=_AT_ONCE).execute(
        select(LogEntry.seq, LogEntry.version, *columns).order_by(LogEntry.seq)
    )
    for seq, version, *fields in rows:
        if seq != expected:
            raise LogBroken(f"the access log has no entry {expected}; the next is {seq}")
        covered = envelope(seq, version, SealedEntry(*fields))
        digest.update(len(covered).to_bytes(4, "big") + covered)
        expected += 1
    if expected != size:
        raise LogBroken(f"the access log has {expected} entries, and its head says {size}")
    return LogState(size, digest.hexdigest())
