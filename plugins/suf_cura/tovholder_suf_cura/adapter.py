"""The adapter: from reports to pages, oldest change first, and how a read goes on where it was cut off.

All reports of a course that are read are put together before anything is told of it, so a read holds each citizen's
plans and contacts (ids, dates, status) in memory. Over HTTP only what has changed since the cursor is fetched; a folder
is read whole each time, and what has not changed is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from datetime import datetime

import hub
from tovholder_suf_cura import fhir, wire
from tovholder_suf_cura.course import Course
from tovholder_suf_cura.report import Report
from tovholder_suf_cura.settings import CARE, SufSettings
from tovholder_suf_cura.wire import Bad

ALL, SOME, DONE = "all", "some", "done"
"""Where a cursor stands: in a read of everything, in a read of changes, at the end of either."""


@dataclass(frozen=True, slots=True)
class _Cursor:
    """What has been told: all that changed before `time`, and of what changed at that moment the first `told`, by their
    ids, of which `digest` is a digest: with others among them all of that moment is told again."""

    phase: str
    time: datetime
    told: int
    digest: str

    def __str__(self) -> str:
        return f"{self.phase} {self.time.isoformat()} {self.told} {self.digest}"


def _parse(since: str | None) -> _Cursor | None:
    """A cursor; None reads all, also for one that this version did not write, since a full read is never wrong."""
    try:
        phase, moment, told, digest = (since or "").split(" ")
        time = fhir.instant(moment)
        if phase not in (ALL, SOME, DONE) or time is None:
            return None
        return _Cursor(phase, time, int(told), digest)
    except (ValueError, hub.BadRecord):
        return None


def _digest(keys: list[str]) -> str:
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class _Thing:
    """A course, or a report that could not be read, in its place in the order."""

    time: datetime
    key: str
    found: Course | Bad


class SufAdapter:
    """Reads that citizens have a course, and who works on it. See SufSettings for what passes."""

    name = "suf_cura"

    def __init__(self, settings: SufSettings) -> None:
        self.settings = settings
        self.administration: str | None = settings.administration
        self._client = wire.connect(settings)
        self.reads: Set[tuple[str, str]] = wire.READS if self._client else frozenset()

    def presence(self, since: str | None) -> Iterator[hub.Page]:
        """Who has a course that is open, of all ages. One that is closed or was a mistake is Gone."""

        def told(found: Course | Bad) -> hub.Record | None:
            return found.record if isinstance(found, Bad) else found.presence()

        return self._pages(since, told)

    def read(self, since: str | None, children: Set[str]) -> Iterator[hub.Page]:
        """The courses of the children asked for, open and closed. A report that could not be read is left out when it
        is known to be about somebody else."""

        def told(found: Course | Bad) -> hub.Record | None:
            if isinstance(found, Bad):
                return None if found.numbers and not found.numbers & children else found.record
            return found.case() if found.latest.cpr in children else None

        return self._pages(since, told)

    def health(self) -> hub.Health:
        """Over HTTP asks for the server's CapabilityStatement."""
        if self._client is None:
            folder = self.settings.folder
            ok = folder is not None and folder.is_dir()
            return hub.Health(ok, "" if ok else f"the folder {folder} does not exist or is not a folder")
        try:
            self._client.send("GET", "metadata")
        except hub.TovholderError as error:
            return hub.Health(False, str(error))
        return hub.Health(True)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _pages(self, since: str | None, told: Callable[[Course | Bad], hub.Record | None]) -> Iterator[hub.Page]:
        start = _parse(since)
        timed, untimed = self._things(None if start is None or start.phase == ALL else start.time)
        if CARE not in self.settings.kinds:
            yield hub.Page((), None, complete=True, ignored=len(timed) + len(untimed))
            return
        phase = ALL if start is None or start.phase == ALL else SOME
        records: list[hub.Record] = []
        if start is None or start.phase == DONE:
            records = [record for bad in untimed if (record := told(bad)) is not None]
        place = _Place(start)
        for thing in timed:
            if not place.passes(thing, timed):
                continue
            if len(records) >= self.settings.page_size:
                yield hub.Page(tuple(records), place.cursor(phase))
                records = []
            place.go(thing)
            record = told(thing.found)
            if record is not None:
                records.append(record)
        yield hub.Page(tuple(records), place.cursor(DONE), complete=phase == ALL)

    def _things(self, since: datetime | None) -> tuple[list[_Thing], list[Bad]]:
        """What there is to tell of in its order, and reports of which not even the time could be read."""
        courses: dict[str, Course] = {}
        bad: list[Bad] = []
        for found in self._reports(since):
            if isinstance(found, Bad):
                bad.append(found)
            else:
                courses.setdefault(found.citizen, Course(found)).take(found)
        timed = [_Thing(course.changed, citizen, course) for citizen, course in courses.items()]
        timed += [_Thing(one.time, one.record.position, one) for one in bad if one.time is not None]
        return sorted(timed, key=lambda thing: (thing.time, thing.key)), [one for one in bad if one.time is None]

    def _reports(self, since: datetime | None) -> Iterator[Report | Bad]:
        if self._client is not None:
            yield from wire.search(self._client, since, self.settings.page_size)
        elif self.settings.folder is not None:
            yield from wire.from_folder(self.settings.folder)


class _Place:
    """How far a read has come in the order of things."""

    def __init__(self, start: _Cursor | None) -> None:
        self._start = start
        self._time = None if start is None else start.time
        self._keys: list[str] = []
        self._skip: set[str] | None = None

    def passes(self, thing: _Thing, all_things: list[_Thing]) -> bool:
        """Whether a thing has not been told by the read that the cursor is of."""
        start = self._start
        if start is None or thing.time > start.time:
            return True
        if thing.time < start.time:
            return False
        if self._skip is None:
            first = [one.key for one in all_things if one.time == start.time][: start.told]
            self._skip = set(first) if _digest(first) == start.digest else set()
            self._keys = first if self._skip else []
        return thing.key not in self._skip

    def go(self, thing: _Thing) -> None:
        if thing.time != self._time:
            self._time, self._keys = thing.time, []
        self._keys.append(thing.key)

    def cursor(self, phase: str) -> str | None:
        """None while nothing has been told ever: the next read reads all."""
        if self._time is None:
            return None
        if self._start is not None and self._time == self._start.time and not self._keys:
            return str(_Cursor(phase, self._time, self._start.told, self._start.digest))
        return str(_Cursor(phase, self._time, len(self._keys), _digest(self._keys)))
