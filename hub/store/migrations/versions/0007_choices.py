"""A family's page shows what became of looks without a case, and a young person's what they gave and closed themselves.

Revision: 0007
"""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 - it is connected
    op.execute("SET LOCAL ROLE tovholder_owner")
    driver.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
    op.execute("INSERT INTO program_fit (revision) VALUES ('0007')")
    op.execute("RESET ROLE")
