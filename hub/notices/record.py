"""Write notices down, in the transaction of what they tell of. Each once: `once` is a keyed digest of what happened and
whom it is for, or made from the digest of the notice it follows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub.notices.kinds import Kind
from hub.store.many import among
from hub.store.tables import Assignment, Case, Notice
from hub.vault import Keys, seal

ENDED = "the child's coordinator ended before it was told"
CHANGED = "the coordinator changed before it was told"


@dataclass(frozen=True, slots=True)
class Found:
    """An open case that has an adviser. `key` is the child's, `source_id` the case's id at its source."""

    case_id: UUID
    child_id: UUID
    key: bytes
    source: str
    administration: str
    reference: bytes
    source_id: str
    adviser_id: UUID


def assigned(session: Session, keys: Keys, now: datetime, found: Iterable[Found]) -> int:
    """Tell the adviser of each case who the child's coordinator is, where it has one: once for each coordinator. Gives
    how many notices are new."""
    by_child: dict[UUID, list[Found]] = {}
    for one in found:
        by_child.setdefault(one.child_id, []).append(one)
    if not by_child:
        return 0
    assignments = session.execute(
        select(Assignment.id, Assignment.child_id, Assignment.coordinator_id).where(
            among(Assignment.child_id, by_child), Assignment.until.is_(None)
        )
    ).all()
    rows = [
        {
            "id": (notice_id := uuid4()),
            "kind": "assigned",
            "child_id": one.child_id,
            "case_id": one.case_id,
            "source": one.source,
            "administration": one.administration,
            "adviser_id": one.adviser_id,
            "coordinator_id": row.coordinator_id,
            "once": keys.once("notice", f"{row.id}:{one.source}:{one.reference.hex()}:{one.adviser_id}"),
            "at": now,
            "sealed": seal(one.key, one.source_id.encode(), about(notice_id)),
        }
        for row in assignments
        for one in by_child[row.child_id]
    ]
    if not rows:
        return 0
    return len(session.execute(insert(Notice).on_conflict_do_nothing().returning(Notice.id), rows).all())


def about(notice_id: UUID) -> str:
    """What the sealed id of a case is bound to."""
    return f"notice:{notice_id}"


# Of each case, to its present adviser: the last that was told.
_TOLD = """
WITH told AS (
    SELECT DISTINCT ON (n.case_id) n.* FROM notice n
    JOIN case_index c ON c.id = n.case_id AND c.adviser_id = n.adviser_id
    WHERE n.child_id = ANY(:children) AND n.told_at IS NOT NULL
    ORDER BY n.case_id, n.told_at DESC, n.at DESC, n.id
)
"""
_ENDED = text(
    _TOLD
    + """
INSERT INTO notice (id, kind, child_id, source, administration, adviser_id, coordinator_id, of_id, once, at)
SELECT gen_random_uuid(), 'ended', child_id, source, administration, adviser_id, coordinator_id, coalesce(of_id, id),
       sha256(once || 'ended'::bytea), :now
FROM told ON CONFLICT DO NOTHING
"""
)
_FOLLOWS = text(
    _TOLD
    + """
INSERT INTO notice (id, kind, child_id, case_id, source, administration, adviser_id, coordinator_id, of_id, once, at)
SELECT gen_random_uuid(), :kind, t.child_id, t.case_id, t.source, t.administration, t.adviser_id, a.coordinator_id,
       coalesce(t.of_id, t.id), sha256(t.once || convert_to(:kind, 'UTF8')), :now
FROM told t JOIN assignment a ON a.child_id = t.child_id AND a.until IS NULL
WHERE :kind <> 'back' OR t.kind = 'substitute'
ON CONFLICT DO NOTHING
"""
)
_UNTOLD = (Notice.told_at.is_(None), Notice.why_not.is_(None))


def ended(session: Session, now: datetime, child_id: UUID) -> None:
    """The child's coordinator ends. Advisers who have been told of one are told; for the others there was none. Call it
    while the child's cases are still there."""
    session.flush()
    _hold_cases(session, [child_id])
    mine = (Notice.child_id == child_id, Notice.kind != "ended")
    session.execute(update(Notice).where(*mine, *_UNTOLD).values(why_not=ENDED))
    session.execute(_ENDED, {"children": [child_id], "now": now})


def changed(session: Session, now: datetime, kind: Kind, children: Iterable[UUID]) -> None:
    """The coordinator of these children is another (`handed_over`: the new assignment is there already), is away and
    has a `substitute`, or is `back`. Advisers who have been told of the coordinator are told; what waits still says who
    it is by then, and back again before the substitute was told of is no news."""
    ids = sorted(children)
    if not ids:
        return
    session.flush()
    _hold_cases(session, ids)
    mine = (among(Notice.child_id, ids), *_UNTOLD)
    session.execute(update(Notice).where(*mine, Notice.kind.in_(("substitute", "back"))).values(why_not=CHANGED))
    if kind == "handed_over":
        now_with = select(Assignment.coordinator_id).where(
            Assignment.child_id == Notice.child_id, Assignment.until.is_(None)
        )
        first = Notice.kind.in_(("assigned", "handed_over"))
        session.execute(
            update(Notice)
            .where(*mine, first, now_with.exists())
            .values(coordinator_id=now_with.scalar_subquery())
            .execution_options(synchronize_session=False)
        )
    session.execute(_FOLLOWS, {"children": ids, "kind": kind, "now": now})


def _hold_cases(session: Session, children: list[UUID]) -> None:
    """Cases before notices before the log's head: so does whoever hands a notice over. No key lock: who tells a family
    of a case need not wait."""
    mine = select(Case.id).where(among(Case.child_id, children)).order_by(Case.id)
    session.execute(mine.with_for_update(key_share=True))


def of_coordinator(session: Session, coordinator_id: UUID) -> list[UUID]:
    """The children somebody coordinates now."""
    mine = select(Assignment.child_id).where(Assignment.coordinator_id == coordinator_id, Assignment.until.is_(None))
    return list(session.execute(mine.order_by(Assignment.child_id)).scalars())
