"""What the letters of several bundles are gathered from, read with one statement a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.cases import hearing, kinds, sources
from hub.clock import DENMARK
from hub.context import Context
from hub.coordination.staff import CoordinatorCard, cards
from hub.letters import preferences
from hub.letters.holding import WEEK
from hub.store import tables
from hub.store.many import among
from hub.store.people import open_keys
from hub.vault import unseal_json


@dataclass(frozen=True, slots=True)
class Cover:
    """Who answers for a coordinator who is away, and until which day, where they know."""

    substitute: UUID
    until: date | None


@dataclass(frozen=True, slots=True)
class Known:
    now: datetime
    day: date
    """Danish."""
    events: dict[UUID, list[tables.Event]]
    """By bundle."""
    mine: dict[UUID, dict[UUID, hearing.Capacity]]
    """By person: the children they hear of today, and as what."""
    speaks: dict[UUID, dict[UUID, hearing.Capacity]]
    """The same, with the children of whom a representative hears instead: of these they read their own answers."""
    past_18: set[UUID]
    """Children of whom a mandate of their own lasts when they are adults."""
    offers: dict[UUID, tables.Offer]
    """By child: the offers that are open."""
    said_no: set[tuple[UUID, UUID]]
    """Guardians, each with the child whose open offer they have said no to."""
    assigned: dict[UUID, UUID]
    """By child: who coordinates."""
    former: dict[UUID, list[tables.Assignment]]
    """By child: who did before, in order; of children there is news about their coordinator of."""
    cover: dict[UUID, Cover]
    """By coordinator: who is away."""
    guardians: dict[UUID, tables.Guardian]
    children: dict[UUID, tables.Child]
    opened: dict[UUID, dict[str, Any]]
    """By child: what is sealed; without those who have been forgotten."""
    protected: set[UUID]
    """Children of whom nothing that reveals a place is told: they are protected, or somebody with custody is."""
    cases: dict[UUID, list[tables.Case]]
    """By child."""
    keys: dict[UUID, bytes]
    wishes: dict[UUID, preferences.Preferences]
    """By guardian: how they want to be written to."""
    cards: dict[UUID, CoordinatorCard]
    silent: tuple[tuple[str, date], ...]
    left: dict[UUID, list[datetime]]
    """By guardian: when letters to them were written in the last week."""
    unkept: dict[UUID, set[tuple[UUID, date]]]
    """By guardian: cases and deadlines of which they have been told that no answer will come in time."""
    told: frozenset[bytes]
    """What letters told that a restored database does not know of."""
    told_now: set[bytes]
    """What of that would have been told again."""

    def in_scheme(self, person: UUID, child: UUID) -> bool:
        """Whether a letter to this person about the child may leave because the child has a coordinator, or an offer
        that the person has not said no to."""
        return child in self.assigned or (child in self.offers and (person, child) not in self.said_no)

    def calls(self, coordinator: UUID) -> UUID:
        """Whom the family of a coordinator calls now."""
        cover = self.cover.get(coordinator)
        return cover.substitute if cover is not None else coordinator


def read(ctx: Context, session: Session, bundles: Sequence[tables.Bundle]) -> Known:
    now = ctx.clock.now()
    day = now.astimezone(DENMARK).date()
    guardian_ids = {bundle.guardian_id for bundle in bundles}
    found: dict[UUID, list[tables.Event]] = {}
    for event in session.execute(
        select(tables.Event)
        .where(tables.Event.bundle_id.in_([bundle.id for bundle in bundles]))
        .order_by(tables.Event.seq)
    ).scalars():
        found.setdefault(event.bundle_id or event.id, []).append(event)
    happened = {event.kind for events in found.values() for event in events}
    mine = hearing.of_persons(session, guardian_ids, day)
    speaks = hearing.of_persons(session, guardian_ids, day, replaced=True) if happened & kinds.ANSWERS else mine
    child_ids = {child for children in speaks.values() for child in children}
    offers = session.execute(
        select(tables.Offer).where(among(tables.Offer.child_id, child_ids), tables.Offer.state == "offered")
    ).scalars()
    open_offers = {offer.child_id: offer for offer in offers}
    said_no = session.execute(
        select(tables.Acceptance.guardian_id, tables.Acceptance.child_id).where(
            among(tables.Acceptance.child_id, open_offers), tables.Acceptance.answer == "no"
        )
    )
    coordinators: dict[UUID, UUID] = {}
    former: dict[UUID, list[tables.Assignment]] = {}
    assignments = select(tables.Assignment).where(among(tables.Assignment.child_id, child_ids))
    if not happened & {kinds.COORDINATOR_CHANGED, kinds.COORDINATOR_HANDED_OVER}:
        assignments = assignments.where(tables.Assignment.until.is_(None))
    for assignment in session.execute(assignments.order_by(tables.Assignment.since)).scalars():
        if assignment.until is None:
            coordinators[assignment.child_id] = assignment.coordinator_id
        else:
            former.setdefault(assignment.child_id, []).append(assignment)
    guardians = session.execute(select(tables.Guardian).where(among(tables.Guardian.id, guardian_ids))).scalars().all()
    children = session.execute(select(tables.Child).where(among(tables.Child.id, child_ids))).scalars().all()
    cases: dict[UUID, list[tables.Case]] = {}
    for case in session.execute(
        select(tables.Case)
        .where(among(tables.Case.child_id, coordinators))
        .order_by(tables.Case.administration.desc(), tables.Case.id)
    ).scalars():
        cases.setdefault(case.child_id, []).append(case)
    offering = {offer.coordinator_id for offer in open_offers.values() if offer.coordinator_id is not None}
    cover = _cover(session, {*coordinators.values(), *offering})
    staff = {case.adviser_id for rows in cases.values() for case in rows} | set(coordinators.values()) | offering
    staff |= {row.coordinator_id for rows in former.values() for row in rows}
    staff |= {one.substitute for one in cover.values()}
    keys = open_keys(session, ctx.keys, [*(g.key_id for g in guardians), *(c.key_id for c in children)])
    opened = {
        row.id: unseal_json(keys[row.key_id], row.sealed, f"child:{row.id}") for row in children if row.key_id in keys
    }
    opened = {child: fields for child, fields in opened.items() if "cpr" in fields}
    reveals = any(kinds.KINDS[kind].reveals_place for kind in happened)
    return Known(
        now=now,
        day=day,
        events=found,
        mine=mine,
        speaks=speaks,
        past_18=hearing.past_18(session, child_ids, day),
        offers=open_offers,
        said_no={(row.guardian_id, row.child_id) for row in said_no if row.guardian_id is not None},
        assigned=coordinators,
        former=former,
        cover=cover,
        guardians={row.id: row for row in guardians},
        children={row.id: row for row in children},
        opened=opened,
        protected=_protected(ctx, session, opened, day) if reveals else set(),
        cases=cases,
        keys=keys,
        wishes=preferences.of(session, {g.id: keys[g.key_id] for g in guardians if g.key_id in keys}, guardian_ids),
        cards=cards(ctx, session, {member for member in staff if member is not None}),
        silent=_silent(ctx, session),
        left=_left(session, guardian_ids, now),
        unkept=_unkept(session, guardian_ids) if kinds.DEADLINE_PASSED in happened else {},
        told=frozenset(session.execute(select(tables.Told.said)).scalars()),
        told_now=set(),
    )


def _cover(session: Session, coordinators: set[UUID]) -> dict[UUID, Cover]:
    rows = session.execute(
        select(tables.Coordinator).where(
            among(tables.Coordinator.staff_id, coordinators),
            tables.Coordinator.away,
            tables.Coordinator.substitute_id.is_not(None),
        )
    ).scalars()
    return {row.staff_id: Cover(row.substitute_id, row.away_until) for row in rows if row.substitute_id is not None}


def _left(session: Session, guardians: set[UUID], now: datetime) -> dict[UUID, list[datetime]]:
    found: dict[UUID, list[datetime]] = {}
    for row in session.execute(
        select(tables.Letter.guardian_id, tables.Letter.frozen_at).where(
            among(tables.Letter.guardian_id, guardians),
            tables.Letter.frozen_at > now - WEEK,
            tables.Letter.state != "withheld",
        )
    ):
        found.setdefault(row.guardian_id, []).append(row.frozen_at)
    return found


def _unkept(session: Session, guardians: set[UUID]) -> dict[UUID, set[tuple[UUID, date]]]:
    found: dict[UUID, set[tuple[UUID, date]]] = {}
    for row in session.execute(
        select(tables.Event.guardian_id, tables.Event.case_id, tables.Event.day)
        .join(tables.Letter, tables.Letter.bundle_id == tables.Event.bundle_id)
        .where(
            among(tables.Event.guardian_id, guardians),
            tables.Event.kind == kinds.DEADLINE_UNKEPT,
            tables.Letter.state.not_in(("withheld", "failed", "returned")),
        )
    ):
        found.setdefault(row.guardian_id, set()).add((row.case_id, row.day))
    return found


def _protected(ctx: Context, session: Session, opened: dict[UUID, dict[str, Any]], day: date) -> set[UUID]:
    found = {child for child, fields in opened.items() if fields.get("protected")}
    rows = session.execute(
        select(tables.Custody.child_id, tables.Guardian)
        .join(tables.Guardian, tables.Guardian.id == tables.Custody.guardian_id)
        .where(among(tables.Custody.child_id, opened), tables.Custody.holds(day))
    ).all()
    keys = open_keys(session, ctx.keys, (guardian.key_id for _child, guardian in rows))
    for child, guardian in rows:
        key = keys.get(guardian.key_id)
        # Of somebody who has been forgotten nobody knows any more, so they count as protected.
        if key is None or unseal_json(key, guardian.sealed, f"guardian:{guardian.id}").get("protected"):
            found.add(child)
    return found


def _silent(ctx: Context, session: Session) -> tuple[tuple[str, date], ...]:
    """Administrations whose source does not answer, and since when: the letter says so, silence is not absence."""
    rows = session.execute(
        select(tables.SourceState).where(
            tables.SourceState.purpose == sources.CASES, tables.SourceState.failure.is_not(None)
        )
    ).scalars()
    found = []
    for row in rows:
        adapter = ctx.plugins.adapters.get(row.source)
        since: datetime | None = row.answered_at or row.failed_at
        if adapter is not None and adapter.administration is not None and since is not None:
            found.append((adapter.administration, since.astimezone(DENMARK).date()))
    return tuple(sorted(found))
