"""What the demo counts when the ten days are over, and how much memory its processes took."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from hub.letters import fold
from hub.store import tables


def children(session: Session) -> dict[str, int]:
    """How many children are present in each administration, and in each two of them."""
    where: dict[bytes, set[str]] = {}
    for token, administration in session.execute(
        select(tables.Presence.token, tables.Presence.administration).distinct()
    ).tuples():
        where.setdefault(token, set()).add(administration)
    order = ["SOF", "BUF", "SUF"]
    counts: Counter[str] = Counter()
    for found in where.values():
        names = [name for name in order if name in found]
        counts.update(names)
        counts.update(f"{a}+{b}" for i, a in enumerate(names) for b in names[i + 1 :])
    return {name: counts[name] for name in [*order, "SOF+BUF", "SOF+SUF", "BUF+SUF"]}


def count(session: Session, *conditions: ColumnElement[bool], table: type[tables.Base]) -> int:
    """How many rows of a table fulfil all conditions."""
    return session.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()


def story(session: Session) -> dict[str, object]:
    """Offers, answers, events and letters, as they stand now."""
    offer, letter, answered = tables.Offer, tables.Letter, tables.Acceptance
    answers = dict(
        session.execute(select(answered.answer, func.count(answered.child_id.distinct())).group_by(answered.answer))
        .tuples()
        .all()
    )
    offered = count(session, offer.offered_at.is_not(None), table=offer)
    accepted, declined = answers.get("yes", 0), answers.get("no", 0)
    events = count(session, tables.Event.bundle_id.is_not(None), table=tables.Event)
    composed = select(tables.Letter.bundle_id)
    told = count(session, tables.Event.bundle_id.in_(composed), table=tables.Event)
    folded = count(session, tables.Event.why_not.startswith(fold.into("")), table=tables.Event)
    letters = count(session, table=letter)
    return {
        "coordinators": count(session, tables.Coordinator.active.is_(True), table=tables.Coordinator),
        "offered": offered,
        "accepted": accepted,
        "declined": declined,
        "silent": offered - accepted - declined,
        "waiting": count(session, offer.state == "waiting", table=offer),
        "events": count(session, table=tables.Event),
        "events_waiting": events - told,
        "letters": letters,
        "events_per_letter": round(told / letters, 2) if letters else 0.0,
        "fragments_avoided": told + folded - letters,  # each piece of news as a letter of its own would be so many more
        "delivered": count(session, letter.state == "delivered", letter.route == "digital", table=letter),
        "printed": count(session, letter.state == "delivered", letter.route == "print", table=letter),
        "on_the_way": count(session, letter.state.in_(("frozen", "sent", "received")), table=letter),
        "failed": count(session, letter.state.in_(("failed", "returned")), table=letter),
        "withheld": count(session, letter.state == "withheld", table=letter),
        "notices": count(session, tables.Notice.told_at.is_not(None), table=tables.Notice),
        "journalised": count(session, tables.LetterPart.journalised_at.is_not(None), table=tables.LetterPart),
        "quarantined": count(session, table=tables.Quarantine),
        "log_entries": count(session, table=tables.LogEntry),
    }


def peak_mb(processes: Iterable[int]) -> float:
    """The most memory any of the processes has held (MB); 0 where the system does not tell."""
    peaks = [0.0]
    for pid in processes:
        status = Path(f"/proc/{pid}/status")
        if status.exists():
            for line in status.read_text(encoding="ascii", errors="replace").splitlines():
                if line.startswith("VmHWM:"):
                    peaks.append(int(line.split()[1]) / 1024)
    return round(max(peaks), 1)


def family_of(process: int) -> list[int]:
    """A process and everything it has started (Linux)."""
    found = [process]
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        for child in task.read_text(encoding="ascii").split():
            found += family_of(int(child))
    return found


def here() -> list[int]:
    return family_of(os.getpid())
