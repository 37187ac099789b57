"""What must be so after the days, whatever was killed: looked at in the database and at the town's Digital Post."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from hub.demo import numbers
from hub.demo.servers import advis
from hub.store import tables


@dataclass
class Outcome:
    """How a town stands at the end."""

    story: dict[str, object]
    """What the demo counts, without lookups: the same however it came about."""
    wrong: list[str]
    """What breaks a promise by itself, without comparing."""
    killed: str = ""
    lookups: int = 0

    def summary(self) -> str:
        names = ("offered", "accepted", "events", "letters", "delivered")
        return " · ".join(f"{name} {self.story[name]}" for name in names) + f" · lookups {self.lookups}"


@dataclass
class Asked:
    """Lookups that were answered, by the id of their entry."""

    entries: set[UUID] = field(default_factory=set)


def look(session: Session, digital_post: Path, asked: Asked) -> Outcome:
    """Count, and find what is wrong."""
    story = numbers.story(session)
    kinds = dict(
        session.execute(select(tables.LogEntry.kind, func.count()).group_by(tables.LogEntry.kind)).tuples().all()
    )
    story["log_entries"] = {kind: count for kind, count in sorted(kinds.items()) if kind != "lookup"}
    wrong = [
        *_events(session),
        *_letters(session, digital_post),
        *_notices(session, digital_post.parent),
        *_log(session, asked),
        *_jobs(session),
    ]
    return Outcome(story, wrong, lookups=len(asked.entries))


def _events(session: Session) -> list[str]:
    """Every event is in exactly one letter, waits for one, or says why not."""
    letters = select(tables.Letter.bundle_id).where(tables.Letter.state != "withheld")
    lost = session.execute(
        select(func.count())
        .select_from(tables.Event)
        .outerjoin(tables.Bundle, tables.Bundle.id == tables.Event.bundle_id)
        .where(
            tables.Event.why_not.is_(None),
            tables.Bundle.id.is_(None) | (tables.Bundle.composed_at.is_not(None) & tables.Bundle.id.not_in(letters)),
        )
    ).scalar_one()
    return [f"{lost} events are in no letter, wait for none and have no reason"] if lost else []


def _letters(session: Session, digital_post: Path) -> list[str]:
    """What the hub has sent is what the town has, once each."""
    received = Counter(file.name.split(".")[0] for file in digital_post.glob("*.xml"))
    rows = session.execute(select(tables.Letter.id, tables.Letter.state)).all()
    handed_over = {str(row.id) for row in rows if row.state not in ("frozen", "withheld")}
    empty = {str(row.id) for row in rows} - {
        str(found)
        for found in session.execute(
            select(tables.Letter.id).join(tables.Event, tables.Event.bundle_id == tables.Letter.bundle_id)
        ).scalars()
    }
    found = []
    if twice := [key for key, count in received.items() if count > 1]:
        found.append(f"{len(twice)} letters were received twice")
    if missing := handed_over - received.keys():
        refused = {str(row.id) for row in rows if row.state == "failed"}
        if missing - refused:
            found.append(f"{len(missing - refused)} letters count as sent, and nobody has received them")
    if extra := received.keys() - {str(row.id) for row in rows}:
        found.append(f"{len(extra)} letters were received that the hub does not know")
    if empty:
        found.append(f"{len(empty)} letters tell no event")
    return found


def _notices(session: Session, town: Path) -> list[str]:
    """What counts as handed over to SUF's system, it has; by its id it can tell what came twice."""
    rows = session.execute(select(tables.Handover.notice_id, tables.Handover.state)).all()
    got = set(advis.received(town, "suf"))
    sent = {str(row.notice_id) for row in rows if row.state == "sent"}
    found = []
    if missing := sent - got:
        found.append(f"{len(missing)} notices count as handed over, and nobody has received them")
    if extra := got - {str(row.notice_id) for row in rows}:
        found.append(f"{len(extra)} notices were received that the hub does not know")
    untold = session.execute(
        select(func.count())
        .select_from(tables.Handover)
        .where(tables.Handover.entry_id.is_(None), tables.Handover.notice_id.in_([UUID(one) for one in got]))
    ).scalar_one()
    if untold:
        found.append(f"{untold} notices have left without an entry in the log")
    return found


def _log(session: Session, asked: Asked) -> list[str]:
    """The sequence has no gap, and whoever was answered has an entry."""
    found = []
    size = session.execute(select(tables.LogHead.size)).scalar_one()
    seen = session.execute(
        select(func.count(), func.coalesce(func.min(tables.LogEntry.seq), 0), func.max(tables.LogEntry.seq))
    ).one()
    first, last = (0, size - 1) if seen[1] == 0 else (1, size)
    if size and tuple(seen) != (size, first, last):
        found.append(f"the log's head says {size}, and there are {seen[0]} entries from {seen[1]} to {seen[2]}")
    kept = set(session.execute(select(tables.LogEntry.id).where(tables.LogEntry.kind == "lookup")).scalars())
    if lost := asked.entries - kept:
        found.append(f"{len(lost)} lookups were answered and have no entry")
    return found


def _jobs(session: Session) -> list[str]:
    left = session.execute(text("SELECT status::text, count(*) FROM procrastinate_jobs GROUP BY 1")).all()
    return [f"{count} jobs are left {status}" for status, count in left if status not in ("succeeded", "cancelled")]


READ_AGAIN = ("journal", "notice")
"""Kinds of entries in the log that are one for each time a case system reads a page of its feed; whose answer was lost,
reads again."""


def compare(calm: Outcome, other: Outcome) -> list[str]:
    """What is wrong with an outcome by itself, and where it differs from the calm one."""
    differs = [
        f"{name} is {other.story[name]!r}, and {value!r} when nobody pulls a plug"
        for name, value in calm.story.items()
        if _once(name, other.story[name], value) != value
    ]
    return other.wrong + differs


def _once(name: str, found: Any, calm: Any) -> Any:
    """What was found, without what was read more often."""
    if name != "log_entries":
        return found
    return {kind: min(n, calm.get(kind, 0)) if kind in READ_AGAIN else n for kind, n in found.items()}
