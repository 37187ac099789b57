"""The families of the town: numbers, names, addresses, who is whose parent and who has custody.

Every number is fictitious: the running number is 99xx, the end of the range where MedCom's national test persons are
too (998x, 999x), and the control digit is deliberately wrong (modulus 11 fails), so that none is an ordinary number.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from random import Random
from typing import TypeVar

from hub.demo.model import Custody, Person
from hub.demo.names import LONG_FIRST, LONG_LAST, ORIGINS, Origin, address, endless
from hub.identity import REPLACEMENT_DAY

T = TypeVar("T")

KINDS = {
    "together": 0.395,
    "apart": 0.215,  # joint custody at two addresses
    "mother": 0.19,  # the father is a parent without custody
    "mother only": 0.075,  # no father known
    "father's ended": 0.04,
    "mother's ended": 0.045,  # the child lives with the father
    "guardian": 0.02,  # custody went from both parents to somebody who is not a parent
    "father loses": 0.008,  # in the course of the ten days
    "father gains": 0.008,
}
"""Kinds of family and their shares; a little under one, the rest is the first kind."""
_FATHER_ELSEWHERE = ("apart", "mother", "father's ended", "father loses", "father gains", "guardian")
_MOTHER_ELSEWHERE = ("mother's ended", "guardian")
_IN_STORY = ("father loses", "father gains")
_CUSTODY_CHANGES = (3, 4, 7, 9)
"""Days after the start on which a father gains or loses custody."""


@dataclass(frozen=True, slots=True)
class Place:
    """A child to be made: the administrations it has a listed case in at the start (none, one or two), and what else
    decides how it is made. `eighteenth` is a fixed 18th birthday, `replacement` asks for a replacement number."""

    group: tuple[str, ...]
    unlisted: bool = False
    pupil: bool = False
    eighteenth: date | None = None
    replacement: bool = False


@dataclass(frozen=True, slots=True)
class Child:
    cpr: str
    born: date
    family: int
    place: Place


def fails_modulus_11(digits: str) -> bool:
    """Whether the control digit is wrong by the rule that held for all numbers before 1 October 2007."""
    return sum(int(d) * w for d, w in zip(digits, (4, 3, 2, 7, 6, 5, 4, 3, 2, 1), strict=True)) % 11 != 0


def deck(random: Random, shares: dict[T, float], size: int) -> list[T]:
    """`size` things in random order, each as often as its share says, at least once where there is room for all; what
    is left over is the first."""
    counts = {thing: max(round(share * size), 1) for thing, share in shares.items()}
    while sum(counts.values()) > size:
        counts[max(counts, key=counts.__getitem__)] -= 1
    counts[next(iter(shares))] += size - sum(counts.values())
    cards = [thing for thing, count in counts.items() for _ in range(count)]
    random.shuffle(cards)
    return cards


class Register:
    """Hands out numbers and keeps the people; no number twice."""

    def __init__(self, random: Random, start: datetime) -> None:
        self.random = random
        self.today = start.date()
        self.people: dict[str, Person] = {}
        self.custody: dict[str, tuple[Custody, ...]] = {}
        self.parents: dict[str, tuple[str, ...]] = {}
        self._origins = endless(random, [origin for origin in ORIGINS for _ in range(origin.share)])
        self._registered = endless(random, [True] * 47 + [False] * 3)
        self._long = endless(random, [True] + [False] * 79)
        self._double = endless(random, [True] * 4 + [False] * 26)

    def number(self, born: date, female: bool, *, replacement: bool = False) -> str:
        """A free number. Position 7 is 9, which means 1937 to 2036. Raises ValueError when the day has none left."""
        day = born.day + REPLACEMENT_DAY * replacement
        date_part = f"{day:02}{born:%m%y}99"
        first = self.random.randrange(50)
        for step in range(50):
            number = f"{date_part}{(first + step) % 50 * 2 + (not female):02}"
            if number not in self.people and fails_modulus_11(number):
                return number
        raise ValueError("there are not fictitious numbers enough for so many children: choose a smaller town")

    def person(
        self,
        born: date,
        *,
        female: bool,
        names: tuple[Origin, str],
        home: tuple[str, str, str],
        protected: bool = False,
        replacement: bool = False,
        taken: Container[str] = (),
    ) -> Person:
        """A new person. `names` are the names to choose a first name from and the last name, `taken` the first names
        that a brother or sister has."""
        origin, last = names
        first = self.random.choice([name for name in (origin.female if female else origin.male) if name not in taken])
        grown = (self.today - born).days > 19 * 366
        if grown and next(self._long):
            first, last = self.random.choice(LONG_FIRST), self.random.choice(LONG_LAST)
        elif next(self._double):
            first += " " + self.random.choice(origin.last)
        # Digital Post is for those over 15; a child under 15 is not registered.
        registered = (self.today - born).days > 15 * 365.25 and (not grown or next(self._registered))
        number = self.number(born, female, replacement=replacement)
        person = Person(number, first, last, *home, protected=protected, digital_post=registered)
        self.people[number] = person
        return person

    def family_names(self) -> tuple[Origin, str]:
        origin = next(self._origins)
        return origin, self.random.choice(origin.last)

    def between(self, earliest: date, latest: date) -> date:
        return earliest + timedelta(days=self.random.randint(0, (latest - earliest).days))


def _birthdays(register: Register, places: Sequence[Place]) -> list[date]:
    """Birthdays of siblings, oldest first: at least 300 days apart, or twins."""
    random, today = register.random, register.today
    fixed = next((place.eighteenth for place in places if place.eighteenth), None)
    oldest_day = _years_before(today - timedelta(days=-25), 18)  # nobody else turns 18 in the story
    youngest_day = _years_before(today, 3) if any("BUF" in p.group or p.pupil for p in places) else today
    youngest_day -= timedelta(days=400)
    room = (youngest_day - oldest_day).days - 300 * (len(places) - 1)
    first = fixed and _years_before(fixed, 18)
    days = [first or oldest_day + timedelta(days=random.randint(0, room))]
    for left in range(len(places) - 1, 0, -1):
        if random.random() < 0.14:
            days.append(days[-1])
            continue
        most = (youngest_day - days[-1]).days - 300 * (left - 1)
        days.append(days[-1] + timedelta(days=random.randint(300, min(most, 2200))))
    return days


def _years_before(day: date, years: int) -> date:
    return day.replace(year=day.year - years)


def make(register: Register, families: Iterable[Sequence[Place]]) -> Iterator[Child]:
    """The children of `families`, with their parents, guardians and custody written to `register`."""
    found = list(families)
    # Custody that changes in the story is for children who are children all through it.
    fixed = [places for places in found if any(place.eighteenth for place in places)]
    groups = fixed + [places for places in found if not any(place.eighteenth for place in places)]
    settled = {kind: share for kind, share in KINDS.items() if kind not in _IN_STORY}
    kinds = [
        *deck(register.random, settled, 10 * len(fixed))[: len(fixed)],
        *deck(register.random, KINDS, len(groups) - len(fixed)),
    ]
    hidden = deck(register.random, {False: 0.979, True: 0.021}, len(groups))
    if groups and "apart" in kinds:
        # At least one family where one guardian must not learn where the other lives with the child.
        hidden[kinds.index("apart")] = True
    for places, kind, protected in zip(groups, kinds, hidden, strict=True):
        yield from _family(register, places, kind, protected)


def _family(register: Register, places: Sequence[Place], kind: str, protected: bool) -> Iterator[Child]:
    random = register.random
    index = len(register.parents)  # grows with every child made, so no two families have the same
    days = _birthdays(register, places)
    names, home = register.family_names(), address(random)
    elsewhere = address(random)

    def parent(female: bool, youngest: int, oldest: int, away: bool) -> Person:
        own = (names[0], random.choice(names[0].last)) if female and random.random() < 0.4 else names
        return register.person(
            _parent_birthday(register, days, youngest, oldest),
            female=female,
            names=own,
            home=elsewhere if away else home,
            protected=protected and not away,
        )

    def father() -> Person:
        return parent(False, 21, 44, kind in _FATHER_ELSEWHERE)

    mother = parent(True, 19, 38, kind in _MOTHER_ELSEWHERE)
    dad = None if kind == "mother only" else father()
    guardian = None
    if kind == "guardian":
        born = register.between(date(register.today.year - 74, 1, 1), date(register.today.year - 45, 12, 31))
        guardian = register.person(
            born, female=random.random() < 0.7, names=register.family_names(), home=home, protected=protected
        )
    ended = register.between(days[-1], register.today - timedelta(days=40))
    in_story = register.today + timedelta(days=random.choice(_CUSTODY_CHANGES))
    half = len(places) > 1 and kind in ("apart", "mother") and random.random() < 0.3
    first_names: set[str] = set()
    for born, place in zip(days, places, strict=True):
        if half and born != days[0]:
            dad, half = father(), False  # the younger ones have another father
        child = register.person(
            born,
            female=random.random() < 0.42,
            names=names,
            home=home,
            protected=protected,
            replacement=place.replacement,
            taken=first_names,
        )
        first_names.add(child.first.split(" ")[0])
        custody = [Custody(child.cpr, mother.cpr, "mor", born)]
        if dad and kind != "mother":
            custody.append(Custody(child.cpr, dad.cpr, "far", born))
        if guardian:
            custody.append(Custody(child.cpr, guardian.cpr, "anden", born))
        register.custody[child.cpr] = tuple(_dated(custody, kind, ended, in_story))
        register.parents[child.cpr] = tuple(one.cpr for one in (mother, dad) if one)
        yield Child(child.cpr, born, index, place)


def _parent_birthday(register: Register, days: list[date], youngest: int, oldest: int) -> date:
    """A birthday that makes the parent between `youngest` (years) at the first child and `oldest` + 5 at the last."""
    earliest = days[-1] - timedelta(days=round((oldest + 5) * 365.25))
    latest = days[0] - timedelta(days=round(youngest * 365.25))
    return register.between(max(earliest, days[0] - timedelta(days=round(oldest * 365.25))), latest)


def _dated(custody: list[Custody], kind: str, ended: date, in_story: date) -> Iterator[Custody]:
    """Custody with its dates for this kind of family: `ended` is a day before the story, `in_story` one within it.
    `until` is the first day without custody."""
    for one in custody:
        match kind, one.relation:
            case ("father's ended", "far") | ("mother's ended", "mor") | ("guardian", "mor" | "far"):
                yield replace(one, until=ended)
            case "guardian", "anden":
                yield replace(one, since=ended)
            case "father loses", "far":
                yield replace(one, until=in_story)
            case "father gains", "far":
                yield replace(one, since=in_story)
            case _:
                yield one


def grown_up(register: Register, child: Child) -> None:
    """Ends all custody of a child whose 18th birthday has been."""
    day = child.place.eighteenth
    register.custody[child.cpr] = tuple(replace(one, until=one.until or day) for one in register.custody[child.cpr])
