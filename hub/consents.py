"""What a family gives and closes by administration: consent to health data, block, and an objection that a person has
upheld. Each act is one transaction and ends with its entry in the access log, taken last: a no is obeyed by whatever
comes after.

A yes to one is anybody's to give who speaks for the child, and a no is anybody's too: a consent that one guardian takes
back is gone, also when the other gave it; an administration that two have closed is closed until both have opened it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any, Literal
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.orm import Session

from hub import journal
from hub.access import log
from hub.access.askers import PersonKeyPair, asker_key, by_system, staff_row
from hub.cases import events, health, kinds
from hub.cases.numbers import numbers_of
from hub.clock import DENMARK, today
from hub.context import Context
from hub.errors import NotAllowed
from hub.identity import ADULT, YOUNG, parse
from hub.store import tables
from hub.store.people import open_key
from hub.vault import seal_json, unseal_json

How = Literal["page", "phone", "paper", "meeting"]
Capacity = Literal["guardian", "young", "representative"]


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who speaks for the child, in which capacity, how it came, which text they had before them, and the member of
    staff who wrote it down. `evidence` says where the paper lies, or what was noted of the call or meeting."""

    capacity: Capacity
    how: How
    text_version: str
    language: str
    guardian_id: UUID | None = None
    """Whose say it is: the guardian's, also where their representative speaks; None for the young person's."""
    representative: str | None = None
    """The name of a representative with a mandate; what the mandate is stands in `evidence`."""
    evidence: str | None = None
    registered_by: log.Asker | None = None
    representative_id: UUID | None = None
    """Of a representative with a mandate: their row."""
    again: UUID | None = None
    """The act's own id, when it is one from the journal that a restored database has lost."""


def give(ctx: Context, child_id: UUID, administration: str, by: Speaker, until: datetime | None = None) -> None:
    """Consent to the health data of an administration; until a time (UTC) where one is given. Twice is once.

    Raises NotAllowed when the administration has no health data by the settings, the time has passed, or the speaker
    may not consent."""
    if until is not None and until <= ctx.clock.now():
        raise NotAllowed("the consent would be over already")
    if administration not in ctx.settings.access.health:
        raise NotAllowed(f"access.health of the settings does not name {administration}")
    with ctx.database.begin() as session:
        act = _Act.begin(ctx, session, child_id, by)
        if by.capacity == "guardian" and act.age >= YOUNG:
            raise NotAllowed(f"from {YOUNG} the young person consents to health data, and no guardian")
        holds = (*_of(tables.Consent, child_id, administration, by), tables.Consent.holds(ctx.clock.now()))
        if session.execute(select(exists().where(*holds))).scalar_one():
            return
        session.add(tables.Consent(**act.fields("consent"), administration=administration, until=until))
        act.tell(kinds.CONSENT_GIVEN, administration)
        act.write_down("consent", "given", administration, {"until": until.isoformat() if until else None})


def take_back(ctx: Context, child_id: UUID, administration: str, by: Speaker) -> None:
    """The consent to an administration's health data ends, whoever gave it, and what was read by it is forgotten, in
    this transaction. Where there is none nothing changes. Raises NotAllowed when the speaker has no say."""
    with ctx.database.begin() as session:
        act = _Act.begin(ctx, session, child_id, by)
        tell = partial(act.tell, kinds.CONSENT_WITHDRAWN, administration)
        if health.take_back(ctx, session, child_id, administration, tell):
            act.write_down("consent", "withdrawn", administration)


def close(ctx: Context, child_id: UUID, administration: str, by: Speaker) -> None:
    """Nobody of the administration is shown anything of the child from here on. Closed twice is closed once.

    Raises NotAllowed when the settings name no such administration, or the speaker has no say."""
    with ctx.database.begin() as session:
        _close(ctx, session, child_id, administration, by, "block")


def uphold(ctx: Context, session: Session, child_id: UUID, administration: str, by: Speaker) -> None:
    """As `close`, in the caller's transaction, of an objection (GDPR art. 21) that the member of staff of
    `by.registered_by` has upheld: whoever objected may open again. It takes the log's head: lock before the call."""
    _close(ctx, session, child_id, administration, by, "objection")


def _close(
    ctx: Context,
    session: Session,
    child_id: UUID,
    administration: str,
    by: Speaker,
    kind: Literal["block", "objection"],
) -> None:
    if administration not in ctx.settings.administrations:
        raise NotAllowed(f"there is no administration {administration}")
    act = _Act.begin(ctx, session, child_id, by)
    mine = (*_of(tables.Block, child_id, administration, by), tables.Block.holds())
    if session.execute(select(exists().where(*mine, tables.Block.kind == kind))).scalar_one():
        return
    session.add(tables.Block(**act.fields("block"), administration=administration, kind=kind))
    if kind == "block":  # of an objection the family reads the answer
        act.tell(kinds.OFFICE_CLOSED, administration)
    act.write_down("block", kind, administration)


def open_again(ctx: Context, child_id: UUID, administration: str, by: Speaker) -> None:
    """What the speaker closed is open again, unless another has closed it too. Where they have not, nothing changes.

    Raises NotAllowed when the speaker has no say."""
    with ctx.database.begin() as session:
        act = _Act.begin(ctx, session, child_id, by)
        mine = (*_of(tables.Block, child_id, administration, by), tables.Block.holds())
        lifted = session.execute(
            update(tables.Block)
            .where(*mine, tables.Block.since <= act.now)
            .values(lifted_at=act.now)
            .returning(tables.Block.id)
        ).all()
        if lifted:
            act.tell(kinds.OFFICE_OPENED, administration)
            act.write_down("block", "lifted", administration)


def run_out(ctx: Context) -> int:
    """End the consents that have run out by now, with what was read by them. Gives how many; each its own
    transaction."""
    out = (tables.Consent.withdrawn_at.is_(None), tables.Consent.until <= ctx.clock.now())
    with ctx.database.session() as session:
        found = session.execute(select(tables.Consent.child_id, tables.Consent.administration).where(*out)).all()
    for child_id, administration in sorted({(row.child_id, row.administration) for row in found}):
        with ctx.database.begin() as session:
            if health.run_out(ctx, session, child_id, administration):
                key_id = session.get_one(tables.Child, child_id).key_id
                child_key = (key_id, open_key(session, ctx.keys, key_id))
                said = {"answer": "run out", "administration": administration}
                now = ctx.clock.now()
                log.append(session, [by_system(session, ctx.keys, now, "consent", child_id, child_key, said)])
    return len(found)


def through(day: date) -> datetime:
    """When a consent ends that holds through a day (Danish): the midnight after it, in UTC."""
    return datetime.combine(day + timedelta(days=1), time(0), DENMARK).astimezone(UTC)


def last_day(until: datetime) -> date:
    """The last day (Danish) on which a consent holds that ends then."""
    return (until - timedelta(microseconds=1)).astimezone(DENMARK).date()


def end_with_say(ctx: Context) -> int:
    """Open what guardians had closed who decide for the child no more: their custody has ended and somebody else has
    it, or the child is 18. While nobody has custody it stays closed. What a young person closed stays theirs.

    Gives how many; each child is a transaction of its own."""
    day, block = today(ctx.clock), tables.Block
    mine = tables.Custody.is_held(block.child_id, block.guardian_id, day)
    anybodys = exists().where(tables.Custody.child_id == block.child_id, tables.Custody.holds(day))
    with ctx.database.session() as session:
        held = select(block.child_id).where(block.holds(), block.guardian_id.is_not(None)).distinct()
        lost = set(session.execute(held.where(~mine, anybodys)).scalars())
        children = set(session.execute(held).scalars())
        numbers = numbers_of(ctx, session, children) if children else {}
    grown = {child for digits, child in numbers.items() if parse(digits).is_adult(day)}
    ended = 0
    for child_id in sorted(lost | grown):
        with ctx.database.begin() as session:
            child = session.get_one(tables.Child, child_id, with_for_update={"key_share": True})
            over: list[ColumnElement[bool]] = [
                block.child_id == child_id,
                block.holds(),
                block.guardian_id.is_not(None),
            ]
            if child_id not in grown:
                over += [~mine, anybodys]
            lifted = session.execute(
                update(block)
                .where(*over)
                .values(lifted_at=ctx.clock.now())
                .returning(block.administration)
                .execution_options(synchronize_session=False)
            )
            names = sorted(lifted.scalars())
            if names:
                child_key = (child.key_id, open_key(session, ctx.keys, child.key_id))
                said = {"answer": "lifted", "administrations": names, "why": "whoever closed has no say any more"}
                log.append(session, [by_system(session, ctx.keys, ctx.clock.now(), "block", child_id, child_key, said)])
            ended += len(names)
    return ended


def token_of(session: Session, person_id: UUID | None) -> str | None:
    """How the journal names a representative: the row's id is another in another copy of the database."""
    return session.get_one(tables.Guardian, person_id).token.hex() if person_id is not None else None


def again(
    ctx: Context,
    child_id: UUID,
    guardian_id: UUID | None,
    fields: dict[str, Any],
    representative_id: UUID | None = None,
) -> None:
    """Do an act that a restored database has lost, as the journal tells of it, as of the clock's time. What it knows
    changes nothing. Raises NotAllowed, CannotOpen."""
    who = fields["registered_by"]
    by = Speaker(
        fields["capacity"],
        fields["how"],
        fields["text"],
        fields["language"],
        guardian_id,
        fields["representative"],
        fields["evidence"],
        log.Asker(**who) if who else None,
        representative_id,
        UUID(fields["answer"]),
    )
    administration, says = fields["administration"], fields["says"]
    if says == "given":
        until = fields["until"]
        give(ctx, child_id, administration, by, datetime.fromisoformat(until) if until else None)
    elif says == "withdrawn":
        take_back(ctx, child_id, administration, by)
    elif says == "lifted":
        open_again(ctx, child_id, administration, by)
    else:
        with ctx.database.begin() as session:
            _close(ctx, session, child_id, administration, by, says)


def with_yes(
    ctx: Context, child_id: UUID, child_key: bytes, by: Speaker, registered_by: UUID | None
) -> list[tables.Consent]:
    """The consents that a family's yes holds, where the settings say that its text asks for them."""
    access = ctx.settings.access
    if access.health_consent != "with_yes":
        return []
    return [
        tables.Consent(
            **_said("consent", uuid4(), child_id, child_key, by, registered_by, ctx.clock.now()), administration=name
        )
        for name in sorted(access.health & ctx.settings.administrations.keys())
    ]


@dataclass(frozen=True, slots=True)
class _Act:
    """An act under way: the child's row locked, the speaker known to have a say, and the keys of both."""

    ctx: Context
    session: Session
    child: tables.Child
    child_key: bytes
    age: int
    by: Speaker
    now: datetime
    asker: log.Asker
    asker_key: PersonKeyPair
    staff: UUID | None
    guardian_token: bytes | None
    id: UUID

    @classmethod
    def begin(cls, ctx: Context, session: Session, child_id: UUID, by: Speaker) -> _Act:
        """Raises NotAllowed when there is no such child under 18, or the speaker has no say."""
        # No key lock: what only refers to the child (a page of cases) need not wait, nor this for it.
        child = session.get(tables.Child, child_id, with_for_update={"key_share": True})
        if child is None or child.same_as is not None:
            raise NotAllowed("this child is not known")
        key = open_key(session, ctx.keys, child.key_id)
        age = parse(unseal_json(key, child.sealed, f"child:{child_id}")["cpr"]).age(today(ctx.clock))
        if age >= ADULT:
            raise NotAllowed("the child is 18: nobody else speaks for them now")
        guardian = _guardian(ctx, session, child_id, by) if by.guardian_id is not None else None
        _has_a_say(by, age)
        own = (child.key_id, key)
        asker, asker_pair, staff = log.of_family(child_id, "young"), own, None
        if by.registered_by is not None:
            asker, asker_pair = by.registered_by, asker_key(session, ctx.keys, by.registered_by)
            staff = staff_row(session, asker_pair)
        elif guardian is not None:
            asker = log.of_family(guardian.id)
            asker_pair = (guardian.key_id, open_key(session, ctx.keys, guardian.key_id))
        token = guardian.token if guardian is not None else None
        act = by.again or uuid4()
        return cls(ctx, session, child, key, age, by, ctx.clock.now(), asker, asker_pair, staff, token, act)

    def fields(self, table: str) -> dict[str, Any]:
        return _said(table, self.id, self.child.id, self.child_key, self.by, self.staff, self.now)

    def tell(self, kind: str, administration: str) -> None:
        """Whoever is said to have said so reads in a letter that it has been written down; nobody else hears of it.
        What they close and open on their own page they see there."""
        by, what = self.by, f"{administration}:{self.id}"
        if by.how == "page" and kind in (kinds.OFFICE_CLOSED, kinds.OFFICE_OPENED):
            return
        told = (what, by.how, by.guardian_id, by.representative_id, administration)
        events.record(self.ctx, self.session, events.answered(self.ctx, self.session, kind, self.child.id, *told))

    def write_down(self, kind: str, says: str, administration: str, more: dict[str, str | None] | None = None) -> None:
        """In the log, taken last; and in the journal once it is committed."""
        ctx, by = self.ctx, self.by
        said = {"answer": says, "administration": administration, "how": by.how, "capacity": by.capacity}
        entry = log.seal_entry(
            at=self.now,
            kind=kind,
            child_id=self.child.id,
            asker=self.asker,
            asker_key=self.asker_key,
            subject=said,
            subject_key=(self.child.key_id, self.child_key),
        )
        log.append(self.session, [entry])
        if by.again is not None:
            return
        kept = {
            "answer": str(self.id),
            "says": says,
            "child": self.child.token.hex(),
            "guardian": self.guardian_token.hex() if self.guardian_token is not None else None,
            "administration": administration,
            "capacity": by.capacity,
            "how": by.how,
            "text": by.text_version,
            "language": by.language,
            "representative": by.representative,
            "spoke": token_of(self.session, by.representative_id),
            "evidence": by.evidence,
            "registered_by": by.registered_by.as_json() if by.registered_by is not None else None,
        } | (more or {})
        journal.after_commit(ctx, self.session, kept)


def _guardian(ctx: Context, session: Session, child_id: UUID, by: Speaker) -> tables.Guardian:
    """Raises NotAllowed without custody today."""
    custody = tables.Custody.is_held(child_id, tables.Guardian.id, today(ctx.clock))
    found = session.execute(
        select(tables.Guardian).where(tables.Guardian.id == by.guardian_id, custody)
    ).scalar_one_or_none()
    if found is None:
        raise NotAllowed("whoever answers has no custody of this child today")
    return found


def _has_a_say(by: Speaker, age: int) -> None:
    if by.capacity != "representative" and (by.capacity == "guardian") != (by.guardian_id is not None):
        raise NotAllowed("a guardian is named where a guardian speaks, and nowhere else")
    if by.capacity == "young" and age < YOUNG:
        raise NotAllowed(f"a child speaks for themselves from {YOUNG}")
    if by.capacity == "representative" and not (by.representative and by.evidence and by.registered_by):
        raise NotAllowed("of a representative: write down the name and the mandate, and sign in as staff")
    if by.registered_by is None and by.how != "page":
        raise NotAllowed("what comes by phone, paper or in a meeting is registered by a member of staff")


def _of(table: type[tables.Said], child_id: UUID, administration: str, by: Speaker) -> tuple[ColumnElement[bool], ...]:
    """What whose say this is has said: a guardian, or the young person, each with their representative."""
    return (
        table.child_id == child_id,
        table.administration == administration,
        table.guardian_id.is_not_distinct_from(by.guardian_id),
    )


def _said(
    table: str,
    row: UUID,
    child_id: UUID,
    child_key: bytes,
    by: Speaker,
    registered_by: UUID | None,
    now: datetime,
) -> dict[str, Any]:
    """The columns that tell who said it, and how."""
    sealed = {"evidence": by.evidence, "representative": by.representative}
    return {
        "id": row,
        "child_id": child_id,
        "capacity": by.capacity,
        "guardian_id": by.guardian_id,
        "how": by.how,
        "registered_by": registered_by,
        "text_version": by.text_version,
        "language": by.language,
        "sealed": seal_json(child_key, sealed, f"{table}:{row}"),
        "since": now,
    }
