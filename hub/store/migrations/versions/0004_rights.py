"""What a family asks for. Adds only: programs of 0001 fit on.

Revision: 0004
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE rights_request (
        id UUID NOT NULL,
        task_id UUID NOT NULL,
        guardian_id UUID NOT NULL,
        child_id UUID,
        key_id UUID NOT NULL,
        sealed BYTEA NOT NULL,
        answered_at TIMESTAMP WITH TIME ZONE,
        answer BYTEA,
        CONSTRAINT pk_rights_request PRIMARY KEY (id),
        CONSTRAINT uq_rights_request_task_id UNIQUE (task_id),
        CONSTRAINT ck_rights_request_answered CHECK ((answered_at IS NULL) = (answer IS NULL)),
        CONSTRAINT fk_rights_request_task_id FOREIGN KEY (task_id) REFERENCES task (id),
        CONSTRAINT fk_rights_request_guardian_id FOREIGN KEY (guardian_id) REFERENCES guardian (id),
        CONSTRAINT fk_rights_request_child_id FOREIGN KEY (child_id) REFERENCES child (id),
        CONSTRAINT fk_rights_request_key_id FOREIGN KEY (key_id) REFERENCES person_key (id)
    )
    """,
    "CREATE INDEX ix_rights_request_guardian_id ON rights_request (guardian_id)",
    "CREATE INDEX ix_rights_request_child_id ON rights_request (child_id)",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON rights_request TO tovholder_app",
    "INSERT INTO program_fit (revision) VALUES ('0004')",
)


def upgrade() -> None:
    op.execute("SET LOCAL ROLE tovholder_owner")
    for statement in _STATEMENTS:
        op.execute(statement)
    op.execute("RESET ROLE")
