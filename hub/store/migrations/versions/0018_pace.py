"""Who looked up very many children is for the auditor to see. It widens a function of 0008: programs of 0001 fit on.

Revision: 0018
"""

from alembic import op

revision = "0018"
down_revision = "0017"

_STATEMENTS = (
    """
    CREATE OR REPLACE FUNCTION page_to_review() RETURNS SETOF uuid STABLE SECURITY DEFINER LANGUAGE sql
    BEGIN ATOMIC
        -- The entries of looks with a reason: a leader's of the own unit, and where none is known of the
        -- administration, but of no family that has closed for it; the auditor's all, and who looked up very many.
        SELECT entry_id FROM task
        WHERE done_at IS NULL AND entry_id IS NOT NULL AND kind IN ('review', 'look_wrong', 'pace') AND (
            page_acts_as('auditor')
            OR (page_acts_as('leader') AND kind = 'review' AND administration = page_administration()
                AND (team IS NULL OR team = page_team())
                AND NOT EXISTS (SELECT FROM log_entry JOIN block ON block.child_id = log_entry.child_id
                                WHERE log_entry.id = task.entry_id AND block.administration = page_administration()
                                  AND block.lifted_at IS NULL)));
    END
    """,
    "INSERT INTO program_fit (revision) VALUES ('0018')",
)


def upgrade() -> None:
    op.execute("SET LOCAL ROLE tovholder_owner")
    for statement in _STATEMENTS:
        op.execute(statement)
    op.execute("RESET ROLE")
