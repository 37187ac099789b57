"""A first read of some children over HTTP: their cases alone are asked for, and nothing is missed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import httpx2 as httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from tovholder_sof_case import SofAdapter, SofSettings
from tovholder_sof_case.search import CASE, Search

import hub
from hub.clock import SetClock
from hub.demo.model import Town
from hub.demo.servers import sof

Serve = Callable[[ASGIApp], str]
KINDS = {kind: {"name": kind} for kind in ("27.21.12", "32.18.04", "32.18.12")}
SDI = "{urn:oio:sts:sagdok:sagdokumentindeks:6}"


class Watched:
    """The town's index, and how many searches each request held."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.searches = app, list[int]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        self.searches.append(len(etree.fromstring(body).findall(f".//{SDI}SoegSag")))

        async def again() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, again, send)


@pytest.fixture
def watched(town: Town, clock: SetClock) -> Watched:
    return Watched(sof.app(town, clock))


@pytest.fixture
def made(watched: Watched, serve: Serve) -> Callable[..., SofAdapter]:
    url = serve(watched) + sof.PATH
    return lambda **more: SofAdapter(SofSettings.model_validate({"url": url, "kinds": KINDS, **more}))


def known(*runs: Iterable[hub.Page]) -> dict[str | None, hub.Record]:
    """What the hub would know after these reads."""
    found: dict[str | None, hub.Record] = {}
    for pages in runs:
        for page in pages:
            for record in page.records:
                if isinstance(record, hub.Gone):
                    found.pop(record.source_id, None)
                else:
                    found[record.source_id] = record
    return found


def test_one_child_is_two_requests(made: Any, watched: Watched, town: Town) -> None:
    """What the newest registration is, and the child's cases; however many the index holds."""
    (page,) = made().read(None, {town.cases["SOF"][5].child})
    assert watched.searches == [1, 2]
    assert page.complete
    assert [record.source_id for record in page.records]


def test_the_next_read_is_of_changes(made: Any, watched: Watched, clock: SetClock, town: Town) -> None:
    child = town.cases["SOF"][0].child
    (page,) = made().read(None, {child})
    watched.searches.clear()
    (nothing,) = made().read(page.cursor, {child})
    assert (nothing.records, nothing.complete, watched.searches) == ((), False, [1])
    clock.move(timedelta(days=1))
    (changed,) = made().read(page.cursor, {child})
    assert [record.source_id for record in changed.records] == [town.cases["SOF"][0].uuid]


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_change_during_the_read_is_not_missed(made: Any, clock: SetClock, town: Town, at: int) -> None:
    """Cases 0 and 1 change after some pages: then or with the next read, the change is there."""
    children = {case.child for case in town.cases["SOF"]}
    pages = made(children_per_search=6).read(None, children)
    got = [next(pages) for _ in range(at)]
    clock.move(timedelta(days=4))
    got += pages
    assert got[-1].complete
    later = list(made().read(got[-1].cursor, children))
    assert known(got, later) == known(made().read(None, children))


@pytest.mark.parametrize(("page_size", "together"), [(1, 1), (1, 50), (2, 3), (7, 50), (500, 1), (500, 500)])
def test_is_the_same_however_it_is_asked_for(
    made: Any, watched: Watched, town: Town, page_size: int, together: int
) -> None:
    children = {case.child for case in town.cases["SOF"][::3]}
    expected = known(made().read(None, children))
    watched.searches.clear()
    pages = list(made(page_size=page_size, children_per_search=together).read(None, children))
    assert known(pages) == expected
    told = [record for page in pages for record in page.records if not isinstance(record, hub.Gone)]
    assert len(told) == len(expected) > 15
    # Paged on is only what one part alone finds.
    assert (1 in watched.searches[1:]) == (page_size < 3)


def test_resumes_though_others_are_asked_for(made: Any, town: Town) -> None:
    """Between a crash and the next run a family may have withdrawn: the others' cases come nevertheless."""
    children = sorted({case.child for case in town.cases["SOF"]})
    pages = list(made(children_per_search=5).read(None, set(children)))
    assert len(pages) > 3
    for n, page in enumerate(pages[:-1], start=1):
        fewer = set(children[n % 3 :: 2])
        rest = list(made(children_per_search=50).read(page.cursor, fewer))
        assert rest[-1].complete
        expected = {name for name, record in known(pages[n:]).items() if getattr(record, "cpr", None) in fewer}
        assert set(known(rest)) == expected


def test_cursor_of_a_read_by_part_is_none_for_presence(made: Any, town: Town) -> None:
    children = {case.child for case in town.cases["SOF"]}
    first = next(iter(made(children_per_search=5).read(None, children)))
    assert known(made().presence(first.cursor)) == known(made().presence(None))


@pytest.mark.parametrize("since", ['{"v":1,"place":"index"}', '{"v":1,"place":"index","full":1,"time":"x","given":0}'])
def test_cursor_that_says_too_little_reads_all(made: Any, town: Town, since: str) -> None:
    children = {town.cases["SOF"][5].child}
    assert list(made().read(since, children)) == list(made().read(None, children))


def test_nobody_is_asked_for(made: Any, watched: Watched) -> None:
    (page,) = made().read(None, frozenset())
    assert (page.records, page.complete, watched.searches) == ((), True, [1])


@given(cut=st.integers(2, 40), who=st.sets(st.integers(0, 27), min_size=1))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_index_that_sends_fewer_than_asked_for_loses_nothing(
    serve: Serve, town: Town, clock: SetClock, cut: int, who: set[int]
) -> None:
    """An index has a limit of its own for an answer; what it leaves out is asked for again."""
    children = {town.cases["SOF"][n].child for n in who}
    inner = sof.app(town, clock)

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        root = etree.fromstring(body)
        for most in root.iter("{urn:oio:sagdok:3.0.0}MaksimalAntalKvantitet"):
            most.text = str(min(int(most.text or ""), cut))

        async def again() -> dict[str, Any]:
            return {"type": "http.request", "body": etree.tostring(root), "more_body": False}

        await inner(scope, again, send)

    adapter = SofAdapter(SofSettings.model_validate({"url": serve(limited) + sof.PATH, "kinds": KINDS}))
    found = known(adapter.read(None, children))
    whole = SofAdapter(SofSettings.model_validate({"url": serve(inner) + sof.PATH, "kinds": KINDS}))
    assert found == known(whole.read(None, children))
    assert {getattr(record, "cpr", None) for record in found.values()} <= children


def test_town_answers_an_or_like_each_by_itself(sof_url: str, town: Town, index_schema: etree.XMLSchema) -> None:
    role = SofSettings.model_validate({"url": sof_url}).roles.primaer_part
    headers = {"Content-Type": f'application/soap+xml; action="{sof.ACTION}fremsoeg"'}

    def found(*parts: str) -> list[str]:
        body = Search(500, CASE, parts=parts, role=role).envelope(sof_url)
        root = etree.fromstring(httpx.post(sof_url, content=body.encode(), headers=headers).content)
        index_schema.assertValid(etree.ElementTree(root.find("{*}Body")[0]))
        return [each.text or "" for each in root.iterfind(".//{*}ObjektType/{*}UUIDIdentifikator")]

    urns = [f"urn:oio:cpr-nr:{case.child}" for case in town.cases["SOF"][:5]]
    apart = [found(urn) for urn in urns]
    assert all(apart)
    assert sorted(found(*urns)) == sorted({uuid for some in apart for uuid in some})
    assert found("urn:oio:cpr-nr:0000000000") == []
    parent = town.parents[town.cases["SOF"][0].child][0]
    assert found(f"urn:oio:cpr-nr:{parent}") == []
