"""A family's answer that comes by phone, on paper or in a meeting, written down by staff; what it closes for, opens
again, consents to or takes back; an objection; and mandates. It may come from a guardian, a young person from 15, or a
representative with a mandate of one of them, who has the say of the one whose mandate it is.

Who may is the policy's to say (purpose `registration`): staff of an administration where the child has something open
or applied for, and the child's coordinator or their substitute; none whose administration the family has closed for.
For everybody else it is as if the child were not known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from typing import Literal
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.orm import Session

from hub import consents, family, mandates, rights
from hub.access import duty
from hub.access.askers import asker_key
from hub.access.log import Asker, Disclosure
from hub.access.policy import Decision, Question, Relation, decide
from hub.cases import events, hearing
from hub.clock import today
from hub.context import Context
from hub.coordination import tasklist
from hub.errors import NotAllowed
from hub.identity import YOUNG, parse
from hub.store import tables
from hub.store.people import find_key, open_key, open_keys
from hub.vault import unseal_json

PURPOSE = "registration"
EVIDENCE_AT_MOST = 200
"""Characters."""
LOOKUP_LASTS = timedelta(hours=8)
"""So long an answer can be written down from the lookup that found the child."""
Said = Literal["yes", "no", "withdrawn"]
Chosen = Literal["close", "open", "consent", "no_consent"]
How = Literal["phone", "paper", "meeting"]
ACTS: dict[Said, Callable[[Context, UUID, family.Answerer], None]] = {
    "yes": family.accept,
    "no": family.decline,
    "withdrawn": family.withdraw,
}
CHOICES: dict[Chosen, Callable[[Context, UUID, str, consents.Speaker], None]] = {
    "close": consents.close,
    "open": consents.open_again,
    "consent": consents.give,
    "no_consent": consents.take_back,
}
"""What is said of one administration."""
HOW: tuple[How, ...] = ("phone", "paper", "meeting")
CAN_SAY: dict[str, tuple[Said, ...]] = {"offered": ("yes", "no"), "accepted": ("withdrawn",)}
"""By the state of the offer."""


@dataclass(frozen=True, slots=True)
class Origin:
    """From where staff came to the child: a lookup's entry in the log, or a task."""

    kind: Literal["lookup", "task"]
    id: UUID


@dataclass(frozen=True, slots=True)
class FormMandate:
    """A mandate that lasts today: who has it, and whose it is (None: the young person's). `instead`: letters go to them
    and not to the one whose it is."""

    id: UUID
    name: str
    person_id: UUID
    principal_id: UUID | None
    instead: bool
    past_18: bool
    until: date | None


@dataclass(frozen=True, slots=True)
class Form:
    """Whose answer it can be (name by row id; those with custody today), and what they can say now; `choices` with the
    code of an administration, the same whatever is closed or consented to already. `young`: the child is 15, and
    answers and chooses too. Of an adult only the mandates that go on are there, to be taken back."""

    guardians: tuple[tuple[UUID, str | None], ...]
    answers: tuple[Said, ...]
    choices: tuple[tuple[Chosen, str], ...]
    young: bool
    mandates: tuple[FormMandate, ...]
    adult: bool


def open_form(ctx: Context, asker: Asker, origin: Origin) -> Disclosure[Form | None]:
    """What the form needs; None where the asker may not write an answer down, for whatever reason. A look: the
    guardians' names are shown. Raises LogUnavailable."""

    def opener(session: Session) -> duty.Found[Form] | str:
        child, decision = _child(ctx, session, asker, origin)
        return _form(ctx, session, child, decision.basis) if child is not None else decision.basis

    lookup = origin.id if origin.kind == "lookup" else None
    return duty.look(ctx.database, ctx.keys, ctx.clock, asker, PURPOSE, opener, lookup=lookup)


def register(
    ctx: Context,
    asker: Asker,
    origin: Origin,
    guardian_id: UUID | None,
    said: Said,
    how: How,
    evidence: str,
    *,
    language: str = "da",
    mandate_id: UUID | None = None,
) -> None:
    """Write an answer down: it holds as if the guardian, or the young person (None), had given it on the page. Of a
    representative `mandate_id` says by which mandate; it counts as the answer of the one whose mandate it is.
    `evidence`: where its proof is found, such as a journal number. `language`: in which it was talked of; of a letter
    that they were sent, the letter's own language is kept. Raises NotAllowed: see `open_form`; no say, no
    evidence, nothing to answer."""
    evidence, name, spoke = _proof(evidence), None, None
    with ctx.database.begin() as session:
        child = _whose(ctx, session, asker, origin)
        if mandate_id is not None:
            mandate = _mandate(ctx, session, child.id, mandate_id)
            guardian_id, name, spoke = mandate.principal_id, mandate.name, mandate.person_id
        version, read_in = _text(session, child.id, guardian_id, spoke) or ("none", language)
    by = family.Answerer(
        guardian_id,
        how,
        f"{how}:{version}",
        registered_by=asker,
        language=read_in,
        evidence=evidence,
        representative=name,
        representative_id=spoke,
    )
    ACTS[said](ctx, child.id, by)


def object_(
    ctx: Context,
    asker: Asker,
    origin: Origin,
    guardian_id: UUID | None,
    how: How,
    evidence: str,
    *,
    mandate_id: UUID | None = None,
) -> None:
    """Write an objection down: the same task as from the page, for a person to decide. `evidence` is what the task says
    of it: where it is found. Raises NotAllowed: see `register`."""
    evidence, spoke = _proof(evidence), None
    with ctx.database.begin() as session:
        child = _whose(ctx, session, asker, origin)
        if mandate_id is not None:
            mandate = _mandate(ctx, session, child.id, mandate_id)
            person: UUID | None = mandate.person_id
            guardian_id, spoke = mandate.principal_id, mandate.person_id
        elif guardian_id is not None:
            person = guardian_id
        else:
            person = hearing.own_row(ctx, session, child.id)
    if person is None:
        raise NotAllowed(f"a child speaks for themselves from {YOUNG}")
    registered = rights.Registered(asker, how, guardian_id, spoke)
    rights.ask(ctx, person, rights.OBJECTION, child.id, evidence, registered=registered)


def mandate(ctx: Context, asker: Asker, origin: Origin, given: mandates.Mandate) -> None:
    """Write a mandate down. Raises NotAllowed: see `open_form` and hub.mandates."""
    with ctx.database.begin() as session:
        child = _whose(ctx, session, asker, origin)
    mandates.give(ctx, child.id, replace(given, evidence=_proof(given.evidence)), asker)


def take_back_mandate(ctx: Context, asker: Asker, origin: Origin, mandate_id: UUID) -> None:
    """A mandate ends now. Raises NotAllowed: see `open_form`; the child has no such mandate."""
    with ctx.database.begin() as session:
        child = _whose(ctx, session, asker, origin)
    mandates.take_back(ctx, mandate_id, child.id, asker)


@dataclass(frozen=True, slots=True)
class Told:
    """Who chose (a guardian, or None for the young person; by which mandate, where it is a representative), how it
    came, and the version and language of the text that was read to them."""

    guardian_id: UUID | None
    how: How
    text: str
    language: str
    mandate_id: UUID | None = None
    until: date | None = None
    """The last day of a consent, where it has one (Danish date)."""


def choose(
    ctx: Context, asker: Asker, origin: Origin, chosen: Chosen, administration: str, told: Told, evidence: str
) -> None:
    """Write down what is chosen of an administration: it holds as if it were chosen on the page. Raises NotAllowed: see
    `open_form` and hub.consents; no evidence, or nothing that can be chosen now."""
    evidence = _proof(evidence)
    with ctx.database.begin() as session:
        child = _whose(ctx, session, asker, origin)
        state = session.execute(select(tables.Offer.state).where(tables.Offer.child_id == child.id)).scalar_one()
        by_mandate = _mandate(ctx, session, child.id, told.mandate_id) if told.mandate_id is not None else None
        fields = unseal_json(open_key(session, ctx.keys, child.key_id), child.sealed, f"child:{child.id}")
    if (chosen, administration) not in _choices(ctx, state):
        raise NotAllowed("this cannot be chosen now")
    version = f"{told.how}:{told.text}"
    by = consents.Speaker(
        "guardian" if told.guardian_id is not None else "young",
        told.how,
        version,
        told.language,
        told.guardian_id,
        evidence=evidence,
        registered_by=asker,
    )
    if by_mandate is not None:
        of_age = parse(fields["cpr"]).age(today(ctx.clock)) >= YOUNG
        if chosen == "consent" and by_mandate.principal_id is not None and of_age:
            raise NotAllowed(f"from {YOUNG} the young person consents to health data, and no guardian's representative")
        whose = by_mandate.principal_id
        by = replace(
            by,
            capacity="representative",
            guardian_id=whose,
            representative=by_mandate.name,
            representative_id=by_mandate.person_id,
        )
    act = CHOICES[chosen]
    if chosen == "consent" and told.until is not None:
        act = partial(consents.give, until=consents.through(told.until))
    act(ctx, child.id, administration, by)


def _proof(evidence: str) -> str:
    evidence = evidence.strip()
    if not evidence or len(evidence) > EVIDENCE_AT_MOST:
        raise NotAllowed(f"say in 1 to {EVIDENCE_AT_MOST} characters where the proof of the answer is")
    return evidence


def _whose(ctx: Context, session: Session, asker: Asker, origin: Origin) -> tables.Child:
    """The child whose family's answer the asker writes down; the asker has a row from here on."""
    child, _decision = _child(ctx, session, asker, origin)
    if child is None:
        raise NotAllowed("there is no answer of this child's family for you to write down")
    asker_key(session, ctx.keys, asker)
    return child


def _choices(ctx: Context, state: str) -> tuple[tuple[Chosen, str], ...]:
    """What can be chosen by the state of the offer: consent only after the yes."""
    if state not in CAN_SAY:
        return ()
    names = tuple(ctx.settings.administrations)
    health = [name for name in names if state == "accepted" and name in ctx.settings.access.health]
    return (
        *(("close", name) for name in names),
        *(("open", name) for name in names),
        *(("consent", name) for name in health),
        *(("no_consent", name) for name in health),
    )


def _child(ctx: Context, session: Session, asker: Asker, origin: Origin) -> tuple[tables.Child | None, Decision]:
    """The child, where it is one that the asker may write an answer down for; and on which basis, or why not. A child
    that is not known is asked about as one that is: no answer takes longer because there is somebody."""
    found = (_of_lookup if origin.kind == "lookup" else _of_task)(ctx, session, asker, origin.id)
    child_id = found or uuid4()
    child = session.get(tables.Child, child_id)
    token = child.token if child is not None else child_id.bytes
    relations = _relations(ctx, session, asker, child_id, token)
    shut = duty.closed(ctx.settings.administrations, asker, child_id, coordinates="offered" in relations)
    blocked = session.execute(select(shut)).scalar_one()
    decision = decide(Question(asker.roles, PURPOSE, relations, blocked=blocked))
    return child if decision.see else None, decision


def _relations(ctx: Context, session: Session, asker: Asker, child_id: UUID, token: bytes) -> frozenset[Relation]:
    own = select(tables.Coordinator.staff_id).where(tasklist.coordinator_rows(ctx, asker))
    office = asker.administration
    case = exists().where(tables.Case.child_id == child_id, tables.Case.is_open, tables.Case.administration == office)
    presence = exists().where(tables.Presence.token == token, tables.Presence.administration == office)
    holds: dict[Relation, ColumnElement[bool]] = {
        "known": or_(case, presence),
        "offered": exists().where(tables.Offer.child_id == child_id, tables.Offer.coordinator_id.in_(own)),
    }
    found = session.execute(select(*holds.values())).one()
    return frozenset(relation for relation, held in zip(holds, found, strict=True) if held)


def _of_lookup(ctx: Context, session: Session, asker: Asker, entry_id: UUID) -> UUID | None:
    """The child of the asker's own lookup, not long ago."""
    key_id, _key = asker_key(session, ctx.keys, asker)
    found = select(tables.LogEntry.child_id).where(
        tables.LogEntry.id == entry_id,
        tables.LogEntry.kind == "lookup",
        tables.LogEntry.asker_key == key_id,
        tables.LogEntry.at > ctx.clock.now() - LOOKUP_LASTS,
    )
    return session.execute(found).scalar_one_or_none()


def _of_task(ctx: Context, session: Session, asker: Asker, task_id: UUID) -> UUID | None:
    found = select(tables.Task.child_id).where(
        tables.Task.id == task_id, tables.Task.done_at.is_(None), tasklist.mine(ctx, asker)
    )
    return session.execute(found).scalar_one_or_none()


def _form(ctx: Context, session: Session, child: tables.Child, basis: str) -> duty.Found[Form] | str:
    state = session.execute(select(tables.Offer.state).where(tables.Offer.child_id == child.id)).scalar_one_or_none()
    day, key = today(ctx.clock), find_key(session, ctx.keys, child.key_id)
    if state not in CAN_SAY or key is None:
        return duty.NOTHING
    number = parse(unseal_json(key, child.sealed, f"child:{child.id}")["cpr"])
    given = _mandates(ctx, session, child.id)
    if number.is_adult(day):
        lasting = tuple(each for each in given if each.past_18)
        if not lasting:
            return duty.NOTHING
        form = Form((), (), (), False, lasting, True)
        return duty.Found(form, child.id, (child.key_id, key), ["mandates"], basis)
    ids = events.guardians_of(session, {child.id}, day).get(child.id, [])
    if not ids:
        return duty.NOTHING
    names: list[tuple[UUID, str | None]] = []
    for guardian in session.execute(
        select(tables.Guardian).where(tables.Guardian.id.in_(ids)).order_by(tables.Guardian.id)
    ).scalars():
        own = open_key(session, ctx.keys, guardian.key_id)
        names.append((guardian.id, unseal_json(own, guardian.sealed, f"guardian:{guardian.id}")["name"]))
    form = Form(tuple(names), CAN_SAY[state], _choices(ctx, state), number.age(day) >= YOUNG, given, False)
    shown = ["guardians", "offer", *(["mandates"] if given else [])]
    return duty.Found(form, child.id, (child.key_id, key), shown, basis)


def _mandates(ctx: Context, session: Session, child_id: UUID) -> tuple[FormMandate, ...]:
    """The mandates that last today, in the order in which they were given."""
    rows = session.execute(
        select(tables.Hears, tables.Guardian)
        .join(tables.Guardian, tables.Guardian.id == tables.Hears.person_id)
        .where(
            tables.Hears.child_id == child_id,
            tables.Hears.capacity == "representative",
            tables.Hears.holds(today(ctx.clock)),
        )
        .order_by(tables.Hears.since, tables.Hears.id)
    ).all()
    keys = open_keys(session, ctx.keys, (person.key_id for _row, person in rows))
    found = []
    for row, person in rows:
        if person.key_id in keys:
            name = unseal_json(keys[person.key_id], person.sealed, f"guardian:{person.id}")["name"] or ""
            found.append(FormMandate(row.id, name, person.id, row.principal_id, row.instead, row.past_18, row.until))
    return tuple(found)


def _mandate(ctx: Context, session: Session, child_id: UUID, mandate_id: UUID) -> FormMandate:
    for each in _mandates(ctx, session, child_id):
        if each.id == mandate_id:
            return each
    raise NotAllowed("this child has no such mandate today")


def _text(
    session: Session, child_id: UUID, guardian_id: UUID | None, representative_id: UUID | None
) -> tuple[str, str] | None:
    """Version and language of the introduction letter that whoever answers was sent last: of a representative their
    own, else that of the one whose say it is. None where none was sent."""
    whose = guardian_id or hearing.young_person(session, child_id)
    for person in (representative_id, whose):
        found = session.execute(
            select(tables.Letter.template_version, tables.Letter.language)
            .join(tables.LetterChild, tables.LetterChild.letter_id == tables.Letter.id)
            .where(
                tables.LetterChild.child_id == child_id,
                tables.Letter.guardian_id == person,
                tables.Letter.kind == "introduction",
                tables.Letter.state.not_in(("frozen", "withheld")),
            )
            .order_by(tables.Letter.frozen_at.desc())
            .limit(1)
        ).one_or_none()
        if found is not None:
            return found.template_version, found.language
    return None
