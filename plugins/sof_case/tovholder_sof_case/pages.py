"""What the ways of reading share: the record made of one case, cursors as text, and the page being filled."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lxml import etree

import hub

VERSION = 1


@dataclass(frozen=True, slots=True)
class Taken:
    """What one case gave: a record or nothing; `ignored` when its kind is not on the list. From `due` (UTC) on it
    would give something else, without any change at the source."""

    record: hub.Record | None
    ignored: bool = False
    due: datetime | None = None


Take = Callable[[etree._Element, str], Taken]
"""Makes the record of a Sag element at a position."""
TakeObject = Callable[[Any, str], Taken]
"""The same of a case in another format, from what was parsed of it."""
Now = Callable[[], datetime]
"""The clock; UTC."""


@dataclass(slots=True)
class Filling:
    """A page while it is filled. Of a case that stands in it twice, the later record counts."""

    _records: dict[object, hub.Record] = field(default_factory=dict)
    ignored: int = 0
    seen: int = 0
    """How many cases it is made of, told or not."""
    due: datetime | None = None

    def add(self, taken: Taken) -> None:
        self.seen += 1
        self.ignored += taken.ignored
        self.due = earlier(self.due, taken.due)
        if taken.record is not None:
            self.put(taken.record)

    def put(self, record: hub.Record) -> None:
        key = object() if isinstance(record, hub.Unreadable) else record.source_id
        self._records[key] = record

    def join(self, later: Filling) -> None:
        self.seen += later.seen
        self.ignored += later.ignored
        self.due = earlier(self.due, later.due)
        self._records |= later._records

    def page(self, cursor: str | None, *, complete: bool = False) -> hub.Page:
        return hub.Page(tuple(self._records.values()), cursor, complete, self.ignored)


def earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((each for each in (one, other) if each is not None), default=None)


def write_cursor(place: str, *, full: bool, due: datetime | None = None, **state: Any) -> str:
    """A cursor as text; `place` is the way of reading that understands it, `full` whether it stands in a full read."""
    when = None if due is None else due.isoformat()
    return json.dumps({"v": VERSION, "place": place, "full": full, "due": when, **state}, separators=(",", ":"))


def read_cursor(place: str, since: str | None, now: datetime) -> dict[str, Any] | None:
    """The state in a cursor; None, which means read all, for one of another version or made for another place, and when
    something that was read is due by now: then only a full read tells what has become of it."""
    if since is None:
        return None
    try:
        state = json.loads(since)
        if (state["v"], state["place"]) != (VERSION, place):
            return None
        state["full"] = bool(state["full"])
        state["due"] = None if state["due"] is None else datetime.fromisoformat(state["due"])
        return state if state["full"] or state["due"] is None or state["due"] > now else None
    except (ValueError, KeyError, TypeError):
        return None
