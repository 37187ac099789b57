"""A role for the lookups' queue, which reads what decides a lookup and nothing else. The release before works as
tovholder_app, as it did.

Revision: 0019
"""

from pathlib import Path

from alembic import op

revision = "0019"
down_revision = "0018"

# As 0005 makes tovholder_page: roles belong to the whole cluster, so it may be there already.
_ROLE = """
DO $$ BEGIN CREATE ROLE tovholder_lookup NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
DO $$ BEGIN
    IF NOT pg_has_role('tovholder_app', 'tovholder_lookup', 'MEMBER') THEN
        EXECUTE 'GRANT tovholder_lookup TO tovholder_app' ||
            CASE WHEN current_setting('server_version_num')::int >= 160000 THEN ' WITH INHERIT FALSE' ELSE '' END;
    END IF;
EXCEPTION WHEN unique_violation THEN NULL; END $$;
GRANT USAGE ON SCHEMA public TO tovholder_lookup
"""


def upgrade() -> None:
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 - it is connected
    driver.execute(_ROLE)
    op.execute("SET LOCAL ROLE tovholder_owner")
    driver.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
    op.execute("INSERT INTO program_fit (revision) VALUES ('0019')")
    op.execute("RESET ROLE")
