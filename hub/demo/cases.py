"""The cases of the town's children as they stand when the story begins. What happens then is in `story`.

A child with a listed case in SOF has either an application that is not decided (half of them: some with the time limit
within three weeks, some overdue, most with weeks to go) or help that was granted long ago and runs; many have both, or
a decided case beside. Places in BUF and courses in SUF are open.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from random import Random

from hub.clock import DENMARK
from hub.contract import State
from hub.demo.families import Child
from hub.demo.kinds import (
    CLUB,
    DAY_CARE,
    FAMILY_HOUSE,
    LISTED_SOF,
    PLACES,
    SCHOOL,
    UNLISTED_PREFIX,
    UNLISTED_SOF,
)
from hub.demo.model import TownCase, Version, Worker
from hub.demo.names import endless
from hub.demo.staff import Staff, uuid4

_COMMON = {"32.18.04": 8, "32.18.12": 5, "27.18.20": 2, "27.21.12": 4, "27.21.16": 3, "27.21.20": 2, "27.12.06": 2}
"""Kinds for all ages, with weights; a companion is for those from 12 on."""
_COMPANION = "27.21.08"
_RUNNING = [kind for kind in _COMMON if kind != "27.12.06"]


@dataclass(slots=True)
class Draft:
    """A case while it is being written."""

    administration: str
    kind: str
    child: str
    opened: date
    versions: list[Version] = field(default_factory=list)
    follow_up: date | None = None
    listed: bool = True

    @property
    def last(self) -> Version:
        return self.versions[-1]

    @property
    def active(self) -> bool:
        return not self.last.gone and self.last.state is not State.CLOSED


def at_work(random: Random, day: date) -> datetime:
    """A time of that day within working hours in Denmark (08:05 to 15:50), in UTC."""
    minutes = random.randint(8 * 60 + 5, 15 * 60 + 50)
    return datetime.combine(day, time(minutes // 60, minutes % 60), DENMARK).astimezone(UTC)


def workday(day: date) -> date:
    """That day, or the Friday before it."""
    return day - timedelta(days=max(day.weekday() - 4, 0))


def _school_year(day: date) -> int:
    """The year in which the school year began."""
    return day.year - (day.month < 8)


class Cases:
    """Writes the cases; `drafts` has them by child."""

    def __init__(self, random: Random, staff: Staff, start: datetime) -> None:
        self.random = random
        self.staff = staff
        self.today = start.date()
        self.drafts: dict[str, list[Draft]] = defaultdict(list)
        self._advisers: dict[int, Worker] = {}
        self._running = endless(random, [False, True])
        self._urgency = endless(random, ["near"] * 6 + ["overdue"] + ["far"] * 13)
        self._decided_beside = endless(random, [True] * 3 + [False] * 7)
        self._second = endless(random, [True] + [False] * 4)
        self._closed = endless(random, [True] * 3 + [False] * 22)
        self._closed_elsewhere = endless(random, [True] + [False] * 19)

    def begin(self, child: Child) -> None:
        """All cases of a child at the start."""
        groups = child.place.group
        if "SOF" in groups:
            self._sof(child)
        elif "BUF" in groups and next(self._closed_elsewhere):
            self._closed_case(child)
        if "BUF" in groups:
            self._buf(child)
        elif "SOF" in groups and next(self._closed_elsewhere) and self._age(child, 3):
            self._left(self._place(child, SCHOOL if self._age(child, 8) else DAY_CARE))
        if "SUF" in groups:
            self.care(child.cpr)
        if child.place.unlisted:
            self._unlisted(child)

    def adviser(self, child: Child) -> Worker:
        """SOF's adviser of the family."""
        if child.family not in self._advisers:
            self._advisers[child.family] = self.random.choice(self.staff.advisers)
        return self._advisers[child.family]

    def pool(self, draft: Draft) -> Sequence[Worker]:
        """Those who can have this case."""
        if draft.administration == "BUF":
            return self.staff.contacts[draft.kind]
        if draft.administration == "SUF":
            return self.staff.carers
        return self.staff.advisers if draft.listed else self.staff.concerns

    def write(self, draft: Draft, state: State, adviser: str | None, day: date) -> Draft:
        """Adds a version, and the case to its child's when it is the first."""
        if not draft.versions:
            self.drafts[draft.child].append(draft)
        draft.versions.append(Version(at_work(self.random, day), state, adviser))
        return draft

    def _age(self, child: Child, years: int) -> bool:
        return self._days(child) >= years * 365.25

    def _days(self, child: Child) -> int:
        """The child's age in days; all are over a year old."""
        return (self.today - child.born).days - 3

    def _days_ago(self, fewest: int, most: int) -> date:
        return workday(self.today - timedelta(days=self.random.randint(fewest, most)))

    def kind(self, child: Child) -> str:
        if self._age(child, 12) and self.random.random() < 0.2:
            return _COMPANION
        return self.random.choices(tuple(_COMMON), tuple(_COMMON.values()))[0]

    def _sof(self, child: Child) -> None:
        running = next(self._running)
        if running:
            self._granted(child, State.OPEN)
        if not running or next(self._second):
            self._application(child)
        if next(self._decided_beside):
            self._granted(child, State.DECIDED)
        if next(self._closed):
            self._closed_case(child)

    def _application(self, child: Child) -> None:
        """Not decided. The limit is reckoned from the opening, so the opening is chosen to fit the limit."""
        kind = self.kind(child)
        days = (LISTED_SOF[kind].weeks or 0) * 7
        urgency = next(self._urgency)
        if urgency == "near":
            left = self.random.randint(3, 21)
        elif urgency == "overdue":
            left = -self.random.randint(2, 30)
        else:
            left = self.random.randint(24, max(days - 4, 24))
        opened = workday(self.today + timedelta(days=left - days))
        draft = Draft("SOF", kind, child.cpr, opened)
        named = self.random.random() < 0.92
        at_once = opened + timedelta(days=10) >= self.today or self.random.random() < 0.5
        adviser = self.adviser(child).uuid if named else None
        self.write(draft, State.APPLIED, adviser if at_once else None, opened)
        if named and not at_once:
            self.write(draft, State.APPLIED, adviser, workday(opened + timedelta(days=self.random.randint(3, 9))))

    def _granted(self, child: Child, state: State) -> None:
        """Decided long ago; with OPEN the help runs."""
        opened = self._days_ago(150, min(1500, self._days(child)))
        decided = workday(opened + timedelta(days=self.random.randint(14, 100)))
        draft = Draft("SOF", self.random.choice(_RUNNING), child.cpr, opened)
        adviser = self.adviser(child).uuid
        self.write(draft, State.APPLIED, adviser, opened)
        self.write(draft, state, adviser, decided)

    def _closed_case(self, child: Child) -> None:
        draft = Draft("SOF", self.kind(child), child.cpr, self._days_ago(300, min(1200, self._days(child))))
        adviser = self.random.choice(self.staff.advisers).uuid
        self.write(draft, State.APPLIED, adviser, draft.opened)
        self.write(draft, State.CLOSED, adviser, self._days_ago(20, 280))

    def _unlisted(self, child: Child) -> None:
        adviser = self.random.choice(self.staff.concerns).uuid
        kind = self.random.choice(tuple(UNLISTED_SOF))
        draft = Draft("SOF", kind, child.cpr, self._days_ago(5, min(500, self._days(child))), listed=False)
        self.write(draft, State.APPLIED, adviser, draft.opened)
        if self.random.random() < 0.5 and draft.opened < self.today - timedelta(days=30):
            state = self.random.choice((State.OPEN, State.DECIDED, State.CLOSED))
            self.write(draft, state, adviser, self._days_ago(3, 20))
        if "BUF" not in child.place.group and self.random.random() < 0.1:
            # A stay in an institution that is not on the list, so that BUF has what must not be told, too.
            self._enrol(child, FAMILY_HOUSE.number, self._days_ago(30, 90), listed=False)

    def _buf(self, child: Child) -> None:
        # A child is in day care until the summer of the year it turns six.
        school = child.born.year + 6 <= _school_year(self.today)
        self._place(child, SCHOOL if school else DAY_CARE)
        if self._age(child, 10) and self.random.random() < 0.12:
            self._place(child, CLUB)

    def _place(self, child: Child, kind: str) -> Draft:
        """A place from 1 August of some year in which the child had the age for it."""
        youngest, oldest = {DAY_CARE: (2, 5), SCHOOL: (6, 17), CLUB: (10, 17)}[kind]
        first, last = child.born.year + youngest, min(child.born.year + oldest, _school_year(self.today))
        since = date(self.random.randint(min(first, last), last), 8, 1)
        return self._enrol(child, self.random.choice(PLACES[kind]).number, since)

    def _enrol(self, child: Child, institution: str, since: date, *, listed: bool = True) -> Draft:
        draft = Draft("BUF", institution, child.cpr, since, listed=listed)
        contact = self.random.choice(self.staff.contacts[institution]).uuid
        return self.write(draft, State.OPEN, contact, workday(since))

    def club(self, child: Child, day: date) -> Draft:
        """A new place in a club."""
        return self._enrol(child, self.random.choice(PLACES[CLUB]).number, day)

    def _left(self, draft: Draft) -> None:
        gone = self.random.random() < 0.3
        self.write(draft, State.CLOSED, draft.last.adviser, self._days_ago(10, 60))
        if gone:
            draft.versions[-1] = Version(draft.last.changed, draft.last.state, draft.last.adviser, gone=True)

    def care(self, citizen: str, day: date | None = None) -> Draft:
        """A course of care from `day` on, or from some day in the past."""
        draft = Draft("SUF", "care", citizen, day or self._days_ago(20, 380))
        if self.random.random() < 0.6:
            ahead = self.random.randint(2, 12) if self.random.random() < 0.3 else self.random.randint(15, 120)
            draft.follow_up = workday(max(self.today, draft.opened + timedelta(days=3)) + timedelta(days=ahead))
        return self.write(draft, State.OPEN, self.random.choice(self.staff.carers).uuid, draft.opened)

    def finished(self) -> dict[str, tuple[TownCase, ...]]:
        """The cases by administration, in no meaningful order (by uuid), with their numbers."""
        found: dict[str, list[TownCase]] = {"SOF": [], "BUF": [], "SUF": []}
        for drafts in self.drafts.values():
            for draft in drafts:
                cases = found[draft.administration]
                prefix = f"{draft.administration}-" if draft.listed else UNLISTED_PREFIX
                cases.append(
                    TownCase(
                        uuid4(self.random),
                        f"{prefix}{draft.opened.year}-{draft.administration[0]}{len(cases):06}",
                        draft.administration,
                        draft.kind,
                        draft.child,
                        draft.opened,
                        tuple(draft.versions),
                        draft.follow_up,
                    )
                )
        return {name: tuple(sorted(cases, key=lambda case: case.uuid)) for name, cases in found.items()}
