"""Looks that a written reason allowed, before the leader of whoever looked: the list, the verdict, and what the family
is told of it. The tasks are made with the looks themselves (hub.access.marked)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from hub.access import log, marked, records
from hub.access.askers import asker_key, day_key
from hub.access.log import Asker, Disclosure
from hub.access.own import OwnChild
from hub.access.policy import Decision, Question, decide
from hub.clock import today
from hub.context import Context
from hub.errors import NotAllowed
from hub.store import tables, tasks
from hub.store.people import open_keys
from hub.vault import Keys, unseal_json

Verdict = Literal["right", "wrong"]
WRONG = "look_wrong"
"""The kind of task of a look that a leader finds wrong: the auditor's."""
AT_ONCE = 200
"""So many looks are listed at a time, the oldest first."""


@dataclass(frozen=True, slots=True)
class Review:
    """A look that waits: who looked, when, for what and why. Nothing of the child."""

    task: UUID
    entry: UUID
    at: datetime
    name: str
    administration: str | None
    unit: str | None
    purpose: str
    reason: str
    case: str | None


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What a family is told of such a look after its review: no name, and not the reason's own words, which may tell of
    a concern that the family is not to hear of from here."""

    at: datetime
    role: str
    administration: str | None
    unit: str | None
    purpose: str
    verdict: Verdict
    reviewed: datetime


def waiting(ctx: Context, leader: Asker) -> Disclosure[list[Review]]:
    """The looks that are the leader's to review, or all of them for an auditor; never their own. Released after its
    entry is durable. Raises NotAllowed, LogUnavailable."""

    def read(session: Session) -> tuple[list[Review], list[str]]:
        rows = session.execute(_open(ctx, leader)).all()
        keys = open_keys(session, ctx.keys, [key for row in rows for key in (row[1].asker_key, row[1].subject_key)])
        found = []
        for task, entry in rows:
            if entry.asker_key in keys and entry.subject_key in keys:
                who = unseal_json(keys[entry.asker_key], entry.asker, f"log-asker:{entry.id}")
                what = unseal_json(keys[entry.subject_key], entry.subject, f"log-subject:{entry.id}")
                if who["id"] != leader.id:
                    found.append(_review(task.id, entry, who, what))
        return found, [str(one.entry) for one in found]

    return records.show(ctx.database, ctx.keys, ctx.clock, leader, marked.KIND, _may(leader), read)


def settle(ctx: Context, leader: Asker, task_id: UUID, verdict: Verdict, note: str = "") -> None:
    """The leader has looked at it. It stands in the log, sealed for the child, from which the family is told; one that
    is found wrong is the auditor's task. Settled twice is settled once.

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
            if who["id"] == leader.id:
                raise NotAllowed("somebody else reviews what you have looked up")
        if task.done_at is not None:
            return
        task.done_at = now = ctx.clock.now()
        if verdict == "wrong":
            about = {str(entry.id): {"child_id": entry.child_id, "entry_id": entry.id}}
            tasks.put(session, ctx.keys, now, WRONG, about)
        known = entry.subject_key in keys  # else the child has been forgotten: the verdict is kept all the same
        subject = {"purpose": marked.KIND, "of": str(entry.id), "verdict": verdict, "basis": decision.basis}
        made = log.seal_entry(
            at=now,
            kind=marked.KIND,
            child_id=entry.child_id if known else None,
            asker=leader,
            asker_key=asker_key(session, ctx.keys, leader),
            subject=subject | {"note": note.strip() or None},
            subject_key=(entry.subject_key, keys[entry.subject_key])
            if known
            else day_key(session, ctx.keys, today(ctx.clock)),
        )
        log.append(session, [made])


def of_child(session: Session, keys: Keys, child: OwnChild) -> list[Reviewed]:
    """The reviewed looks at a child, newest first: for a reader of hub.access.own, which writes the entry."""
    verdicts = session.execute(
        select(tables.LogEntry)
        .where(tables.LogEntry.child_id == child.id, tables.LogEntry.kind == marked.KIND)
        .order_by(tables.LogEntry.seq.desc())
    ).scalars()
    said = {}
    for row in verdicts:
        subject = unseal_json(child.key, row.subject, f"log-subject:{row.id}")
        said[UUID(subject["of"])] = (subject["verdict"], row.at)
    looks = session.execute(select(tables.LogEntry).where(tables.LogEntry.id.in_(said))).scalars().all()
    askers = open_keys(session, keys, [look.asker_key for look in looks])
    by_id = {look.id: look for look in looks}
    found = []
    for entry, (verdict, reviewed) in said.items():
        look = by_id[entry]
        what = unseal_json(child.key, look.subject, f"log-subject:{look.id}")
        who: dict[str, Any] = {}
        if look.asker_key in askers:
            who = unseal_json(askers[look.asker_key], look.asker, f"log-asker:{look.id}")
        found.append(
            Reviewed(
                look.at,
                who.get("role", ""),
                who.get("administration"),
                who.get("unit"),
                what["purpose"],
                verdict,
                reviewed,
            )
        )
    return found


def _review(task: UUID, entry: tables.LogEntry, who: dict[str, Any], what: dict[str, Any]) -> Review:
    return Review(
        task,
        entry.id,
        entry.at,
        who["name"],
        who["administration"],
        who["unit"],
        what["purpose"],
        what["reason"],
        what["case"],
    )


def _may(leader: Asker) -> Decision:
    """By the policy. Whom a leader leads is what the list is chosen by."""
    return decide(Question(frozenset(leader.role.split()), marked.KIND, frozenset({"leads"})))


def _open(ctx: Context, leader: Asker, *, done: bool = False) -> Any:
    """The tasks of the leader's own unit, and of those in the administration whose unit is not known, with the entries
    they are about; of an auditor all. `done`: those that are settled too."""
    mine: list[ColumnElement[bool]] = [tables.Task.kind == marked.KIND]
    if "auditor" not in leader.role.split():
        unit = marked.team(ctx.keys, leader.administration, leader.unit)
        mine += [
            tables.Task.administration == (leader.administration or ""),  # of none, nobody's
            or_(tables.Task.team.is_(None), tables.Task.team == unit),
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
