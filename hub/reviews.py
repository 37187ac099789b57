"""Looks that a written reason allowed, before the leader of whoever looked: the list, the verdict, and what the family
is told of it. The tasks are made with the looks themselves (hub.access.marked). Beside them, before the auditor, who
looked up very many children (hub.access.pace).

A look is late when so many working days have passed (`access.review_working_days`). Its leader may settle it still, and
the auditor finds it marked: it is theirs from then on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, DateTime, LargeBinary, Uuid, column, func, or_, select
from sqlalchemy.orm import Session

from hub.access import duty, log, marked, pace, records
from hub.access.askers import asker_key, day_key
from hub.access.log import Asker, Disclosure
from hub.access.own import OwnChild
from hub.access.policy import Decision, Question, decide
from hub.cases.deadlines import add_working_days
from hub.clock import DENMARK, today
from hub.context import Context
from hub.errors import NotAllowed
from hub.store import tables, tasks
from hub.store.people import open_keys
from hub.vault import unseal_json

Verdict = Literal["right", "wrong"]
WRONG = "look_wrong"
"""The kind of task of a look that a leader finds wrong: the auditor's, whose verdict counts."""
AUDITOR = "auditor"
KINDS = (marked.KIND, WRONG, pace.KIND)
"""Of task: what is reviewed."""
AT_ONCE = 200
"""So many looks are listed at a time, the oldest first."""
_OF_FAMILY = func.page_reviews().table_valued(
    column("id", Uuid()),
    column("child_id", Uuid()),
    column("at", DateTime(timezone=True)),
    column("seq", BigInteger()),
    column("subject", LargeBinary()),
)
"""The verdicts on looks at the children of whoever reads."""


@dataclass(frozen=True, slots=True)
class Review:
    """A look that waits: who looked, when, for what and why. Nothing of the child. `found_wrong`: a leader has said so,
    and it waits for the auditor. `more_than`: it is no one look, but more different children in an hour than that, and
    there is no reason. `due`: the last day on which it is not late. `leaders`: whether it is a leader's at first."""

    task: UUID
    entry: UUID
    at: datetime
    name: str
    administration: str | None
    unit: str | None
    purpose: str
    reason: str | None
    case: str | None
    found_wrong: bool
    more_than: int | None
    due: date
    late: bool
    leaders: bool


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What a family is told of such a look after its review: no name, and not the reason's own words, which may tell of
    a concern that the family is not to hear of from here. No unit where somebody is under name and address protection:
    it may be the child's school. No role where whoever looked has been forgotten."""

    at: datetime
    role: str | None
    administration: str | None
    unit: str | None
    purpose: str
    verdict: Verdict
    reviewed: datetime


def waiting(ctx: Context, leader: Asker) -> Disclosure[list[Review]]:
    """The looks that are the leader's to review, or all of them for an auditor; never their own, in whatever role or
    under which id they looked. Released after its entry is durable. Raises NotAllowed, LogUnavailable."""

    def read(session: Session) -> tuple[list[Review], list[str]]:
        rows = session.execute(_open(ctx, leader)).all()
        keys = open_keys(session, ctx.keys, [key for row in rows for key in (row[1].asker_key, row[1].subject_key)])
        found = []
        for task, entry in rows:
            if entry.asker_key in keys and entry.subject_key in keys:
                who = unseal_json(keys[entry.asker_key], entry.asker, f"log-asker:{entry.id}")
                what = unseal_json(keys[entry.subject_key], entry.subject, f"log-subject:{entry.id}")
                if not _is_same(who, leader):
                    found.append(_review(ctx, task, entry, who, what))
        return found, [str(one.entry) for one in found]

    return records.show(ctx.database, ctx.keys, ctx.clock, leader, marked.KIND, _may(leader), read)


def late(ctx: Context, session: Session, leader: Asker | None = None) -> Counter[str]:
    """How many looks are late, by the administration whose leader they wait for, or `auditor`: those that somebody may
    review, or all. It says nothing of any of them, and is no look."""
    task = tables.Task
    waits = select(task).where(task.kind.in_(KINDS), task.entry_id.is_not(None), task.done_at.is_(None))
    if leader is not None:
        waits = waits.where(task.id.in_(_open(ctx, leader).with_only_columns(task.id)))
    rows = session.execute(waits).scalars()
    return Counter(row.administration or AUDITOR for row in rows if _due(ctx, row) < today(ctx.clock))


def _due(ctx: Context, task: tables.Task) -> date:
    return add_working_days(task.made_at.astimezone(DENMARK).date(), ctx.settings.access.review_working_days)


def settle(ctx: Context, leader: Asker, task_id: UUID, verdict: Verdict, note: str = "") -> bool:
    """The leader has looked at it. It stands in the log, sealed for the child, from which the family is told; one that
    is found wrong is the auditor's task. Settled twice is settled once. Gives whether there is a family to tell.

    Raises NotAllowed when the look is not theirs to review: another team's, or their own."""
    decision = _may(leader)
    with ctx.database.begin() as session:
        found = session.execute(
            _open(ctx, leader, done=True).where(tables.Task.id == task_id).with_for_update(of=tables.Task)
        ).one_or_none()
        if found is None or not decision.see:
            raise NotAllowed("this look is not yours to review")
        task, entry = found.tuple()
        keys = open_keys(session, ctx.keys, [entry.asker_key, entry.subject_key])
        if entry.asker_key in keys:
            who = unseal_json(keys[entry.asker_key], entry.asker, f"log-asker:{entry.id}")
            if _is_same(who, leader):
                raise NotAllowed("somebody else reviews what you have looked up")
        known = entry.child_id is not None and entry.subject_key in keys  # else there is none, or it is forgotten
        if task.done_at is not None:
            return known
        task.done_at = now = ctx.clock.now()
        if verdict == "wrong" and task.kind == marked.KIND:
            about = {str(entry.id): {"child_id": entry.child_id, "entry_id": entry.id}}
            tasks.put(session, ctx.keys, now, WRONG, about)
        subject = {"purpose": marked.KIND, "of": str(entry.id), "verdict": verdict, "basis": decision.basis}
        told = _told(ctx, session, entry, keys) if known else None
        made = log.seal_entry(
            at=now,
            kind=marked.KIND,
            child_id=entry.child_id if known else None,
            asker=leader,
            asker_key=asker_key(session, ctx.keys, leader),
            subject=subject | {"note": note.strip() or None, "look": told},
            # Of nobody the verdict is kept all the same.
            subject_key=(entry.subject_key, keys[entry.subject_key])
            if known
            else day_key(session, ctx.keys, today(ctx.clock)),
        )
        log.append(session, [made])
        return known


def of_child(session: Session, child: OwnChild) -> list[Reviewed]:
    """The reviewed looks at a child, newest verdict first: for a reader of hub.access.own, which writes the entry. Read
    from the verdicts, which the child's own key opens; the looks themselves are closed to pages."""
    verdicts = session.execute(
        select(_OF_FAMILY.c.id, _OF_FAMILY.c.at, _OF_FAMILY.c.subject)
        .where(_OF_FAMILY.c.child_id == child.id)
        .order_by(_OF_FAMILY.c.seq.desc())
    )
    found: dict[str, Reviewed] = {}
    for row in verdicts:
        said = unseal_json(child.key, row.subject, f"log-subject:{row.id}")
        look = said["look"]
        told = Reviewed(
            datetime.fromisoformat(look["at"]),
            look["role"],
            look["administration"],
            None if child.fields.get("protected") else look["unit"],
            look["purpose"],
            said["verdict"],
            row.at,
        )
        found.setdefault(said["of"], told)  # the newest of a look counts
    return list(found.values())


def _told(ctx: Context, session: Session, look: tables.LogEntry, keys: Mapping[UUID, bytes]) -> dict[str, str | None]:
    """What the family is told of a look."""
    what = unseal_json(keys[look.subject_key], look.subject, f"log-subject:{look.id}")
    who: dict[str, Any] = {}
    if look.asker_key in keys:
        who = unseal_json(keys[look.asker_key], look.asker, f"log-asker:{look.id}")
    return {
        "at": look.at.isoformat(),
        "role": who.get("role"),
        "administration": who.get("administration"),
        "unit": None if _protected(ctx, session, look.child_id) else who.get("unit"),
        "purpose": what["purpose"],
    }


def _protected(ctx: Context, session: Session, child_id: UUID | None) -> bool:
    """Whether the child, or anybody with custody of it today, is under name and address protection."""
    custody = select(tables.Custody.guardian_id).where(
        tables.Custody.child_id == child_id, tables.Custody.holds(today(ctx.clock))
    )
    rows: list[tuple[str, tables.Child | tables.Guardian]] = [
        *(("child", row) for row in session.execute(select(tables.Child).where(tables.Child.id == child_id)).scalars()),
        *(
            ("guardian", row)
            for row in session.execute(select(tables.Guardian).where(tables.Guardian.id.in_(custody))).scalars()
        ),
    ]
    keys = open_keys(session, ctx.keys, [row.key_id for _kind, row in rows])
    return any(
        unseal_json(keys[row.key_id], row.sealed, f"{kind}:{row.id}").get("protected", False)
        for kind, row in rows
        if row.key_id in keys
    )


def _review(
    ctx: Context, task: tables.Task, entry: tables.LogEntry, who: dict[str, Any], what: dict[str, Any]
) -> Review:
    due = _due(ctx, task)
    return Review(
        task.id,
        entry.id,
        entry.at,
        who["name"],
        who["administration"],
        who["unit"],
        what["purpose"],
        what.get("reason"),
        what.get("case"),
        task.kind == WRONG,
        what.get("more_than"),
        due,
        due < today(ctx.clock),
        task.administration is not None,
    )


def _is_same(who: Mapping[str, Any], leader: Asker) -> bool:
    """Whether whoever looked, as their entry says, is the one who reviews."""
    return bool({who["id"], who.get("person") or who["id"]} & {leader.id, leader.who})


def _may(leader: Asker) -> Decision:
    """By the policy. Whom a leader leads is what the list is chosen by."""
    return decide(Question(leader.roles, marked.KIND, frozenset({"leads"})))


def _open(ctx: Context, leader: Asker, *, done: bool = False) -> Any:
    """The tasks of the leader's own unit, and of those in the administration whose unit is not known, with the entries
    they are about; of an auditor all, those of leaders, those that a leader has found wrong, and of whoever looked up
    very many. `done`: those that are settled too."""
    auditor = AUDITOR in leader.roles
    mine: list[ColumnElement[bool]] = [tables.Task.kind.in_(KINDS if auditor else (marked.KIND,))]
    if not auditor:
        unit = marked.team(ctx.keys, leader.administration, leader.unit)
        mine += [
            tables.Task.administration == (leader.administration or ""),  # of none, nobody's
            or_(tables.Task.team.is_(None), tables.Task.team == unit),
            # Of a family that has closed for the leader's administration the auditor reviews it. (For the page the
            # database says the same: page_to_review.)
            ~duty.closed(ctx.settings.administrations, leader, tables.LogEntry.child_id, coordinates=False),
        ]
    if not done:
        mine.append(tables.Task.done_at.is_(None))
    return (
        select(tables.Task, tables.LogEntry)
        .join(tables.LogEntry, tables.LogEntry.id == tables.Task.entry_id)
        .where(*mine)
        .order_by(tables.LogEntry.seq)
        .limit(AT_ONCE)
    )
