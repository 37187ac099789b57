"""Which acts with coordinators this database knows of. Adds only.

Revision: 0016
"""

from alembic import op

revision = "0016"
down_revision = "0015"

_STATEMENTS = (
    """
    CREATE TABLE act (
        id UUID NOT NULL,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_act PRIMARY KEY (id)
    )
    """,
    "GRANT SELECT, INSERT, UPDATE, DELETE ON act TO tovholder_app",
    "ALTER TABLE act ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY app ON act TO tovholder_app USING (true) WITH CHECK (true)",
    "INSERT INTO program_fit (revision) VALUES ('0016')",
)


def upgrade() -> None:
    op.execute("SET LOCAL ROLE tovholder_owner")
    for statement in _STATEMENTS:
        op.execute(statement)
    op.execute("RESET ROLE")
