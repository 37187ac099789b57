"""A case in another format than SF1470, and what of it may pass: the same rules for all of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Protocol
from zoneinfo import ZoneInfo

import hub
from tovholder_sof_case.pages import Taken
from tovholder_sof_case.settings import SofSettings

DENMARK = ZoneInfo("Europe/Copenhagen")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a case stands, and who works on it; see hub.CaseRecord. On the day `until` it will stand elsewhere."""

    state: hub.State
    opened: date | None = None
    closed: date | None = None
    deadline: date | None = None
    follow_up: date | None = None
    adviser: hub.StaffRecord | None = None
    changed: datetime | None = None
    until: date | None = None


class Entry(Protocol):
    """A case as it came. Every property may raise BadRecord."""

    @property
    def number(self) -> str | None:
        """The CPR number as it is written, without space and dash; None for a case about nobody who has one."""
        ...

    @property
    def words(self) -> Sequence[str]:
        """What the source calls its kind, the first that is listed counts."""
        ...

    @property
    def gone(self) -> bool:
        """Recorded by mistake, or deleted."""
        ...

    @property
    def hidden(self) -> bool:
        """Marked as one that must not be told."""
        ...

    def source_id(self, kind: str | None) -> str: ...

    def standing(self) -> Standing: ...

    def skeleton(self) -> bytes:
        """The case for quarantine, without texts, names and numbers."""
        ...


def take(entry: Entry, settings: SofSettings, position: str, children: Set[str] | None) -> Taken:
    """The record of one case: presence where `children` is None, else the case if it is about one of them."""
    kind: str | None = None
    try:
        if entry.number is None or (children is not None and _somebody_else(entry.number, children)):
            return Taken(None)
        kind = settings.listed(entry.words)
        if entry.gone:
            return Taken(hub.Gone(entry.source_id(kind)))
        if kind is None:
            return Taken(None, ignored=True)
        cpr, source_id = whole_number(entry.number), entry.source_id(kind)
        if entry.hidden:
            return Taken(hub.Gone(source_id))
        standing = entry.standing()
        due = None if standing.until is None else datetime.combine(standing.until, time(), DENMARK)
        if children is not None:
            record: hub.Record = _case(source_id, cpr, kind, standing)
        elif standing.state is hub.State.CLOSED:
            record = hub.Gone(source_id, standing.changed)
        else:
            record = hub.Presence(source_id, cpr, standing.state, standing.changed)
        return Taken(record, due=due)
    except hub.BadRecord as error:
        # Of a case whose kind is not known to be on the list, nothing may be kept, not even in quarantine.
        source_id, raw = None, b""
        with suppress(hub.BadRecord):
            source_id = entry.source_id(kind)
        with suppress(hub.BadRecord):
            raw = entry.skeleton()[: hub.RAW_LIMIT] if kind is not None else b""
        return Taken(hub.Unreadable(position, str(error), raw, source_id=source_id))


def _somebody_else(number: str, children: Set[str]) -> bool:
    """Whether a case is about somebody who was not asked for. Of a number that is none nobody can say so, and the case
    is told as unreadable: what is known of it is not gone."""
    return len(number) == 10 and number not in children


def _case(source_id: str, cpr: str, kind: str, standing: Standing) -> hub.CaseRecord:
    return hub.CaseRecord(
        source_id=source_id,
        cpr=cpr,
        kind=kind,
        state=standing.state,
        opened=standing.opened,
        closed=standing.closed,
        deadline=standing.deadline,
        follow_up=standing.follow_up,
        adviser=standing.adviser,
        changed=standing.changed,
    )


def bare_number(text: str | None) -> str | None:
    """A CPR number as it may be written (010190-1234, 010190 1234); None for nothing."""
    found = "".join((text or "").replace("-", "").split()).upper()
    return found or None


def whole_number(number: str) -> str:
    if len(number) == 9 and number.isdecimal():
        raise hub.BadRecord(
            "the CPR number has nine digits: a spreadsheet has taken the first zero away. Export the column as text"
        )
    if len(number) != 10 or not (number.isascii() and number.isalnum()):
        raise hub.BadRecord("the CPR number does not have ten letters or digits")
    return number


def one_line(text: str, most: int = 255) -> str:
    """A name on one line, without characters nobody can see."""
    if text.isprintable():
        return " ".join(text.split())[:most]
    seen = (" " if letter.isspace() else letter for letter in text)
    kept = "".join(letter for letter in seen if unicodedata.category(letter)[0] != "C")
    return " ".join(kept.split())[:most]


def case_id(text: str) -> str:
    """A case's number at its source. Raises BadRecord for none, and for what cannot be one."""
    found = text.strip()
    if not found:
        raise hub.BadRecord("the case has no number of its own (Sagsnummer)")
    if len(found) > 100 or not found.isprintable():
        raise hub.BadRecord("the case's own number is too long, or has characters that cannot be seen")
    return found


def day_of(now: datetime) -> date:
    """The date in Denmark."""
    return now.astimezone(DENMARK).date()
