"""Who is written to about a child without having custody: the young person from 15, and representatives with a mandate.

Revision: 0011
"""

from pathlib import Path

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 - it is connected
    op.execute("SET LOCAL ROLE tovholder_owner")
    driver.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
    op.execute("INSERT INTO program_fit (revision) VALUES ('0011')")
    op.execute("RESET ROLE")
