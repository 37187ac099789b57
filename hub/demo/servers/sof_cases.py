"""What the town's Sags- og Dokumentindeks holds: the cases of SOF, and beside them what a real index has: closed cases,
cases of kinds the hub has no business with, cases about adults and companies, cases nobody may be told of."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from hub.contract import State
from hub.demo.kinds import UNLISTED_PREFIX
from hub.demo.model import Person, Town, TownCase, Version

UNLISTED = ("27.27.20", "32.24.04", "02.34.02")
"""Kinds of the noise that no town case has: measures for a child at risk, social assistance, a building permit."""
_NAMESPACE = uuid.UUID("6d2b7b56-3c55-4e0b-9e7a-0a1c7c1a5e21")
_EVERY = 20
"""Of so many cases, five bring one of noise with them, each of another sort."""


@dataclass(frozen=True, slots=True)
class Party:
    urn: str
    name: str
    company: bool = False


@dataclass(frozen=True, slots=True)
class IndexCase:
    """A case as the index knows it. `hidden`: `vip`, `exempt` (from public access) or `profile` (a list of who may see
    it)."""

    uuid: str
    number: str
    kind: str
    opened: date
    versions: tuple[Version, ...]
    party: Party | None
    others: tuple[Party, ...] = ()
    hidden: str | None = None


def cases(town: Town) -> list[IndexCase]:
    """Everything in the index, in an order that only the town decides."""
    found: list[IndexCase] = []
    for place, case in enumerate(town.cases.get("SOF", ())):
        found.append(_of_town(town, case))
        found.extend(_noise(town, case, place))
    return found


def _of_town(town: Town, case: TownCase) -> IndexCase:
    return IndexCase(
        uuid=case.uuid,
        number=case.number,
        kind=case.kind,
        opened=case.opened,
        versions=case.versions,
        party=_person(town.people[case.child]),
        others=_parents(town, case.child),
    )


def _noise(town: Town, case: TownCase, place: int) -> Iterator[IndexCase]:
    sort, round_ = place % _EVERY, place // _EVERY
    child, parents = _person(town.people[case.child]), _parents(town, case.child)
    before = town.start - timedelta(days=30 + place % 700)
    opened = (before - timedelta(days=40)).date()
    adviser = case.versions[0].adviser

    def beside(kind: str, state: State, party: Party | None, hidden: str | None = None) -> IndexCase:
        return IndexCase(
            uuid=str(uuid.uuid5(_NAMESPACE, f"{town.seed} {place}")),
            number=f"{UNLISTED_PREFIX if kind in UNLISTED else 'N-'}{town.seed}-{place}",
            kind=kind,
            opened=opened,
            versions=(Version(before, state, adviser),),
            party=party,
            others=() if party is child else (child,),
            hidden=hidden,
        )

    if sort == 1:
        yield beside(UNLISTED[0], State.OPEN, child)
    elif sort == 5:
        yield beside(case.kind, State.CLOSED, child)
    elif sort == 9 and parents:
        yield beside(UNLISTED[1], State.DECIDED, parents[0])
    elif sort == 13:
        company = Party(f"urn:oio:cvr-nr:{10_000_000 + place}", "Hjælpemidler og Aflastning ApS", company=True)
        yield beside(UNLISTED[2] if round_ % 2 else case.kind, State.APPLIED, company if round_ % 3 else None)
    elif sort == 17:
        yield beside(case.kind, State.OPEN, child, ("vip", "exempt", "profile")[round_ % 3])


def _person(person: Person) -> Party:
    return Party(f"urn:oio:cpr-nr:{person.cpr}", person.name)


def _parents(town: Town, child: str) -> tuple[Party, ...]:
    return tuple(_person(town.people[cpr]) for cpr in town.parents.get(child, ()) if cpr in town.people)
