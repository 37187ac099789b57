"""The schema's version: bring it up to date, and refuse to work on one that this program does not fit.

Migrations come in two steps, so that programs of the release before go on while their successors are put in: the first
only adds, and the table `program_fit` goes on naming the revision of the release before; the step that takes away what
that release needs comes a release later, and takes its name out.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from hub.errors import SchemaError

_MIGRATIONS = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def newest() -> str:
    """The revision this program is written for."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise SchemaError("this program has no migrations; its installation is broken: install it again")
    return head


def current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def migrate(owner: Engine) -> tuple[str | None, str]:
    """Bring the schema to this program's version; gives the revision before and after.

    `owner` is an engine that may make tables and roles. Raises SchemaError when the schema is newer."""
    with owner.connect() as connection:
        before = current(connection)
        refuse_newer(before)
        connection.rollback()
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
        return before, newest()


def make_roles(owner: Connection) -> None:
    """The roles and what the tables' owner needs, as the migrations make them: for a dump that is put into another
    cluster, since roles are in no dump."""
    for role in ("tovholder_owner", "tovholder_app", *_BECOMES):
        owner.execute(text(_ROLE.format(role=role)))
    owner.execute(text("GRANT ALL ON SCHEMA public TO tovholder_owner"))
    owner.execute(text(f"GRANT USAGE ON SCHEMA public TO tovholder_app, {', '.join(_BECOMES)}"))
    owner.execute(text("GRANT tovholder_owner TO CURRENT_USER"))
    for role in _BECOMES:
        owner.execute(text(_MEMBER.format(role=role)))


_BECOMES = ("tovholder_page", "tovholder_lookup")
"""What the application works as, where it needs less than all it may."""


_ROLE = """
DO $$ BEGIN CREATE ROLE {role} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$
"""
# The application may become it without having its rights: PostgreSQL before 16 cannot say so.
_MEMBER = """
DO $$ BEGIN
    IF NOT pg_has_role('tovholder_app', '{role}', 'MEMBER') THEN
        EXECUTE 'GRANT {role} TO tovholder_app' ||
            CASE WHEN current_setting('server_version_num')::int >= 160000 THEN ' WITH INHERIT FALSE' ELSE '' END;
    END IF;
EXCEPTION WHEN unique_violation THEN NULL; END $$
"""


def fits(connection: Connection) -> bool:
    """Whether this program may work on the schema: it is the one the program is written for, or a newer one that still
    fits it."""
    found, needed = current(connection), newest()
    if found is None or found == needed or found in _known():
        return found == needed
    return needed in connection.execute(text("SELECT revision FROM program_fit")).scalars().all()


def check(connection: Connection) -> None:
    """Raise SchemaError, with the command that helps, unless this program fits the schema."""
    if fits(connection):
        return
    found = current(connection)
    if found is None:
        raise SchemaError("the database is empty; run: tovholder migrate")
    refuse_newer(found)
    raise SchemaError(f"the database has schema {found}, this program needs {newest()}; run: tovholder migrate")


def refuse_newer(found: str | None, what: str = "the database") -> None:
    """Raise SchemaError, with the command that helps, when `found` is no revision that this program knows."""
    if found is not None and found not in _known():
        raise SchemaError(
            f"{what} has schema {found}, which is newer than this program ({newest()}); "
            "install the newer program: pip install --upgrade tovholder"
        )


def _known() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
