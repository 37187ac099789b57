"""Consent, blocks, in which capacity an answer was given, and reviews of looks.

Revision: 0002
"""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("SET LOCAL ROLE tovholder_owner")
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 - it is connected: a statement went through it above
    driver.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
    op.execute("INSERT INTO program_fit (revision) VALUES ('0002')")
    op.execute("RESET ROLE")
