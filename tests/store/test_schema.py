from collections.abc import Callable

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from hub.errors import SchemaError
from hub.store import schema, tables
from hub.store.database import Database


def test_migrations_make_the_tables_the_program_names(database: Database) -> None:
    def ours(_object: object, name: str | None, kind: str, *_: object) -> bool:
        return not (kind == "table" and (name or "").startswith("procrastinate"))

    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        assert compare_metadata(context, tables.Base.metadata) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log_entry SET kind = 'x'",
        "DELETE FROM log_entry",
        "TRUNCATE log_entry",
        "DELETE FROM log_head",
        "INSERT INTO log_head VALUES (2, 0)",
        "ALTER TABLE log_entry DROP COLUMN kind",
        "DROP TABLE log_entry",
        "INSERT INTO program_fit VALUES ('x')",
        "UPDATE alembic_version SET version_num = 'x'",
    ],
)
def test_the_application_cannot_alter_the_log(session: Session, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        session.execute(text(statement))


def test_the_application_is_not_the_owner_nor_can_become_it(session: Session) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        session.execute(text("SET ROLE tovholder_owner"))


def test_a_newer_schema_that_still_fits_this_program_is_worked_on(database: Database) -> None:
    _set_version(database, "9999")
    with database.engine.connect() as connection:
        assert schema.fits(connection)
        schema.check(connection)


def test_a_newer_schema_that_this_program_no_longer_fits_is_refused(database: Database) -> None:
    _set_version(database, "9999")
    _as_owner(database, "DELETE FROM program_fit")
    with database.engine.connect() as connection:
        assert not schema.fits(connection)
        with pytest.raises(SchemaError, match="newer than this program"):
            schema.check(connection)


def test_an_empty_database_says_which_command_helps(database: Database) -> None:
    _set_version(database, None)
    with database.engine.connect() as connection, pytest.raises(SchemaError, match="tovholder migrate"):
        schema.check(connection)


def _set_version(database: Database, version: str | None) -> None:
    _as_owner(database, "DELETE FROM alembic_version")
    if version is not None:
        _as_owner(database, f"INSERT INTO alembic_version VALUES ('{version}')")


def _as_owner(database: Database, statement: str) -> None:
    with database.owner_engine() as engine, engine.begin() as connection:
        connection.execute(text(statement))


def test_migrating_twice_changes_nothing(database: Database) -> None:
    assert database.migrate() == (schema.newest(), schema.newest())


def test_synchronous_commit_off_is_refused(database: Database, admin: Callable[[str], None]) -> None:
    name = database.app_url.database
    admin(f"ALTER DATABASE {name} SET synchronous_commit = off")
    database.engine.dispose()
    with pytest.raises(Exception, match="synchronous_commit"):
        database.check()
