"""Which database letters leave from. A copy never sends by itself: not a restored one, not one made to try things.

The database says in its one row of `sender` where it is: the cluster's own number, its timeline, the database's number
in it and the table's own. In a copy the row was copied and names another place, so letters wait until an operator has
looked (`tovholder restore --resume`). No step of a restore has to remember this, and none can be too late: it holds
from the first moment anybody can connect, also after a pg_restore by hand, a recovery to a point in time or a failover
(both begin a new timeline). Only a copy of the cluster's files, such as a virtual machine's snapshot, looks the same:
then say `tovholder restore --hold`.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub.errors import TryAgain
from hub.store.tables import Sender

WHY = (
    "letters are on hold: this database is a copy of the one they left from, or an operator has said so; "
    "if it is to take over, run: tovholder restore --resume"
)
LOOK_AGAIN = 600.0
"""After how long a job that found letters on hold looks again (seconds)."""

_HERE = """
SELECT s.system_identifier || '/' || c.timeline_id || '/' || d.oid || '/' || 'sender'::regclass::oid AS here,
       (SELECT place FROM sender) AS place
FROM pg_control_system() s, pg_control_checkpoint() c, pg_database d WHERE d.datname = current_database()
"""
_HELD = "held"


class OnHold(TryAgain):
    """Letters are on hold."""

    def __init__(self) -> None:
        super().__init__(WHY, after_seconds=LOOK_AGAIN)


def held(session: Session) -> bool:
    """Whether letters are on hold. A database from which none has left yet holds none."""
    row = session.execute(text(_HERE)).one()
    return row.place not in (None, row.here)


def check(session: Session, now: datetime) -> None:
    """Raise OnHold unless letters may leave from here. The first to ask makes this the database they leave from."""
    row = session.execute(text(_HERE)).one()
    if row.place is None:
        claim(session, now)
    elif row.place != row.here:
        raise OnHold


def claim(session: Session, now: datetime) -> None:
    """Letters leave from here, unless the row says already where from."""
    here = session.execute(text(_HERE)).one().here
    session.execute(insert(Sender).values(id=1, place=here, since=now).on_conflict_do_nothing())


def hold(session: Session, now: datetime) -> None:
    """Let nothing leave until `release`. `since` stays: it says from when on the journal tells what left from here."""
    row = insert(Sender).values(id=1, place=_HELD, since=now)
    session.execute(row.on_conflict_do_update(index_elements=["id"], set_={"place": _HELD}))


def release(session: Session, now: datetime) -> None:
    """From now on letters leave from here."""
    here = session.execute(text(_HERE)).one().here
    row = insert(Sender).values(id=1, place=here, since=now)
    session.execute(row.on_conflict_do_update(index_elements=["id"], set_={"place": here, "since": now}))
