"""Row-level security on every table, and a role for what a page reads: it sees the rows of one viewer.

Revision: 0005
"""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"

# Roles belong to the whole cluster, so this one may be there already, or be made by another database's migration right
# now. The application may become it, and is not given what it may see: its own statements stay as cheap as they were.
# PostgreSQL before 16 cannot say so; there they are only planned a little longer.
_ROLE = """
DO $$ BEGIN CREATE ROLE tovholder_page NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
DO $$ BEGIN
    IF NOT pg_has_role('tovholder_app', 'tovholder_page', 'MEMBER') THEN
        EXECUTE 'GRANT tovholder_page TO tovholder_app' ||
            CASE WHEN current_setting('server_version_num')::int >= 160000 THEN ' WITH INHERIT FALSE' ELSE '' END;
    END IF;
EXCEPTION WHEN unique_violation THEN NULL; END $$;
GRANT USAGE ON SCHEMA public TO tovholder_page
"""


def upgrade() -> None:
    # The driver itself, so that several statements go at once and a % is a %.
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 - it is connected: statements went through it above
    driver.execute(_ROLE)
    op.execute("SET LOCAL ROLE tovholder_owner")
    driver.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
    op.execute("INSERT INTO program_fit (revision) VALUES ('0005')")
    op.execute("RESET ROLE")
