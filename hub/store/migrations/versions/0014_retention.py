"""What is forgotten when: since when somebody is not needed, and the first of two yeses to a whole case.

Revision: 0014
"""

from alembic import op

revision = "0014"
down_revision = "0013"

_STATEMENTS = (
    "ALTER TABLE child ADD COLUMN left_at TIMESTAMP WITH TIME ZONE",
    "ALTER TABLE staff ADD COLUMN seen_at TIMESTAMP WITH TIME ZONE",
    """
    CREATE TABLE forgetting (
        child_id UUID NOT NULL,
        agreed_at TIMESTAMP WITH TIME ZONE NOT NULL,
        agreed_by BYTEA NOT NULL,
        entry_id UUID NOT NULL,
        CONSTRAINT pk_forgetting PRIMARY KEY (child_id),
        CONSTRAINT fk_forgetting_child_id FOREIGN KEY (child_id) REFERENCES child (id)
    )
    """,
    "GRANT SELECT, INSERT, UPDATE, DELETE ON forgetting TO tovholder_app",
    "ALTER TABLE forgetting ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY app ON forgetting TO tovholder_app USING (true) WITH CHECK (true)",
    "INSERT INTO program_fit (revision) VALUES ('0014')",
)


def upgrade() -> None:
    op.execute("SET LOCAL ROLE tovholder_owner")
    for statement in _STATEMENTS:
        op.execute(statement)
    op.execute("RESET ROLE")
