"""`narrow_access`: a plugin takes looks away and gives none; what is wrong with it is a no, told to the operator."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import structlog

from hub import Look
from hub.access import narrow
from hub.plugins import load
from hub.settings import Settings
from tests.access.lookups import BUF_STAFF, REASON, SOF_STAFF, UNKNOWN, shown

numbers = itertools.count()


@pytest.fixture
def plug(town: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Gives the town plugins, each the body of its narrow_access."""
    monkeypatch.syspath_prepend(tmp_path)

    def plug(**bodies: str) -> None:
        points = []
        for name, body in bodies.items():
            module = f"narrowing_{next(numbers)}_{name}"
            code = "import hub\n\n@hub.hookimpl\ndef narrow_access(look):\n" + f"    {dedent(body)}\n"
            (tmp_path / f"{module}.py").write_text(code, encoding="utf-8")
            points.append(EntryPoint(name, module, "tovholder"))
        settings = Settings.model_validate({"plugins": {name: {} for name in bodies}})
        town.ctx = replace(town.ctx, plugins=load(settings, points))

    return plug


@pytest.fixture
def warned() -> Iterator[list[dict[str, Any]]]:
    with structlog.testing.capture_logs() as found:
        yield found  # type: ignore[misc]


def test_its_no_is_obeyed_logged_and_looks_like_any_other(town: Any, plug: Any) -> None:
    child = town.child()
    plug(hours="return look.asker == 's-1'", always="return False")
    taken, left, unknown = town.ask(
        town.request(child), town.request(child, BUF_STAFF, reason=REASON), town.request(UNKNOWN, BUF_STAFF)
    )
    assert (shown(taken), shown(left)) == (False, True)
    assert taken.value == unknown.value
    entry = next(row for row in town.log() if row.id == taken.entry)
    subject = town.open(entry, "subject")
    assert (subject["basis"], subject["narrowed"]) == ("narrowed", ["hours"])


def test_its_yes_gives_nothing(town: Any, plug: Any) -> None:
    plug(generous="return False")
    [found] = town.ask(town.request(town.child(case_in=None)))
    assert not shown(found)


@pytest.mark.parametrize("body", ["raise ValueError('0311164234')", "return None", "return 0", "return 'no'"])
def test_what_is_wrong_with_it_is_a_no_and_told_to_the_operator_alone(
    town: Any, plug: Any, warned: list[dict[str, Any]], body: str
) -> None:
    plug(broken=body)
    found, unknown = town.ask(town.request(town.child()), town.request(UNKNOWN))
    assert found.value == unknown.value
    assert {said["plugin"] for said in warned} == {"broken"}
    assert "0311164234" not in str(warned)


def test_one_that_thinks_too_long_has_said_no(town: Any, plug: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(quick="return False")
    child = town.child()
    go = threading.Event()
    slow = {"slow": lambda _look: go.wait(30)}
    town.ctx = replace(town.ctx, plugins=replace(town.ctx.plugins, narrowers=slow))
    monkeypatch.setattr(narrow.Narrow.__init__, "__defaults__", (0.05,))
    try:
        [found] = town.ask(town.request(child))
    finally:
        go.set()
    assert not shown(found)


def test_it_is_told_who_asks_for_what_and_nothing_of_the_child(town: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Look] = []

    def look(asked: Look) -> bool:
        seen.append(asked)
        return False

    town.ctx = replace(town.ctx, plugins=replace(town.ctx.plugins, narrowers={"one": look}))
    town.ask(town.request(town.child(), reason=REASON, case="S-17"))
    assert seen == [Look("s-1", "staff", "SOF", SOF_STAFF.unit, "case", REASON)]


def test_it_is_asked_before_the_logs_head_is_waited_for(town: Any) -> None:
    """While a plugin thinks, nobody else waits for it."""
    child, went = town.child(), threading.Event()

    def look(asked: Look) -> bool:
        if asked.asker == "s-1":
            assert went.wait(1.5), "the other's lookup waited for this one's plugin"
        return False

    town.ctx = replace(town.ctx, plugins=replace(town.ctx.plugins, narrowers={"one": look}))

    async def work() -> None:
        async with town.queue() as queue:
            first = asyncio.create_task(queue.ask(town.request(child)))
            other = await queue.ask(town.request(child, BUF_STAFF, reason=REASON))
            assert shown(other)
            went.set()
            assert shown(await first)

    asyncio.run(work())
