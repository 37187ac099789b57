"""Whose say a representative's consent or block is; and no leader of a closed administration reads a look. It widens
two checks: programs of 0001 fit on.

Revision: 0017
"""

from pathlib import Path

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 - it is connected
    op.execute("SET LOCAL ROLE tovholder_owner")
    driver.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
    op.execute("INSERT INTO program_fit (revision) VALUES ('0017')")
    op.execute("RESET ROLE")
