"""Reading FHIR resources that may be anything: values of the wrong type are taken as absent; references and dates.

Source: HL7 FHIR R4 (4.0.1), references and date types.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import hub
from tovholder_suf_cura.pieces import Twice

DENMARK = ZoneInfo("Europe/Copenhagen")
_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(T.+)?)?)?", re.ASCII)
_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Characters that no text has, and that a database or an encoder refuses."""

Resource = dict[str, Any]


def text(resource: Any, name: str) -> str | None:
    """A member that is text and not empty, or None."""
    value = resource.get(name) if isinstance(resource, dict) else None
    if not isinstance(value, str) or _NO_TEXT.search(value):
        return None
    return value.strip() or None


def child(resource: Any, name: str) -> Resource:
    """A member that is an object; an empty one where there is none."""
    value = resource.get(name) if isinstance(resource, dict) else None
    return value if isinstance(value, dict) else {}


def children(resource: Any, name: str) -> list[Resource]:
    """The objects in a member that is a list (or one object alone)."""
    value = resource.get(name) if isinstance(resource, dict) else None
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def twice(value: Any) -> bool:
    """Whether a name stands twice anywhere in a value: what it says is not certain then."""
    if isinstance(value, dict):
        return isinstance(value, Twice) or any(twice(one) for one in value.values())
    return isinstance(value, list) and any(twice(one) for one in value)


def key(pointer: str) -> str:
    """A reference in the form in which things are found: `Patient/1` of an address, `urn:uuid:…` and `#1` as they are.
    The version at its end is left out."""
    whole = pointer.partition("/_history/")[0]
    if whole[:4].lower() == "urn:":
        return whole.lower()
    return "/".join(whole.split("/")[-2:])


def names(entry: Resource, resource: Resource) -> Iterator[str]:
    """What a reference may call the resource of an entry, in the form of `key`: its kind and id, the entry's
    address."""
    kind, own, address = text(resource, "resourceType"), text(resource, "id"), text(entry, "fullUrl")
    if kind and own:
        yield f"{kind}/{own}"
        yield f"urn:uuid:{own}".lower()
    if address:
        yield key(address)


def find(named: Mapping[str, Resource], pointer: str | None) -> Resource | None:
    """The resource a reference points to (`Patient/1`, `https://…/Patient/1/_history/2`, `urn:uuid:…`, `#1`)."""
    return None if pointer is None else named.get(key(pointer))


def reference(resource: Any, name: str) -> str | None:
    """Where a member that is a reference points."""
    return text(child(resource, name), "reference")


def instant(value: str | None) -> datetime | None:
    """An instant as an aware time in UTC; None when absent.

    Raises BadRecord when it is no time or has no time zone."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise hub.BadRecord("a time of the report has no time zone")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise hub.BadRecord("a time of the report is no FHIR instant") from None


@lru_cache(maxsize=10_000)
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
        if day is not None:
            return first, first
        if month is not None:
            return first, first.replace(day=calendar.monthrange(first.year, first.month)[1])
        return first, date(first.year, 12, 31)
    except (ValueError, OverflowError):
        raise hub.BadRecord(f"{what} is no FHIR date") from None
