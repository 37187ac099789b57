"""Databases for tests that need one of their own: emptied and used again, which takes a tenth of making one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self
from uuid import uuid4

from sqlalchemy import URL, Connection, NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from hub.settings import Settings
from hub.store import embedded
from hub.store.database import Database


def settings_of(cluster: embedded.Embedded, name: str) -> Settings:
    """Those of a program that works on this database."""
    return Settings(
        database_url=cluster.url("tovholder_app", name), owner_database_url=cluster.url("tovholder_admin", name)
    )


@dataclass
class Own:
    """A database for one test after another: each begins with what the migrations leave, and nothing else."""

    name: str
    url: URL
    database: Database
    """One for all of its tests: statements compiled for one need not be compiled for the next."""
    first: dict[str, bytes]
    """What the migrations left in each table that is not empty."""
    schema: Any

    MANY = 5_000
    """With so many rows, dropping the database is quicker, and leaves nothing dead in the next test's tables."""
    _TABLES = text("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
    _SCHEMA = text(
        "SELECT (SELECT sum(xmin::text::bigint) FROM pg_class), (SELECT sum(xmin::text::bigint) FROM pg_attribute),"
        " (SELECT sum(xmin::text::bigint) FROM pg_proc), (SELECT sum(xmin::text::bigint) FROM pg_trigger),"
        " (SELECT sum(xmin::text::bigint) FROM pg_constraint), (SELECT sum(xmin::text::bigint) FROM pg_policy),"
        " (SELECT sum(xmin::text::bigint) FROM pg_namespace),"
        " (SELECT array_agg(d.setconfig) FROM pg_db_role_setting d),"
        " (SELECT (datconnlimit, datallowconn) FROM pg_database WHERE datname = current_database())::text"
    )
    _OTHERS = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )

    @classmethod
    def made(cls, cluster: embedded.Embedded, admin: Callable[[str], None], template: str) -> Self:
        name = f"test_{uuid4().hex}"
        admin(f"CREATE DATABASE {name} TEMPLATE {template}")
        url = make_url(cluster.url("tovholder_admin", name)).set(drivername="postgresql+psycopg")
        own = cls(name, url, Database(settings_of(cluster, name)), {}, None)
        with own._connection() as connection:
            for table in connection.execute(cls._TABLES).scalars().all():
                if rows := own._copy(connection, f'COPY "{table}" TO STDOUT'):
                    own.first[table] = rows
            own.schema = connection.execute(cls._SCHEMA).one()
        return own

    def emptied(self) -> bool:
        """Back to what the migrations left; False when it cannot be told: another is at it, or the schema is not the
        one it was."""
        self.database.close()
        try:
            with self._connection() as connection:
                if (
                    connection.execute(self._OTHERS).scalar_one()
                    or connection.execute(self._SCHEMA).one() != self.schema
                ):
                    return False
                tables = connection.execute(self._TABLES).scalars().all()
                connection.execute(text("SET session_replication_role = replica"))  # no trigger, no key, in any order
                gone = sum(connection.execute(text(f'DELETE FROM "{table}"')).rowcount for table in tables)
                if gone > self.MANY:
                    return False
                for table, rows in self.first.items():
                    self._copy(connection, f'COPY "{table}" FROM STDIN', rows)
                connection.execute(text("SELECT setval(seqrelid, seqstart, false) FROM pg_sequence"))
                connection.commit()
        except OperationalError:  # the test stopped the server, or closed its doors
            return False
        return True

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        engine = create_engine(self.url, poolclass=NullPool)
        with engine.connect() as connection:
            yield connection

    @staticmethod
    def _copy(connection: Connection, statement: str, rows: bytes | None = None) -> bytes:
        driver = connection.connection.driver_connection
        assert driver is not None
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            if rows is None:
                return b"".join(bytes(part) for part in copy)
            copy.write(rows)
        return b""
