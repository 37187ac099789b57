"""Where reports come from: a FHIR search, or a folder of files.

The search is `GET [base]/Bundle?_lastUpdated=ge…&_count=…`, FHIR's own way to ask for what has changed: the guide says
how reports are pushed to KL's gateway and names no way to fetch them, so this is what is asked of the source. The
answer is a searchset whose entries are delivery reports (or bundles of them), one for each citizen with a change since
the time, holding all that is current; `link[next]` leads on. A source that can only give what has changed is read from
files, where all reports of a course are seen together. No CPR number is in any address. A citizen is never searched
for by name or number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import hub
from tovholder_suf_cura import fhir, report
from tovholder_suf_cura.fhir import Readable, Resource
from tovholder_suf_cura.report import Report

READS = frozenset({("GET", "/Bundle"), ("GET", "/metadata")})
_HEADERS = {"Accept": "application/fhir+json"}
_DEEPEST = 4
"""Bundles within bundles: a search answer, a delivery and a report are three."""
_LIKE_A_NUMBER = re.compile(r"\d{6}-?\d{4}")


@dataclass(frozen=True, slots=True)
class Bad:
    """A report that could not be read. `time` and `numbers` (CPR numbers in it) as far as they could."""

    record: hub.Unreadable
    time: datetime | None
    numbers: frozenset[str]


def connect(settings: hub.SourceSettings) -> hub.ReadOnlyClient | None:
    if settings.url is None:
        return None
    return hub.ReadOnlyClient(str(settings.url), READS, timeout_seconds=settings.timeout_seconds, headers=_HEADERS)


def search(client: hub.ReadOnlyClient, since: datetime | None, count: int) -> Iterator[Report | Bad]:
    """The reports changed at `since` or later, all of them for None, read while they arrive.

    Raises TryAgain when an answer is cut short or is no searchset, NotAllowed when a next link leads elsewhere."""
    query = {"_count": str(count)}
    if since is not None:
        query["_lastUpdated"] = f"ge{since.astimezone(UTC).isoformat().replace('+00:00', 'Z')}"
    address, seen = "Bundle", set[str]()
    while address not in seen:
        params = None if seen else query
        seen.add(address)
        with client.stream("GET", address, params=params) as response:
            outer = Resource()
            yield from _document(hub.ByteStream(response), f"page {len(seen)}", outer)
        if outer.get("resourceType") != "Bundle" or outer.get("type") != "searchset":
            raise hub.TryAgain("the source answered a search with something else than a searchset")
        links = [link for link in fhir.children(outer, "link") if link.get("relation") == "next"]
        following = fhir.text(links[0], "url") if links else None
        if following is None:
            return
        address = following
    raise hub.TryAgain("the next links of the source's search lead in a circle")


def from_folder(folder: Path) -> Iterator[Report | Bad]:
    """The reports in a folder's files, by file name and place.

    Raises TryAgain when a file is cut short, GaveUp when the folder is not there."""
    for place, path in enumerate(hub.files(folder, "*.json"), start=1):
        name = str(path.relative_to(folder))
        with path.open("rb") as stream:
            yield from _document(stream, f"file {place}" if _LIKE_A_NUMBER.search(name) else name, Resource())


def _document(stream: Readable, place: str, outer: Resource) -> Iterator[Report | Bad]:
    """The reports in one document; its own members but the entries are put into `outer`."""
    own: list[Resource] = []
    number = 0
    for name, value in fhir.members(stream):
        if name != "entry":
            outer[name] = value
            continue
        number += 1
        resource = fhir.child(value, "resource")
        kind = fhir.text(resource, "resourceType")
        if kind == "Bundle":
            yield from _bundle(resource, f"{place}, entry {number}", _delivered(outer), 1)
        elif kind is None:
            yield Bad(hub.Unreadable(f"{place}, entry {number}", "an entry holds no resource"), None, frozenset())
        elif kind in report.USED:
            own.append(value)
    if outer.get("resourceType") != "Bundle":
        yield Bad(hub.Unreadable(place, "the document is no Bundle"), None, frozenset())
    elif own:
        yield _report(outer, own, place, None)


def _delivered(outer: Resource) -> datetime | None:
    """When a delivery was put together, for reports in it that do not say themselves when they were made. The time of
    a search says nothing about its entries."""
    try:
        return None if outer.get("type") == "searchset" else report.time_of(outer)
    except hub.BadRecord:
        return None


def _bundle(bundle: Resource, place: str, time: datetime | None, depth: int) -> Iterator[Report | Bad]:
    """A report, or a bundle of reports."""
    entries = fhir.children(bundle, "entry")
    inner = [(n, fhir.child(entry, "resource")) for n, entry in enumerate(entries, start=1)]
    own = [entry for entry in entries if fhir.child(entry, "resource").get("resourceType") != "Bundle"]
    for number, resource in inner:
        if resource.get("resourceType") == "Bundle":
            if depth >= _DEEPEST:
                yield Bad(hub.Unreadable(place, "bundles within bundles too deep"), None, frozenset())
                return
            yield from _bundle(resource, f"{place}, entry {number}", _delivered(bundle) or time, depth + 1)
    if own or (bundle.get("entry") and not entries):
        yield _report(bundle, own, place, time)


def _report(bundle: Resource, entries: list[Resource], place: str, time: datetime | None) -> Report | Bad:
    try:
        return report.read(bundle, entries, time)
    except hub.BadRecord as error:
        name = fhir.text(bundle, "id")
        # By its own id a report is the same one in every search; its place changes.
        known = name is not None and re.fullmatch(r"[A-Za-z0-9.\-]{1,64}", name) and not _LIKE_A_NUMBER.search(name)
        record = hub.Unreadable(f"report {name}" if known else place, str(error), report.skeleton(bundle, entries))
        try:
            at = report.time_of(bundle) or time
        except hub.BadRecord:
            at = time
        return Bad(record, at, frozenset(report.numbers(entries)))
