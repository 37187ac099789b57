"""Where reports come from: a FHIR search, or a folder of files.

The search is `GET [base]/Bundle?_lastUpdated=ge…&_count=…`, FHIR's own way to ask for what has changed: the guide says
how reports are pushed to KL's gateway and names no way to fetch them, so this is what is asked of the source. The
answer is a searchset whose entries are delivery reports (or bundles of them), one for each citizen with a change since
the time, holding all that is current; `link[next]` leads on. A source that can only give what has changed is read from
files, where all reports of a course are seen together. No CPR number is in any address. A citizen is never searched
for by name or number.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from urllib.parse import urljoin

import hub
from tovholder_suf_cura import document, fhir
from tovholder_suf_cura.document import Found, Where
from tovholder_suf_cura.fhir import Resource
from tovholder_suf_cura.pieces import Json

READS = frozenset({("GET", "/Bundle"), ("GET", "/metadata")})
_HEADERS = {"Accept": "application/fhir+json"}
MOST_PAGES = 10_000
"""Pages that a search may have: at 500 reports to a page, more than Denmark has municipal citizens with a course."""
MOST_EMPTY = 50
"""Pages one after the other without a report that was not on one before."""
TRIES = 3
"""So many times a search is made whose result changes while it is read."""


def connect(settings: hub.SourceSettings) -> hub.ReadOnlyClient | None:
    if settings.url is None:
        return None
    return hub.ReadOnlyClient(str(settings.url), READS, timeout_seconds=settings.timeout_seconds, headers=_HEADERS)


def search(client: hub.ReadOnlyClient, since: datetime | None, count: int) -> Iterator[Found]:
    """The reports changed at `since` or later, all of them for None, read while they arrive. When the result changes
    while it is read, all of it comes again, so that a report that slipped from one page to another is not missed.

    Raises TryAgain when an answer is cut short or is no searchset, the pages do not end, or the result changes every
    time; NotAllowed when a next link leads elsewhere. What came before is good."""
    query = {"_count": str(count)}
    if since is not None:
        query["_lastUpdated"] = f"ge{since.astimezone(UTC).isoformat().replace('+00:00', 'Z')}"
    for _ in range(TRIES):
        result = _Result()
        yield from _pages(client, query, result)
        if not result.has_changed():
            return
    raise hub.TryAgain("the result of the search changed while it was read, every time; it will be read again")


class _Result:
    """What a search has given so far, to see whether it stayed the same while its pages were read."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._here: set[str] = set()
        self._unnamed = 0
        self._twice = False
        self._totals: set[float] = set()

    def entry(self, entry: Resource) -> None:
        if fhir.text(fhir.child(entry, "search"), "mode") in ("outcome", "include"):
            return
        resource = fhir.child(entry, "resource")
        own = fhir.text(resource, "id")
        name = fhir.text(entry, "fullUrl") or (own and f"{fhir.text(resource, 'resourceType')}/{own}")
        if name is None:
            self._unnamed += 1
        else:
            self._twice = self._twice or name in self._seen
            self._here.add(name)

    def page(self, outer: Resource) -> bool:
        """A page has come to its end; whether there was anything new on it."""
        total = outer.get("total")
        if isinstance(total, float):
            self._totals.add(total)
        new = bool(self._here - self._seen)
        self._seen |= self._here
        self._here = set()
        return new

    def has_changed(self) -> bool:
        """A report on two pages, another total, or fewer reports than the total: one may have moved to a page that had
        been read."""
        short = bool(self._totals) and len(self._seen) + self._unnamed < max(self._totals)
        return self._twice or len(self._totals) > 1 or short


def _pages(client: hub.ReadOnlyClient, query: dict[str, str], result: _Result) -> Iterator[Found]:
    address, asked, empty = "Bundle", set[str](), 0
    while address not in asked:
        params = None if asked else query
        asked.add(address)
        page = f"page {len(asked)}"
        with client.stream("GET", address, params=params) as response:
            outer = yield from _answer(Json(hub.ByteStream(response)), Where(page, page, each=result.entry))
            here = str(response.url)
        links = [link for link in fhir.children(outer, "link") if link.get("relation") == "next"]
        following = fhir.text(links[0], "url") if links else None
        empty = 0 if result.page(outer) else empty + 1
        if following is None:
            return
        if len(asked) >= MOST_PAGES or empty >= MOST_EMPTY:
            raise hub.TryAgain(
                f"the source's search does not end: {len(asked)} pages, the last {empty} with nothing new"
            )
        address = urljoin(here, following)
    raise hub.TryAgain("the next links of the source's search lead in a circle")


def _answer(text: Json, where: Where) -> Generator[Found, None, Resource]:
    """One page of a search; returns the searchset without its entries."""
    try:
        outer = yield from document.bundle(text, where)
    except hub.BadRecord as error:
        raise hub.TryAgain(f"the source's answer, {where.place}: {error}") from None
    if outer.get("resourceType") != "Bundle" or outer.get("type") != "searchset":
        raise hub.TryAgain("the source answered a search with something else than a searchset")
    return outer
