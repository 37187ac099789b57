"""Text that no database and no file can hold, seen before it stops a whole read: NUL, and halves of characters (lone
surrogates), both of which JSON can spell (`\\u0000`, `\\ud800`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, TypeVar

from hub.contract import Page, StaffRecord, StatusPage, Unreadable
from hub.errors import GaveUp
from hub.reading import RAW_LIMIT

P = TypeVar("P")
_CANNOT = re.compile("[\0\ud800-\udfff]")
_NAMES: dict[type[Any], tuple[str, ...]] = {}
"""The fields of each kind of record, looked up once: this runs for every record there is."""


def storable(pages: Iterator[P]) -> Iterator[P]:
    """The same pages, with an Unreadable in place of a record that holds such text, and such text in an Unreadable
    replaced.

    Raises GaveUp when a cursor holds it."""
    for number, page in enumerate(pages, start=1):
        if isinstance(page, Page | StatusPage) and _CANNOT.search(page.cursor or ""):
            raise GaveUp(f"the cursor of page {number} holds text that cannot be stored")
        if isinstance(page, Page) and any(_broken(record) for record in page.records):
            records = tuple(_mended(record, number, place) for place, record in enumerate(page.records, start=1))
            yield replace(page, records=records)
        elif isinstance(page, StatusPage) and any(_broken(status) for status in page.statuses):
            statuses = tuple(_mended(status, number, place) for place, status in enumerate(page.statuses, start=1))
            yield replace(page, statuses=statuses)
        else:
            yield page


def _broken(record: Any) -> bool:
    return _CANNOT.search("".join(_texts(record))) is not None


def _texts(record: Any) -> Iterator[str]:
    kind = type(record)
    if kind not in _NAMES:
        _NAMES[kind] = tuple(field.name for field in fields(kind))
    for name in _NAMES[kind]:
        value = getattr(record, name)
        if type(value) is str:
            yield value
        elif isinstance(value, StaffRecord):
            yield from _texts(value)


def _mended(record: Any, page: int, place: int) -> Any:
    if not _broken(record):
        return record
    own = getattr(record, "source_id", None)
    name = own if own is not None and not _CANNOT.search(own) else None
    if isinstance(record, Unreadable):
        position, reason = (_CANNOT.sub("\N{REPLACEMENT CHARACTER}", text) for text in (record.position, record.reason))
        return replace(record, position=position, reason=reason, source_id=name)
    return Unreadable(
        f"page {page}, record {place}",
        f"a text in this {type(record).__name__} holds NUL or half a character: correct it in the source",
        repr(record).encode("utf-8", "backslashreplace")[:RAW_LIMIT],
        name,
    )
