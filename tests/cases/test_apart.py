"""Sources side by side: none waits for another, none hides another, and nobody waits for one that never answers."""

from __future__ import annotations

import queue
import threading
from datetime import timedelta

import pytest

from hub import Presence, State, TryAgain
from hub.cases import sources
from hub.cases.apart import ahead, side_by_side
from hub.cases.match import match
from hub.cases.sync import sync
from hub.store import tables

KARLA = "0311164234"
LONG = 60.0


def test_results_come_as_they_are_ready_not_in_order():
    first = threading.Event()

    def slow() -> str:
        assert first.wait(LONG)
        return "slow"

    given = []
    for name, _result in side_by_side({"a": slow, "b": lambda: "quick"}):
        given.append(name)
        first.set()
    assert given == ["b", "a"]


def test_one_that_fails_lets_the_others_end_first():
    def fails() -> str:
        raise KeyError

    given = []
    with pytest.raises(KeyError):
        given.extend(side_by_side({"a": fails, "b": lambda: "b", "c": lambda: "c"}))
    assert sorted(given) == [("b", "b"), ("c", "c")]


def test_pages_come_in_order_and_an_error_in_its_place():
    def ask():
        yield from range(5)
        raise TryAgain("busy")

    given = []
    with pytest.raises(TryAgain, match="busy"):
        given.extend(ahead("sof", ask, LONG))
    assert given == list(range(5))


def test_one_page_is_fetched_ahead_and_no_more():
    asked: list[int] = []
    third = threading.Event()

    def ask():
        for n in range(10):
            asked.append(n)
            if n == 2:
                third.set()
            yield n

    pages = ahead("sof", ask, LONG)
    assert next(pages) == 0
    assert third.wait(LONG)  # one in hand, one that waits, one about to be handed over
    assert asked == [0, 1, 2]
    pages.close()


def test_whoever_stops_listening_leaves_no_thread_behind():
    ended = threading.Event()

    def ask():
        try:
            while True:
                yield 1
        finally:
            ended.set()

    pages = ahead("sof", ask, LONG)
    next(pages)
    pages.close()
    assert ended.wait(LONG)


def test_one_that_says_nothing_is_given_up():
    never = threading.Event()

    def ask():
        yield 1
        never.wait(LONG)

    pages = ahead("sof", ask, 0.05)
    assert next(pages) == 1
    with pytest.raises(queue.Empty):
        next(pages)
    never.set()


@pytest.mark.parametrize("read", [match, sync])
def test_a_source_that_hangs_delays_no_other(world, read):
    """It answers only once all others have been read and stored."""
    world.accepted(KARLA)
    others = threading.Event()
    name = "presence" if read is match else "read"
    ask = getattr(world.sof, name)

    def hangs(*words):
        for _try in range(600):
            with world.session() as session:
                states = session.query(tables.SourceState).where(
                    tables.SourceState.purpose == (sources.PRESENCE if read is match else sources.CASES),
                    tables.SourceState.source.in_(("buf", "suf")),
                    tables.SourceState.answered_at == world.clock.now(),
                )
                if states.count() == 2:
                    others.set()
                    break
            threading.Event().wait(0.01)
        yield from ask(*words)

    world.clock.move(timedelta(days=1))
    setattr(world.sof, name, hangs)
    read(world.ctx)
    assert others.is_set()


def test_a_child_whose_two_halves_come_at_the_same_moment_is_found(world):
    """Two pages in two transactions: neither sees the other until it commits."""
    at_once = threading.Barrier(3)
    for source in (world.sof, world.buf, world.suf):
        source.page_size = 50
        ask = source.presence

        def together(since, ask=ask):
            pages = list(ask(since))
            at_once.wait(LONG)
            yield from pages

        source.presence = together
    for n in range(40):
        digits = world.number(n)
        for source in (world.sof, world.buf):
            source.put(Presence(f"{source.name}/{digits}", digits, State.OPEN))
    assert match(world.ctx).found == 40
    assert len(world.rows(tables.Child)) == 40


def test_a_silent_plugin_is_no_fault_but_no_answer(world, monkeypatch):
    never = threading.Event()
    monkeypatch.setattr(sources, "PATIENCE", timedelta(seconds=0.05))
    world.present(KARLA, world.buf, world.suf)
    world.sof.presence = lambda since: iter([never.wait(LONG)])
    found = match(world.ctx)
    never.set()
    assert found.found == 1
    assert found.reads[0].failure is not None
    assert found.reads[0].failure.startswith("sof has given nothing")
