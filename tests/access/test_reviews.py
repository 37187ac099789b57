"""Looks with a reason: each is put before the leader of whoever looked, and the family is told what came of it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from hub import NotAllowed, reviews
from hub.access import own
from hub.access.log import Asker
from hub.access.lookup import LogUnavailable
from hub.store import tables
from hub.store.people import open_key
from tests.access.lookups import BUF_STAFF, REASON, SOF_STAFF

BO = Asker("s-2", "Bo Falk", "staff", "BUF", "Kystskolen")
LEADER = Asker("l-2", "Lis Bro", "leader", "BUF", "Kystskolen")
AUDITOR = Asker("a-1", "Eva Lund", "auditor")


def rows(ctx: Any, kind: str = "review") -> list[tables.Task]:
    with ctx.database.begin() as session:
        return list(session.execute(select(tables.Task).where(tables.Task.kind == kind)).scalars())


def names(ctx: Any, leader: Asker) -> list[str]:
    return [one.name for one in reviews.waiting(ctx, leader).value]


def test_a_look_with_a_reason_is_a_task_and_no_other_is(ctx: Any, town: Any) -> None:
    child, hidden = town.child(), town.child(accepted=False)
    looked, *_others = town.ask(
        town.request(child, BO, reason=REASON),
        town.request(child, BO),
        town.request(child, SOF_STAFF, reason=REASON),  # has a case
        town.request(hidden, BO, reason=REASON),
    )
    [task] = rows(ctx)
    assert (task.entry_id, task.child_id, task.administration) == (looked.entry, child.id, "BUF")
    assert task.team is not None
    assert b"Kyst" not in task.team


def test_it_is_made_in_the_transaction_of_its_entry(ctx: Any, town: Any, as_owner: Any) -> None:
    """No look without its task: when that cannot be written, nothing is shown and nothing is kept."""
    child = town.child()
    before = len(town.log())
    as_owner("REVOKE INSERT ON task FROM tovholder_app")
    with pytest.raises(LogUnavailable):
        town.ask(town.request(child, BO, reason=REASON))
    assert len(town.log()) == before
    town.ask(town.request(child, SOF_STAFF))  # a look that needs no review goes on


def test_the_own_leader_and_the_auditor_see_it_and_nobody_else(ctx: Any, town: Any) -> None:
    child = town.child()
    town.ask(town.request(child, BO, reason=REASON))
    assert names(ctx, LEADER) == names(ctx, AUDITOR) == ["Bo Falk"]
    for other in (
        Asker("l-3", "Per Dam", "leader", "BUF", "Skovskolen"),
        Asker("l-4", "Ib Juhl", "leader", "SOF", "Kystskolen"),
        Asker("l-5", "Ida Bæk", "leader", None, "Kystskolen"),
        Asker("s-2", "Bo Falk", "leader", "BUF", "Kystskolen"),  # nobody reviews their own
    ):
        assert names(ctx, other) == []
        with pytest.raises(NotAllowed):
            reviews.settle(ctx, other, rows(ctx)[0].id, "right")
    for nobody in (BO, Asker("o-1", "Ole", "operator")):
        with pytest.raises(NotAllowed):
            reviews.waiting(ctx, nobody)
        with pytest.raises(NotAllowed):
            reviews.settle(ctx, nobody, rows(ctx)[0].id, "right")
    assert rows(ctx)[0].done_at is None


def test_of_an_unknown_unit_every_leader_of_the_administration_may(ctx: Any, town: Any) -> None:
    town.ask(town.request(town.child(), BUF_STAFF, reason=REASON))
    assert names(ctx, LEADER) == ["Bo Falk"]


def test_the_list_tells_what_is_needed_and_is_itself_logged(ctx: Any, town: Any) -> None:
    [looked] = town.ask(town.request(town.child(), BO, purpose="contact", reason=REASON, case="S-17"))
    listed = reviews.waiting(ctx, LEADER)
    [review] = listed.value
    assert (review.purpose, review.reason, review.case, review.unit) == ("contact", REASON, "S-17", "Kystskolen")
    entry = town.log()[-1]
    assert (entry.id, entry.kind, town.open(entry, "asker")["id"]) == (listed.entry, "review", "l-2")
    assert town.open(entry, "subject")["shown"] == [str(looked.entry)]


def test_the_verdict_is_logged_and_the_family_is_told_without_name_or_reason(ctx: Any, town: Any) -> None:
    child = town.child()
    [looked] = town.ask(town.request(child, BO, reason=REASON))

    def told() -> list[reviews.Reviewed]:
        with ctx.database.begin() as session:
            row = session.get_one(tables.Child, child.id)
            seen = own.OwnChild(row.id, row.key_id, open_key(session, ctx.keys, row.key_id), {})
            return reviews.of_child(session, ctx.keys, seen)

    assert told() == []
    for _time in range(2):
        reviews.settle(ctx, LEADER, rows(ctx)[0].id, "right", "Skolestart")
    assert [entry.kind for entry in town.log()][-2:] == ["lookup", "review"]
    assert town.open(town.log()[-1], "subject") == {
        "purpose": "review",
        "of": str(looked.entry),
        "verdict": "right",
        "basis": "review",
        "note": "Skolestart",
    }
    [one] = told()
    assert (one.role, one.unit, one.purpose, one.verdict) == ("staff", "Kystskolen", "case", "right")
    assert not {"Bo Falk", REASON, "Skolestart"} & {str(getattr(one, name)) for name in one.__slots__}
    assert names(ctx, LEADER) == []
    assert rows(ctx, reviews.WRONG) == []


def test_a_look_found_wrong_is_the_auditors_task(ctx: Any, town: Any) -> None:
    [looked] = town.ask(town.request(town.child(), BO, reason=REASON))
    reviews.settle(ctx, LEADER, rows(ctx)[0].id, "wrong")
    assert [task.entry_id for task in rows(ctx, reviews.WRONG)] == [looked.entry]


def test_of_a_forgotten_child_the_verdict_is_kept_all_the_same(ctx: Any, town: Any) -> None:
    child = town.child()
    town.ask(town.request(child, BO, reason=REASON))
    with ctx.database.begin() as session:
        session.get_one(tables.PersonKey, session.get_one(tables.Child, child.id).key_id).wrapped = None
    assert names(ctx, LEADER) == []
    reviews.settle(ctx, LEADER, rows(ctx)[0].id, "right")
    assert (town.log()[-1].kind, town.log()[-1].child_id) == ("review", None)
