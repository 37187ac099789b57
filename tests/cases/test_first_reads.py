"""Children who are new are read apart: nothing of the others is read again for them, and nothing is missed between."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from hub import CaseRecord, Gone, Page, State, TryAgain, Unreadable, family
from hub.cases.sync import sync
from hub.store import tables

pytestmark = pytest.mark.slow

KARLA, EMIL, IDA = "0311164234", "1405134321", "2001154100"
MOTHER, FATHER, AUNT = "0101804001", "0101804002", "0101804003"


def asked(world) -> list[tuple[bool, set[str]]]:
    """Each read of cases since the last time: whether of everything, and of whom."""
    told = [(since is None, set(children)) for since, children in world.sof.asked]
    world.sof.asked.clear()
    return told


def references(world) -> set[bytes]:
    return {row.reference for row in world.rows(tables.Case, tables.Case.source == "sof")}


@pytest.fixture
def known(world):
    world.accepted(KARLA, guardians=(MOTHER,))
    world.case(world.sof, "k1", KARLA)
    sync(world.ctx)
    world.sof.asked.clear()
    return world


def test_all_are_read_at_once_when_nobody_has_been_read(world):
    world.accepted(KARLA, EMIL, guardians=(MOTHER,))
    sync(world.ctx)
    assert asked(world) == [(True, {KARLA, EMIL})]


def test_a_new_child_is_read_in_full_and_the_others_for_what_is_new(known):
    known.accepted(EMIL, guardians=(FATHER,))
    known.case(known.sof, "e1", EMIL)
    sync(known.ctx)
    assert asked(known) == [(False, {KARLA}), (True, {EMIL})]
    assert len(references(known)) == 2
    sync(known.ctx)
    assert asked(known) == [(False, {KARLA, EMIL})]
    assert known.events() == []


def test_a_first_read_that_is_cut_off_goes_on_where_it_was_however_many_join(known):
    """A flaky source would else never come to its end: somebody new every day, and every day from the start."""
    known.accepted(EMIL, guardians=(FATHER,))
    known.sof.page_size = 1
    for n in range(4):
        known.case(known.sof, f"e{n}", EMIL)
    _fail_in_full_read(known, 3)
    sync(known.ctx)
    assert asked(known) == [(False, {KARLA}), (True, {EMIL})]
    del known.sof.read
    known.accepted(IDA, guardians=(AUNT,))
    known.case(known.sof, "i1", IDA)
    sync(known.ctx, ["sof"])
    told = asked(known)
    assert told == [(False, {KARLA, EMIL}), (False, {EMIL}), (True, {IDA})]
    assert len(references(known)) == 6
    assert known.events() == []


def _fail_in_full_read(world, at: int) -> None:
    read = type(world.sof).read

    def fails(since, children):
        for number, page in enumerate(read(world.sof, since, children)):
            if since is None and number == at:
                raise TryAgain("no answer")
            yield page

    world.sof.read = fails


def test_what_changes_while_a_first_read_is_under_way_is_not_missed(known):
    """Of a source whose pages stand still: what changes on one that has been read comes with the changes only."""
    known.accepted(EMIL, guardians=(FATHER,))
    stands = [CaseRecord(f"e{n}", EMIL, "help", State.APPLIED) for n in range(4)]
    changes: list[CaseRecord] = []
    breaks_off = True

    def read(since, children):
        if since is not None and since.startswith("new/"):
            yield Page(tuple(record for record in changes if record.cpr in children), f"new/{len(changes)}")
            return
        for number in range(int((since or "0").removeprefix("all/")), 4):
            if breaks_off and number == 3:
                raise TryAgain("no answer")
            yield Page((stands[number],) if EMIL in children else (), f"all/{number + 1}", complete=number == 3)

    known.sof.read = read
    sync(known.ctx)
    changes.append(CaseRecord("e0", EMIL, "help", State.CLOSED))
    breaks_off = False
    sync(known.ctx, ["sof"])
    kept = {row.reference: row.is_open for row in known.rows(tables.Case) if row.child_id == known.child(EMIL)}
    assert kept == {known.ctx.keys.refer("sof", f"e{n}"): n > 0 for n in range(4)}
    assert known.events() == []  # the first read is no news, nor what belongs to it


def test_one_in_which_something_cannot_be_read_is_the_first_all_the_same(world):
    """The source says of no such read that it was whole; what comes after it is news."""
    world.accepted(KARLA, guardians=(MOTHER,))
    told = [CaseRecord("k1", KARLA, "help", State.APPLIED), Unreadable("file 2", "no end tag", b"<")]
    world.sof.read = lambda since, children: iter([Page(tuple(told), None)])
    sync(world.ctx)
    assert world.events() == []
    told[0] = CaseRecord("k1", KARLA, "help", State.DECIDED)
    sync(world.ctx)
    assert [event.kind for event in world.events()] == ["decided"]


def test_the_family_page_calls_a_child_read_only_when_it_is(known):
    known.accepted(EMIL, guardians=(FATHER,))
    known.sof.page_size = 1
    for n in range(4):
        known.case(known.sof, f"e{n}", EMIL)
    _fail_in_full_read(known, 2)
    sync(known.ctx)
    (row,) = known.rows(
        tables.ChildSource,
        tables.ChildSource.child_id == known.child(EMIL),
        tables.ChildSource.source == "sof",
    )
    assert row.read_at is None
    del known.sof.read
    sync(known.ctx, ["sof"])
    (row,) = known.rows(
        tables.ChildSource,
        tables.ChildSource.child_id == known.child(EMIL),
        tables.ChildSource.source == "sof",
    )
    assert row.read_at == known.clock.now()


def test_a_yes_taken_back_while_its_cases_are_read_leaves_nothing(known):
    """The withdrawal commits between two pages; what comes after it is not kept."""
    read = type(known.sof).read
    for n in range(6):
        known.case(known.sof, f"k{n}", KARLA, State.APPLIED)

    def leaves(since, children):
        for number, page in enumerate(read(known.sof, since, children)):
            if number == 1:
                family.withdraw(known.ctx, known.child(KARLA), known.by(MOTHER))
            yield page

    known.sof.read = leaves
    sync(known.ctx)
    assert references(known) == set()
    assert {event.kind for event in known.events() if event.bundle_id} == {"yes_withdrawn"}
    assert known.rows(tables.ChildSource, tables.ChildSource.source == "sof") == []


def test_a_case_that_moves_to_a_child_nobody_asks_about_is_forgotten(known):
    """The source may show it although it was not asked for; its first family must hear no more of it."""
    record = CaseRecord("k1", EMIL, "help", State.DECIDED)
    known.sof.read = lambda since, children: iter([Page((record,), "new/9")])
    assert sync(known.ctx)[0].gone == 1
    assert references(known) == set()


def test_but_not_by_a_read_of_others(known):
    """A first read is about the new child alone: what an adapter shows besides says nothing of Karla's case."""
    known.accepted(EMIL, guardians=(FATHER,))
    record = CaseRecord("k1", KARLA, "help", State.OPEN)
    read = type(known.sof).read
    known.sof.read = lambda since, children: (
        iter([Page((record,), "new/9", complete=True)]) if since is None else read(known.sof, since, children)
    )
    sync(known.ctx)
    assert len(references(known)) == 1


CHILDREN = (KARLA, EMIL, IDA)
STEP = st.one_of(
    st.tuples(st.just("put"), st.integers(0, 5), st.integers(0, 2)),
    st.tuples(st.just("gone"), st.integers(0, 5), st.just(0)),
    st.tuples(st.just("yes"), st.just(0), st.integers(1, 2)),
    st.tuples(st.just("sync"), st.integers(0, 4), st.booleans()),
)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=st.lists(STEP, min_size=3, max_size=12), size=st.integers(1, 3))
def test_whatever_order_families_say_yes_and_reads_break_off_in_the_end_all_is_known(world, steps, size):
    """After a read that comes to its end, the hub has just the cases the source has of children in the scheme."""
    if not world.rows(tables.Assignment):
        world.accepted(*CHILDREN, guardians=(MOTHER,))
    with world.ctx.database.begin() as session:
        for table in ("event", "bundle", "case_index", "source_state", "child_source"):
            session.execute(text(f"DELETE FROM {table}"))
        session.execute(text("UPDATE assignment SET until = since"))
    world.sof._records.changes.clear()
    world.sof.page_size, world.sof.fail_at = size, None
    scheme: set[str] = set()

    def say_yes(child: str) -> None:
        if child not in scheme:
            scheme.add(child)
            with world.ctx.database.begin() as session:
                again = text("UPDATE assignment SET until = NULL WHERE child_id = :id")
                session.execute(again, {"id": world.child(child)})

    say_yes(KARLA)
    there: dict[str, str] = {}
    for what, number, which in [*steps, ("sync", 9, True)]:
        if what == "put":
            there[f"s{number}"] = CHILDREN[which]
            world.sof.put(CaseRecord(f"s{number}", CHILDREN[which], "relief", State.OPEN))
        elif what == "gone":
            there.pop(f"s{number}", None)
            world.sof.put(Gone(f"s{number}"))
        elif what == "yes":
            say_yes(CHILDREN[which])
        else:
            world.sof.fail_at = None if which else number
            sync(world.ctx, ["sof"])
            world.sof.fail_at = None
    kept = {(row.reference, row.child_id) for row in world.rows(tables.Case)}
    refer = world.ctx.keys.refer
    wanted = {(refer("sof", name), world.child(child)) for name, child in there.items() if child in scheme}
    assert kept >= wanted
    # A case that moved to a child not in the scheme is not told of by this source; a whole read finds out.
    assert {reference for reference, _child in kept - wanted} <= {
        refer("sof", name) for name, child in there.items() if child not in scheme
    }
