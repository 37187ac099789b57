"""From a JSON document to reports and resources that stand alone, while it is read.

A document is a bundle or one resource. A bundle is a report about one citizen, or holds reports, to any depth in
reason, or is a bundle of single resources (an answer to a search, a transaction). Kinds of resource that are not used
are passed over as they come.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import hub
from tovholder_suf_cura import fhir, report
from tovholder_suf_cura.fhir import Resource
from tovholder_suf_cura.pieces import Json, Twice
from tovholder_suf_cura.pool import Bad, Loose
from tovholder_suf_cura.report import Report

Found = Report | Bad | Loose
SINGLES = {
    "searchset", "history", "batch", "transaction", "batch-response", "transaction-response"
}  # fmt: skip
"""Bundle.type of bundles whose entries have nothing to do with each other."""
_READ = {"Bundle", "OperationOutcome", *report.USED}
"""What is decoded at all, where a resource says first what it is, as nearly all do."""
_DEEPEST = 4
"""Bundles within bundles: a search answer, a delivery and a report are three."""
_MOST = 10_000
"""Entries of a report that are looked at; one citizen's has some hundred at the most."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(slots=True)
class _Bundle:
    """A bundle as far as it has been read: its own members, entries that are not bundles, and reports in it that do not
    say when they were made, and wait for the bundle to say it."""

    place: str
    members: Resource
    entries: list[Resource] = field(default_factory=list)
    waiting: list[_Bundle] = field(default_factory=list)
    full: bool = False

    def time(self) -> datetime | None:
        """When a delivery was put together. The time of a search says nothing about its entries."""
        try:
            return None if self.members.get("type") == "searchset" else report.time_of(self.members)
        except hub.BadRecord:
            return None


@dataclass(frozen=True, slots=True)
class Where:
    """Where a document stands: its place and file by name or number, when single resources in it were last changed if
    they do not say, and who wants to see each entry of the outermost bundle (`fullUrl`, `search`, `resource`)."""

    place: str
    file: str
    time: datetime | None = None
    each: Callable[[Resource], None] | None = None


def read(text: Json, where: Where) -> Iterator[Found]:
    """What a document holds: a bundle, or a resource that stands alone.

    Raises BadRecord when it is cut short or not well formed: what came before has been given."""
    members = yield from bundle(text, where)
    kind = members.get("resourceType")
    if not isinstance(kind, str):
        yield Bad(hub.Unreadable(where.place, "no FHIR resource: resourceType is missing"))
    elif kind == "OperationOutcome":
        yield Bad(hub.Unreadable(where.place, "an error of the source (OperationOutcome) instead of its answer"))
    elif kind != "Bundle":
        yield Loose({"resource": members}, where.place, where.file, where.time)


def bundle(text: Json, where: Where) -> Generator[Found, None, Resource]:
    """What is in a bundle, if the document is one; returns its own members. Raises as `read`."""
    own = _Bundle(where.place, {})
    yield from _resource(text, own, None, where, 1)
    for late in own.waiting:
        yield from _reports(late, None)
    return own.members


def _resource(text: Json, own: _Bundle, outer: _Bundle | None, where: Where, depth: int) -> Iterator[Found]:
    """One resource into `own`; what is in it, if it is a bundle, comes out."""
    if text.peek() != "{":
        text.value()
        return
    name, kind = text.first_member() or ("", "")
    if name == "resourceType" and kind not in _READ:
        own.members = {name: kind}
        text.skip()
        return
    for name in text.names():
        if name in own.members:
            own.members = Twice(own.members)
        if name == "entry" and text.peek() == "[" and depth <= _DEEPEST:
            own.members[name] = True
            for place in text.elements():
                if own.full:
                    text.skip()
                    continue
                yield from _entry(text, own, f"{own.place}, entry {place}", where, depth)
        else:
            own.members[name] = text.value()
    if own.members.get("resourceType") != "Bundle":
        return
    if depth > _DEEPEST:
        yield Bad(hub.Unreadable(own.place, "bundles within bundles too deep"))
    elif own.full:
        yield Bad(hub.Unreadable(own.place, f"a report with more than {_MOST} plans, contacts and persons"))
    elif fhir.text(own.members, "type") in SINGLES:
        yield from (Loose(entry, own.place, where.file, own.time() or where.time) for entry in own.entries)
    else:
        time = own.time() or (outer.time() if outer is not None else None)
        if time is None and outer is not None and len(outer.waiting) < _MOST:
            outer.waiting.append(own)
        else:
            yield from _reports(own, time)


def _reports(own: _Bundle, time: datetime | None) -> Iterator[Found]:
    """The report that a bundle is, and those in it that waited for a time."""
    for late in own.waiting:
        yield from _reports(late, own.time() or time)
    own.waiting = []
    if own.entries or own.members.get("entry") not in (None, True):
        found = _report(own.members, own.entries, own.place, time)
        if found is not None:
            yield found


def _entry(text: Json, own: _Bundle, place: str, where: Where, depth: int) -> Iterator[Found]:
    """One entry of a bundle, into it or out of it."""
    if text.peek() != "{":
        text.value()
        yield Bad(hub.Unreadable(place, "an entry holds no resource"))
        return
    entry, inner = Resource(), _Bundle(place, {})
    for name in text.names():
        if name == "resource":
            yield from _resource(text, inner, own, where, depth + 1)
            entry[name] = inner.members
        else:
            entry[name] = text.value()
    if depth == 1 and where.each is not None:
        where.each(entry)
    kind = fhir.text(inner.members, "resourceType")
    deleted = _deleted(entry) if kind is None else None
    if kind is None and deleted is None:
        if "response" not in entry and "request" not in entry:
            yield Bad(hub.Unreadable(place, "an entry holds no resource"))
    elif kind in report.USED or deleted is not None:
        entry = deleted or {name: entry[name] for name in ("fullUrl", "resource") if name in entry}
        if fhir.text(own.members, "type") in SINGLES:
            yield Loose(entry, place, where.file, own.time() or where.time)
        elif len(own.entries) < _MOST:
            own.entries.append(entry)
        else:
            own.full, own.entries = True, own.entries[:1]


def _deleted(entry: Resource) -> Resource | None:
    """An entry that says a resource was deleted, as one that says it was a mistake."""
    request = fhir.child(entry, "request")
    kind, _, name = fhir.key(fhir.text(request, "url") or "").partition("/")
    if request.get("method") != "DELETE" or kind not in report.USED or not name:
        return None
    gone = {"resourceType": kind, "id": name, "status": "entered-in-error", "active": False}
    return {"resource": gone}


def _report(bundle: Resource, entries: list[Resource], place: str, time: datetime | None) -> Report | Bad | None:
    try:
        return report.read(bundle, entries, time)
    except report.Foreign as error:
        return Bad(hub.Unreadable(place, str(error)), missing=False)
    except hub.BadRecord as error:
        return _bad(bundle, entries, place, time, str(error))


def _bad(bundle: Resource, entries: list[Resource], place: str, time: datetime | None, reason: str) -> Bad:
    try:
        at = report.time_of(bundle) or time
    except hub.BadRecord:
        at = time
    resources = [fhir.child(entry, "resource") for entry in entries]
    named = {name: one for entry, one in zip(entries, resources, strict=True) for name in fhir.names(entry, one)}
    citizens = report.who(bundle, resources, named, at).citizens
    own = fhir.text(bundle, "id")
    # By its own id a report is the same one in every search; its place changes. Another than a UUID may be personal.
    known = own is not None and _UUID.fullmatch(own)
    try:
        (patient,) = citizens
        entry = next(entry for entry in entries if fhir.child(entry, "resource") is patient)
        source_id = report.citizen(entry, patient)
    except (ValueError, hub.BadRecord):
        source_id = None
    raw = report.skeleton(bundle, resources, citizens)
    numbers = frozenset(number for one in citizens for number in report.values(one))
    record = hub.Unreadable(f"report {own}" if known else place, reason, raw, source_id)
    return Bad(record, at, numbers, missing=source_id is None)
