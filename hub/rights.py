"""What a family may ask for, and the answer by a person: "this is wrong", an objection, "we belong".

Each is a task with a deadline, of the administration it is about, else of the child's coordinator. The hub answers
nothing by itself and never says no (GDPR art. 16, 21 and 12(3); forvaltningsloven § 7). One transaction each, with an
entry in the access log taken last. An objection that is upheld closes the child for administrations in the transaction
of its answer.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, cast
from uuid import UUID, uuid4

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub import consents
from hub.access import log
from hub.access.askers import PersonKeyPair, asker_key, day_key
from hub.cases import events, hearing, kinds
from hub.cases.deadlines import answer_by
from hub.cases.holders import NO_GUARDIAN
from hub.clock import today
from hub.context import Context
from hub.coordination import tasklist
from hub.errors import NotAllowed
from hub.identity import YOUNG, Cpr, parse
from hub.store import tables, tasks
from hub.store.people import find_key, open_key
from hub.vault import seal_json, unseal_json

Kind = Literal["rights_wrong", "rights_objection", "rights_belong"]
WRONG: Kind = "rights_wrong"
OBJECTION: Kind = "rights_objection"
BELONG: Kind = "rights_belong"
KINDS: tuple[Kind, ...] = (WRONG, OBJECTION, BELONG)
ENTRY = "rights"
"""What an entry about such a request is called in the access log."""
TEXT_AT_MOST = 2000
"""Characters in what a family writes, and in the answer."""
OPEN_AT_MOST = 20
"""So many requests of one guardian may wait at once."""


class NoSay(NotAllowed):
    """Whoever objected does not speak for the child any more, so nothing can be closed in their name."""


@dataclass(frozen=True, slots=True)
class Registered:
    """That staff wrote down what came by phone, on paper or in a meeting: whose say it is (a guardian, else None: the
    young person), and the row of the representative who spoke for them."""

    by: log.Asker
    how: str
    guardian_id: UUID | None
    representative_id: UUID | None = None


def ask(
    ctx: Context,
    guardian_id: UUID,
    kind: Kind,
    child_id: UUID,
    text: str,
    case_id: UUID | None = None,
    *,
    registered: Registered | None = None,
) -> None:
    """A guardian asks, about a child they have custody of today; or, where it is `registered` by staff,
    anybody who hears of the child: the young person, a representative. `case_id`: the case that it is about; it goes to
    that case's administration. The same words about the same on one day are one request.

    Raises NotAllowed: no custody today, the child is 18, no such case, too long, or too many wait already."""
    with ctx.database.begin() as session:
        asker = None
        if registered is not None:
            own = (registered.guardian_id, registered.representative_id)
            what = f"{kind}:{today(ctx.clock)}:{text.strip()}"
            news = events.answered(ctx, session, kinds.OBJECTED, child_id, what, registered.how, *own)
            events.record(ctx, session, news)
            asker = (registered.by, asker_key(session, ctx.keys, registered.by))
        _ask(ctx, session, guardian_id, kind, child_id, text, case_id, asker, heard=registered is not None)


def ask_young(ctx: Context, child_id: UUID, kind: Kind, text: str, case_id: UUID | None = None) -> None:
    """As `ask`, by a young person from 15, about themselves. Raises NotAllowed before that age too."""
    with ctx.database.begin() as session:
        person = hearing.own_row(ctx, session, child_id)
        if person is None:
            raise NotAllowed(f"a child asks for themselves from {YOUNG}")
        child = session.get_one(tables.Child, child_id)
        asker = (log.of_family(child_id, "young"), (child.key_id, open_key(session, ctx.keys, child.key_id)))
        _ask(ctx, session, person, kind, child_id, text, case_id, asker, heard=True)


def _ask(
    ctx: Context,
    session: Session,
    guardian_id: UUID,
    kind: Kind,
    child_id: UUID,
    text: str,
    case_id: UUID | None,
    asker: tuple[log.Asker, PersonKeyPair] | None,
    *,
    heard: bool,
) -> None:
    child, key, _fields = _own_child(ctx, session, guardian_id, child_id, heard=heard)
    about: dict[str, Any] = {}
    administration = None
    if case_id is not None:
        case = session.get(tables.Case, case_id)
        if case is None or case.child_id != child_id:
            raise NotAllowed("this child has no such case any more")
        administration = case.administration
        # Not what kind it is: that is told only as long as the case itself may be.
        about = {"case": str(case_id)}
    owner = {"administration": administration} if administration else _default_owner(ctx, session, child_id)
    said = about | {"text": text.strip()}
    _put(ctx, session, guardian_id, kind, (child.key_id, key), child_id, said, owner, asker)


def belong(ctx: Context, guardian_id: UUID, number: Cpr, text: str) -> None:
    """A guardian says that a child belongs in the target group, whatever the match has found: the number is theirs to
    give. What the hub knows of that child changes nothing they can see: it is not told whether it knows it.

    Raises NotAllowed: too long, or too many wait already."""
    with ctx.database.begin() as session:
        token = ctx.keys.lookup_token(number.digits)
        child = session.execute(
            select(tables.Child).where(
                tables.Child.token == token, tables.Custody.is_held(tables.Child.id, guardian_id, today(ctx.clock))
            )
        ).scalar_one_or_none()
        key = find_key(session, ctx.keys, child.key_id) if child is not None else None
        said = {"number": number.digits, "text": text.strip()}
        if child is not None and key is not None:
            pair, child_id = (child.key_id, key), child.id
            owner = _default_owner(ctx, session, child.id)
        else:
            guardian = session.get_one(tables.Guardian, guardian_id)
            pair, child_id = (guardian.key_id, open_key(session, ctx.keys, guardian.key_id)), None
            owner = {"administration": ctx.settings.rights.administration}
        _put(ctx, session, guardian_id, BELONG, pair, child_id, said, owner)


def _own_child(
    ctx: Context, session: Session, guardian_id: UUID, child_id: UUID, *, heard: bool
) -> tuple[tables.Child, bytes, dict[str, Any]]:
    day = today(ctx.clock)
    own = tables.Custody.is_held(tables.Child.id, guardian_id, day)
    if heard:
        own = hearing.hears(tables.Child.id, guardian_id, day, replaced=True)
    child = session.execute(select(tables.Child).where(tables.Child.id == child_id, own)).scalar_one_or_none()
    if child is None:
        raise NotAllowed("whoever asks has no custody of this child today")
    key = open_key(session, ctx.keys, child.key_id)
    fields = unseal_json(key, child.sealed, f"child:{child.id}")
    if "cpr" not in fields or parse(fields["cpr"]).is_adult(today(ctx.clock)):
        raise NotAllowed("the child is 18: nobody else asks for them now")
    return child, key, fields


def _default_owner(ctx: Context, session: Session, child_id: UUID) -> dict[str, Any]:
    """The child's coordinator; where there is none, the administration of the settings, else any coordinator."""
    coordinator = session.execute(
        select(tables.Assignment.coordinator_id).where(
            tables.Assignment.child_id == child_id, tables.Assignment.until.is_(None)
        )
    ).scalar_one_or_none()
    return {"staff_id": coordinator} if coordinator else {"administration": ctx.settings.rights.administration}


def _put(
    ctx: Context,
    session: Session,
    guardian_id: UUID,
    kind: Kind,
    key: PersonKeyPair,
    child_id: UUID | None,
    said: dict[str, Any],
    owner: dict[str, Any],
    asker: tuple[log.Asker, PersonKeyPair] | None = None,
) -> None:
    """`asker` is who asks, for the log, where it is not the guardian themselves."""
    if len(said["text"]) > TEXT_AT_MOST:
        raise NotAllowed(f"the text may have {TEXT_AT_MOST} characters at most")
    # One guardian's requests come one at a time, so that the count holds.
    guardian = session.get_one(tables.Guardian, guardian_id, with_for_update=True)
    open_ones = (
        select(func.count())
        .select_from(tables.RightsRequest)
        .where(tables.RightsRequest.guardian_id == guardian_id, tables.RightsRequest.answered_at.is_(None))
    )
    if session.execute(open_ones).scalar_one() >= OPEN_AT_MOST:
        raise NotAllowed("so many requests wait for an answer already that no more can be taken here: call")
    day, task_id, request_id = today(ctx.clock), uuid4(), uuid4()
    columns = {
        "id": task_id,
        "child_id": child_id,
        "due": answer_by(day, ctx.settings.rights.answer_working_days),
    } | owner
    same = f"{guardian_id}:{child_id}:{said.get('case')}:{said.get('number')}:{day}:{said['text']}"
    if not tasks.put(session, ctx.keys, ctx.clock.now(), kind, {same: columns}):
        return
    sealed = seal_json(key[1], said, f"rights:{request_id}")
    session.add(
        tables.RightsRequest(
            id=request_id, task_id=task_id, guardian_id=guardian_id, child_id=child_id, key_id=key[0], sealed=sealed
        )
    )
    own = (guardian.key_id, open_key(session, ctx.keys, guardian.key_id))
    by, by_key = asker if asker is not None else (log.of_family(guardian_id), own)
    _log(ctx, session, by, by_key, child_id, key if child_id else None, {"asked": kind, "request": str(request_id)})


def answer(ctx: Context, task_id: UUID, by: log.Asker, text: str, closes: Collection[str] = ()) -> None:
    """A person's answer to what a family asked: the family reads it on its page, with the role and administration of
    who gave it, not the name. `closes`: the administrations that are shown nothing of the child from here on, because
    the objection is upheld; whoever objected may open them again.

    Raises NotAllowed: not theirs to answer, answered already, empty or too long, nothing that can be closed; NoSay."""
    text = text.strip()
    if not text or len(text) > TEXT_AT_MOST:
        raise NotAllowed(f"the answer must have 1 to {TEXT_AT_MOST} characters")
    with ctx.database.begin() as session:
        request = session.execute(
            select(tables.RightsRequest).where(tables.RightsRequest.task_id == task_id)
        ).scalar_one_or_none()
        if request is None:
            raise NotAllowed("nobody waits for an answer to this task")
        child = _objected(session, request, closes)  # locked before the task, as whatever ends a case does
        task = _theirs(ctx, session, task_id, by)
        if closes and task.kind != OBJECTION:
            raise NotAllowed("only an objection closes for an administration")
        key = open_key(session, ctx.keys, request.key_id)
        said: dict[str, Any] = {"text": text, "role": by.role, "administration": by.administration}
        said |= {"closed": sorted(closes)} if closes else {}
        now = ctx.clock.now()
        request.answer, request.answered_at = seal_json(key, said, f"answer:{request.id}"), now
        task.done_at = now
        if child is not None:
            speaker = _objector(ctx, session, child, request, by)
            try:
                for administration in sorted(closes):
                    consents.uphold(ctx, session, child, administration, speaker)
            except NotAllowed as error:
                raise NoSay from error
        pair = (request.key_id, key) if request.child_id else None
        what = {"answered": task.kind, "request": str(request.id)}
        _log(ctx, session, by, asker_key(session, ctx.keys, by), request.child_id, pair, what)


def _objected(session: Session, request: tables.RightsRequest, closes: Collection[str]) -> UUID | None:
    """The child that is to be closed, its row locked; None where nothing is."""
    if not closes:
        return None
    child = session.get(tables.Child, request.child_id) if request.child_id is not None else None
    if child is None:
        raise NotAllowed("there is no child here to close for an administration")
    current = child.same_as or child.id  # it may have another number by now
    session.get_one(tables.Child, current, with_for_update={"key_share": True})
    return current


def _objector(
    ctx: Context, session: Session, child_id: UUID, request: tables.RightsRequest, by: log.Asker
) -> consents.Speaker:
    """Whoever objected, as who speaks for the child today: what is closed is theirs to open. Raises NoSay."""
    person, day, capacity = request.guardian_id, today(ctx.clock), "guardian"
    whose: UUID | None = person
    name = None
    if not session.execute(select(tables.Custody.is_held(child_id, person, day))).scalar_one():
        hears = tables.Hears
        heard = select(hears).where(hears.child_id == child_id, hears.person_id == person, hears.holds(day))
        row = session.execute(heard.order_by(hears.since.desc()).limit(1)).scalar_one_or_none()
        if row is None:
            raise NoSay
        capacity, whose = row.capacity, row.principal_id
        if capacity == "representative":
            guardian = session.get_one(tables.Guardian, person)
            key = open_key(session, ctx.keys, guardian.key_id)
            name = unseal_json(key, guardian.sealed, f"guardian:{guardian.id}")["name"]
    return consents.Speaker(
        cast("consents.Capacity", capacity),
        "page",
        f"objection:{request.id}",
        "da",
        whose,
        representative=name,
        evidence=f"request {request.id}",
        registered_by=by,
    )


def finish(ctx: Context, task_id: UUID, by: log.Asker) -> None:
    """A task that needs no answer is done. Raises NotAllowed: not theirs, done already, a family waits for an answer,
    or it is one that ends by itself (nobody has custody: when somebody does)."""
    with ctx.database.begin() as session:
        task = _theirs(ctx, session, task_id, by)
        if task.kind == NO_GUARDIAN or task.kind in KINDS:
            raise NotAllowed("this task is not done by saying so")
        task.done_at = ctx.clock.now()
        child = session.get(tables.Child, task.child_id) if task.child_id is not None else None
        key = find_key(session, ctx.keys, child.key_id) if child is not None else None
        about, pair = (child.id, (child.key_id, key)) if child is not None and key is not None else (None, None)
        what = {"done": task.kind, "task": str(task.id)}
        _log(ctx, session, by, asker_key(session, ctx.keys, by), about, pair, what)


def _theirs(ctx: Context, session: Session, task_id: UUID, by: log.Asker) -> tables.Task:
    task = session.execute(
        select(tables.Task)
        .where(tables.Task.id == task_id, tables.Task.done_at.is_(None), tasklist.mine(ctx, by))
        .with_for_update()
    ).scalar_one_or_none()
    if task is None:
        raise NotAllowed("this task is done already, or it is not yours")
    return task


def _log(
    ctx: Context,
    session: Session,
    asker: log.Asker,
    asker_pair: PersonKeyPair,
    child_id: UUID | None,
    child_pair: PersonKeyPair | None,
    what: dict[str, str],
) -> None:
    """The entry, taken last: the log's head orders it against every look."""
    entry = log.seal_entry(
        at=ctx.clock.now(),
        kind=ENTRY,
        child_id=child_id,
        asker=asker,
        asker_key=asker_pair,
        subject=what,
        subject_key=child_pair or day_key(session, ctx.keys, today(ctx.clock)),
    )
    log.append(session, [entry])
