"""The way to the database: the embedded one when none is named, else the one that is; as the application role, or as
the owner for migrations."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import structlog
from psycopg.conninfo import make_conninfo
from sqlalchemy import Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from hub.errors import SchemaError, SettingsError, TovholderError, TryAgain
from hub.settings import Settings
from hub.store import embedded, outage, schema
from hub.store.viewer import PAGE_ROLE, Viewer

log = structlog.get_logger()

APP_ROLE = "tovholder_app"
DEMO_DATABASE = "tovholder_demo"
"""The demo's own database on the embedded server: made anew at each run, never the real one."""
LOOKUP_ROLE = "tovholder_lookup"
"""What the lookups' queue works as: it can read what decides a lookup and nothing else (0019_lookup_role.sql)."""
# A plan made for a table that was empty reads all of it once it is full, for as long as the connection lives.
_OPTIONS = "-c timezone=UTC -c application_name=tovholder -c plan_cache_mode=force_custom_plan"
COMES_BACK = 15.0
"""How long the embedded server is waited for (seconds): its keeper sees within a moment that it has ended, and then it
may have to recover."""


class Database:
    """Connections of one process. Holds the embedded server's lock for as long as it lives."""

    def __init__(self, settings: Settings) -> None:
        self._embedded = None if settings.database_url else embedded.start(settings.data)
        if self._embedded:
            name = DEMO_DATABASE if settings.demo else embedded.DATABASE
            app, owner = self._embedded.url(APP_ROLE, name), self._embedded.url("tovholder_admin", name)
        else:
            app = settings.database_url or ""
            owner = settings.owner_database_url or app
        self.app_url = make_url(app).set(drivername="postgresql+psycopg")
        self._owner_url = make_url(owner).set(drivername="postgresql+psycopg")
        # hide_parameters: no value of a statement in an error or a log line.
        self.engine = create_engine(
            self.app_url,
            connect_args={"options": f"-c role={APP_ROLE} {_OPTIONS}"},
            pool_pre_ping=True,
            hide_parameters=True,
            pool_size=8,
        )
        event.listen(self.engine, "do_connect", self._connect)

    def _connect(self, dialect: Any, _record: Any, cargs: Any, cparams: Any) -> Any:
        """A new connection; once more where the embedded server had to be brought back first."""
        try:
            return dialect.connect(*cargs, **cparams)
        except psycopg.OperationalError as error:
            if self._embedded is None or not outage.is_down(error):
                raise
            try:
                self.ensure()
            except TovholderError as cannot:
                log.warning("the embedded database does not come back", why=str(cannot))
                raise error from cannot
            return dialect.connect(*cargs, **cparams)

    def ensure(self) -> None:
        """Bring the embedded server back, and wait until it takes connections: its keeper may have been killed, or be
        starting it again. Nothing where the database is somebody else's. Cheap when all is well.

        Raises TovholderError when it does not come back."""
        until = time.monotonic() + COMES_BACK
        while self._embedded is not None:
            self._embedded.ensure()
            try:
                psycopg.connect(self.conninfo).close()
            except psycopg.OperationalError as error:
                if not outage.is_down(error):
                    return  # it is there, and refuses for another reason
                if time.monotonic() > until:
                    raise TryAgain(outage.NO_ANSWER) from error
                time.sleep(0.05)
            else:
                return

    @property
    def conninfo(self) -> str:
        """For psycopg itself (the job queue)."""
        return self.conninfo_as(APP_ROLE)

    def conninfo_as(self, role: str, options: str = "") -> str:
        """For psycopg itself, as a role of the hub's; with options of PostgreSQL (`-c name=value`), the last of which
        counts."""
        url = self.app_url.set(drivername="postgresql").render_as_string(hide_password=False)
        return make_conninfo(url, options=f"-c role={role} {_OPTIONS} {options}")

    def session(self) -> Session:
        return Session(self.engine, expire_on_commit=False)

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """One use case, one transaction: commits at the end, rolls back on an error."""
        with self.session() as session, session.begin():
            yield session

    @contextmanager
    def begin_as(self, viewer: Viewer) -> Iterator[Session]:
        """As `begin`, for what a page reads: no rows but those the viewer may see, whatever is asked for."""
        with self.begin() as session:
            session.execute(viewer.begins())
            yield session

    def migrate(self) -> tuple[str | None, str]:
        """Bring the schema up to date, as the owner. Gives the revision before and after."""
        with self.owner_engine() as engine:
            result = schema.migrate(engine)
            if self._embedded:
                # The socket's folder is closed to others; the program signs in as the role that may not alter the log.
                with engine.begin() as connection:
                    connection.execute(text(f"ALTER ROLE {APP_ROLE} LOGIN"))
            return result

    @contextmanager
    def owner_engine(self) -> Iterator[Engine]:
        """Connections that may make tables and roles: for migrations, not for work."""
        engine = create_engine(self._owner_url, hide_parameters=True)
        try:
            yield engine
        finally:
            engine.dispose()

    def check(self) -> None:
        """Raise SchemaError or SettingsError unless this database is fit to work on."""
        try:
            with self.engine.connect() as connection:
                schema.check(connection)
                if connection.execute(text("SHOW transaction_read_only")).scalar_one() == "on":
                    raise TryAgain(outage.READ_ONLY)
                if connection.execute(text("SHOW synchronous_commit")).scalar_one() in ("off", "local"):
                    raise SettingsError(
                        "the database has synchronous_commit off: an answer could leave before its log entry is safe. "
                        "Set synchronous_commit = on in postgresql.conf"
                    )
                for role in (PAGE_ROLE, LOOKUP_ROLE):
                    connection.execute(text(f"SET LOCAL ROLE {role}"))
        except DBAPIError as error:
            said = outage.why(error)
            for role in (APP_ROLE, PAGE_ROLE, LOOKUP_ROLE):
                if f'permission denied to set role "{role}"' in str(error.orig):
                    login = self.app_url.username
                    raise SettingsError(
                        f"the login {login} of TOVHOLDER_DATABASE_URL may not work as {role}; as the owner say: "
                        f"GRANT {role} TO {login}"
                    ) from error
            if said == outage.NO_ANSWER and f'role "{APP_ROLE}"' in str(error.orig):
                raise SchemaError("the database is empty; run: tovholder migrate") from error
            if said is None:
                raise
            raise TryAgain(said) from error

    def close(self) -> None:
        self.engine.dispose()
        if self._embedded:
            self._embedded.close()
