"""The adapter: from reports to pages, oldest change first.

All reports of a course that are read are put together before anything is told of it. Over HTTP only what has changed
since the cursor is fetched. A folder is read when a file in it has changed, and then whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from pathlib import Path

import hub
from tovholder_suf_cura import folder, wire
from tovholder_suf_cura.course import Course
from tovholder_suf_cura.cursor import ALL, DONE, SOME, Count, Place
from tovholder_suf_cura.gather import Gathered, Thing, gather
from tovholder_suf_cura.pool import Bad
from tovholder_suf_cura.settings import CARE, SufSettings

Told = Callable[[Course | hub.Gone | Bad], hub.Record | None]


class SufAdapter:
    """Reads that citizens have a course, and who works on it. See SufSettings for what passes."""

    name = "suf_cura"

    def __init__(self, settings: SufSettings) -> None:
        self.settings = settings
        self.administration: str | None = settings.administration
        self._client = wire.connect(settings)
        self.reads: Set[tuple[str, str]] = wire.READS if self._client else frozenset()

    def presence(self, since: str | None) -> Iterator[hub.Page]:
        """Who has a course that is open, or has applied for one, of all ages. One that is closed or was a mistake is
        Gone."""

        def told(found: Course | hub.Gone | Bad) -> hub.Record | None:
            if isinstance(found, Course):
                return found.presence()
            return found.record if isinstance(found, Bad) else found

        return self._pages(since, told)

    def read(self, since: str | None, children: Set[str]) -> Iterator[hub.Page]:
        """The courses of the children asked for, open and closed. A report that could not be read is left out when it
        is known to be about somebody else."""

        def told(found: Course | hub.Gone | Bad) -> hub.Record | None:
            if isinstance(found, Bad):
                return None if found.numbers and not found.numbers & children else found.record
            if isinstance(found, hub.Gone):
                return found
            # Of a deletion alone nobody knows whose course it was.
            return found.case() if found.latest.cpr in children or not found.latest.cpr else None

        return self._pages(since, told)

    def health(self) -> hub.Health:
        """Over HTTP asks for the server's CapabilityStatement."""
        if self._client is None:
            place = self.settings.folder
            ok = place is not None and place.is_dir()
            return hub.Health(ok, "" if ok else f"the folder {place} does not exist or is not a folder")
        try:
            answer = hub.json_value(self._client.send("GET", "metadata").content)
        except hub.TovholderError as error:
            return hub.Health(False, str(error))
        ok = isinstance(answer, dict) and answer.get("resourceType") == "CapabilityStatement"
        return hub.Health(ok, "" if ok else "the source answered with something else than a CapabilityStatement")

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _pages(self, since: str | None, told: Told) -> Iterator[hub.Page]:
        if self._client is not None:
            yield from self._search(self._client, since, told)
        elif self.settings.folder is not None:
            yield from self._folder(self.settings.folder, since, told)

    def _search(self, client: hub.ReadOnlyClient, since: str | None, told: Told) -> Iterator[hub.Page]:
        start = Place.parse(since)
        phase = ALL if start is None or start.phase == ALL else SOME
        found = gather(wire.search(client, start.time if start and phase == SOME else None, self.settings.page_size))
        if not self._passes:
            yield from self._nothing(found)
        elif found.failure is not None:
            # What came is good and is told; the cursor stays, since nobody knows what did not come.
            yield hub.Page(tuple(record for thing in found.things if (record := told(thing.found)) is not None), since)
            raise found.failure
        else:
            first = 0 if start is None else start.left(found.things)
            places = [*range(first, len(found.things))]
            if start is not None and start.phase == DONE:
                places = [at for at in range(first) if found.things[at].time is None] + places
            for records, done in _parted(found.things, places, self.settings.page_size, told):
                last = done == len(found.things)
                place = Place.after(found.things, max(first, done), DONE if last else phase, start)
                cursor = None if place is None else str(place)
                yield hub.Page(records, cursor, complete=last and phase == ALL and not found.missing)

    def _folder(self, place: Path, since: str | None, told: Told) -> Iterator[hub.Page]:
        fingerprint = folder.fingerprint(place)
        start = Count.parse(since)
        if start is not None and start.fingerprint != fingerprint:
            start = None
        if start is not None and start.phase == DONE and self._passes:
            yield hub.Page((), since)
            return
        found = gather(folder.read(place))
        if not self._passes or found.failure is not None:
            yield from self._nothing(found)
            return
        whole = not found.missing and folder.fingerprint(place) == fingerprint
        places = range(0 if start is None else start.told, len(found.things))
        for records, done in _parted(found.things, places, self.settings.page_size, told):
            last = done == len(found.things)
            yield hub.Page(records, str(Count(DONE if last else ALL, done, fingerprint)), complete=last and whole)

    def _nothing(self, found: Gathered) -> Iterator[hub.Page]:
        """What is told when the list of kinds is empty: how much there is that does not pass."""
        if found.failure is not None:
            raise found.failure
        courses = sum(isinstance(thing.found, Course) for thing in found.things)
        yield hub.Page((), None, complete=True, ignored=courses)

    @property
    def _passes(self) -> bool:
        return CARE in self.settings.kinds


def _parted(
    things: Sequence[Thing], places: Sequence[int], size: int, told: Told
) -> Iterator[tuple[tuple[hub.Record, ...], int]]:
    """The records of things at some places in their order, by pages, each with how many things have been told with it.
    The last one may be empty."""
    records: list[hub.Record] = []
    done = 0
    for place in places:
        if len(records) >= size:
            yield tuple(records), done
            records = []
        done = place + 1
        record = told(things[place].found)
        if record is not None:
            records.append(record)
    yield tuple(records), len(things)
