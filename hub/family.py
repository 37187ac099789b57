"""The acts of a family that reach into several rooms, each one transaction: accept, decline, withdraw, come of age.

Who has custody answers, and from 15 the young person. One yes gives a coordinator. A guardian's no is that guardian's
and leaves the offer to the others; the young person's own no ends it. A yes is taken back by any of them.

Each ends with its entry in the access log, taken last: the log's head then orders it against every lookup, and a no is
obeyed by whatever comes after.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import exists, select, true
from sqlalchemy.orm import Session, aliased

from hub import consents, journal
from hub.access import log
from hub.access.askers import PersonKeyPair, asker_key, by_system, staff_row
from hub.cases import events, hearing, kinds
from hub.cases.ending import end
from hub.cases.numbers import numbers_of
from hub.clock import today
from hub.context import Context
from hub.errors import NotAllowed
from hub.identity import YOUNG, Cpr, parse
from hub.store import tables
from hub.store.people import open_key
from hub.vault import CannotOpen, seal_json, unseal_json


@dataclass(frozen=True, slots=True)
class Answerer:
    """Whose answer it is (`guardian_id` is None for the young person), how it came, which text they answered, and the
    member of staff who wrote it down."""

    guardian_id: UUID | None
    how: consents.How
    text_version: str
    registered_by: log.Asker | None = None
    language: str = "da"
    """Of the text."""
    evidence: str | None = None
    """Where the paper lies, or what was noted of the call or meeting."""
    again: UUID | None = None
    """The answer's own id, when it is one from the journal that a restored database has lost."""
    representative: str | None = None
    """The name of a representative who answers for the guardian, or for the young person, by a mandate."""

    representative_id: UUID | None = None
    """Their row."""

    @property
    def capacity(self) -> consents.Capacity:
        if self.representative is not None:
            return "representative"
        return "young" if self.guardian_id is None else "guardian"


def accept(ctx: Context, child_id: UUID, by: Answerer) -> None:
    """Ja tak: the reserved place becomes an assignment. A second yes changes nothing. A guardian who has said no may
    change their mind as long as the offer is open.

    Raises NotAllowed when there is no open offer, the answerer has no say, or the child is 18."""
    with ctx.database.begin() as session:
        standing = _standing(ctx, session, child_id, by)
        offer, now = standing.offer, ctx.clock.now()
        if offer.state == "accepted":
            return
        if by.guardian_id is None and not ctx.settings.access.young_accepts:
            raise NotAllowed("access.young_accepts is off: a guardian says yes, and the young person may say no")
        if offer.state != "offered" or offer.coordinator_id is None:
            raise NotAllowed("there is no open offer to accept; it may have lapsed or been declined")
        if standing.number.is_adult(today(ctx.clock)):
            raise NotAllowed("the child is 18: nobody else answers for them now")
        offer.state, offer.answered_at = "accepted", now
        session.add(tables.Assignment(child_id=child_id, coordinator_id=offer.coordinator_id, since=now))
        news = [events.News(kinds.ASSIGNED, child_id, str(offer.coordinator_id))]
        events.record(ctx, session, [*news, *_said(ctx, session, child_id, by, kinds.YES_GIVEN)])
        _write_down(ctx, session, standing, by, "yes")


def decline(ctx: Context, child_id: UUID, by: Answerer) -> None:
    """Nej tak: nothing more is written about the offer to whoever says so. When nobody is left who may say yes, or the
    young person themselves says no, the offer ends and the place is free again. A second no changes nothing.

    Raises NotAllowed."""
    with ctx.database.begin() as session:
        standing = _standing(ctx, session, child_id, by)
        if standing.offer.state == "declined":
            return
        if standing.offer.state != "offered":
            raise NotAllowed("there is no open offer to decline")
        said_no = tables.Acceptance.says_no(child_id, by.guardian_id)
        if by.guardian_id is not None and session.execute(select(said_no)).scalar_one():
            return
        news = _said(ctx, session, child_id, by, kinds.NO_GIVEN)
        if by.guardian_id is None or not _may_say_yes(ctx, session, standing, by.guardian_id):
            end(ctx, session, standing.offer, "declined", "the family said no", news)
        else:
            why, mine = events.SAID_NO, by.guardian_id
            events.drop_waiting(session, why, child=child_id, guardian=mine, but=kinds.ANSWERS)
            events.record(ctx, session, news)
        _write_down(ctx, session, standing, by, "no")


def _may_say_yes(ctx: Context, session: Session, standing: _Standing, but: UUID) -> bool:
    """Whether anybody but this guardian may say yes to the offer still."""
    day, child_id = today(ctx.clock), standing.offer.child_id
    if standing.number.age(day) >= YOUNG and ctx.settings.access.young_accepts:
        return True
    others = exists().where(
        tables.Custody.child_id == child_id,
        tables.Custody.guardian_id != but,
        tables.Custody.holds(day),
        ~tables.Acceptance.says_no(child_id, tables.Custody.guardian_id),
    )
    return session.execute(select(others)).scalar_one()


def withdraw(ctx: Context, child_id: UUID, by: Answerer) -> None:
    """The yes is taken back: coordinator, cases and waiting letters end in this transaction; letters that a law owes go
    back to their administration as a task. Raises NotAllowed."""
    with ctx.database.begin() as session:
        standing = _standing(ctx, session, child_id, by)
        if standing.offer.state == "withdrawn":
            return
        if standing.offer.state != "accepted":
            raise NotAllowed("there is no yes to take back")
        news = _goodbye(ctx, session, child_id, by)
        end(ctx, session, standing.offer, "withdrawn", "the family took its yes back", news)
        _write_down(ctx, session, standing, by, "withdrawn")


def _said(ctx: Context, session: Session, child_id: UUID, by: Answerer, kind: str) -> list[events.News]:
    """What staff wrote down is told to whoever is said to have said it; what they said on their page they know."""
    if by.registered_by is None:
        return []
    what, own = f"said:{ctx.clock.now().isoformat()}", (by.guardian_id, by.representative_id)
    return events.answered(ctx, session, kind, child_id, what, by.how, *own)


def _goodbye(ctx: Context, session: Session, child_id: UUID, by: Answerer) -> list[events.News]:
    """Whoever took the yes back is told that it has been written down; the others that the yes holds no longer, and
    not by whose word."""
    what, own = f"withdrawn:{ctx.clock.now().isoformat()}", (by.guardian_id, by.representative_id)
    told = events.answered(ctx, session, kinds.YES_WITHDRAWN, child_id, what, by.how, *own)
    others = set(hearing.of_children(session, [child_id], today(ctx.clock)).get(child_id, []))
    others -= {one.only for one in told if one.only is not None}
    return [*told, *(events.News(kinds.YES_ENDED, child_id, what, only=one) for one in sorted(others))]


def come_of_age(ctx: Context) -> int:
    """Whoever is 15 by now (Danish date) hears for themselves. End the scheme for whoever is 18: guardians' access and
    letters end with childhood; it goes on where a mandate of the young person's own says so, for as long as that lasts.

    Gives how many it ended for. Each is a transaction of its own."""
    day = today(ctx.clock)
    with ctx.database.begin() as session:
        held = select(tables.Offer.child_id).where(tables.Offer.state.in_(("waiting", "offered", "accepted")))
        numbers = numbers_of(ctx, session, set(session.execute(held).scalars()))
        hearing.keep_young(
            ctx, session, [child for digits, child in numbers.items() if parse(digits).age(day) >= YOUNG]
        )
        grown = {child for digits, child in numbers.items() if parse(digits).is_adult(day)}
        grown -= hearing.past_18(session, grown, day)
    for child in sorted(grown):
        with ctx.database.begin() as session:
            offer = session.execute(
                select(tables.Offer).where(tables.Offer.child_id == child).with_for_update()
            ).scalar_one()
            end(ctx, session, offer, "grown", "the child turned 18")
            row = session.get_one(tables.Child, child)
            key = (row.key_id, open_key(session, ctx.keys, row.key_id))
            now, what = ctx.clock.now(), {"ended": "grown"}
            log.append(session, [by_system(session, ctx.keys, now, "assignment", child, key, what)])
    return len(grown)


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where a child's offer stands, locked, and the keys of the child and of who answers."""

    offer: tables.Offer
    number: Cpr
    child_key: PersonKeyPair
    own_key: PersonKeyPair
    """Of who answers: the child's own, where that is the young person."""
    child_token: bytes
    guardian_token: bytes | None


def _standing(ctx: Context, session: Session, child_id: UUID, by: Answerer) -> _Standing:
    """Raises NotAllowed when the child has no offer, or the answerer no say: a guardian without custody today, a young
    person before 15."""
    child_key, guardian_key = aliased(tables.PersonKey), aliased(tables.PersonKey)
    young = by.guardian_id is None
    has_a_say = true() if young else tables.Custody.is_held(child_id, by.guardian_id, today(ctx.clock))
    row = session.execute(
        select(tables.Offer, tables.Child, child_key, guardian_key, tables.Guardian.token)
        .join(tables.Child, tables.Child.id == tables.Offer.child_id)
        .join(child_key, child_key.id == tables.Child.key_id)
        .outerjoin(tables.Guardian, tables.Guardian.id == by.guardian_id)
        .outerjoin(guardian_key, guardian_key.id == tables.Guardian.key_id)
        .where(tables.Offer.child_id == child_id, has_a_say)
        .with_for_update(of=tables.Offer)
    ).one_or_none()
    if row is None:
        raise NotAllowed("this child has no offer, or whoever answers has no custody of it today")
    offer, child, sealing, guardians, token = row
    if sealing.wrapped is None or (guardians is not None and guardians.wrapped is None):
        raise CannotOpen("the key of somebody this is about is destroyed")
    own = key = (sealing.id, ctx.keys.ring.unwrap(sealing.version, sealing.wrapped, str(sealing.id)))
    if guardians is not None:
        own = (guardians.id, ctx.keys.ring.unwrap(guardians.version, guardians.wrapped, str(guardians.id)))
    fields = unseal_json(key[1], child.sealed, f"child:{child.id}")
    if "cpr" not in fields:
        raise NotAllowed("what was known of this child has been forgotten: there is no open offer")
    number = parse(fields["cpr"])
    if young and number.age(today(ctx.clock)) < YOUNG:
        raise NotAllowed(f"a child answers for themselves from {YOUNG}")
    return _Standing(offer, number, key, own, child.token, token)


def _write_down(ctx: Context, session: Session, standing: _Standing, by: Answerer, answer: str) -> None:
    """The answer as a row, and as an entry in the log: taken last, so that the log orders it against every lookup. In
    the journal once it is committed."""
    child_id, answer_id = standing.offer.child_id, by.again or uuid4()
    asker = log.of_family(by.guardian_id) if by.guardian_id is not None else log.of_family(child_id, "young")
    key, staff = standing.own_key, None
    if by.registered_by is not None:
        asker, key = by.registered_by, asker_key(session, ctx.keys, by.registered_by)
        staff = staff_row(session, key)
    said = {"evidence": by.evidence} | ({"representative": by.representative} if by.representative else {})
    session.add(
        tables.Acceptance(
            id=answer_id,
            child_id=child_id,
            guardian_id=by.guardian_id,
            answer=answer,
            how=by.how,
            registered_by=staff,
            text_version=by.text_version,
            at=ctx.clock.now(),
            capacity=by.capacity,
            language=by.language,
            evidence=seal_json(standing.child_key[1], said, f"acceptance:{answer_id}") if by.evidence else None,
        )
    )
    if answer == "yes" and (by.guardian_id is None or standing.number.age(today(ctx.clock)) < YOUNG):
        speaker = consents.Speaker(
            by.capacity,
            by.how,
            by.text_version,
            by.language,
            by.guardian_id,
            by.representative,
            by.evidence,
            by.registered_by,
        )
        session.add_all(consents.with_yes(ctx, child_id, standing.child_key[1], speaker, staff))
    entry = log.seal_entry(
        at=ctx.clock.now(),
        kind="acceptance",
        child_id=child_id,
        asker=asker,
        asker_key=key,
        subject={"answer": answer, "how": by.how, "capacity": by.capacity},
        subject_key=standing.child_key,
    )
    log.append(session, [entry])
    if by.again is None:
        kept = {
            "answer": str(answer_id),
            "says": answer,
            "child": standing.child_token.hex(),
            "guardian": standing.guardian_token.hex() if standing.guardian_token is not None else None,
            "capacity": by.capacity,
            "representative": by.representative,
            "how": by.how,
            "text": by.text_version,
            "language": by.language,
            "evidence": by.evidence,
            "registered_by": by.registered_by.as_json() if by.registered_by is not None else None,
            "spoke": consents.token_of(session, by.representative_id),
        }
        journal.after_commit(ctx, session, kept)
