"""Row-level security behind two more of staff's pages: a coordinator's letters, and an adviser's notices.

Revision: 0015
"""

from pathlib import Path

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 - it is connected
    op.execute("SET LOCAL ROLE tovholder_owner")
    driver.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
    op.execute("INSERT INTO program_fit (revision) VALUES ('0015')")
    op.execute("RESET ROLE")
