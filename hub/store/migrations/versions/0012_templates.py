"""The letters' texts: drafted, approved by another, published from a moment on.

Revision: 0012
"""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.execute("SET LOCAL ROLE tovholder_owner")
    op.execute(
        """
        CREATE TABLE template (
            id uuid NOT NULL,
            name text NOT NULL,
            text text NOT NULL,
            sha256 bytea NOT NULL,
            drafted_at timestamptz NOT NULL,
            drafter bytea NOT NULL,
            CONSTRAINT pk_template PRIMARY KEY (id),
            CONSTRAINT uq_template_once UNIQUE (name, sha256)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE template_step (
            seq integer NOT NULL,
            name text NOT NULL,
            template_id uuid,
            step text NOT NULL,
            at timestamptz NOT NULL,
            since timestamptz,
            who bytea NOT NULL,
            CONSTRAINT pk_template_step PRIMARY KEY (seq),
            CONSTRAINT fk_template_step_template_id_template FOREIGN KEY (template_id) REFERENCES template (id),
            CONSTRAINT ck_template_step_step CHECK (step in ('approved','published','shipped')),
            CONSTRAINT ck_template_step_which CHECK ((step = 'shipped') = (template_id is null)),
            CONSTRAINT ck_template_step_since CHECK ((step = 'approved') = (since is null))
        )
        """
    )
    op.execute("CREATE INDEX ix_template_step_template_id ON template_step (template_id)")
    op.execute("CREATE INDEX ix_template_step_since ON template_step (name, since)")
    # Added and never changed: what was approved is what is sent.
    op.execute("GRANT SELECT, INSERT ON template, template_step TO tovholder_app")
    for table in ("template", "template_step"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY app ON {table} TO tovholder_app USING (true) WITH CHECK (true)")
    op.execute("INSERT INTO program_fit (revision) VALUES ('0012')")
    op.execute("RESET ROLE")
