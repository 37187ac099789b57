"""What all that was read says together: courses, what is gone, and what could not be read, in order of their changes.

A read holds each citizen's plans and contacts (ids, dates, status) in memory, and of a file or an answer only the value
that is being read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import hub
from tovholder_suf_cura.course import Course
from tovholder_suf_cura.document import Found
from tovholder_suf_cura.pool import Bad, Loose, Pool
from tovholder_suf_cura.report import NUMBERED, Report

MOST_BAD = 1_000
"""What cannot be read is told one by one up to so many; the rest is said in a word."""
_FIRST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Thing:
    """A course, one that another has taken the place of, or a report that could not be read, in its place in the order.
    Without a time: not even that could be read."""

    time: datetime | None
    key: str
    found: Course | hub.Gone | Bad

    @property
    def place(self) -> tuple[datetime, str]:
        return self.time or _FIRST, self.key

    @property
    def name(self) -> str:
        """The key, if it may go into a digest that is stored in the clear."""
        return "" if self.key.startswith(NUMBERED) else self.key


@dataclass(slots=True)
class Gathered:
    things: list[Thing] = field(default_factory=list)
    """In order: those without a time first."""
    missing: bool = False
    """Something of somebody was not read, and it is not known of whom."""
    failure: hub.TovholderError | None = None
    """What ended the read before its end."""


def gather(found: Iterator[Found]) -> Gathered:
    """Take all there is. An error of the source ends it and is kept, with what came before."""
    result = Gathered()
    courses: dict[str, Course] = {}
    replaced: dict[str, tuple[str, datetime]] = {}
    bad: dict[tuple[str, str, str | None], Bad] = {}
    pool = Pool()

    def take(one: Report | Bad | None) -> None:
        if isinstance(one, Report):
            courses.setdefault(one.citizen, Course(one)).take(one)
            replaced.update({old: (new, one.time) for old, new in one.replaced})
        elif one is not None:
            result.missing = result.missing or one.missing
            if len(bad) <= MOST_BAD:
                bad[one.record.position, one.record.reason, one.record.source_id] = one
            else:
                result.missing = True

    try:
        for one in found:
            take(pool.take(one) if isinstance(one, Loose) else one)
    except hub.TovholderError as error:
        result.failure = error
    for late in pool.reports({own: course.latest for own, course in courses.items()}):
        take(late)
    if len(bad) > MOST_BAD:
        bad.popitem()
        more = hub.Unreadable("the whole source", f"more than {MOST_BAD} reports cannot be read: mend the others first")
        bad[more.position, more.reason, None] = Bad(more)
    gone = _replace(courses, replaced)
    result.things = [Thing(course.changed, own, course) for own, course in courses.items() if own not in gone]
    result.things += [Thing(one.time, own, one) for own, one in gone.items()]
    result.things += [Thing(one.time, one.record.position, one) for one in bad.values()]
    result.things.sort(key=lambda thing: thing.place)
    return result


def _replace(courses: dict[str, Course], replaced: dict[str, tuple[str, datetime]]) -> dict[str, hub.Gone]:
    """Give each citizen the course of those whose place they have taken (the child has another number now), and say
    that the old ones are gone."""
    gone: dict[str, hub.Gone] = {}
    for old, (new, time) in replaced.items():
        met = {old}
        while new in replaced and new not in met:
            met.add(new)
            new = replaced[new][0]
        if new in met:
            continue  # in a circle: nobody can say who is the newer
        before, now = courses.get(old), courses.get(new)
        if before is not None and now is not None:
            now.merge(before)
        gone[old] = hub.Gone(old, max(time, before.changed) if before is not None else time)
    return gone
