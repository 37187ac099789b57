"""What the two ways of reading share: the record made of one Sag, cursors as text, and the page being filled."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

import hub

VERSION = 1


@dataclass(frozen=True, slots=True)
class Taken:
    """What one Sag gave: a record or nothing; `ignored` when its kind is not on the list."""

    record: hub.Record | None
    ignored: bool = False


Take = Callable[[etree._Element, str], Taken]
"""Makes the record of a Sag element at a position."""


@dataclass(slots=True)
class Filling:
    """A page while it is filled. Of a case that stands in it twice, the later record counts."""

    _records: dict[object, hub.Record] = field(default_factory=dict)
    ignored: int = 0
    seen: int = 0
    """How many Sager it is made of, told or not."""

    def add(self, taken: Taken) -> None:
        self.seen += 1
        self.ignored += taken.ignored
        if taken.record is not None:
            self.put(taken.record)

    def put(self, record: hub.Record) -> None:
        key = object() if isinstance(record, hub.Unreadable) else record.source_id
        self._records[key] = record

    def join(self, later: Filling) -> None:
        self.seen += later.seen
        self.ignored += later.ignored
        self._records |= later._records

    def page(self, cursor: str, *, complete: bool = False) -> hub.Page:
        return hub.Page(tuple(self._records.values()), cursor, complete, self.ignored)


def write_cursor(place: str, **state: Any) -> str:
    """A cursor as text; `place` is the way of reading that understands it."""
    return json.dumps({"v": VERSION, "place": place, **state}, separators=(",", ":"))


def read_cursor(place: str, since: str | None) -> dict[str, Any] | None:
    """The state in a cursor; None, which means read all, for one of another version or made for another place."""
    if since is None:
        return None
    try:
        state = json.loads(since)
    except ValueError:
        return None
    if not isinstance(state, dict) or (state.get("v"), state.get("place")) != (VERSION, place):
        return None
    return state
