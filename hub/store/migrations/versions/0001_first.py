"""The first tables, the two roles, the job queue's own schema, and an empty log.

Revision: 0001
"""

from pathlib import Path

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0001"
down_revision = None

# Roles belong to the whole cluster, so they may be there already, or be made by another database's migration right now.
_ROLE = """
DO $$ BEGIN CREATE ROLE {role} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$
"""

_RIGHTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO tovholder_app;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO tovholder_app;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO tovholder_app;
REVOKE UPDATE, DELETE, TRUNCATE ON log_entry FROM tovholder_app;
REVOKE INSERT, DELETE, TRUNCATE ON log_head FROM tovholder_app;
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON alembic_version FROM tovholder_app;
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON program_fit FROM tovholder_app;
"""


def upgrade() -> None:
    for role in ("tovholder_owner", "tovholder_app"):
        op.execute(_ROLE.format(role=role))
    op.execute("GRANT ALL ON SCHEMA public TO tovholder_owner")
    op.execute("GRANT USAGE ON SCHEMA public TO tovholder_app")
    op.execute("GRANT tovholder_owner TO CURRENT_USER")
    op.execute("ALTER TABLE alembic_version OWNER TO tovholder_owner")
    op.execute("SET LOCAL ROLE tovholder_owner")
    # The driver itself, so that several statements go at once and a % is a %.
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 - it is connected: statements went through it above
    driver.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
    op.execute("INSERT INTO log_head (id, size) VALUES (1, 0)")
    op.execute("INSERT INTO program_fit (revision) VALUES ('0001')")
    driver.execute(SchemaManager.get_schema())
    driver.execute(_RIGHTS)
    op.execute("RESET ROLE")
