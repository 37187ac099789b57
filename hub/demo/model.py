"""The town: what its people, administrations and systems know. Data only; `people` draws it from a seed, `servers`
speak for it.

Everything that changes carries the time (UTC) from which it holds, so that a server given a clock can answer for that
moment, and the same seed always gives the same town. All numbers are fictitious test numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

from hub.contract import State


@dataclass(frozen=True, slots=True)
class Person:
    cpr: str
    first: str
    last: str
    street: str
    postcode: str
    city: str
    protected: bool = False
    """Name and address protection in CPR."""
    digital_post: bool = True
    """Registered for Digital Post; an exempt person gets letters on paper."""

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"


@dataclass(frozen=True, slots=True)
class PersonChange:
    """What CPR says otherwise of a person from a day on; None is as before. `status` is CPR's code (70 disappeared,
    80 emigrated, 90 dead). `number`: the person has this number from then on, and the former one leads to it."""

    since: date
    last: str | None = None
    protected: bool | None = None
    digital_post: bool | None = None
    status: int | None = None
    number: str | None = None


@dataclass(frozen=True, slots=True)
class Custody:
    """`until` is the first day without it. CPR tells a beginning and an end when they have come; both from `told` on,
    where a decision about the future is registered before."""

    child: str
    guardian: str
    relation: str
    """`mor`, `far` or `anden`: SF1520 tells the parents and the custody holders apart."""
    since: date
    until: date | None = None
    told: date | None = None


@dataclass(frozen=True, slots=True)
class Worker:
    """A member of staff in an administration."""

    uuid: str
    name: str
    email: str
    phone: str
    administration: str
    unit: str


@dataclass(frozen=True, slots=True)
class Version:
    """How a case stands from `changed` (UTC) on. `adviser` is a Worker's uuid, None where nobody is named yet.
    `gone` means the source no longer shows the case (a tombstone where its format has one)."""

    changed: datetime
    state: State
    adviser: str | None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class TownCase:
    """A case in SOF, an enrolment in a special provision in BUF, a course of care in SUF."""

    uuid: str
    number: str
    administration: str
    kind: str
    """SOF: KLE subject, `32.18.04`. BUF: institution number, `101001`. SUF: `care`."""
    child: str
    opened: date
    versions: tuple[Version, ...]
    follow_up: date | None = None

    def at(self, now: datetime) -> Version | None:
        """The version that holds at `now` (UTC), or None when the case has not been made yet."""
        found = None
        for version in self.versions:
            if version.changed <= now:
                found = version
        return found


@dataclass(frozen=True, slots=True)
class Institution:
    """A school or day-care institution in BUF, with the groups (classes) of its pupils."""

    number: str
    name: str
    special: bool
    """Its pupils have a case in BUF; the pupils of other institutions are not the hub's business."""


@dataclass(frozen=True, slots=True)
class Town:
    seed: int
    start: datetime
    """When the simulated time begins (UTC)."""
    people: dict[str, Person]
    custody: dict[str, tuple[Custody, ...]]
    """By child's number: everybody who has, had or will have custody."""
    parents: dict[str, tuple[str, ...]]
    """By child's number: mother and father, with custody or without."""
    cases: dict[str, tuple[TownCase, ...]]
    """By administration."""
    workers: dict[str, Worker]
    """By uuid."""
    coordinators: tuple[Worker, ...]
    institutions: dict[str, Institution]
    ordinary_pupils: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By institution number: pupils without any case, as a real export has them."""
    changes: dict[str, tuple[PersonChange, ...]] = field(default_factory=dict)
    """By the number a person has at the start: what CPR says otherwise later, in the order of days."""
