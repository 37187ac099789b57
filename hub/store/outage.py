"""What a database error means for whoever waits: whether it passes by itself, and what an operator can do."""

from __future__ import annotations

import psycopg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnection

NO_ANSWER = "the database does not answer; is it running, and is its address right?"
READ_ONLY = "the database is read only: is it a standby, or is default_transaction_read_only on?"
NO_ROOM = (
    "the database has no connection left for this program: run fewer processes, or raise max_connections or the "
    "role's own limit"
)
DISK_FULL = "the database's disk is full; free space on it"
CUT = "the connection to the database was cut: was it restarted?"
TOO_LONG = "the database took too long, or two processes waited for each other"

_BY_STATE = {
    "25006": READ_ONLY,
    "53300": NO_ROOM,
    "53100": DISK_FULL,
    "25P03": CUT,  # it was idle in a transaction: this machine was asleep, or very slow
    "57014": TOO_LONG,
}
_BY_CLASS = {"08": CUT, "40": TOO_LONG, "53": NO_ANSWER, "55": TOO_LONG, "57": CUT, "58": NO_ANSWER}
"""Classes of SQLSTATE (PostgreSQL documentation, appendix A) that pass without anybody changing the program:
connection, transaction rolled back, resources, lock not available, operator intervention, system error."""
_NO_ROOM = ("too many connections", "too many clients", "remaining connection slots")
"""A connection that is refused comes without its SQLSTATE."""


def why(error: BaseException) -> str | None:
    """What to tell an operator of a database that cannot be worked with now; None when the error is another, which
    would come again."""
    if isinstance(error, NoConnection):
        return NO_ROOM
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, psycopg.Error):
        return None
    state = cause.sqlstate
    if state is not None:
        return _BY_STATE.get(state) or _BY_CLASS.get(state[:2])
    if not isinstance(cause, psycopg.OperationalError):
        return None
    if any(words in str(cause) for words in _NO_ROOM):
        return NO_ROOM
    # Either there never was a connection, or it ended without a word.
    return CUT if isinstance(error, DBAPIError) and error.statement else NO_ANSWER


def is_down(error: BaseException) -> bool:
    """Whether no connection could be made because no server takes any: it is gone, or it is starting or stopping. One
    that refuses for another reason is there."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    said = str(cause)
    return isinstance(cause, psycopg.OperationalError) and ("FATAL" not in said or "the database system is " in said)


Unavailable = (SQLAlchemyError, psycopg.Error)
"""What to catch before asking `why`."""
