"""Is everything there and answering? For operators: about systems, never about people."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select

from hub import reviews
from hub.cases import quarantine, sources
from hub.clock import DENMARK
from hub.context import Context
from hub.contract import Adapter, Channel, Mailer
from hub.errors import TovholderError
from hub.letters import stuck
from hub.store import home, schema, tables

UNREAD = timedelta(hours=24)
"""A source whose presences nobody has read for so long is told of."""


@dataclass(frozen=True, slots=True)
class Check:
    what: str
    ok: bool
    detail: str


def examine(ctx: Context) -> list[Check]:
    """All checks, each by itself."""
    checks = [Check("settings", True, str(ctx.settings.file or "no file: defaults and environment"))]
    help_ = ctx.settings.no_help
    checks.append(Check("help line", help_ is None, help_ or f"call {ctx.settings.municipality.phone}"))
    with ctx.database.session() as session:
        checks.append(Check("schema", True, schema.current(session.connection()) or ""))
        size = session.execute(select(tables.LogHead.size)).scalar_one()
        entries = session.execute(select(func.count()).select_from(tables.LogEntry)).scalar_one()
        checks.append(Check("access log", size == entries, f"head says {size}, there are {entries} entries"))
        for source in sources.fresh(session):
            checks += _source(source, ctx.clock.now())
        kept = quarantine.waiting(session)
        said = ", ".join(f"{name} {count}" for name, count in sorted(kept.items()))
        checks.append(Check("quarantine", not kept, f"{sum(kept.values())} records" + (f": {said}" if said else "")))
        late = session.execute(
            select(func.count()).select_from(tables.Letter).where(tables.Letter.state_due < ctx.clock.now())
        ).scalar_one()
        checks.append(Check("letters", late == 0, f"{late} wait longer than they should"))
        unwritten = session.execute(
            select(func.count()).select_from(tables.Bundle).where(stuck.unwritten(ctx.clock.now()))
        ).scalar_one()
        checks.append(Check("bundles", unwritten == 0, f"{unwritten} are due, and no worker has written their letter"))
        checks.append(_reviews(reviews.late(ctx, session)))
        held = home.held(session)
        checks.append(Check("sending", not held, home.WHY if held else "letters leave from this database"))
    checks.append(_journal(ctx.settings.journal))
    plugged: list[tuple[str, Adapter | Channel | Mailer]] = [
        *ctx.plugins.adapters.items(),
        *ctx.plugins.channels.items(),
        *ctx.plugins.mailers.items(),
    ]
    return checks + [_ask(name, thing) for name, thing in plugged]


def _source(source: sources.Freshness, now: datetime) -> Iterator[Check]:
    """Whether a source answers, and since when not. Presence is read every hour: when that was long ago and nothing
    failed, nobody reads."""
    what, answered = f"{source.source} {source.purpose}", source.answered_at
    if source.failure is not None:
        since = f"no answer since {_time(answered)}" if answered else "has never answered"
        tries = f"tries so far: {source.failures}, next " + (
            f"at {_time(source.next_try_at)}" if source.next_try_at else "at once"
        )
        yield Check(what, False, f"{since} ({tries}): {source.failure}")
    elif answered is not None and source.purpose == sources.PRESENCE and now - answered > UNREAD:
        yield Check(what, False, f"not read since {_time(answered)}: is a worker running?")
    else:
        yield Check(what, True, f"answered {_time(answered)}" if answered else "not read to its end yet")
    if source.held is not None:
        yield Check(f"{what} held", False, source.held)


def _reviews(late: Mapping[str, int]) -> Check:
    """By whose leader they wait for: the operator knows whom to call."""
    said = ", ".join(f"{owner} {count}" for owner, count in sorted(late.items()))
    what = f"{sum(late.values())} looks with a reason wait for a review longer than they should"
    return Check("reviews", not late, what + (f": {said}" if said else ""))


def _ask(name: str, thing: Adapter | Channel | Mailer) -> Check:
    try:
        health = thing.health()
    except TovholderError as error:
        return Check(name, False, str(error))
    except Exception as error:  # noqa: BLE001 - one plugin that fails must not hide the other checks
        return Check(name, False, f"its own check fails: {type(error).__name__}")
    return Check(name, health.ok, health.detail)


def _journal(folder: Path | None) -> Check:
    if folder is None:
        return Check("journal", True, "none is named: after a restore, people must ask what had been told")
    ok = folder.is_dir() and os.access(folder, os.W_OK)
    return Check(
        "journal", ok, f"{folder}" if ok else f"{folder} is not there, or not ours to write in; is its disk mounted?"
    )


def _time(when: datetime) -> str:
    return when.astimezone(DENMARK).strftime("%-d.%-m.%Y %H:%M")
