"""When a source shows far fewer records than it did, nothing is ended and an operator is asked.

What a whole read does not show is gone, by the contract. But an export that was cut, a permission that was taken away
or a search that finds half look just the same, and what is forgotten by mistake costs families letters about cases that
were never closed. So the end of a whole read looks at how much would go before anything does. A tombstone is another
thing: the source says it of one record, it may mean that the record must no longer be told, and it is obeyed at once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from hub.cases import sources
from hub.errors import NotAllowed
from hub.reading import SourceSettings
from hub.store.tables import SourceState

TOO_FEW_TO_TELL = 5
"""Of fewer known rows than this, any share may go: with three cases, two that are closed are an ordinary day."""
HOLD_BELOW = 0.7


def believe(row: SourceState, unseen: int, section: Any, now: datetime, count: Callable[[], int]) -> bool:
    """Whether a whole read that did not show `unseen` of the known rows is believed; call it after its last page, with
    the state's row. If not, the source is held: the next read is whole again, and compares again. `count` counts the
    rows there are now: a source that gives its changes, and calls them all it has, is not believed for that."""
    if row.known_rows == sources.NOT_COUNTED:
        row.known_rows = count()
    known = row.known_rows
    if known is not None:
        shown = max(known - unseen, 0)
        baseline = known if row.accepted_rows is None else min(known, row.accepted_rows)
        share = section.hold_below if isinstance(section, SourceSettings) else HOLD_BELOW
        if unseen and known >= TOO_FEW_TO_TELL and shown < share * baseline:
            row.held_rows, row.held_of, row.held_at = shown, known, row.held_at or now
            row.full_at, row.accepted_rows = None, None
            return False
    row.held_rows = row.held_of = row.held_at = row.accepted_rows = None
    row.full_at, row.new_kinds = now, None
    return True


def accept(session: Session, source: str) -> dict[str, int]:
    """An operator has looked: what the source shows now is right. The next whole read ends what it does not show,
    unless it shows fewer again. Gives the rows accepted, by purpose. Raises NotAllowed when nothing is held."""
    accepted: dict[str, int] = {}
    for purpose in (sources.PRESENCE, sources.CASES, sources.CUSTODY):
        row = session.get(SourceState, (source, purpose), with_for_update=True)
        if row is not None and row.held_rows is not None:
            row.accepted_rows = accepted[purpose] = row.held_rows
            sources.read_anew(session, source, purpose)
    if not accepted:
        raise NotAllowed(f"{source} is not held: there is nothing to accept")
    return accepted
