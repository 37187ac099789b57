"""One real PostgreSQL for all tests; each test in a transaction that is rolled back, or in a database of its own made
from a template where the log's lock, several connections or whole use cases are meant."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.orm import Session

from hub import vault
from hub.clock import SetClock
from hub.context import Context
from hub.plugins import Plugins
from hub.settings import Settings
from hub.store import embedded
from hub.store.database import Database

START = datetime(2026, 11, 2, 7, 0, tzinfo=UTC)
"""A Monday."""


@pytest.fixture(scope="session")
def cluster(worker_id: str) -> Iterator[embedded.Embedded]:
    """The embedded server, shared by all workers of this run and gone with them."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid4().hex)
    folder = Path(tempfile.gettempdir()) / f"tovholder-test-{run[:12]}"
    server = embedded.start(folder)
    yield server
    server.close()


@pytest.fixture(scope="session")
def admin(cluster: embedded.Embedded) -> Iterator[Callable[[str], None]]:
    """Runs one statement as the cluster's superuser."""
    engine = create_engine(
        make_url(cluster.url("tovholder_admin", "postgres")).set(drivername="postgresql+psycopg"),
        isolation_level="AUTOCOMMIT",
    )

    def execute(statement: str) -> None:
        with engine.connect() as connection:
            connection.execute(text(statement))

    yield execute
    engine.dispose()


@pytest.fixture(scope="session")
def template(cluster: embedded.Embedded, admin: Callable[[str], None], worker_id: str) -> str:
    """A migrated database that others are made from."""
    name = f"template_{worker_id}_{uuid4().hex[:8]}"
    admin(f"CREATE DATABASE {name}")
    database = Database(_settings(cluster, name))
    try:
        database.migrate()
        # As `tovholder migrate` does for the embedded server: the program signs in as the role itself.
        admin("ALTER ROLE tovholder_app LOGIN")
        with database.engine.connect() as connection:
            assert connection.execute(text("SELECT current_user")).scalar_one() == "tovholder_app"
    finally:
        database.close()
    return name


@pytest.fixture
def database(cluster: embedded.Embedded, admin: Callable[[str], None], template: str) -> Iterator[Database]:
    """A database of the test's own."""
    name = f"test_{uuid4().hex}"
    admin(f"CREATE DATABASE {name} TEMPLATE {template}")
    database = Database(_settings(cluster, name))
    yield database
    database.close()
    admin(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def shared_database(cluster: embedded.Embedded, admin: Callable[[str], None], template: str) -> Iterator[Database]:
    name = f"shared_{uuid4().hex}"
    admin(f"CREATE DATABASE {name} TEMPLATE {template}")
    database = Database(_settings(cluster, name))
    yield database
    database.close()
    admin(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def session(shared_database: Database) -> Iterator[Session]:
    """A session whose every change is rolled back after the test, commits included."""
    with shared_database.engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, expire_on_commit=False, join_transaction_mode="create_savepoint") as session:
            yield session
        outer.rollback()


@pytest.fixture
def clock() -> SetClock:
    return SetClock(START)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> vault.Keys:
    folder = tmp_path_factory.mktemp("keys")
    vault.make_keys(folder)
    return vault.load_keys(folder, with_token=True)


@pytest.fixture
def settings() -> Settings:
    return Settings.model_validate(
        {
            "municipality": {"name": "Eksempel Kommune", "cvr": "12345678", "phone": "70 10 20 30"},
            "administrations": {
                "SOF": {"name": "Socialforvaltningen", "name_en": "the Social Services Administration"},
                "BUF": {"name": "Børne- og Ungdomsforvaltningen", "name_en": "the Children and Youth Administration"},
                "SUF": {"name": "Sundheds- og Omsorgsforvaltningen", "name_en": "the Health and Care Administration"},
            },
        }
    )


@pytest.fixture
def ctx(settings: Settings, clock: SetClock, database: Database, keys: vault.Keys) -> Context:
    """All a use case needs, on a database of its own, without plugins."""
    return Context(settings, clock, database, keys, Plugins((), {}, {}, {}))


def _settings(cluster: embedded.Embedded, name: str) -> Settings:
    return Settings(
        database_url=cluster.url("tovholder_app", name), owner_database_url=cluster.url("tovholder_admin", name)
    )
