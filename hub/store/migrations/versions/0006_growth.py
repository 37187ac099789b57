"""An index of the children in the target group, so that they can be counted where they are very many.

Revision: 0006
"""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("SET LOCAL ROLE tovholder_owner")
    op.execute("CREATE INDEX ix_child_eligible ON child (id) WHERE eligible")
    op.execute("INSERT INTO program_fit (revision) VALUES ('0006')")
    op.execute("RESET ROLE")
