"""Mandates: somebody a guardian, or a young person from 15, has given the right to hear and speak for them; written
down by staff, with where the paper lies. Each act is one transaction and ends with its entry in the access log.

A representative hears as well as the one whose mandate it is, or instead, and speaks for that one alone: with the say
they have themselves, and no more. Taken back, a mandate ends in that transaction.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from hub import journal
from hub.access import log
from hub.access.askers import asker_key, staff_row
from hub.cases import hearing, holders
from hub.cases.ending import end as end_scheme
from hub.clock import today
from hub.context import Context
from hub.errors import NotAllowed
from hub.identity import ADULT, YOUNG, Cpr, parse
from hub.store import tables
from hub.store.people import open_key
from hub.vault import seal_json, unseal_json

KIND = "mandate"
"""What an entry about a mandate is called in the access log."""
NAME_AT_MOST = 100
"""Characters."""


@dataclass(frozen=True, slots=True)
class Mandate:
    """What a mandate says. `principal_id`: the guardian whose it is, None for the young person. `instead`: letters go
    to the representative and not to the principal. `past_18`: it goes on when the young person is an adult; only their
    own. `until`: the first day without (Danish date); None until it is taken back. `evidence`: where the paper lies."""

    principal_id: UUID | None
    number: Cpr
    name: str
    instead: bool
    past_18: bool
    until: date | None
    evidence: str


def give(ctx: Context, child_id: UUID, mandate: Mandate, by: log.Asker, *, again: UUID | None = None) -> None:
    """Write a mandate down; it holds from today. One between the same two about the same child gives way to it.
    `again`: its own id, when it is one from the journal that a restored database has lost.

    Raises NotAllowed: no such child under 18; a principal without custody today, or under 15; a representative who is a
    child, or the principal; one past 18 that is not the young person's own; over already; no name."""
    day, name = today(ctx.clock), mandate.name.strip()
    if not name or len(name) > NAME_AT_MOST:
        raise NotAllowed(f"a representative has a name of 1 to {NAME_AT_MOST} characters")
    if not mandate.number.matchable or mandate.number.age(day) < ADULT:
        raise NotAllowed("a representative has an ordinary CPR number and is an adult")
    if mandate.until is not None and mandate.until <= day:
        raise NotAllowed("the mandate is over already")
    if mandate.past_18 and mandate.principal_id is not None:
        raise NotAllowed("only the young person's own mandate lasts when they are an adult")
    with ctx.database.begin() as session:
        child, key, number = _child(ctx, session, child_id)
        if number.is_adult(day):
            raise NotAllowed("the child is 18: nobody registers a mandate here for them now")
        principal = _principal(ctx, session, child_id, mandate.principal_id, number)
        person = hearing.keep_person(ctx, session, mandate.number.digits, name, protected=False)
        if person == principal:
            raise NotAllowed("nobody is their own representative")
        row = again or uuid4()
        pair = asker_key(session, ctx.keys, by)
        session.execute(
            update(tables.Hears)
            .where(*_same(child_id, person, mandate.principal_id), tables.Hears.ended_at.is_(None))
            .values(ended_at=ctx.clock.now())
        )
        session.add(
            tables.Hears(
                id=row,
                child_id=child_id,
                person_id=person,
                capacity="representative",
                principal_id=mandate.principal_id,
                instead=mandate.instead,
                past_18=mandate.past_18,
                since=day,
                until=mandate.until,
                registered_by=staff_row(session, pair),
                sealed=seal_json(key, {"evidence": mandate.evidence}, f"hears:{row}"),
            )
        )
        session.flush()
        holders.hand_on(session, ctx.clock.now(), day, child_id)
        what = {"mandate": "given", "representative": str(person), "instead": mandate.instead}
        _log(ctx, session, child, key, by, what)
        if again is None:
            token = session.get_one(tables.Guardian, principal).token if mandate.principal_id is not None else None
            kept = {
                "answer": str(row),
                "says": "mandate",
                "child": child.token.hex(),
                "guardian": token.hex() if token is not None else None,
                "number": mandate.number.digits,
                "name": name,
                "instead": mandate.instead,
                "past_18": mandate.past_18,
                "until": mandate.until.isoformat() if mandate.until else None,
                "evidence": mandate.evidence,
                "registered_by": asdict(by),
            }
            journal.after_commit(ctx, session, kept)


def take_back(ctx: Context, mandate_id: UUID, child_id: UUID, by: log.Asker, *, again: bool = False) -> None:
    """The mandate ends now, and what waits for the representative goes to the one whose mandate it was. Where the
    scheme of an adult stood on it, that ends too. Taken back twice is taken back once.

    Raises NotAllowed when the child has no such mandate."""
    day, now = today(ctx.clock), ctx.clock.now()
    with ctx.database.begin() as session:
        child, key, number = _child(ctx, session, child_id)
        mandate = session.get(tables.Hears, mandate_id, with_for_update=True)
        if mandate is None or mandate.child_id != child_id or mandate.capacity != "representative":
            raise NotAllowed("this child has no such mandate")
        if mandate.ended_at is not None:
            return
        mandate.ended_at = now
        session.flush()
        holders.hand_on(session, now, day, child_id)
        holders.drop(session, day, [child_id])
        if number.is_adult(day) and not hearing.past_18(session, [child_id], day):
            offer = session.execute(
                select(tables.Offer).where(tables.Offer.child_id == child_id).with_for_update()
            ).scalar_one()
            if offer.state in ("waiting", "offered", "accepted"):
                end_scheme(ctx, session, offer, "grown", "the mandate that it went on by was taken back")
        _log(ctx, session, child, key, by, {"mandate": "taken back", "representative": str(mandate.person_id)})
        if not again:
            kept = {
                "answer": str(mandate_id),
                "says": "mandate_ended",
                "child": child.token.hex(),
                "guardian": None,
                "registered_by": asdict(by),
            }
            journal.after_commit(ctx, session, kept)


def do_again(ctx: Context, child_id: UUID, principal_id: UUID | None, fields: dict[str, Any]) -> None:
    """Do an act that a restored database has lost, as the journal tells of it. Raises NotAllowed, CannotOpen."""
    by, row = log.Asker(**fields["registered_by"]), UUID(fields["answer"])
    if fields["says"] == "mandate_ended":
        take_back(ctx, row, child_id, by, again=True)
        return
    mandate = Mandate(
        principal_id,
        parse(fields["number"]),
        fields["name"],
        fields["instead"],
        fields["past_18"],
        date.fromisoformat(fields["until"]) if fields["until"] else None,
        fields["evidence"],
    )
    give(ctx, child_id, mandate, by, again=row)


def _same(child_id: UUID, person: UUID, principal_id: UUID | None) -> tuple[Any, ...]:
    return (
        tables.Hears.child_id == child_id,
        tables.Hears.person_id == person,
        tables.Hears.capacity == "representative",
        tables.Hears.principal_id.is_not_distinct_from(principal_id),
    )


def _child(ctx: Context, session: Session, child_id: UUID) -> tuple[tables.Child, bytes, Cpr]:
    """The child, its row locked, with its key and number. Raises NotAllowed."""
    child = session.get(tables.Child, child_id, with_for_update={"key_share": True})
    if child is None or child.same_as is not None:
        raise NotAllowed("this child is not known")
    key = open_key(session, ctx.keys, child.key_id)
    fields = unseal_json(key, child.sealed, f"child:{child_id}")
    if "cpr" not in fields:
        raise NotAllowed("what was known of this child has been forgotten")
    return child, key, parse(fields["cpr"])


def _principal(ctx: Context, session: Session, child_id: UUID, guardian_id: UUID | None, number: Cpr) -> UUID:
    """The row of the one whose mandate it is."""
    day = today(ctx.clock)
    if guardian_id is not None:
        if not session.execute(select(tables.Custody.is_held(child_id, guardian_id, day))).scalar_one():
            raise NotAllowed("whoever gave the mandate has no custody of this child today")
        return guardian_id
    if number.age(day) < YOUNG:
        raise NotAllowed(f"a child gives a mandate of their own from {YOUNG}")
    own = hearing.own_row(ctx, session, child_id)
    assert own is not None  # noqa: S101 - kept just now
    return own


def _log(ctx: Context, session: Session, child: tables.Child, key: bytes, by: log.Asker, what: dict[str, Any]) -> None:
    """The entry, taken last: the log's head orders it against every look."""
    entry = log.seal_entry(
        at=ctx.clock.now(),
        kind=KIND,
        child_id=child.id,
        asker=by,
        asker_key=asker_key(session, ctx.keys, by),
        subject=what,
        subject_key=(child.key_id, key),
    )
    log.append(session, [entry])
