"""A young person's own page shows what they have asked for themselves, and the answer.

Revision: 0021
"""

from alembic import op

revision = "0021"
down_revision = "0020"

_STATEMENTS = (
    """
    CREATE POLICY page_young ON rights_request FOR SELECT TO tovholder_page USING (
        child_id = page_child() AND guardian_id IN (SELECT page_young()))
    """,
    """
    CREATE POLICY page_young ON task FOR SELECT TO tovholder_page USING (id IN (
        SELECT task_id FROM rights_request WHERE child_id = page_child() AND guardian_id IN (SELECT page_young())))
    """,
    "INSERT INTO program_fit (revision) VALUES ('0021')",
)


def upgrade() -> None:
    op.execute("SET LOCAL ROLE tovholder_owner")
    for statement in _STATEMENTS:
        op.execute(statement)
    op.execute("RESET ROLE")
