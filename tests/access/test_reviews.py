"""Looks with a reason: each is put before the leader of whoever looked, and the family is told what came of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from hub import NotAllowed, reviews
from hub.access import own, pace
from hub.access.log import Asker
from hub.access.lookup import LogUnavailable
from hub.coordination import tasklist
from hub.store import tables
from hub.store.people import make_key, open_key
from hub.vault import seal_json, unseal_json
from tests.access.lookups import BUF_STAFF, REASON, SOF_STAFF

BO = Asker("s-2", "Bo Falk", "staff", "BUF", "Kystskolen")
LEADER = Asker("l-2", "Lis Bro", "leader", "BUF", "Kystskolen")
AUDITOR = Asker("a-1", "Eva Lund", "auditor")


def rows(ctx: Any, kind: str = "review") -> list[tables.Task]:
    with ctx.database.begin() as session:
        return list(session.execute(select(tables.Task).where(tables.Task.kind == kind)).scalars())


def names(ctx: Any, leader: Asker) -> list[str]:
    return [one.name for one in reviews.waiting(ctx, leader).value]


def told(ctx: Any, child_id: UUID) -> list[reviews.Reviewed]:
    """What the family is told, read as the family's page reads."""

    def reader(session: Any, children: Any) -> Any:
        return reviews.of_child(session, children[child_id]), {child_id: ["reviews"]}

    guardian = guardian_of(ctx, child_id)
    return own.read(ctx.database, ctx.keys, ctx.clock, guardian, reader).value


def guardian_of(ctx: Any, child_id: UUID) -> UUID:
    """A guardian of the child; made the first time."""
    with ctx.database.begin() as session:
        found = session.execute(select(tables.Custody.guardian_id).where(tables.Custody.child_id == child_id))
        if (known := found.scalar_one_or_none()) is not None:
            return known
        key_id, key = make_key(session, ctx.keys)
        session.flush()
        row = tables.Guardian(id=uuid4(), token=child_id.bytes, key_id=key_id, sealed=b"", language="da")
        row.sealed = seal_json(key, {"cpr": "", "name": "", "protected": False}, f"guardian:{row.id}")
        session.add(row)
        session.flush()
        session.add(tables.Custody(child_id=child_id, guardian_id=row.id, seen_at=ctx.clock.now()))
        return row.id


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
    as_owner("REVOKE INSERT ON task FROM tovholder_lookup")
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


@pytest.mark.parametrize(
    "looker",
    [
        replace(LEADER, role="staff"),
        replace(LEADER, role="coordinator", id="another-way-in", person="l-2"),
        replace(LEADER, role="staff", id="another-way-in", unit=None, person="l-2"),
    ],
)
def test_nobody_reviews_their_own_look_in_another_role_or_by_another_way_in(ctx: Any, town: Any, looker: Asker) -> None:
    town.ask(town.request(town.child(), looker, reason=REASON))
    [task] = rows(ctx)
    for same in (LEADER, replace(LEADER, role="auditor"), replace(LEADER, id="third", person="l-2", role="auditor")):
        assert names(ctx, same) == []
        with pytest.raises(NotAllowed):
            reviews.settle(ctx, same, task.id, "right")
    assert rows(ctx)[0].done_at is None
    assert names(ctx, AUDITOR) == ["Lis Bro"]
    reviews.settle(ctx, AUDITOR, task.id, "right")


@pytest.mark.parametrize("looker", [LEADER, replace(LEADER, role="staff", leads=True)])
def test_the_look_of_somebody_who_leads_is_the_auditors_at_once(ctx: Any, town: Any, looker: Asker) -> None:
    """Nobody else who leads the unit, or the administration, settles it for them."""
    town.ask(town.request(town.child(), looker, reason=REASON))
    [task] = rows(ctx)
    assert (task.administration, task.team) == (None, None)
    for other in (
        LEADER,
        Asker("l-7", "Bodil Vang", "leader", "BUF", "Kystskolen"),
        Asker("l-8", "Jens Ny", "leader", "BUF"),
        Asker("l-9", "Kaj Ude", "leader"),
    ):
        assert names(ctx, other) == []
        with pytest.raises(NotAllowed):
            reviews.settle(ctx, other, task.id, "right")
    assert names(ctx, AUDITOR) == ["Lis Bro"]
    reviews.settle(ctx, AUDITOR, task.id, "right")
    assert names(ctx, AUDITOR) == []


def test_of_a_family_that_has_closed_for_the_leaders_administration_the_auditor_reviews(ctx: Any, town: Any) -> None:
    child = town.child()
    town.ask(town.request(child, BO, reason=REASON))
    (task,) = rows(ctx)
    assert names(ctx, LEADER) == ["Bo Falk"]
    with ctx.database.begin() as session:
        said = {"capacity": "young", "how": "page", "text_version": "t", "language": "da", "sealed": b""}
        session.add(tables.Block(child_id=child.id, administration="BUF", kind="block", since=ctx.clock.now(), **said))
    assert names(ctx, LEADER) == []
    with pytest.raises(NotAllowed):
        reviews.settle(ctx, LEADER, task.id, "right")
    assert names(ctx, AUDITOR) == ["Bo Falk"]


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
    assert told(ctx, child.id) == []
    [looked] = town.ask(town.request(child, BO, reason=REASON))
    assert told(ctx, child.id) == [], "before the review"
    for _time in range(2):
        reviews.settle(ctx, LEADER, rows(ctx)[0].id, "right", "Skolestart")
    [settled] = [entry for entry in town.log() if entry.kind == "review"]
    [one] = told(ctx, child.id)
    assert town.open(settled, "subject") == {
        "purpose": "review",
        "of": str(looked.entry),
        "verdict": "right",
        "basis": "review",
        "note": "Skolestart",
        "look": {
            "at": one.at.isoformat(),
            "role": "staff",
            "administration": "BUF",
            "unit": "Kystskolen",
            "purpose": "case",
        },
    }
    assert (one.role, one.unit, one.purpose, one.verdict) == ("staff", "Kystskolen", "case", "right")
    assert not {"Bo Falk", REASON, "Skolestart"} & {str(getattr(one, name)) for name in one.__slots__}
    assert names(ctx, LEADER) == []
    assert rows(ctx, reviews.WRONG) == []


def test_a_look_found_wrong_is_the_auditors_task(ctx: Any, town: Any) -> None:
    [looked] = town.ask(town.request(town.child(), BO, reason=REASON))
    reviews.settle(ctx, LEADER, rows(ctx)[0].id, "wrong")
    assert [task.entry_id for task in rows(ctx, reviews.WRONG)] == [looked.entry]


def test_the_auditors_verdict_on_a_look_found_wrong_is_the_last(ctx: Any, town: Any) -> None:
    child = town.child()
    town.ask(town.request(child, BO, reason=REASON))
    reviews.settle(ctx, LEADER, rows(ctx)[0].id, "wrong", "Ikke hans opgave")
    assert names(ctx, LEADER) == []
    [wrong] = reviews.waiting(ctx, AUDITOR).value
    assert wrong.found_wrong
    with pytest.raises(NotAllowed):
        reviews.settle(ctx, LEADER, wrong.task, "right")
    assert [one.verdict for one in told(ctx, child.id)] == ["wrong"]
    reviews.settle(ctx, AUDITOR, wrong.task, "right", "Stedfortræder")
    assert reviews.waiting(ctx, AUDITOR).value == []
    assert [one.verdict for one in told(ctx, child.id)] == ["right"]


def test_a_look_that_its_leader_leaves_lying_is_late_and_the_auditors(ctx: Any, town: Any, clock: Any) -> None:
    """Five working days: Monday 2 November's is in time on Monday the 9th."""
    town.ask(town.request(town.child(), BO, reason=REASON), town.request(town.child(), LEADER, reason=REASON))
    for days, is_late in ((7, False), (1, True)):
        clock.move(timedelta(days=days))
        [own], [his, hers] = reviews.waiting(ctx, LEADER).value, reviews.waiting(ctx, AUDITOR).value
        for one in (own, his, hers):
            assert (one.due, one.late) == (date(2026, 11, 9), is_late)
        assert (his.leaders, hers.leaders) == (True, False)
        with ctx.database.begin() as session:
            assert reviews.late(ctx, session) == ({"BUF": 1, "auditor": 1} if is_late else {})
            assert reviews.late(ctx, session, LEADER) == ({"BUF": 1} if is_late else {})
            assert reviews.late(ctx, session, replace(LEADER, unit="Skovskolen")) == {}
    reviews.settle(ctx, LEADER, own.task, "right")
    reviews.settle(ctx, AUDITOR, hers.task, "right")
    with ctx.database.begin() as session:
        assert reviews.late(ctx, session) == {}


def test_who_looks_up_very_many_children_is_put_before_the_auditor_alone(ctx: Any, town: Any) -> None:
    counted = pace.Pace(ctx.database, ctx.keys, ctx.clock, 3)
    counted.tell(BO, counted.looks(BO, [b"1"], None))
    assert names(ctx, LEADER) == []
    [one] = reviews.waiting(ctx, AUDITOR).value
    assert (one.name, one.more_than, one.reason, one.leaders) == ("Bo Falk", 3, None, False)
    with pytest.raises(NotAllowed):
        reviews.settle(ctx, LEADER, one.task, "right")
    reviews.settle(ctx, AUDITOR, one.task, "wrong", "Ingen grund")
    assert names(ctx, AUDITOR) == []
    assert rows(ctx, reviews.WRONG) == [], "nobody is left to ask"
    settled = town.log()[-2]
    assert (settled.kind, settled.child_id, town.open(settled, "subject")["verdict"]) == ("review", None, "wrong")


def test_whoever_looked_does_not_have_the_review_among_their_own_tasks(ctx: Any, town: Any) -> None:
    nobody = Asker("s-9", "Ny Mand", "staff")
    town.ask(town.request(town.child(), BO, reason=REASON), town.request(town.child(), nobody, reason=REASON))
    with ctx.database.begin() as session:
        for asker in (BO, nobody, Asker("k-1", "Mette Holm", "coordinator")):
            assert tasklist.waiting(ctx, session, asker) == ([], 0)
    assert len(rows(ctx)) == 2


@pytest.mark.parametrize("when", ["before the verdict", "after it"])
def test_of_a_protected_child_the_family_is_not_told_the_unit(ctx: Any, town: Any, when: str) -> None:
    child = town.child()

    def protect() -> None:
        with ctx.database.begin() as session:
            row = session.get_one(tables.Child, child.id)
            key = open_key(session, ctx.keys, row.key_id)
            fields = unseal_json(key, row.sealed, f"child:{row.id}") | {"protected": True}
            row.sealed = seal_json(key, fields, f"child:{row.id}")

    town.ask(town.request(child, BO, reason=REASON))
    if when == "before the verdict":
        protect()
    reviews.settle(ctx, LEADER, rows(ctx)[0].id, "right")
    if when == "after it":
        protect()
    [one] = told(ctx, child.id)
    assert (one.administration, one.unit) == ("BUF", None)


def test_of_a_forgotten_child_the_verdict_is_kept_all_the_same(ctx: Any, town: Any) -> None:
    child = town.child()
    town.ask(town.request(child, BO, reason=REASON))
    with ctx.database.begin() as session:
        session.get_one(tables.PersonKey, session.get_one(tables.Child, child.id).key_id).wrapped = None
    assert names(ctx, LEADER) == []
    reviews.settle(ctx, LEADER, rows(ctx)[0].id, "right")
    assert (town.log()[-1].kind, town.log()[-1].child_id) == ("review", None)
