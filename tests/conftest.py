"""One real PostgreSQL for all tests; each test in a transaction that is rolled back, or in a database of its own made
from a template where the log's lock, several connections or whole use cases are meant."""

from __future__ import annotations

import codecs
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from uuid import UUID, uuid4

import hypothesis
import pytest
from sqlalchemy import ColumnElement, create_engine, make_url, select, text
from sqlalchemy.orm import Session

from hub import (
    CaseRecord,
    GuardianRecord,
    Kind,
    PersonRecord,
    Presence,
    SourceSettings,
    StaffRecord,
    State,
    family,
    jobs,
    vault,
)
from hub.clock import SetClock
from hub.context import Context
from hub.coordination import offers
from hub.coordination.staff import add_coordinator
from hub.plugins import Plugins
from hub.settings import Settings
from hub.store import embedded, tables
from hub.store.database import Database
from hub.store.place import SERVER_SETTINGS
from hub.testing.fakes import FakeChannel, FakeSource
from tests.databases import Own, settings_of

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

Row = TypeVar("Row", bound=tables.Base)
ADMINS = ("SOF", "BUF", "SUF")
START = datetime(2026, 11, 2, 7, 0, tzinfo=UTC)
"""A Monday."""


NOBODY = 65534


@pytest.fixture
def not_root() -> Iterator[Path]:
    """An empty folder of a user who is not root; and the test is that user, also where root runs it."""
    with tempfile.TemporaryDirectory(prefix="tovholder-", ignore_cleanup_errors=True) as name:
        me = os.geteuid()
        codecs.lookup("ascii")  # Python itself may lie where that user cannot look
        if me == 0:
            os.chown(name, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            yield Path(name)
        finally:
            os.seteuid(me)


CLUSTER = "TESTS_CLUSTER"
"""Names the folder of this run's database server to all its workers."""


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[CLUSTER] = str(Path(tempfile.gettempdir()) / f"tovholder-test-{uuid4().hex[:12]}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """The server goes when the last worker has; then its folder."""
    if hasattr(config, "workerinput"):
        return
    folder, until = Path(os.environ.pop(CLUSTER)), time.monotonic() + 20
    while (folder / "postgres" / "postmaster.pid").exists() and time.monotonic() < until:
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster() -> Iterator[embedded.Embedded]:
    """The embedded server, shared by all workers of this run and gone with them: it need not outlive a power cut. What
    does has a server of its own (tests/chaos, tests/store, the backup drills)."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(SERVER_SETTINGS, "fsync", "off")
        server = embedded.start(Path(os.environ[CLUSTER]))
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
    database = Database(settings_of(cluster, name))
    try:
        database.migrate()
        # As `tovholder migrate` does for the embedded server: the program signs in as the role itself.
        admin("ALTER ROLE tovholder_app LOGIN")
        with database.engine.connect() as connection:
            assert connection.execute(text("SELECT current_user")).scalar_one() == "tovholder_app"
    finally:
        database.close()
    return name


@pytest.fixture(scope="session")
def spare(cluster: embedded.Embedded, admin: Callable[[str], None]) -> Iterator[list[Own]]:
    """Databases that earlier tests have done with."""
    found: list[Own] = []
    yield found
    for own in found:
        admin(f"DROP DATABASE {own.name} WITH (FORCE)")


@pytest.fixture
def database(
    cluster: embedded.Embedded, admin: Callable[[str], None], template: str, spare: list[Own]
) -> Iterator[Database]:
    """A database of the test's own."""
    own = spare.pop() if spare else Own.made(cluster, admin, template)
    yield own.database
    if own.emptied():
        spare.append(own)
    else:
        admin(f"DROP DATABASE {own.name} WITH (FORCE)")


@pytest.fixture(scope="session")
def shared_database(cluster: embedded.Embedded, admin: Callable[[str], None], template: str) -> Iterator[Database]:
    name = f"shared_{uuid4().hex}"
    admin(f"CREATE DATABASE {name} TEMPLATE {template}")
    database = Database(settings_of(cluster, name))
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


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings.model_validate(
        {
            "municipality": {"name": "Eksempel Kommune", "cvr": "12345678", "phone": "70 10 20 30"},
            # The hub writes about everything, and as often as a test likes.
            "letters": {"agreements": {"*": date(2026, 1, 1)}, "most_a_week": 20},
            "access": {"health_presence": "the ground that a lawyer named", "health_consent": "with_yes"},
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


def number(n: int, year: int = 16) -> str:
    """A fictitious number of a child born in 2000 + `year`; `n` up to 600 tells them apart."""
    return f"{1 + n % 28:02}{1 + n // 28 % 12:02}{year:02}{4000 + n}"


class World:
    """Three administrations, CPR and a channel in memory, and the hub's own acts on them."""

    number = staticmethod(number)

    KINDS: ClassVar = {
        "help": Kind(name="dækning af merudgifter", name_en="cover of additional expenses", limit_weeks=12),
        "relief": Kind(name="aflastning i hjemmet", name_en="relief at home"),
    }

    def __init__(self, ctx: Context, clock: SetClock, folder: Path) -> None:
        self.sof, self.buf, self.suf = (FakeSource(code.lower(), code, kinds=self.KINDS.keys()) for code in ADMINS)
        self.cpr = FakeSource("cpr", None, page_size=50)
        self.channel = FakeChannel()
        sources = {source.name: source for source in (self.sof, self.buf, self.suf, self.cpr)}
        sections = {name: SourceSettings(folder=folder, kinds=self.KINDS) for name in ("sof", "buf", "suf")}
        plugins = Plugins((), sources, {self.channel.name: self.channel}, sections)
        self.ctx = replace(ctx, plugins=plugins)
        self.clock = clock
        self.session = self.ctx.database.session

    def present(self, child: str, *sources: FakeSource) -> None:
        """Something of the child is open in each source."""
        for source in sources or (self.sof, self.buf):
            source.put(Presence(f"{source.name}/{child}", child, State.OPEN))

    def custody(self, child: str, *guardians: str, until: date | None = None) -> None:
        self.cpr.put(PersonRecord(child, child, name="Karla Testbarn"))
        for guardian in guardians:
            name = f"Vera Testvoksen {guardian[-3:]}"
            self.cpr.put(GuardianRecord(f"{child}/{guardian}", child, guardian, until=until, guardian_name=name))

    def coordinators(self, count: int = 1) -> list[UUID]:
        with self.ctx.database.begin() as session:
            return [
                add_coordinator(self.ctx, session, StaffRecord(f"k{n}", f"Koordinator {n}", None, "12340000"))
                for n in range(count)
            ]

    def night(self) -> offers.Placed:
        """Match, custody and offers."""
        return jobs.find_and_offer(self.ctx)[2]

    def child(self, digits: str) -> UUID:
        """The row of a child in the target group."""
        return self._row(tables.Child, digits)

    def guardian(self, digits: str) -> UUID:
        return self._row(tables.Guardian, digits)

    def _row(self, table: type[tables.Child] | type[tables.Guardian], digits: str) -> UUID:
        token = self.ctx.keys.lookup_token(digits)
        with self.session() as session:
            return session.execute(select(table.id).where(table.token == token)).scalar_one()

    def by(self, guardian: str) -> family.Answerer:
        return family.Answerer(self.guardian(guardian), "page", "introduction/test")

    def accept(self, child: str, guardian: str) -> None:
        family.accept(self.ctx, self.child(child), self.by(guardian))

    def accepted(self, *children: str, guardians: tuple[str, ...] = ("0101804001",)) -> list[UUID]:
        """Children whose family has said yes; the offers' letters have been composed, the receipts not."""
        with self.session() as session:
            known = session.execute(select(tables.Coordinator)).first()
        if known is None:
            self.coordinators()
        for child in children:
            self.present(child)
            self.custody(child, *guardians)
        self.night()
        for child in children:
            self.accept(child, guardians[0])
        return [self.child(child) for child in children]

    def case(self, source: FakeSource, source_id: str, child: str, state: State = State.OPEN, **values: Any) -> None:
        """Make or change a case."""
        source.put(CaseRecord(source_id, child, values.pop("kind", "help"), state, **values))

    def rows(self, table: type[Row], *conditions: ColumnElement[bool]) -> Sequence[Row]:
        """Rows of a table, as they are committed."""
        with self.session() as session:
            return session.execute(select(table).where(*conditions)).scalars().all()

    def events(self, kind: str | None = None) -> Sequence[tables.Event]:
        """Events of a kind; of all kinds about cases when none is named."""
        about = tables.Event.kind == kind if kind else tables.Event.kind.not_in(["offered", "assigned"])
        return self.rows(tables.Event, about)


@pytest.fixture
def world(ctx: Context, clock: SetClock, tmp_path: Path) -> World:
    return World(ctx, clock, tmp_path)


@pytest.fixture
def make_world(clock: SetClock, tmp_path: Path) -> Callable[[Context], World]:
    """A world on another database than the test's own."""
    return lambda ctx: World(ctx, clock, tmp_path)
