"""Row and job in one commit: neither without the other."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import text

from hub.store import queue, tables
from hub.store.database import Database
from hub.store.people import make_key
from hub.vault import Keys


def jobs(database: Database) -> list[tuple[str, str, dict[str, str], str]]:
    with database.begin() as session:
        rows = session.execute(text("SELECT task_name, queue_name, args, status FROM procrastinate_jobs ORDER BY id"))
        return [tuple(row) for row in rows]


def persons(database: Database) -> int:
    with database.begin() as session:
        return session.query(tables.PersonKey).count()


def test_a_job_and_its_row_come_with_one_commit(database: Database, keys: Keys) -> None:
    letter = str(uuid4())
    with database.begin() as session:
        make_key(session, keys)
        queue.defer(session, queue.DELIVER, [{"letter_id": letter}])
        assert jobs(database) == []  # nobody else sees it yet
    assert jobs(database) == [("deliver", "letters", {"letter_id": letter}, "todo")]
    assert persons(database) == 1


def test_a_rollback_leaves_neither_job_nor_row(database: Database, keys: Keys) -> None:
    def fail_after_deferring() -> None:
        with database.begin() as session:
            make_key(session, keys)
            queue.defer(session, queue.DELIVER, [{"letter_id": "x"}])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_deferring()
    assert (jobs(database), persons(database)) == ([], 0)


def test_a_job_that_cannot_be_deferred_takes_its_row_with_it(database: Database, keys: Keys) -> None:
    def defer_what_is_no_json() -> None:
        with database.begin() as session:
            make_key(session, keys)
            queue.defer(session, queue.DELIVER, [{"letter_id": object()}])

    with pytest.raises(TypeError):
        defer_what_is_no_json()
    assert (jobs(database), persons(database)) == ([], 0)


def test_many_jobs_are_deferred_at_once_and_none_is_none(database: Database) -> None:
    with database.begin() as session:
        queue.defer(session, queue.DELIVER, [{"letter_id": str(n)} for n in range(3)])
        queue.defer(session, queue.DELIVER, [])
    assert [job[2]["letter_id"] for job in jobs(database)] == ["0", "1", "2"]
