"""Reading DUBU over HTTP: `GET odata/Sag`, and nothing else. Other addresses of DUBU write (`POST api/aktiviteter`,
`PATCH api/sager`); they are not among `reads`.

DUBU does not say what has changed since a time, so every read is a full one. It gives the newest case first, and pages
by how many to skip: a case that is opened or deleted while it is read moves all others. So each page begins a few cases
before the last one given, which must be found in it; otherwise the read begins anew.

Which sign-in a program gets is not known (people sign in with OIOSAML in a browser): `url` is that of the
municipality's own gateway, which adds it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import hub
from tovholder_sof_case.dubu import cases_in
from tovholder_sof_case.pages import Filling, Now, TakeObject, read_cursor, write_cursor
from tovholder_sof_case.settings import SofSettings

_PLACE = "dubu"
_OVERLAP = 10
_ANEW = 5
"""How often a read may begin anew before it gives up for now."""
_MOST = 2_000_000
"""More cases than any municipality has: a list that goes on is one without end."""
_OWN = "id,sagsnummer,sagstype,isSensitive,tvang"
_PRESENCE = "primaerPerson($select=cprnr),status($select=brugervendtNoegle)"
_CASE = f"{_PRESENCE},primaerBehandler($select=navn,email),foerstkommendeFrist($select=fristDato)"
"""What is asked for of each case: no title, no name of a child, no content."""


@dataclass(frozen=True, slots=True)
class _Place:
    """How many cases were given, the last of them `last` (a digest of its id)."""

    given: int = 0
    last: str = ""

    def cursor(self) -> str:
        return write_cursor(_PLACE, full=True, given=self.given, last=self.last)


class DubuService:
    """DUBU at `url`, the address above `odata/Sag`."""

    reads: frozenset[tuple[str, str]] = frozenset({("GET", "/odata/Sag")})

    def __init__(self, url: str, settings: SofSettings, now: Now) -> None:
        self._client = hub.ReadOnlyClient(url, self.reads, timeout_seconds=settings.timeout_seconds)
        self._page_size = settings.page_size
        self._now = now

    def ask(self) -> None:
        """Ask for one case's id; raises TryAgain or GaveUp."""
        self._send({"$select": "id", "$top": "1"})

    def pages(self, since: str | None, take: TakeObject, *, adviser: bool) -> Iterator[hub.Page]:
        """All cases, the newest first. `adviser`: also who works on them, and their deadlines."""
        place, anew, seen = self._start(since), 0, set[str]()
        while True:
            found = self._next(place, _CASE if adviser else _PRESENCE)
            if found is None:
                anew += 1
                if anew > _ANEW:
                    raise hub.TryAgain("DUBU's list of cases changes faster than it can be read")
                place = _Place()
                continue
            some, last = found
            digests = {_digest(each) for each in some}
            if (some and digests <= seen and not anew) or place.given > _MOST:
                raise hub.TryAgain("DUBU's list of cases comes round again, or has no end")
            seen |= digests
            page = Filling()
            for fields in some:
                page.add(take(fields, f"case {place.given + page.seen + 1} of odata/Sag"))
            if last:
                yield page.page(None, complete=True)
                return
            place = _Place(place.given + len(some), _digest(some[-1]))
            yield page.page(place.cursor())

    def _next(self, place: _Place, expand: str) -> tuple[list[Any], bool] | None:
        """The cases after a place, and whether they are the last; None when the place is not to be found."""
        skip = max(place.given - _OVERLAP, 0)
        answer = self._send(
            {
                "$select": _OWN,
                "$expand": expand,
                "$orderby": "id desc",
                "$top": str(place.given - skip + self._page_size),
                "$skip": str(skip),
                "$count": "true",
            }
        )
        found = cases_in(answer)
        given = 0
        if place.given:
            digests = [_digest(each) for each in found]
            if place.last not in digests:
                return None
            given = digests.index(place.last) + 1
        some, total = found[given:], _total(answer)
        whole = total is not None and skip + len(found) >= total
        if not some and total is not None and not whole:
            raise hub.TryAgain("DUBU counts more cases than it gives: reading on would miss some")
        return some, not some or whole

    def _start(self, since: str | None) -> _Place:
        state = read_cursor(_PLACE, since, self._now())
        if state is None or not isinstance(state.get("given"), int) or not isinstance(state.get("last"), str):
            return _Place()
        return _Place(max(state["given"], 0), state["last"])

    def _send(self, query: dict[str, str]) -> Any:
        asked = {**query, "$format": "application/json;odata.metadata=none"}
        return hub.json_value(self._client.send("GET", "odata/Sag", params=asked).content)


def _digest(fields: Any) -> str:
    """Which case it is. One without an id is any."""
    own = fields.get("id") if isinstance(fields, dict) else None
    return hashlib.blake2b(repr(own).encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def _total(answer: Any) -> int | None:
    """How many cases there are in all; its name is less sure with odata.metadata=none."""
    for name in ("@odata.count", "odata.count", "count"):
        if isinstance(answer.get(name), int) and not isinstance(answer[name], bool):
            return int(answer[name])
    return None
