"""Doctor: every check by itself, about systems and never about people."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from hub import GaveUp, Health, TryAgain
from hub.access import log
from hub.access.askers import asker_key, day_key
from hub.cases import sources
from hub.clock import SetClock, today
from hub.context import Context
from hub.contract import Unreadable
from hub.doctor import examine
from hub.plugins import Plugins
from hub.settings import Municipality
from hub.store import tables, tasks
from hub.store.people import make_key
from hub.vault import seal


class Thing:
    """As much of an adapter as the doctor asks."""

    def __init__(self, answer: Callable[[], Health]) -> None:
        self.health = answer


def failing(error: Exception) -> Callable[[], Health]:
    def health() -> Health:
        raise error

    return health


def checks(ctx: Context) -> dict[str, tuple[bool, str]]:
    return {check.what: (check.ok, check.detail) for check in examine(ctx)}


def test_an_empty_hub_is_well(ctx: Context) -> None:
    assert all(ok for ok, _detail in checks(ctx).values())
    assert checks(ctx)["access log"] == (True, "head says 0, there are 0 entries")


def test_a_hub_without_a_number_to_call_is_told_of(ctx: Context) -> None:
    assert checks(ctx)["help line"] == (True, "call 70 10 20 30")
    for phone in ("", "  "):
        named = ctx.settings.model_copy(update={"municipality": Municipality(phone=phone), "file": Path("/etc/t.toml")})
        ok, said = checks(replace(ctx, settings=named))["help line"]
        assert not ok
        assert 'Write it in /etc/t.toml, under [municipality]: phone = "70 10 20 30"' in said


def test_a_look_that_nobody_reviews_is_told_of_by_whose_leader_it_waits_for(ctx: Context, clock: SetClock) -> None:
    with ctx.database.begin() as session:
        about = {"administration": "BUF", "entry_id": uuid4()}
        tasks.put(session, ctx.keys, clock.now(), "review", {"a": about})
    assert checks(ctx)["reviews"] == (True, "0 looks with a reason wait for a review longer than they should")
    clock.move(timedelta(days=8))
    said = "1 looks with a reason wait for a review longer than they should: BUF 1"
    assert checks(ctx)["reviews"] == (False, said)


def test_one_plugin_that_fails_hides_no_other(ctx: Context) -> None:
    adapters = {
        "down": Thing(failing(TryAgain("no answer from sof.example"))),
        "closed": Thing(failing(GaveUp("the source answered 403 to GET"))),
        "broken": Thing(failing(KeyError("0311164234"))),
        "well": Thing(lambda: Health(True, "answers")),
    }
    found = checks(replace(ctx, plugins=Plugins((), adapters, {"post": Thing(lambda: Health(False, "shut"))}, {})))
    assert found["down"] == (False, "no answer from sof.example")
    assert found["closed"] == (False, "the source answered 403 to GET")
    assert found["broken"] == (False, "its own check fails: KeyError")
    assert found["well"] == (True, "answers")
    assert found["post"] == (False, "shut")


def test_a_source_that_does_not_answer_says_since_when(ctx: Context, clock: SetClock) -> None:
    with ctx.database.begin() as session:
        sources.end(session, "sof_case", sources.CASES, clock.now())
        sources.failed(session, "buf_case", sources.CASES, clock.now(), "time-out")
    clock.move(timedelta(hours=1))
    with ctx.database.begin() as session:
        sources.failed(session, "sof_case", sources.CASES, clock.now(), "time-out")
    found = checks(ctx)
    ok, said = found["sof_case cases"]
    assert not ok
    assert re.fullmatch(
        r"no answer since 2\.11\.2026 08:00 \(tries so far: 1, next at 2\.11\.2026 09:\d\d\): time-out", said
    )
    ok, said = found["buf_case cases"]
    assert not ok
    assert said.startswith("has never answered (tries so far: 1, next at 2.11.2026 08:0")
    with ctx.database.begin() as session:
        sources.end(session, "sof_case", sources.CASES, clock.now())
    assert checks(ctx)["sof_case cases"] == (True, "answered 2.11.2026 09:00")


def test_a_source_that_nobody_reads_any_more_is_seen(ctx: Context, clock: SetClock) -> None:
    """With no worker nothing fails, and nothing is new."""
    with ctx.database.begin() as session:
        sources.end(session, "sof_case", sources.PRESENCE, clock.now())
        sources.end(session, "sof_case", sources.CASES, clock.now())  # not read while no family has said yes
    clock.move(timedelta(hours=24))
    assert checks(ctx)["sof_case presence"] == (True, "answered 2.11.2026 08:00")
    clock.move(timedelta(minutes=1))
    assert checks(ctx)["sof_case presence"] == (False, "not read since 2.11.2026 08:00: is a worker running?")
    assert checks(ctx)["sof_case cases"] == (True, "answered 2.11.2026 08:00")


def test_a_log_with_a_hole_is_seen(ctx: Context, admin: Callable[[str], None]) -> None:
    with ctx.database.begin() as session:
        entry = log.seal_entry(
            at=ctx.clock.now(),
            kind="lookup",
            child_id=None,
            asker=log.SYSTEM,
            asker_key=asker_key(session, ctx.keys, log.SYSTEM),
            subject={},
            subject_key=day_key(session, ctx.keys, today(ctx.clock)),
        )
        log.append(session, [entry])
    assert checks(ctx)["access log"][0]
    engine = create_engine(ctx.database._owner_url)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM log_entry"))
    engine.dispose()
    assert checks(ctx)["access log"] == (False, "head says 1, there are 0 entries")


def test_what_is_in_quarantine_is_counted_and_not_shown(ctx: Context) -> None:
    from hub.cases import quarantine

    with ctx.database.begin() as session:
        quarantine.keep(session, ctx.keys, "sof_case", Unreadable("page 1", "bad date", b"0311164234"), ctx.clock.now())
    found = checks(ctx)
    assert found["quarantine"] == (False, "1 records: sof_case 1")
    assert "0311164234" not in str(found)


@pytest.mark.parametrize(("late", "ok"), [(timedelta(hours=-1), False), (timedelta(hours=1), True), (None, True)])
def test_a_letter_that_waits_too_long_is_counted(ctx: Context, late: timedelta | None, ok: bool) -> None:
    now = ctx.clock.now()
    with ctx.database.begin() as session:
        key_id, key = make_key(session, ctx.keys)
        session.flush()
        guardian = tables.Guardian(id=uuid4(), token=b"t", key_id=key_id, sealed=seal(key, b"", "x"))
        session.add(guardian)
        session.flush()
        bundle = tables.Bundle(guardian_id=guardian.id, opened_at=now, due_at=now, composed_at=now)
        session.add(bundle)
        session.flush()
        session.add(
            tables.Letter(
                bundle_id=bundle.id,
                guardian_id=guardian.id,
                kind="introduction",
                language="da",
                template_version="1",
                content=b"",
                pdf=b"",
                sha256=b"",
                frozen_at=now,
                state="frozen",
                state_at=now,
                state_due=None if late is None else now + late,
            )
        )
    assert checks(ctx)["letters"] == (ok, f"{0 if ok else 1} wait longer than they should")
