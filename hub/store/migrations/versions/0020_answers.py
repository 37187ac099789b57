"""Of an answer that is told in a letter: how it came, and whether a representative gave it.

Revision: 0020
"""

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.execute("SET LOCAL ROLE tovholder_owner")
    op.execute("ALTER TABLE event ADD COLUMN how TEXT, ADD COLUMN spoke TEXT")
    op.execute("INSERT INTO program_fit (revision) VALUES ('0020')")
    op.execute("RESET ROLE")
