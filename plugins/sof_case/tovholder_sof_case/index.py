"""Reading Sags- og Dokumentindekset, in two ways.

As a log: Sager in the order of registration (StsTidspunkt), from the time of the
cursor on, less those of exactly that time that were given already. A case that changes while it is read moves to the
end and comes again; none is missed. The next read begins after the newest time seen.

By part: a first read of some children asks for their cases alone, some children to a search. What is the newest
registration is asked before that, and the next read, as a log, goes on from there.

Not written anywhere: whether the index counts results from 0 (taken here) or from 1. A wrong guess is an error when a
page ends between cases of the same time, never a missing case.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from lxml import etree

import hub
from tovholder_sof_case.pages import Filling, Now, Take, earlier, read_cursor, write_cursor
from tovholder_sof_case.sag import Sag
from tovholder_sof_case.search import CASE, PRESENCE, TIME, Search
from tovholder_sof_case.service import Service
from tovholder_sof_case.settings import SofSettings

_PLACE = "index"
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_TICK = timedelta(milliseconds=1)
"""How precise the format writes a time."""
_CASES_EACH = 4
"""How many cases a child may well have: so many children are asked for at a time that theirs fit in a page."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a read has come: all that was registered before `time`, and `given` of those registered at `time`, the
    last of them `last` (a digest of its UUID). In a read by part, `done` of `of` groups of children are done, and the
    rest says where the next read begins."""

    full: bool
    time: datetime | None = None
    given: int = 0
    last: str = ""
    done: int = 0
    of: int = 0
    due: datetime | None = None

    def cursor(self) -> str:
        time = None if self.time is None else self.time.isoformat()
        state = {"given": self.given, "last": self.last, "done": self.done, "of": self.of}
        return write_cursor(_PLACE, full=self.full, due=self.due, time=time, **state)

    def beside(self, page: Filling) -> Place:
        return replace(self, due=earlier(self.due, page.due))

    def after(self, met: list[_Met]) -> Place:
        """Where a read stands after a page of these. Raises GaveUp when they are not in order."""
        if not met:
            return self
        times = [each.time for each in met] if self.time is None else [self.time, *(each.time for each in met)]
        if any(later < before for before, later in pairwise(times)):
            raise hub.GaveUp("the index does not answer in order of registration: reading on could miss cases")
        time = met[-1].time
        given = sum(each.time == time for each in met) + (self.given if time == self.time else 0)
        return replace(self, time=time, given=given, last=met[-1].digest)

    def position(self, seen: int) -> str:
        """Of the case after `seen` ones of a page, for a message."""
        since = "the beginning" if self.time is None else self.time.isoformat()
        return f"registered from {since}, case {self.given + seen + 1}"

    def end(self) -> Place:
        """Where the next read begins: after all that was registered at `time`, if anything was."""
        time = self.time + _TICK if self.time is not None and self.given else self.time
        return Place(full=False, time=time, due=self.due)


@dataclass(frozen=True, slots=True)
class _Met:
    """A Sag of a page: when it was registered, and which it is."""

    time: datetime
    digest: str


class Index:
    """Reads the service at `url`: whole and since then as a log, the first time for some children by part."""

    def __init__(self, url: str, settings: SofSettings, now: Now) -> None:
        self._service = Service(url, settings)
        self._now = now
        self.reads = self._service.reads
        self._page_size = settings.page_size
        self._settings = settings

    def ask(self) -> None:
        """Ask how many cases there are, for none of them; raises TryAgain or GaveUp."""
        for _answer in self._service.search(Search(1)):
            pass

    def presence(self, since: str | None, take: Take) -> Iterator[hub.Page]:
        """All Sager registered since the cursor, as the index cuts them into pages."""
        start = self._start(since)
        return self._log(start if start is not None and not start.of else Place(full=True), take, PRESENCE)

    def cases(self, since: str | None, take: Take, children: Set[str]) -> Iterator[hub.Page]:
        """The Sager of these children: in a full read theirs alone, otherwise out of all registered since."""
        start = self._start(since)
        if start is None or start.of:
            return self._by_part(start, take, children)
        return self._log(start, take, CASE)

    def _log(self, start: Place, take: Take, vis: tuple[str, ...]) -> Iterator[hub.Page]:
        for page, place, last in self._walk(start, take, Search(self._page_size, vis)):
            yield page.page(place.end().cursor() if last else place.cursor(), complete=last and place.full)

    def _by_part(self, start: Place | None, take: Take, children: Set[str]) -> Iterator[hub.Page]:
        """A page for each group of children. Whatever changes meanwhile comes again with the next read, which begins
        at what was the newest registration before this one."""
        size = min(self._settings.children_per_search, max(1, self._page_size // _CASES_EACH))
        place = start or replace(self._newest(), full=True, of=max(1, -(-len(children) // size)))
        while place.done < place.of:
            numbers = sorted(number for number in children if _group(number, place.of) == place.done)
            place = replace(place, done=place.done + 1)
            last = place.done == place.of
            page = Filling()
            for at in range(0, len(numbers), size):
                parts = tuple(
                    f"{prefix}{number}" for number in numbers[at : at + size] for prefix in self._settings.persons
                )
                self._together(page, parts, take, f"group {place.done} of {place.of} children")
            place = place.beside(page)
            if page.seen or last:
                yield page.page(place.end().cursor() if last else place.cursor(), complete=last)

    def _newest(self) -> Place:
        """Where a read goes on after all that is there now."""
        place = Place(full=True)
        for answer in self._service.search(Search(1, TIME, newest=True)):
            if not isinstance(answer, int):
                place = place.after([self._meet(answer, None)])
        return place

    def _together(self, page: Filling, parts: tuple[str, ...], take: Take, where: str) -> None:
        """Fill a page with all Sager in which one of `parts` is Primær part. When the answer is not sure to hold all
        of them, the parts are asked for by halves; one alone is read page by page."""
        search = Search(self._page_size, CASE, parts=parts, role=self._settings.roles.primaer_part)
        if len(parts) == 1:
            for some, _place, _last in self._walk(Place(full=True), take, search):
                page.join(some)
            return
        found, total = Filling(), -1
        for answer in self._service.search(search):
            if not isinstance(answer, int):
                found.add(take(answer, f"{where}, case {page.seen + found.seen + 1}"))
            elif answer > self._page_size:
                break
            else:
                total = answer
        if found.seen == total:
            page.join(found)
        else:
            half = len(parts) // 2
            self._together(page, parts[:half], take, where)
            self._together(page, parts[half:], take, where)

    def _walk(self, place: Place, take: Take, search: Search) -> Iterator[tuple[Filling, Place, bool]]:
        """The pages of a search from a place on, the place after each, and whether it is the last."""
        moved: Place | None = None
        while True:
            page = Filling()
            found = self._fill(page, place, take, search)
            if found is None:
                if moved is not None and moved.time == place.time:
                    raise hub.TryAgain("the index gives other cases at the same place: reading on could miss some")
                moved = place
                place = replace(place, given=0, last="")
                continue
            place, last = found
            place = place.beside(page)
            yield page, place, last
            if last:
                return

    def _fill(self, page: Filling, place: Place, take: Take, search: Search) -> tuple[Place, bool] | None:
        """Fill a page from a place; give the place after it, and whether it is the last.

        The last case given is asked for again, as the first. None when another stands there: cases of its time have
        moved to the end since then, and others have slid over the edge between the pages, so all of that time must be
        read again."""
        again = place.given > 0
        met: list[_Met] = []
        total: int | None = None
        asked = replace(search, count=search.count + again, since=place.time, first=max(place.given - 1, 0))
        for answer in self._service.search(asked):
            if isinstance(answer, int):
                total = answer
            elif again:
                if self._meet(answer, place.time) != _Met(place.time or _BEGINNING, place.last):
                    return None
                again = False
            else:
                met.append(self._meet(answer, met[-1].time if met else place.time))
                page.add(take(answer, place.position(page.seen)))
        if again:
            return None
        # A short page may be the index's own limit: only its count, or an empty page, ends a read.
        counted = total is None or place.given + len(met) >= total
        if not met and not counted:
            raise hub.TryAgain("the index counts more cases than it gives: reading on would miss some")
        return place.after(met), not met or (total is not None and counted and len(met) < search.count)

    def _start(self, since: str | None) -> Place | None:
        """Where a cursor says to go on; None, which means read all, where it says nothing we understand."""
        state = read_cursor(_PLACE, since, self._now())
        if state is None:
            return None
        try:
            time = None if state["time"] is None else datetime.fromisoformat(state["time"])
            given, done, of = (int(state[name]) for name in ("given", "done", "of"))
            place = Place(state["full"], time, given, str(state["last"]), done, of, state["due"])
        except (KeyError, TypeError, ValueError):
            return None
        overlap = timedelta(seconds=self._settings.overlap_seconds)
        if time is None or place.full or place.given or not overlap:
            return place
        return replace(place, time=time - overlap)

    def _meet(self, element: etree._Element, otherwise: datetime | None) -> _Met:
        """When a Sag was registered, and which it is. One that does not say stands where it came."""
        sag = Sag(element, self._settings, self._now())
        try:
            time, name = sag.registered, sag.uuid
        except hub.BadRecord:
            time, name = None, ""
        return _Met(time or otherwise or _BEGINNING, hashlib.blake2b(name.encode(), digest_size=6).hexdigest())


def _group(number: str, of: int) -> int:
    """In which of `of` groups a child is: the same whoever else is asked for, so that a read can be taken up again
    from how many groups are done, which tells nothing of anybody."""
    return int.from_bytes(hashlib.blake2b(number.encode(), digest_size=8).digest()) % of
