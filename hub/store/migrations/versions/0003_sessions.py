"""Sign-ins, and how many children each person has looked up in the last hour.

Revision: 0003
"""

from alembic import op

revision = "0003"
down_revision = "0002"

_TABLES = """
CREATE TABLE sign_in (
    id_hash BYTEA NOT NULL,
    sealed BYTEA NOT NULL,
    made_at TIMESTAMP WITH TIME ZONE NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_sign_in PRIMARY KEY (id_hash)
);
CREATE TABLE asker_hour (
    asker BYTEA NOT NULL,
    child BYTEA NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_asker_hour PRIMARY KEY (asker, child)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON sign_in, asker_hour TO tovholder_app;
INSERT INTO program_fit (revision) VALUES ('0003');
"""


def upgrade() -> None:
    op.execute("SET LOCAL ROLE tovholder_owner")
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 - it is connected: statements went through it above
    driver.execute(_TABLES)
    op.execute("RESET ROLE")
