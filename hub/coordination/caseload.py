"""Coordinators and their caseload: who takes the next family, and why somebody waits.

Siblings have the same coordinator, so families are placed whole. A new family goes to the active coordinator with the
fewest children whose caseload stays within the target; siblings of a family already there may bring it to the limit.
An offer reserves its places until it is declined or lapses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from uuid import UUID

NO_PLACE = "no place: every coordinator has a full caseload"
SIBLING_FULL = "no place: the siblings' coordinator has reached the limit"
NO_GUARDIAN = "no guardian is known: a person must look"


@dataclass(frozen=True, slots=True)
class WaitingChild:
    """A child in the target group without a place. `number` breaks ties only, and is never stored or shown."""

    id: UUID
    found: date
    born: date
    number: str
    guardians: frozenset[UUID]


@dataclass(slots=True)
class Place:
    """A coordinator's caseload now: children with an offer or an assignment. `order` is the published order."""

    coordinator: UUID
    order: int
    load: int
    takes_new: bool = True


@dataclass(slots=True)
class Plan:
    placed: dict[UUID, UUID] = field(default_factory=dict)
    """Child → coordinator."""
    waits: dict[UUID, str] = field(default_factory=dict)
    """Child → why."""


def families(children: Iterable[WaitingChild]) -> list[list[WaitingChild]]:
    """Children who share a guardian, directly or through a sibling, are one family."""
    family_of: dict[UUID, list[WaitingChild]] = {}
    result: list[list[WaitingChild]] = []
    for child in children:
        joined = [child]
        for other in {id(f): f for g in child.guardians if (f := family_of.get(g)) is not None}.values():
            joined = other + joined
            result = [family for family in result if family is not other]
        result.append(joined)
        for member in joined:
            for guardian in member.guardians:
                family_of[guardian] = joined
    return result


def published_order(family: list[WaitingChild]) -> tuple[object, ...]:
    """The order in which families get a place: found first; then the larger family, which has more to coordinate and
    is harder to place; then the oldest child, who has least time left until 18. Ties by number, so that the order is
    the same whoever reckons it."""
    return (
        min(child.found for child in family),
        -len(family),
        min(child.born for child in family),
        min(child.number for child in family),
    )


def plan(
    waiting: Iterable[WaitingChild], places: Iterable[Place], homes: dict[UUID, UUID], *, target: int, limit: int
) -> Plan:
    """Who gets a place where. `homes` says which coordinator a guardian's family already has. Pure: nothing is stored.

    A caseload never passes `target` by a new family, nor `limit` by siblings."""
    by_id = {place.coordinator: replace(place) for place in places}
    result = Plan()
    for family in sorted(families(waiting), key=published_order):
        guardians = {guardian for child in family for guardian in child.guardians}
        known = [by_id[home] for home in {homes[g] for g in guardians if g in homes} if home in by_id]
        if not guardians:
            result.waits.update((child.id, NO_GUARDIAN) for child in family)
            continue
        if known:
            fits, full = [p for p in known if p.load + len(family) <= limit], SIBLING_FULL
        else:
            fits, full = [p for p in by_id.values() if p.takes_new and p.load + len(family) <= target], NO_PLACE
        if fits:
            _put(result, min(fits, key=lambda place: (place.load, place.order)), family)
        else:
            result.waits.update((child.id, full) for child in family)
    return result


def _put(result: Plan, place: Place, family: list[WaitingChild]) -> None:
    place.load += len(family)
    result.placed.update((child.id, place.coordinator) for child in family)
