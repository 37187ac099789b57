"""Children with coordinators, written straight into the tables with the hub's own sealing: what a lookup meets."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import insert

from hub import StaffRecord
from hub.access.log import Asker
from hub.cases import sources
from hub.context import Context
from hub.coordination.staff import add_coordinator
from hub.store import tables
from hub.vault import new_key, seal_json

PER_COORDINATOR = 20
SOURCES = ("sof_case", "buf_case", "suf_cura", "cpr_custody")
ADMINISTRATIONS = ("SOF", "BUF")
"""Each child has an open case in both."""


def askers(count: int) -> list[Asker]:
    """Members of staff of an administration that has a case on every child."""
    return [Asker(f"s-{n}", f"Sanne Toft {n}", "staff", "SOF", f"Handicap, team {n % 8}") for n in range(count)]


def number(n: int) -> str:
    """A fictitious number; different for every `n` up to 3 million."""
    return f"{1 + n % 28:02}{1 + n // 28 % 12:02}{10 + n // 336 % 10:02}{4000 + n // 3360:04}"


def settle(ctx: Context, count: int) -> list[str]:
    """Write `count` children, each with an assignment, two open cases and a key of its own. Gives their numbers."""
    numbers = [number(n) for n in range(count)]
    now = ctx.clock.now()
    with ctx.database.begin() as session:
        coordinators = [
            add_coordinator(ctx, session, StaffRecord(f"k-{n}", f"Mette Holm {n}", f"k{n}@tovby.example", "12340001"))
            for n in range(max(count // PER_COORDINATOR, 1))
        ]
        for source in SOURCES:
            sources.begin(session, source, sources.CASES, now, timedelta(days=7))
            sources.end(session, source, sources.CASES, now)
        session.flush()
        keys, children, assignments, cases = [], [], [], []
        for n, digits in enumerate(numbers):
            child_id, key_id, key = uuid4(), uuid4(), new_key()
            version, wrapped = ctx.keys.ring.wrap(key, str(key_id))
            keys.append({"id": key_id, "version": version, "wrapped": wrapped})
            sealed = seal_json(key, {"cpr": digits}, f"child:{child_id}")
            token = ctx.keys.lookup_token(digits)
            children.append({"id": child_id, "token": token, "key_id": key_id, "sealed": sealed, "eligible": True})
            coordinator = coordinators[n % len(coordinators)]
            assignments.append({"id": uuid4(), "child_id": child_id, "coordinator_id": coordinator, "since": now})
            cases += [_case(ctx, now, child_id, key, administration) for administration in ADMINISTRATIONS]
        for table, rows in (
            (tables.PersonKey, keys),
            (tables.Child, children),
            (tables.Assignment, assignments),
            (tables.Case, cases),
        ):
            session.execute(insert(table), rows)
    with ctx.database.owner_engine() as engine, engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE")
    return numbers


def _case(ctx: Context, now: datetime, child: UUID, key: bytes, administration: str) -> dict[str, object]:
    case_id = uuid4()
    fields = {"kind": "32.18.04", "state": "open", "opened": "2026-10-01"}
    return {
        "id": case_id,
        "child_id": child,
        "source": administration.lower(),
        "reference": ctx.keys.refer(administration, str(case_id)),
        "administration": administration,
        "is_open": True,
        "sealed": seal_json(key, fields, f"case:{case_id}"),
        "digest": b"",
        "seen_at": now,
    }
