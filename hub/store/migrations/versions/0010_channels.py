"""Which channel a letter is on, when it is tried again, and why it was withheld; paper that came back; how a guardian
wants to be written to, and what is said beside a letter. Adds only: programs of 0001 fit on.

Revision: 0010
"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"

_TABLES = ("returned_mail", "preference", "pointer")
_STATEMENTS = (
    "ALTER TABLE letter ADD COLUMN channel TEXT",
    "ALTER TABLE letter ADD COLUMN why TEXT",
    "ALTER TABLE letter DROP CONSTRAINT ck_letter_state",
    """
    ALTER TABLE letter ADD CONSTRAINT ck_letter_state CHECK (
        state in ('frozen','unsure','sent','received','delivered','returned','failed','withheld'))
    """,
    "ALTER TABLE delivery ADD COLUMN try_again_at TIMESTAMP WITH TIME ZONE",
    """
    CREATE TABLE returned_mail (
        guardian_id UUID NOT NULL,
        letter_id UUID NOT NULL,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_returned_mail PRIMARY KEY (guardian_id),
        CONSTRAINT fk_returned_mail_guardian_id FOREIGN KEY(guardian_id) REFERENCES guardian (id) ON DELETE CASCADE,
        CONSTRAINT fk_returned_mail_letter_id FOREIGN KEY(letter_id) REFERENCES letter (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE preference (
        guardian_id UUID NOT NULL,
        sealed BYTEA NOT NULL,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_preference PRIMARY KEY (guardian_id),
        CONSTRAINT fk_preference_guardian_id FOREIGN KEY(guardian_id) REFERENCES guardian (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE pointer (
        letter_id UUID NOT NULL,
        way TEXT NOT NULL,
        state TEXT NOT NULL,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        tries INTEGER NOT NULL,
        reason TEXT,
        CONSTRAINT pk_pointer PRIMARY KEY (letter_id, way),
        CONSTRAINT ck_pointer_state CHECK (state in ('waiting','begun','sent','refused','unsure')),
        CONSTRAINT fk_pointer_letter_id FOREIGN KEY(letter_id) REFERENCES letter (id) ON DELETE CASCADE
    )
    """,
)


def upgrade() -> None:
    op.execute("SET LOCAL ROLE tovholder_owner")
    for statement in _STATEMENTS:
        op.execute(statement)
    for table in _TABLES:
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO tovholder_app")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY app ON {table} TO tovholder_app USING (true) WITH CHECK (true)")
    # A guardian's page shows them what they have chosen themselves; never what the other has.
    op.execute("GRANT SELECT ON preference TO tovholder_page")
    op.execute("CREATE POLICY page ON preference FOR SELECT TO tovholder_page USING (guardian_id = page_guardian())")
    op.execute("INSERT INTO program_fit (revision) VALUES ('0010')")
    op.execute("RESET ROLE")
