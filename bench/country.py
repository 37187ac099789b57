"""A country's worth of rows: children with coordinators, presences, cases and a long access log, loaded by COPY.

What a lookup opens is really sealed; what it only steps over (a case's own fields, both parts of a log entry) is bytes
of the length they have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from sqlalchemy.orm import Session

from bench.children import PER_COORDINATOR, number
from hub.access.askers import COORDINATORS
from hub.cases import sources
from hub.context import Context
from hub.vault import new_key, seal_json

SOURCES = {"sof_case": "SOF", "buf_case": "BUF"}
AT_ONCE = 20_000
BYTES_EACH = 700
"""What a log entry takes on disk with its indexes, and room for what loading it writes beside."""
_SEALED = r"'\x" + "5a" * 184 + "'"
"""About as long as either part of an entry is."""
_FROM_CHILDREN = (
    """
    INSERT INTO assignment (id, child_id, coordinator_id, since)
    SELECT gen_random_uuid(), c.id, o.staff_id, now() - interval '90 days'
    FROM (SELECT id, row_number() OVER () AS n FROM child) c
    JOIN (SELECT staff_id, row_number() OVER () AS n FROM coordinator) o ON o.n = (c.n - 1) / {each} + 1
    """,
    """
    INSERT INTO case_index (id, child_id, source, reference, administration, is_open, sealed, digest, seen_at)
    SELECT gen_random_uuid(), id, '{source}', sha256(uuid_send(id) || '{source}c'), '{administration}', true,
           sha256(uuid_send(id)) || sha256(token) || sha256(sealed), sha256(uuid_send(id)), now()
    FROM child
    """,
    """
    INSERT INTO presence (source, reference, token, administration, state, last_seen)
    SELECT '{source}', sha256(uuid_send(id) || '{source}p'), token, '{administration}', 'open', now() FROM child
    """,
)


def load(ctx: Context, count: int, entries: int, tell: Callable[[str], None]) -> None:
    """Write `count` children, each with an assignment, an open case and a presence in two administrations, and
    `entries` lookups of them in the log, each child in turn."""
    with ctx.database.owner_engine() as engine, engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.autocommit = True
        # No foreign key is checked row by row: what is loaded here is right by construction.
        driver.execute("SET session_replication_role = replica")
        driver.execute("SET maintenance_work_mem = '1GB'")
        tell("coordinators")
        _copy(driver, _coordinators(ctx, -(-count // PER_COORDINATOR)))
        for first in range(0, count, AT_ONCE):
            tell(f"children, {first:,} of {count:,}")
            _copy(driver, _children(ctx, range(first, min(first + AT_ONCE, count))))
        tell("assignments, cases and presences")
        assignments, cases, presences = _FROM_CHILDREN
        driver.execute(assignments.format(each=PER_COORDINATOR))
        for source, administration in SOURCES.items():
            for statement in (cases, presences):
                driver.execute(statement.format(source=source, administration=administration))
        _log(driver, count, entries, tell)
        tell("vacuum and statistics")
        driver.execute("VACUUM ANALYZE")
        driver.execute("CHECKPOINT")
    with ctx.database.begin() as session:
        _read_already(ctx, session)


def _copy(driver: psycopg.Connection[Any], tables: dict[str, Iterator[tuple[Any, ...]]]) -> None:
    for table, rows in tables.items():
        with driver.cursor().copy(f"COPY {table} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def _coordinators(ctx: Context, count: int) -> dict[str, Iterator[tuple[Any, ...]]]:
    keys: list[tuple[Any, ...]] = []
    staff, coordinators = [], []
    for n in range(count):
        staff_id = uuid4()
        key_id, key = _key(ctx, keys)
        fields = {"name": f"Mette Holm {n}", "email": f"k{n}@tovby.example", "phone": "12340001", "unit": None}
        sealed = seal_json(key, fields, f"staff:{key_id}")
        staff.append((staff_id, COORDINATORS, ctx.keys.refer(COORDINATORS, str(n)), key_id, sealed))
        coordinators.append((staff_id, n + 1, True, False))
    return {
        "person_key (id, version, wrapped)": iter(keys),
        "staff (id, source, reference, key_id, sealed)": iter(staff),
        "coordinator (staff_id, number, active, away)": iter(coordinators),
    }


def _children(ctx: Context, numbers: range) -> dict[str, Iterator[tuple[Any, ...]]]:
    keys: list[tuple[Any, ...]] = []
    children = []
    for n in numbers:
        child_id, digits = uuid4(), number(n)
        key_id, key = _key(ctx, keys)
        sealed = seal_json(key, {"cpr": digits}, f"child:{child_id}")
        children.append((child_id, ctx.keys.lookup_token(digits), key_id, sealed, True))
    return {
        "person_key (id, version, wrapped)": iter(keys),
        "child (id, token, key_id, sealed, eligible)": iter(children),
    }


def _key(ctx: Context, keys: list[tuple[Any, ...]]) -> tuple[UUID, bytes]:
    key_id, key = uuid4(), new_key()
    keys.append((key_id, *ctx.keys.ring.wrap(key, str(key_id))))
    return key_id, key


def _log(driver: psycopg.Connection[Any], count: int, entries: int, tell: Callable[[str], None]) -> None:
    """The entries first, what keeps them in order afterwards, as any great load is done."""
    indexes = driver.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'log_entry'").fetchall()
    names = driver.execute(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = 'log_entry'::regclass AND contype IN ('p', 'u')"
    ).fetchall()
    for name, _definition in names:
        driver.execute(f"ALTER TABLE log_entry DROP CONSTRAINT {name}")
    left = driver.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'log_entry'").fetchall()
    for (name,) in left:
        driver.execute(f"DROP INDEX {name}")
    for first in range(0, entries, count):
        tell(f"log entries, {first:,} of {entries:,}")
        driver.execute(
            f"""
            INSERT INTO log_entry (seq, id, version, at, kind, child_id, asker_key, asker, subject_key, subject)
            SELECT {first} + row_number() OVER () - 1, uuidv7(), 1, now(), 'lookup', id, key_id, {_SEALED}, key_id,
                   {_SEALED}
            FROM child LIMIT {min(count, entries - first)}
            """
        )
    driver.execute(f"UPDATE log_head SET size = {entries}")
    for name, definition in names:
        tell(f"index {name}")
        driver.execute(f"ALTER TABLE log_entry ADD CONSTRAINT {name} {definition}")
    constraints = {name for name, _definition in names}
    for (definition,) in indexes:
        if not any(f" {name} " in definition for name in constraints):
            tell("index by child")
            driver.execute(definition)


def _read_already(ctx: Context, session: Session) -> None:
    """All sources have just been read in full: what comes now are a day's changes."""
    now = ctx.clock.now()
    for source in SOURCES:
        for purpose in (sources.PRESENCE, sources.CASES):
            sources.begin(session, source, purpose, now, timedelta(days=7))
            sources.end(session, source, purpose, now)
            row = sources.state(session, source, purpose)
            row.full_at, row.cursor = now, "0"
