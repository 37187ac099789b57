"""Row-level security, the second lock: whatever a page asks for, the database shows it the rows of its viewer."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Connection, create_engine, inspect, select, text, update
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.orm import Session

from hub import consents
from hub.access import own, viewers
from hub.access.askers import KeyCache, asker_key, day_key
from hub.access.log import Asker
from hub.access.lookup import LookupQueue, Request
from hub.clock import SetClock
from hub.context import Context
from hub.errors import GaveUp, SettingsError
from hub.plugins import Plugins
from hub.recovery import read_log
from hub.settings import Settings
from hub.store import backup, embedded, schema, tables
from hub.store.database import LOOKUP_ROLE, Database
from hub.store.viewer import PAGE_ROLE, Viewer
from tests.conftest import START, World
from tests.databases import Own
from tests.store.two_families import CLERKS, TwoFamilies

TABLES = {mapper.local_table.name: mapper.class_ for mapper in tables.Base.registry.mappers}
VIEWERS = (
    *("mother", "father", "aunt", "stranger", "Karla herself", "SOF", "SOF after a look", "SOF after another's look"),
    *(
        "SOF's adviser",
        "another administration's adviser",
        "BUF",
        "coordinator",
        "substitute",
        "leader",
        "leader of another unit",
        "auditor",
        "operator",
        "nobody",
    ),
)


@pytest.fixture(scope="module")
def town(cluster, admin, template: str, keys, settings: Settings, tmp_path_factory) -> Iterator[TwoFamilies]:
    made = Own.made(cluster, admin, template)
    clock = SetClock(START)
    ctx = Context(settings, clock, made.database, keys, Plugins((), {}, {}, {}))
    try:
        yield TwoFamilies(World(ctx, clock, tmp_path_factory.mktemp("town")))
    finally:
        made.database.close()
        admin(f"DROP DATABASE {made.name} WITH (FORCE)")


Called = Callable[[TwoFamilies, Any], str]
SEEN: dict[str, tuple[Called, dict[str, set[str]]]] = {
    "guardian": (
        lambda town, row: town.names[row.id],
        {each: {each} for each in ("mother", "father", "aunt", "stranger")},
    ),
    "custody": (
        lambda town, row: f"{town.names[row.guardian_id]} of {town.names[row.child_id]}",
        {
            "mother": {"mother of Karla"},
            "father": {"father of Karla"},
            "aunt": {"aunt of Anna"},
            "stranger": {"stranger of Emil", "stranger of Ole"},
        },
    ),
    "child": (
        lambda town, row: town.names[row.id],
        {
            "mother": {"Karla"},
            "father": {"Karla"},
            "aunt": {"Anna"},
            "stranger": {"Emil", "Ole"},
            "Karla herself": {"Karla"},
        },
    ),
    "offer": (
        lambda town, row: f"{town.names[row.child_id]} {row.state}",
        {
            "mother": {"Karla accepted"},
            "father": {"Karla accepted"},
            "aunt": {"Anna accepted"},
            "stranger": {"Emil accepted", "Ole withdrawn"},
            "Karla herself": {"Karla accepted"},
        },
    ),
    "assignment": (
        lambda town, row: town.names[row.child_id] + (" before" if row.until else ""),
        {
            "mother": {"Karla"},
            "father": {"Karla"},
            "aunt": {"Anna"},
            "stranger": {"Emil"},
            "Karla herself": {"Karla"},
        },
    ),
    "acceptance": (
        lambda town, row: f"{town.names[row.guardian_id]} {town.names[row.child_id]} {row.answer}",
        {
            "mother": {"mother Karla yes", "mother Anna yes"},
            "stranger": {"stranger Emil yes", "stranger Ole yes", "stranger Ole withdrawn"},
        },
    ),
    "consent": (
        lambda town, row: f"{town.names[row.guardian_id]} {town.names[row.child_id]} {row.administration}",
        {
            "mother": {"mother Karla SUF", "mother Anna SUF"},
            "stranger": {"stranger Emil SUF", "stranger Ole SUF"},
        },
    ),
    "block": (
        lambda town, row: f"{town.names[row.guardian_id]} {town.names[row.child_id]} {row.administration}",
        {"mother": {"mother Karla SUF"}, "stranger": {"stranger Emil SUF"}, "aunt": {"aunt Anna SUF"}},
    ),
    "rights_request": (
        lambda town, row: f"{town.names[row.guardian_id]} {town.names[row.child_id]}",
        {"mother": {"mother Karla"}, "stranger": {"stranger Emil"}},
    ),
    "preference": (
        lambda town, row: town.names[row.guardian_id],
        {each: {each} for each in ("mother", "father")},
    ),
    "case_index": (
        lambda town, row: f"{town.names[row.child_id]} {row.administration}{'' if row.is_open else ' closed'}",
        {
            "mother": {"Karla SOF", "Karla BUF", "Karla BUF closed"},
            "father": {"Karla SOF", "Karla BUF", "Karla BUF closed"},
            "aunt": {"Anna SOF closed"},
            "stranger": {"Emil BUF", "Emil SUF"},
            "Karla herself": {"Karla SOF", "Karla BUF", "Karla BUF closed"},
        },
    ),
    "child_source": (
        lambda town, row: town.names[row.child_id],
        {
            "mother": {"Karla"},
            "father": {"Karla"},
            "aunt": {"Anna"},
            "stranger": {"Emil"},
            "Karla herself": {"Karla"},
        },
    ),
    "letter": (
        lambda town, row: town.names[row.id],
        {
            "mother": {"mother: Karla left"},
            "father": {"father: Karla left"},
            "aunt": {"aunt: Anna left"},
            "stranger": {"stranger: Emil+Ole left"},
        },
    ),
    "letter_child": (
        lambda town, row: town.names[row.letter_id],
        {
            "mother": {"mother: Karla left"},
            "father": {"father: Karla left"},
            "aunt": {"aunt: Anna left"},
            "stranger": {"stranger: Emil+Ole left"},
        },
    ),
    "coordinator": (
        lambda town, row: town.names[row.staff_id],
        {
            "mother": {"Karla's coordinator"},
            "father": {"Karla's coordinator"},
            "aunt": {"Karla's coordinator"},
            "stranger": {"Emil's coordinator"},
            "Karla herself": {"Karla's coordinator"},
        },
    ),
    "staff": (
        lambda town, row: town.names[row.id],
        {
            "mother": {"Karla's coordinator", "her substitute", "Sanne of SOF", "Bo of BUF"},
            "father": {"Karla's coordinator", "her substitute", "Sanne of SOF", "Bo of BUF"},
            "Karla herself": {"Karla's coordinator", "her substitute", "Sanne of SOF", "Bo of BUF"},
            "aunt": {"Karla's coordinator", "her substitute", "Sofus of SOF"},
            "stranger": {"Emil's coordinator", "Bo of BUF", "Su of SUF"},
        },
    ),
    "task": (
        lambda town, row: (
            row.kind
            + (f" about {town.names[row.child_id]}" if row.kind == "wrong" else "")
            + (f" of {town.names[row.entry_id]}" if row.entry_id else "")
        ),
        {
            "mother": {"wrong about Karla"},
            "stranger": {"wrong about Emil"},
        },
    ),
    "person_key": (
        lambda town, row: town.names.get(row.id, "another"),
        {
            "mother": {
                "mother",
                "Karla",
                "Karla's coordinator",
                "her substitute",
                "Sanne of SOF",
                "Bo of BUF",
                "today",
            },
            "father": {
                "father",
                "Karla",
                "Karla's coordinator",
                "her substitute",
                "Sanne of SOF",
                "Bo of BUF",
                "today",
            },
            "aunt": {"aunt", "Anna", "Karla's coordinator", "her substitute", "Sofus of SOF", "today"},
            "stranger": {"stranger", "Emil", "Ole", "Emil's coordinator", "Bo of BUF", "Su of SUF", "today"},
            "Karla herself": {"Karla", "Karla's coordinator", "her substitute", "Sanne of SOF", "Bo of BUF", "today"},
            "nobody": {"today"},
        },
    ),
    "rotating_key": (
        lambda town, row: town.day(row),
        {each: {"today"} for each in VIEWERS},
    ),
    "hears": (
        lambda town, row: town.names[row.id],
        {},
    ),
    "notice": (
        lambda town, row: f"to {town.names[row.adviser_id]} of {town.names[row.child_id]}",
        {"SOF's adviser": {"to Sanne of SOF of Karla"}},
    ),
    "presence": (
        lambda town, row: f"{town.by_token.get(row.token)} {row.administration}",
        {},
    ),
    "log_entry": (
        lambda town, row: town.names.get(row.id, "another"),
        {},
    ),
}
"""By table: what its rows are called, and which of them each viewer sees. Who is not named sees none."""

OF_STAFF: dict[str, dict[str, set[str]]] = {
    "SOF": {
        "task": {"adviser"},
        "child": {"Karla"},
        "guardian": {"mother", "father", "Karla's uncle"},
        "hears": {"Karla's uncle"},
        "custody": {"mother of Karla", "father of Karla"},
        "offer": {"Karla accepted"},
        "assignment": {"Karla"},
        "block": {"mother Karla SUF"},
        "case_index": {"Karla SOF"},
        "presence": {"Karla SOF"},
        "staff": {"clerk of SOF"},
        "person_key": {"clerk of SOF", "Karla", "mother", "father", "Karla's uncle"},
    },
    "BUF": {
        "task": {"administration"},
        "child": {"Karla"},
        "guardian": {"mother", "father", "Karla's uncle"},
        "hears": {"Karla's uncle"},
        "custody": {"mother of Karla", "father of Karla"},
        "offer": {"Karla accepted"},
        "assignment": {"Karla"},
        "block": {"mother Karla SUF"},
        "case_index": {"Karla BUF", "Karla BUF closed"},
        "presence": {"Karla BUF"},
        "staff": {"clerk of BUF"},
        "person_key": {"clerk of BUF", "Karla", "mother", "father", "Karla's uncle"},
    },
    "coordinator": {
        "task": {"wrong about Karla", "coordinator", "nobody"},
        "rights_request": {"mother Karla"},
        "child": {"Karla"},
        "guardian": {"mother", "father", "Karla's uncle"},
        "hears": {"Karla's uncle"},
        "custody": {"mother of Karla", "father of Karla"},
        "offer": {"Karla accepted", "Anna accepted"},
        "assignment": {"Karla", "Anna"},
        "block": {"mother Karla SUF"},
        "case_index": {"Karla SOF", "Karla BUF", "Karla BUF closed"},
        "letter": {
            *("mother: Karla left", "mother: Karla waits", "father: Karla left", "father: Karla waits"),
            *("aunt: Anna left", "mother: Anna+Karla left"),
        },
        "coordinator": {"Karla's coordinator"},
        "staff": {"Karla's coordinator", "her substitute"},
        "person_key": {"Karla's coordinator", "her substitute", "Karla", "mother", "father", "Karla's uncle"},
    },
    "leader": {
        "task": {"review of look by clerk of BUF"},
        "log_entry": {"look by clerk of BUF"},
        "staff": {"clerk of BUF"},
        "person_key": {"clerk of BUF", "Karla"},  # the entry's own, without Karla's row
    },
    "leader of another unit": {"staff": {"clerk of BUF"}, "person_key": {"clerk of BUF"}},
    "auditor": {
        "task": {"review of look by clerk of BUF", "review of look by clerk of SOF"},
        "log_entry": {"look by clerk of BUF", "look by clerk of SOF"},
        "person_key": {"clerk of BUF", "clerk of SOF", "Karla", "Emil"},
    },
}
"""By viewer of staff, and table. A clerk sees of a child what their task is about; a leader and an auditor the looks
they review, and of the child nothing."""
OF_STAFF["SOF after another's look"] = OF_STAFF["SOF's adviser"] = OF_STAFF["SOF"]
OF_STAFF["another administration's adviser"] = OF_STAFF["BUF"]
# Emil has nothing in SOF: that he is there is what refuses the form, and neither his name nor his guardian's opens.
OF_STAFF["SOF after a look"] = {
    table: OF_STAFF["SOF"].get(table, set()) | more
    for table, more in {
        **{table: set[str]() for table in OF_STAFF["SOF"]},
        "child": {"Emil"},
        "offer": {"Emil accepted"},
        "assignment": {"Emil"},
        "block": {"stranger Emil SUF"},
        "log_entry": {"look by clerk of SOF"},
    }.items()
}
# Whoever speaks for her.
OF_STAFF["substitute"] = OF_STAFF["coordinator"] | {
    "offer": {"Karla accepted"},
    "assignment": {"Karla"},
    "coordinator": {"Karla's coordinator", "her substitute"},
    "staff": {"her substitute"},
    "person_key": {"her substitute", "Karla", "mother", "father", "Karla's uncle"},
}
for _viewer, _tables in OF_STAFF.items():
    for _table, _rows in _tables.items():
        SEEN[_table][1][_viewer] = _rows | ({"today"} if _table == "person_key" else set())
SEEN["person_key"][1]["operator"] = {"today"}
SHARED = {"source_state", "log_head"}
"""The same for every viewer, and about nobody: how fresh the sources are, how long the log is."""
WRITTEN = {
    "log_entry": {"INSERT"},
    "log_head": {"UPDATE"},
    "person_key": {"INSERT"},
    "rotating_key": {"INSERT"},
}
"""What a look must write. All else that the page role may do is read."""


def keys_of(rows: Any) -> set[Any]:
    return {inspect(row).identity for row in rows}


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_viewer_sees_their_own_rows_and_no_others(town: TwoFamilies, name: str) -> None:
    """Everything is asked for, without any condition. A table that is not in SEEN is closed to pages."""
    table, database = TABLES[name], town.ctx.database
    everything = town.world.rows(table)
    for viewer, who in town.viewers().items():
        with database.begin_as(who) as session:
            if name not in SEEN and name not in SHARED:
                with pytest.raises(ProgrammingError, match="permission denied"):
                    session.execute(select(table)).scalars().all()
                continue
            seen = keys_of(session.execute(select(table)).scalars())
        if name in SHARED:
            assert seen == keys_of(everything) != set()
            continue
        called, visible = SEEN[name]
        expected = visible.get(viewer, set())
        found = {called(town, row) for row in everything if inspect(row).identity in seen}
        assert found == expected, f"{viewer} of {name}"
        assert seen == keys_of(row for row in everything if called(town, row) in expected), f"{viewer} of {name}"
        assert len(seen) < len(everything), "a table where somebody sees everything shows nothing"


def unlocked(connection: Connection) -> list[str]:
    """Tables of ours without row-level security, or without a policy for the application: what to write for each."""
    found = connection.execute(
        text(
            "SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity,"
            " EXISTS (SELECT FROM pg_policies p WHERE p.schemaname = 'public' AND p.tablename = c.relname"
            "         AND p.roles = '{tovholder_app}') AS app"
            " FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"
        )
    )
    locked = {row.relname for row in found if row.relrowsecurity and row.app and not row.relforcerowsecurity}
    return [HELP.format(name=name) for name in sorted(TABLES.keys() - locked)]


HELP = """{name} has no row-level security. Write in its migration:
    ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;
    CREATE POLICY app ON {name} TO tovholder_app USING (true) WITH CHECK (true);
and, only when a page reads it, whose its rows are (page_family(), page_work(), … of 0005_row_security.sql
and 0008_staff_rows.sql):
    CREATE POLICY page ON {name} FOR SELECT TO tovholder_page USING (…);
    GRANT SELECT ON {name} TO tovholder_page;
and in SEEN (tests/store/test_row_security.py) which of them each viewer sees."""


def test_every_table_has_a_policy(session: Session) -> None:
    missing = unlocked(session.connection())
    assert not missing, "\n\n".join(missing)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE offer DISABLE ROW LEVEL SECURITY",
        "DROP POLICY app ON offer",
        "ALTER TABLE offer FORCE ROW LEVEL SECURITY",
    ],
)
def test_a_table_without_its_lock_is_found(database: Database, statement: str) -> None:
    with database.owner_engine() as engine, engine.connect() as connection:
        connection.execute(text(statement))
        (help_,) = unlocked(connection)
        assert help_.startswith("offer has no row-level security")
        connection.rollback()


def test_the_page_role_is_given_what_is_listed_and_no_more(session: Session) -> None:
    granted: dict[str, set[str]] = {}
    for table, right in session.execute(
        text(
            "SELECT c.relname, a.privilege_type FROM pg_class c, aclexplode(c.relacl) a"
            " WHERE a.grantee IN (0, to_regrole(:role)) AND c.relnamespace = 'public'::regnamespace"
        ),
        {"role": PAGE_ROLE},
    ):
        granted.setdefault(table, set()).add(right)
    read = {name for name, rights in granted.items() if "SELECT" in rights}
    assert read == SEEN.keys() | SHARED, "say in SEEN what each viewer sees of it"
    assert {name: rights - {"SELECT"} for name, rights in granted.items() if rights - {"SELECT"}} == WRITTEN


LOOKED_UP_BY: dict[str, dict[str, set[str]]] = {
    "child": {"SELECT": {"id", "token", "key_id"}},
    "former_number": {"SELECT": {"token", "child_id"}},
    "person_key": {"SELECT": {"id", "version", "wrapped"}},
    "assignment": {"SELECT": {"child_id", "coordinator_id", "since", "until"}},
    "coordinator": {"SELECT": {"staff_id", "substitute_id", "away"}},
    "staff": {"SELECT": {"id", "key_id", "reference", "administration", "sealed"}},
    "case_index": {"SELECT": {"child_id", "administration", "is_open"}},
    "block": {"SELECT": {"child_id", "administration", "lifted_at"}},
    "consent": {"SELECT": {"child_id", "administration", "since", "until", "withdrawn_at"}},
    "source_state": {"SELECT": {"source", "purpose", "failure", "answered_at"}},
    "log_head": {"SELECT": {"id", "size"}, "UPDATE": {"size"}},
    "asker_hour": {"SELECT": {"asker", "child", "at"}, "INSERT": {"asker", "child", "at"}, "UPDATE": {"at"}},
    "log_entry": {
        "INSERT": {
            *("seq", "version", "at", "kind", "id", "child_id", "asker_key", "asker", "subject_key", "subject"),
        }
    },
    "task": {"INSERT": {"id", "kind", "once", "administration", "team", "child_id", "entry_id", "made_at"}},
}
"""What the lookups' queue may do, by column."""


def test_the_lookup_role_is_given_what_is_listed_and_no_more(session: Session) -> None:
    by_column: dict[str, dict[str, set[str]]] = {}
    for table, column, right in session.execute(
        text(
            "SELECT c.relname, a.attname, p.privilege_type FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid,"
            " aclexplode(a.attacl) p WHERE p.grantee IN (0, to_regrole(:role))"
            " AND c.relnamespace = 'public'::regnamespace"
        ),
        {"role": LOOKUP_ROLE},
    ):
        by_column.setdefault(table, {}).setdefault(right, set()).add(column)
    assert by_column == LOOKED_UP_BY
    whole = session.execute(
        text(
            "SELECT c.relname FROM pg_class c, aclexplode(c.relacl) a WHERE a.grantee = to_regrole(:role)"
            " AND c.relnamespace = 'public'::regnamespace"
        ),
        {"role": LOOKUP_ROLE},
    )
    assert whole.all() == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT sealed FROM child",
        "SELECT sealed FROM case_index",
        "SELECT sealed FROM guardian",
        "SELECT guardian_id FROM custody",
        "SELECT guardian_id FROM block",
        "SELECT content FROM letter",
        "SELECT sealed FROM letter_part",
        "SELECT kind FROM event",
        "SELECT token FROM presence",
        "SELECT sealed FROM rights_request",
        "SELECT id FROM log_entry",
        "SELECT child_id FROM task",
        "UPDATE log_entry SET at = now()",
        "DELETE FROM asker_hour",
        "UPDATE assignment SET until = now()",
        "SET ROLE tovholder_owner",
    ],
)
def test_a_lookup_reads_nothing_but_what_decides_it(town: TwoFamilies, statement: str) -> None:
    with (
        psycopg.connect(town.ctx.database.conninfo_as(LOOKUP_ROLE)) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)


def test_of_what_a_lookup_may_read_it_sees_what_holds_now_and_no_adviser(town: TwoFamilies) -> None:
    ours = town.world.rows
    held = {
        "SELECT count(*) FROM child": len(ours(tables.Child)),
        "SELECT count(*) FROM assignment": len(ours(tables.Assignment, tables.Assignment.until.is_(None))),
        "SELECT count(*) FROM case_index": len(ours(tables.Case, tables.Case.is_open)),
        "SELECT count(*) FROM block": len(ours(tables.Block, tables.Block.lifted_at.is_(None))),
        "SELECT count(*) FROM consent": len(ours(tables.Consent, tables.Consent.withdrawn_at.is_(None))),
        "SELECT count(*) FROM staff": len(ours(tables.Coordinator)),
    }
    assert all(held.values())
    for table in (tables.Assignment, tables.Case, tables.Staff):
        assert len(ours(table)) > held[f"SELECT count(*) FROM {table.__tablename__}"], "there is something to hide"
    with psycopg.connect(town.ctx.database.conninfo_as(LOOKUP_ROLE)) as connection:
        for statement, count in held.items():
            assert connection.execute(statement).fetchone() == (count,), statement


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO log_entry (seq, version, at, kind, id, asker_key, asker, subject_key, subject)"
        " VALUES (0, 1, now(), 'review', gen_random_uuid(), gen_random_uuid(), '', gen_random_uuid(), '')",
        "INSERT INTO task (id, kind, once, made_at) VALUES (gen_random_uuid(), 'letter', 'x', now())",
        "INSERT INTO task (id, kind, once, made_at) VALUES (gen_random_uuid(), 'review', 'x', now())",
    ],
)
def test_a_lookup_writes_entries_of_lookups_and_tasks_to_review_them_alone(town: TwoFamilies, statement: str) -> None:
    with (
        psycopg.connect(town.ctx.database.conninfo_as(LOOKUP_ROLE)) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"),
    ):
        connection.execute(statement)


def test_the_queue_works_as_the_role_of_its_own(town: TwoFamilies) -> None:
    """Looked at from another connection, while it is open."""

    async def used() -> str:
        queue = LookupQueue(town.ctx, KeyCache(town.ctx.database, town.ctx.keys, town.ctx.clock))
        writer = asyncio.create_task(queue.run())
        try:
            await queue.ask(Request(Asker("u-9", "Åse Ny", "staff", "SOF"), b"nobody" * 5, "case", None))
            assert queue._connection is not None
            [found] = await (await queue._connection.execute("SELECT current_user")).fetchall()
            return str(found[0])
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    assert asyncio.run(used()) == LOOKUP_ROLE


def test_nobody_named_sees_nothing(town: TwoFamilies) -> None:
    with town.ctx.database.begin() as session:
        session.execute(text(f"SET LOCAL ROLE {PAGE_ROLE}"))
        for name in sorted(SEEN.keys() | SHARED):
            assert session.execute(select(TABLES[name])).scalars().all() == [], name


@pytest.mark.parametrize("setting", ["guardian", "child", "staff", "administration"])
def test_without_a_day_custody_holds_on_none(town: TwoFamilies, setting: str) -> None:
    """Also where custody has neither beginning nor end."""
    value = {"guardian": "stranger", "child": "Karla", "staff": "Karla's coordinator"}.get(setting)
    with town.ctx.database.begin() as session:
        session.execute(
            text("SELECT set_config(:name, :value, true), set_config('role', :role, true)"),
            {"name": f"tovholder.{setting}", "value": str(town.ids[value]) if value else "SOF", "role": PAGE_ROLE},
        )
        assert session.execute(select(tables.Custody)).scalars().all() == []
        assert session.execute(select(tables.SourceState)).scalars().all() == []


def test_a_page_that_forgets_to_ask_whose_it_is_shows_the_own_all_the_same(town: TwoFamilies) -> None:
    def reader(session: Session, children: Any) -> tuple[set[str], own.Shown]:
        rows = session.execute(select(tables.Case)).scalars().all()
        return {town.names[row.child_id] for row in rows}, dict.fromkeys(children, ("cases",))

    ctx = town.ctx
    for guardian, child in (("mother", "Karla"), ("aunt", "Anna"), ("stranger", "Emil")):
        assert own.read(ctx.database, ctx.keys, ctx.clock, town.ids[guardian], reader).value == {child}


def test_a_page_cannot_change_what_it_shows(town: TwoFamilies) -> None:
    statements = (
        update(tables.Custody).values(until=None),
        update(tables.Offer).values(state="declined"),
        update(tables.PersonKey).values(wrapped=None),
        tables.Task.__table__.delete(),
    )
    for statement in statements:
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            town.ctx.database.begin_as(town.viewers()["mother"]) as session,
        ):
            session.execute(statement)


def test_what_a_look_writes_it_may_write_as_itself_alone(town: TwoFamilies) -> None:
    """The day's key; and nobody's row: whoever looks has theirs before the page begins."""
    ctx, tomorrow = town.ctx, town.today + timedelta(days=1)
    clerk = Asker(str(uuid4()), "Åse Ny", "staff", "SOF")
    viewer = Viewer(day=tomorrow, administration="SOF")
    with ctx.database.begin_as(viewer) as session:
        days = day_key(session, ctx.keys, tomorrow)
    with ctx.database.begin_as(viewer) as session:
        assert day_key(session, ctx.keys, tomorrow) == days
    for administration in ("SOF", "BUF", None):
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            ctx.database.begin_as(viewer) as session,
        ):
            asker_key(session, ctx.keys, replace(clerk, administration=administration))
    with pytest.raises(ProgrammingError, match="row-level security"), ctx.database.begin_as(viewer) as session:
        day_key(session, ctx.keys, town.today - timedelta(days=1000))


def test_a_member_of_staff_reads_as_themselves(town: TwoFamilies) -> None:
    """Whoever it is, and whatever they forget to ask: their own row and key, and what they have to do."""
    ctx = town.ctx
    for clerk, kinds in (
        (CLERKS["clerk of BUF"], {"administration"}),
        (Asker("new", "Åse Ny", "staff", "BUF"), {"administration"}),
        (Asker("none", "Ny Ude", "coordinator"), {"nobody"}),
        (Asker("none", "Ny Ude", "none", "BUF"), set()),
    ):
        with viewers.begin_as(ctx.database, ctx.keys, ctx.clock, clerk) as session:
            assert {task.kind for task in session.execute(select(tables.Task)).scalars()} == kinds
            key_id, _key = asker_key(session, ctx.keys, clerk)
            assert [row.key_id for row in session.execute(select(tables.Staff)).scalars()] == [key_id]


def test_a_closed_administration_cannot_open_the_childs_name(town: TwoFamilies) -> None:
    """Also when the page forgets to ask whether the family has closed; the coordinator can."""
    ctx, karla = town.ctx, town.ids["Karla"]
    key = select(tables.PersonKey).join(tables.Child, tables.Child.key_id == tables.PersonKey.id)
    speaker = consents.Speaker("guardian", "page", "t1", "da", town.ids["mother"])
    consents.close(ctx, karla, "BUF", speaker)
    try:
        for viewer, opens in (("BUF", 0), ("SOF", 1), ("coordinator", 1)):
            with ctx.database.begin_as(town.viewers()[viewer]) as session:
                found = session.execute(key.where(tables.Child.id == karla)).scalars().all()
            assert len(found) == opens, viewer
    finally:
        consents.open_again(ctx, karla, "BUF", speaker)


PAGES = sorted((Path(__file__).parents[2] / "hub" / "web").glob("*.py"))
AS_THE_PROGRAM = {
    "signin.py": "_who: whose number it is that a provider gives, before anybody is signed in",
}
"""Where a page reads as the program itself, and why. Acts (an answer, a choice, a verdict) are the use cases' own."""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_pages_read_as_whoever_looks(path: Path) -> None:
    """A page that opens the database as the program would have no second lock behind it."""
    opens = {
        node.attr
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in ("begin", "session", "engine", "connect")
        and ast.unparse(node.value).endswith(("database", "engine"))
    }
    if path.name == "app.py":
        opens -= {"engine", "connect"}  # /health: whether the database answers
    assert bool(opens) == (path.name in AS_THE_PROGRAM), f"{path.name}: {opens}"


class Oops(Exception):
    """An error of the page's own."""


def test_who_looked_before_on_a_connection_leaves_nothing_there(town: TwoFamilies) -> None:
    """After a commit, after an error of the page and one of the database; also with statements prepared by another."""
    database, viewers = town.ctx.database, town.viewers()
    everybody = {row.id for row in town.world.rows(tables.Child)}
    database.engine.dispose()
    served: set[int] = set()

    def children(session: Session) -> set[str]:
        served.add(session.execute(text("SELECT pg_backend_pid()")).scalar_one())
        return {town.names[each] for each in session.execute(select(tables.Child.id)).scalars()}

    def broken(session: Session, viewer: str) -> None:
        children(session)
        if viewer == "mother":
            raise Oops
        session.execute(text("SELECT 1 / 0"))

    for _time in range(4):
        for viewer in ("mother", "stranger", "SOF"):
            with database.begin_as(viewers[viewer]) as session:
                for _again in range(7):  # psycopg prepares what comes a sixth time
                    assert children(session) == SEEN["child"][1][viewer]
            with pytest.raises((Oops, DBAPIError)), database.begin_as(viewers[viewer]) as session:
                broken(session, viewer)
            with database.begin() as session:
                assert session.execute(text("SELECT current_user")).scalar_one() == "tovholder_app"
                assert session.execute(text("SELECT current_setting('tovholder.guardian', true)")).scalar_one() == ""
                assert set(session.execute(select(tables.Child.id)).scalars()) == everybody
    assert len(served) == 1, "all of it went over one connection"


Say = Callable[..., None]


@pytest.fixture(scope="module")
def logins(tmp_path_factory) -> Iterator[tuple[Say, Database]]:
    """A cluster of its own, whose roles are made by somebody who is no superuser, and a login that may work there."""
    with embedded.start(tmp_path_factory.mktemp("cluster") / "data") as cluster:

        def say(user: str, *statements: str) -> None:
            with psycopg.connect(cluster.conninfo(user, "postgres"), autocommit=True) as connection:
                for statement in statements:
                    connection.execute(statement)

        making = "CREATE ROLE maker LOGIN CREATEROLE", "CREATE DATABASE hub OWNER maker", "CREATE ROLE ours LOGIN"
        say(embedded.ADMIN, *making)
        owner = cluster.url("maker", "hub")
        database = Database(Settings(database_url=cluster.url("ours", "hub"), owner_database_url=owner))
        try:
            database.migrate()
            say("maker", "GRANT tovholder_app TO ours")
            database.check()
            yield say, database
        finally:
            database.close()


@pytest.mark.slow
@pytest.mark.parametrize("role", [PAGE_ROLE, LOOKUP_ROLE])
def test_a_login_that_may_not_work_as_a_page_or_look_up_is_told_what_to_say(
    logins: tuple[Say, Database], role: str
) -> None:
    say, database = logins
    say("maker", f"REVOKE {role} FROM tovholder_app")
    with pytest.raises(SettingsError, match=f"GRANT {role} TO ours"):
        database.check()
    say("maker", f"GRANT {role} TO ours")
    database.check()
    say("maker", f"REVOKE {role} FROM ours")
    with database.owner_engine() as engine, engine.begin() as connection:
        schema.make_roles(connection)  # as a restore into another cluster does
    database.check()


@pytest.mark.slow
def test_a_backup_is_whole_or_none(logins: tuple[Say, Database], tmp_path: Path) -> None:
    """Whoever might not see all rows gets no dump; the owner's has them all."""
    _say, database = logins
    engine = create_engine(database.app_url)
    try:
        with pytest.raises(GaveUp, match=r"row-level security|lack SELECT privilege"):
            backup.make(engine, tmp_path, START, read_log, {})
    finally:
        engine.dispose()
    assert list(tmp_path.iterdir()) == []
    with database.owner_engine() as owner:
        _folder, manifest = backup.make(owner, tmp_path, START, read_log, {})
    assert manifest.tables["program_fit"] > 0
    assert manifest.tables["log_head"] == 1
