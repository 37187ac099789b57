"""What the database holds of who is signed in, and when it goes."""

from __future__ import annotations

import json
from datetime import timedelta

from sqlalchemy import select, update

from hub.clock import SetClock
from hub.context import Context
from hub.settings import SignIn
from hub.signin.sessions import Sessions
from hub.store import tables

CONTENT = {"personale": {"name": "Sanne Toft", "id": "7f3a1c52"}}


def sessions(ctx: Context, **settings: float) -> Sessions:
    return Sessions(ctx.database, ctx.clock, SignIn.model_validate(settings))


def test_neither_the_cookie_nor_what_is_kept_stands_in_the_row(ctx: Context) -> None:
    kept = sessions(ctx)
    secret = kept.begin(CONTENT)
    with ctx.database.session() as session:
        row = session.execute(select(tables.SignedIn)).scalar_one()
    assert secret.encode() not in row.id_hash + row.sealed
    assert b"Sanne" not in row.sealed
    assert kept.load(secret) == CONTENT
    assert kept.load(secret[:-1] + ("A" if secret[-1] != "A" else "B")) is None


def test_a_row_that_somebody_has_moved_does_not_open(ctx: Context) -> None:
    kept = sessions(ctx)
    mine, theirs = kept.begin(CONTENT), kept.begin({"personale": {"name": "Bo Falk"}})
    with ctx.database.begin() as session:
        rows = {row.id_hash: row.sealed for row in session.execute(select(tables.SignedIn)).scalars()}
        for hash_ in rows:
            other = next(sealed for key, sealed in rows.items() if key != hash_)
            session.execute(update(tables.SignedIn).where(tables.SignedIn.id_hash == hash_).values(sealed=other))
    assert kept.load(mine) is None
    assert kept.load(theirs) is None


def test_what_has_ended_is_not_saved_again(ctx: Context) -> None:
    kept = sessions(ctx)
    secret = kept.begin(CONTENT)
    kept.end(secret)
    kept.save(secret, CONTENT)
    assert kept.load(secret) is None


def test_a_clock_that_was_put_back_makes_one_sign_in_again(ctx: Context, clock: SetClock) -> None:
    kept = sessions(ctx)
    clock.move(timedelta(days=30))
    secret = kept.begin(CONTENT)
    clock.move(timedelta(days=-30))
    assert kept.load(secret) is None, "it would last a month"


def test_those_that_have_ended_are_removed_and_no_others(ctx: Context, clock: SetClock) -> None:
    kept = sessions(ctx, hours=2, idle_minutes=30)
    left_alone, busy = kept.begin(CONTENT), kept.begin(CONTENT)
    for _times in range(5):
        clock.move(timedelta(minutes=20))
        assert kept.load(busy) is not None
    assert kept.purge() == 1
    assert kept.load(left_alone) is None
    assert json.dumps(kept.load(busy)) == json.dumps(CONTENT)
    clock.move(timedelta(minutes=20))
    assert kept.purge() == 1
