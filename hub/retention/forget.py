"""Every night: what the rules say may go, goes; each rule is a transaction of its own, with its entry in the log."""

from __future__ import annotations

from datetime import timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.access import log as access_log
from hub.context import Context
from hub.retention.entries import entry
from hub.retention.rules import RULES
from hub.store import home, tables

log = structlog.get_logger()

STANDSTILL = timedelta(days=7)
"""A clock that is further than this from the log's last entry is not believed for one night."""


def forget(ctx: Context) -> dict[str, int]:
    """Go through the rules. Gives how much was forgotten, by rule; nothing in a copy of the database that does not know
    yet what it has missed (hub.store.home), and on the first night after the clock has jumped: what is forgotten by a
    clock that was wrong does not come back."""
    with ctx.database.begin() as session:
        if home.held(session):
            return {}
        if _jumped(ctx, session):
            log.warning("nothing is forgotten tonight: the clock has jumped, or the hub has stood still for a week")
            access_log.append(session, [entry(ctx, session, {"waits": "clock"})])
            return {}
    done: dict[str, int] = {}
    for rule in RULES:
        if rule.go is None:
            continue
        with ctx.database.begin() as session:
            count = rule.go(ctx, session)
            if count:
                access_log.append(session, [entry(ctx, session, {"rule": rule.name, "count": count})])
        if count:
            done[rule.name] = count
            log.info("forgotten", rule=rule.name, count=count)
    return done


def _jumped(ctx: Context, session: Session) -> bool:
    newest = select(tables.LogEntry.at).order_by(tables.LogEntry.seq.desc()).limit(1)
    last = session.execute(newest).scalar_one_or_none()
    return last is not None and abs(ctx.clock.now() - last) > STANDSTILL
