"""Reading FHIR JSON that may be anything: in pieces, with values of the wrong type taken as absent, and its dates.

Source: HL7 FHIR R4 (4.0.1), JSON format, references and date types.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import hub

DENMARK = ZoneInfo("Europe/Copenhagen")
PIECE = 64 * 1024
"""Bytes read at a time."""
LARGEST = 32 * 1024 * 1024
"""Characters one entry may have; a citizen's report has some tens of thousands."""
_AFTER = " \t\r\n,]}"
"""What may stand after a number."""
_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(T.+)?)?)?", re.ASCII)

Resource = dict[str, Any]


class Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


def members(stream: Readable) -> Iterator[tuple[str, Any]]:
    """The members of a document's outer object in their order; of `entry` each element by itself, as ("entry",
    element), so that memory stays flat however many there are.

    Raises TryAgain when the document is cut short or is no JSON object: what came before has been given."""
    text = _Text(stream)
    text.expect("{")
    if text.take("}"):
        return
    while True:
        name = text.value()
        if not isinstance(name, str):
            raise text.error()
        text.expect(":")
        if name == "entry" and text.take("["):
            if not text.take("]"):
                yield "entry", text.value()
                while text.take(","):
                    yield "entry", text.value()
                text.expect("]")
        else:
            yield name, text.value()
        if not text.take(","):
            break
    text.expect("}")


class _Text:
    """A stream as text of which the part not yet used is held."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self._json = json.JSONDecoder()
        self._held, self._at, self._ended = "", 0, False
        self.values = 0

    def _more(self) -> bool:
        """Read on; more at a time the more is held, so that a long value is not tried again and again."""
        if self._ended or len(self._held) - self._at > LARGEST:
            return False
        piece = self._stream.read(max(PIECE, len(self._held) - self._at))
        self._ended = not piece
        try:
            self._held = self._held[self._at :] + self._decode.decode(piece, final=self._ended)
        except UnicodeDecodeError:
            raise self.error() from None
        self._at = 0
        return True

    def error(self) -> hub.TryAgain:
        return hub.TryAgain(f"not well-formed JSON after value {self.values} of the document")

    def take(self, wanted: str) -> bool:
        """Whether the next character that is not space is `wanted`; if so, go past it."""
        while True:
            while self._at < len(self._held) and self._held[self._at] in " \t\r\n":
                self._at += 1
            if self._at < len(self._held):
                break
            if not self._more():
                return False
        if self._held[self._at] != wanted:
            return False
        self._at += 1
        return True

    def expect(self, wanted: str) -> None:
        if not self.take(wanted):
            raise self.error()

    def value(self) -> Any:
        self.take("")  # past the space before it
        while True:
            try:
                value, end = self._json.raw_decode(self._held, self._at)
            except ValueError:
                pass  # cut off here, or wrong: what comes next shows which
            except RecursionError:
                raise self.error() from None
            else:
                # A number at the end of what is held may go on.
                if end < len(self._held) and (self._held[end] in _AFTER or not isinstance(value, int | float)):
                    self._at, self.values = end, self.values + 1
                    return value
            if not self._more():
                raise self.error()


def text(resource: Any, name: str) -> str | None:
    """A member that is text and not empty, or None."""
    value = resource.get(name) if isinstance(resource, dict) else None
    return value.strip() or None if isinstance(value, str) else None


def child(resource: Any, name: str) -> Resource:
    """A member that is an object; an empty one where there is none."""
    value = resource.get(name) if isinstance(resource, dict) else None
    return value if isinstance(value, dict) else {}


def children(resource: Any, name: str) -> list[Resource]:
    """The objects in a member that is a list (or one object alone)."""
    value = resource.get(name) if isinstance(resource, dict) else None
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def names(entry: Resource, resource: Resource) -> set[str]:
    """What a reference may call the resource of an entry: the entry's address, or its kind and id."""
    kind, own, address = text(resource, "resourceType"), text(resource, "id"), text(entry, "fullUrl") or ""
    found = {address, f"{kind}/{own}" if kind and own else ""}
    if address.startswith(("http:", "https:")):
        found.add("/".join(address.split("/")[-2:]))
    return found - {""}


def find(named: dict[str, Resource], pointer: str | None) -> Resource | None:
    """The resource a reference points to (`Patient/1`, `https://…/Patient/1/_history/2`, `urn:uuid:…`, `#1`)."""
    if pointer is None:
        return None
    whole = pointer.partition("/_history/")[0]
    return named.get(whole) or named.get("/".join(whole.split("/")[-2:]))


def instant(value: str | None) -> datetime | None:
    """An instant as an aware time in UTC; None when absent.

    Raises BadRecord when it is no time or has no time zone."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise hub.BadRecord("a time of the report is no FHIR instant") from None
    if moment.tzinfo is None:
        raise hub.BadRecord("a time of the report has no time zone")
    return moment.astimezone(UTC)


def days(value: str | None, what: str) -> tuple[date, date] | None:
    """The first and the last day that a FHIR date or dateTime may mean, in Danish time: of 2021-02 it is 1 and 28
    February, of a whole date twice the same.

    Raises BadRecord when it is no date."""
    if value is None:
        return None
    found = _DATE.fullmatch(value)
    try:
        if found is None:
            raise ValueError
        year, month, day, time = found.groups()
        if time is not None:
            moment = datetime.fromisoformat(value)
            whole = (moment if moment.tzinfo is None else moment.astimezone(DENMARK)).date()
            return whole, whole
        first = date(int(year), int(month or 1), int(day or 1))
    except (ValueError, OverflowError):
        raise hub.BadRecord(f"{what} is no FHIR date") from None
    if day is not None:
        return first, first
    if month is not None:
        return first, (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return first, date(first.year, 12, 31)
