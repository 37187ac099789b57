"""What a notice says, and whether it may be said: read at the moment it leaves, with the log's head held.

Whoever closes for an administration, takes a consent or the yes back, or hands a child over adds to the same log, as
the last thing before the commit: they have done so before, and are obeyed here, or come after this transaction. A
source that takes a case away waits for it too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.access.askers import PersonKeyPair
from hub.access.log import Asker, SealedEntry, seal_entry
from hub.access.policy import Consent, Question, Relation, decide
from hub.context import Context
from hub.notices.kinds import Kind, event_type
from hub.notices.record import about
from hub.store import tables
from hub.store.many import among
from hub.store.people import open_keys
from hub.vault import CannotOpen, unseal, unseal_json

PURPOSE = "notice"
CASE_GONE = "the source no longer shows the case, or it is closed"
OTHER_ADVISER = "the case has another adviser by now"
NO_COORDINATOR = "the coordinator is another by now, or there is none"
NO_SUBSTITUTE = "the coordinator is not away any more"
CLOSED = "the family has closed for the administration"
FORGOTTEN = "the child has been forgotten"
UNREADABLE = "the case's id does not open"


@dataclass(frozen=True, slots=True)
class Card:
    """Whom one can call."""

    name: str
    phone: str | None
    email: str | None

    def as_json(self) -> dict[str, str | None]:
        return {"name": self.name, "phone": self.phone, "email": self.email}


@dataclass(frozen=True, slots=True)
class Fact:
    """What a notice says. `case` is the case's id at its source, `since` when the child got this coordinator (UTC),
    `until` when that ended."""

    id: UUID
    kind: Kind
    at: datetime
    administration: str
    source: str
    case: str
    coordinator: Card
    since: datetime | None
    until: datetime | None
    substitute: Card | None
    child_id: UUID
    child_key: PersonKeyPair
    adviser_id: UUID
    basis: str

    def event(self, cvr: str) -> dict[str, Any]:
        """As a CloudEvent 1.0. The same notice gives the same, as long as what it tells of stands."""
        return {
            "specversion": "1.0",
            "id": str(self.id),
            "source": f"urn:tovholder:{cvr}",
            "type": event_type(self.kind),
            "subject": self.case,
            "time": _time(self.at),
            "datacontenttype": "application/json",
            "data": {
                "administration": self.administration,
                "case": {"source": self.source, "id": self.case},
                "coordinator": self.coordinator.as_json(),
                "since": _time(self.since),
                "until": _time(self.until),
                "substitute": self.substitute.as_json() if self.substitute else None,
            },
        }

    def entry(self, at: datetime, asker: Asker, asker_key: PersonKeyPair, way: str) -> SealedEntry:
        """Its entry in the access log, for whoever is told."""
        said = {"purpose": PURPOSE, "see": True, "basis": self.basis, "shown": ["coordinator"], "way": way}
        return seal_entry(
            at=at,
            kind=PURPOSE,
            child_id=self.child_id,
            asker=asker,
            asker_key=asker_key,
            subject=said | {"notice": str(self.id), "kind": self.kind},
            subject_key=self.child_key,
        )


@dataclass(slots=True)
class _Standing:
    """What stands for the children of some notices."""

    cases: dict[UUID, tables.Case]
    assignments: dict[UUID, tables.Assignment]
    coordinators: dict[UUID, tables.Coordinator]
    blocked: set[tuple[UUID, str]]
    consented: set[tuple[UUID, str]]


def hold(session: Session) -> None:
    """Take the log's head: what may be said is read after this, and the entries are added before the commit."""
    session.execute(select(tables.LogHead.size).where(tables.LogHead.id == 1).with_for_update())


def read(
    ctx: Context, session: Session, notices: Sequence[tables.Notice], roles: Collection[str]
) -> dict[UUID, Fact | str]:
    """What each notice says to somebody of these roles, or why it may not be said. Takes the log's head: call it once
    in a transaction, add the entries, commit at once."""
    case_ids = {notice.case_id for notice in notices if notice.case_id is not None}
    # Cases first, then the head, as whoever takes a yes back does.
    cases = select(tables.Case).where(among(tables.Case.id, case_ids)).order_by(tables.Case.id)
    locked = session.execute(cases.with_for_update(read=True).execution_options(populate_existing=True)).scalars()
    found = {case.id: case for case in locked}
    hold(session)
    standing = _standing(ctx, session, {notice.child_id for notice in notices}, found)
    firsts = _firsts(session, notices)
    children = dict(
        session.execute(
            select(tables.Child.id, tables.Child.key_id).where(
                among(tables.Child.id, {notice.child_id for notice in notices})
            )
        )
        .tuples()
        .all()
    )
    cards, staff = _cards(ctx, session, notices, standing), frozenset(roles)
    keys = open_keys(session, ctx.keys, children.values())
    result: dict[UUID, Fact | str] = {}
    for notice in notices:
        key_id = children[notice.child_id]
        if key_id not in keys:
            result[notice.id] = FORGOTTEN
        else:
            first = firsts[notice.of_id or notice.id]
            result[notice.id] = _fact(ctx, notice, first, (key_id, keys[key_id]), standing, cards, staff)
    return result


def _fact(
    ctx: Context,
    notice: tables.Notice,
    first: tables.Notice,
    child_key: PersonKeyPair,
    standing: _Standing,
    cards: dict[UUID, Card],
    roles: frozenset[str],
) -> Fact | str:
    assignment = standing.assignments.get(notice.child_id)
    coordinator = standing.coordinators.get(notice.coordinator_id)
    why = notice.why_not or _gap(notice, standing)
    health = notice.administration in ctx.settings.access.health
    relations: set[Relation] = {"told"} if notice.kind == "ended" else {"health-case" if health else "case"}
    consents: set[Consent] = {"accepted"} if assignment is not None else set()
    if (notice.child_id, notice.administration) in standing.consented:
        consents.add("health")
    blocked = (notice.child_id, notice.administration) in standing.blocked
    decision = decide(Question(roles, PURPOSE, relations, consents, blocked=blocked), ctx.settings.access.switches)
    if why is not None or not decision.see:
        return why or (CLOSED if decision.basis == "blocked" else decision.basis)
    if notice.coordinator_id not in cards or first.sealed is None:
        return FORGOTTEN
    try:
        case = unseal(child_key[1], first.sealed, about(first.id)).decode()
    except CannotOpen:
        return UNREADABLE  # one damaged row must not take the others with it
    away = coordinator is not None and coordinator.away and notice.kind != "ended"
    substitute = coordinator.substitute_id if coordinator is not None and away else None
    return Fact(
        id=notice.id,
        kind=cast("Kind", notice.kind),  # as the database checks
        at=notice.at,
        administration=notice.administration,
        source=notice.source,
        case=case,
        coordinator=cards[notice.coordinator_id],
        since=assignment.since if assignment is not None and notice.kind != "ended" else None,
        until=notice.at if notice.kind == "ended" else None,
        substitute=cards.get(substitute) if substitute is not None else None,
        child_id=notice.child_id,
        child_key=child_key,
        adviser_id=notice.adviser_id,
        basis=decision.basis,
    )


def _gap(notice: tables.Notice, standing: _Standing) -> str | None:
    """Why what it tells of does not stand any more."""
    assignment = standing.assignments.get(notice.child_id)
    if notice.kind == "ended":
        return NO_COORDINATOR if assignment is not None else None
    case = standing.cases.get(notice.case_id) if notice.case_id is not None else None
    coordinator = standing.coordinators.get(notice.coordinator_id)
    if case is None or not case.is_open:
        return CASE_GONE
    if case.adviser_id != notice.adviser_id:
        return OTHER_ADVISER
    if assignment is None or assignment.coordinator_id != notice.coordinator_id:
        return NO_COORDINATOR
    if notice.kind == "substitute" and not (coordinator is not None and coordinator.away):
        return NO_SUBSTITUTE
    return None


def _standing(ctx: Context, session: Session, children: set[UUID], cases: dict[UUID, tables.Case]) -> _Standing:
    assigned = select(tables.Assignment).where(
        among(tables.Assignment.child_id, children), tables.Assignment.until.is_(None)
    )
    assignments = {row.child_id: row for row in session.execute(assigned).scalars()}
    block, consent = tables.Block, tables.Consent
    shut = select(block.child_id, block.administration).where(among(block.child_id, children), block.holds())
    given = select(consent.child_id, consent.administration).where(
        among(consent.child_id, children), consent.holds(ctx.clock.now())
    )
    coordinators = select(tables.Coordinator).where(
        among(tables.Coordinator.staff_id, {row.coordinator_id for row in assignments.values()})
    )
    return _Standing(
        cases,
        assignments,
        {row.staff_id: row for row in session.execute(coordinators).scalars()},
        set(session.execute(shut).tuples()),
        set(session.execute(given).tuples()),
    )


def _firsts(session: Session, notices: Sequence[tables.Notice]) -> dict[UUID, tables.Notice]:
    """The notices in which the ids of the cases are sealed."""
    found = {notice.id: notice for notice in notices if notice.of_id is None}
    others = {notice.of_id for notice in notices if notice.of_id is not None} - found.keys()
    rows = session.execute(select(tables.Notice).where(among(tables.Notice.id, others))).scalars()
    return found | {row.id: row for row in rows}


def _cards(ctx: Context, session: Session, notices: Sequence[tables.Notice], standing: _Standing) -> dict[UUID, Card]:
    ids = {notice.coordinator_id for notice in notices}
    ids |= {row.substitute_id for row in standing.coordinators.values() if row.substitute_id is not None}
    return {who: card for who, (card, _key) in people(ctx, session, ids).items()}


def people(ctx: Context, session: Session, ids: Collection[UUID]) -> dict[UUID, tuple[Card, PersonKeyPair]]:
    """Members of staff by row, each with their key; those who have been forgotten are left out."""
    rows = session.execute(select(tables.Staff).where(among(tables.Staff.id, ids))).scalars().all()
    keys = open_keys(session, ctx.keys, (row.key_id for row in rows))
    found = {}
    for row in rows:
        if row.key_id in keys:
            fields = unseal_json(keys[row.key_id], row.sealed, f"staff:{row.key_id}")
            card = Card(fields["name"], fields.get("phone"), fields.get("email"))
            found[row.id] = card, (row.key_id, keys[row.key_id])
    return found


def _time(at: datetime | None) -> str | None:
    """RFC 3339, in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at is not None else None
