"""A young person's own page shows how they want to be written to.

Revision: 0022
"""

from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.execute("SET LOCAL ROLE tovholder_owner")
    op.execute(
        "CREATE POLICY page_young ON preference FOR SELECT TO tovholder_page "
        "USING (guardian_id IN (SELECT page_young()))"
    )
    op.execute("INSERT INTO program_fit (revision) VALUES ('0022')")
    op.execute("RESET ROLE")
