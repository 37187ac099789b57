"""A search over HTTP whose pages do not end, lead in a circle, or change while they are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from tovholder_suf_cura import SufAdapter, wire

import hub

Make = Callable[..., SufAdapter]
Resource = dict[str, Any]
CPR = "urn:oid:1.2.208.176.1.2"


def report(number: int, status: str = "active") -> Resource:
    name = f"p{number:04}"
    resources = [
        {"resourceType": "Patient", "id": name, "identifier": [{"system": CPR, "value": f"0101{number:06}"}]},
        {"resourceType": "CarePlan", "id": "plan", "status": status, "subject": {"reference": f"Patient/{name}"}},
    ]
    outer = {"resourceType": "Bundle", "id": f"r{number}", "type": "collection", "timestamp": "2026-01-01T08:00:00Z"}
    return outer | {"entry": [{"resource": one} for one in resources]}


class Server:
    """Answers each request by what `page` makes of its number (from 1) and its query: entries, a next link or None,
    and more members of the searchset."""

    def __init__(self, page: Callable[[int, dict[str, str]], tuple[list[Resource], str | None, Resource]]) -> None:
        self._page, self.requests = page, 0

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        self.requests += 1
        query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode()).items()}
        entries, following, more = self._page(self.requests, query)
        link = [] if following is None else [{"relation": "next", "url": following}]
        entry = [one if "search" in one else {"resource": one} for one in entries]
        body = {"resourceType": "Bundle", "type": "searchset", "link": link, "entry": entry} | more
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})


@pytest.fixture
def read(serve: Callable[[Any], str], over_http: Make) -> Callable[[Any], tuple[list[str], Exception | None, bool]]:
    """Reads from a server: ids of those present, what was raised, and whether the read was complete."""

    def run(server: Any) -> tuple[list[str], Exception | None, bool]:
        present, complete = [], False
        pages: Iterator[hub.Page] = over_http(url=serve(server) + "/fhir").presence(None)
        try:
            for page in pages:
                present += [record.source_id for record in page.records if isinstance(record, hub.Presence)]
                complete = page.complete
        except hub.TovholderError as error:
            return present, error, complete
        return present, None, complete

    return run


Read = Callable[[Any], tuple[list[str], Exception | None, bool]]


@pytest.mark.parametrize("entries", [[], [report(1)]])
def test_next_links_without_an_end_are_told(entries: list[Resource], read: Read) -> None:
    """Each leads on, and nothing new comes."""
    server = Server(lambda number, query: (entries, f"Bundle?page={number}", {}))
    present, error, _ = read(server)
    assert isinstance(error, hub.TryAgain)
    assert "does not end" in str(error)
    assert server.requests <= wire.MOST_EMPTY + 2
    assert present == (["p0001"] if entries else [])  # what came is told


def test_new_reports_without_an_end_are_told(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MOST_PAGES", 40)
    server = Server(lambda number, query: ([report(number)], f"Bundle?page={number}", {}))
    present, error, _ = read(server)
    assert "does not end: 40 pages" in str(error)
    assert (len(present), server.requests) == (40, 40)


def test_next_links_in_a_circle_are_told(read: Read) -> None:
    server = Server(lambda number, query: ([report(number)], f"Bundle?page={number % 3}", {}))
    _, error, _ = read(server)
    assert "circle" in str(error)
    assert server.requests == 4


@pytest.mark.parametrize("following", ["Bundle?page=2", "/fhir/Bundle?page=2", "?page=2"])
def test_next_link_may_be_relative(following: str, read: Read) -> None:
    def page(number: int, query: dict[str, str]) -> tuple[list[Resource], str | None, Resource]:
        return [report(number)], following if number == 1 else None, {}

    assert read(Server(page)) == (["p0001", "p0002"], None, True)


class Offset:
    """A server that pages by offset over what there is at the moment of each request, as many do."""

    def __init__(self, changes: Callable[[int, list[Resource]], None], totals: bool = True) -> None:
        self.reports = [report(number) for number in range(1, 7)]
        self._changes, self._totals = changes, totals

    def __call__(self, number: int, query: dict[str, str]) -> tuple[list[Resource], str | None, Resource]:
        self._changes(number, self.reports)
        start = int(query.get("start", 0))
        more = {"total": len(self.reports)} if self._totals else {}
        end = start + 2
        return self.reports[start:end], f"Bundle?start={end}" if end < len(self.reports) else None, more


def moved(number: int, reports: list[Resource]) -> None:
    """The first report changes before the second page: it moves to the end, and the third slips to the first page."""
    if number == 2:
        reports.append(reports.pop(0))


def removed(number: int, reports: list[Resource]) -> None:
    if number == 2:
        reports.pop(0)


# Where a report is removed and no page says the total, nothing tells of it: only the next read of all does.
@pytest.mark.parametrize(("changes", "totals"), [(moved, True), (moved, False), (removed, True)])
def test_report_that_slips_to_a_page_already_read_is_not_missed(changes: Any, totals: bool, read: Read) -> None:
    present, error, complete = read(Server(Offset(changes, totals)))
    assert (error, complete) == (None, True)
    assert {"p0002", "p0003", "p0004", "p0005", "p0006"} <= set(present)
    assert len(present) == len(set(present))


def test_search_that_changes_every_time_is_told_and_not_complete(read: Read) -> None:
    def always(number: int, reports: list[Resource]) -> None:
        reports.append(reports.pop(0))

    present, error, complete = read(Server(Offset(always)))
    assert isinstance(error, hub.TryAgain)
    assert "changed while it was read" in str(error)
    assert not complete
    assert set(present) <= {f"p000{n}" for n in range(1, 7)}


def test_fewer_reports_than_the_total_are_told(read: Read) -> None:
    _, error, _ = read(Server(lambda number, query: ([report(1)], None, {"total": 2})))
    assert isinstance(error, hub.TryAgain)


def test_what_is_no_match_does_not_count(read: Read) -> None:
    outcome = {"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}}
    server = Server(lambda number, query: ([report(1), outcome], None, {"total": 1}))
    assert read(server) == (["p0001"], None, True)


@pytest.mark.parametrize(
    "body", [b"<!DOCTYPE html><title>Log ind</title>", b" <?xml version='1.0'?>", b"", b"[]", b"7"]
)
def test_answer_that_is_no_searchset_is_no_answer(body: bytes, read: Read) -> None:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    present, error, complete = read(app)
    assert isinstance(error, hub.TryAgain)
    assert (present, complete) == ([], False)


def test_what_came_before_an_answer_cut_short_is_told_and_the_cursor_stays(
    serve: Callable[[Any], str], over_http: Make
) -> None:
    whole = json.dumps(
        {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": report(n)} for n in range(9)]}
    )

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": whole[: len(whole) // 2].encode()})

    adapter = over_http(url=serve(app), page_size=2)
    for since in (None, "done 2025-01-01T00:00:00+00:00 0 x"):
        pages: list[hub.Page] = []
        with pytest.raises(hub.TryAgain, match="page 1: the JSON is cut short"):
            pages.extend(adapter.presence(since))
        assert [record.source_id for page in pages for record in page.records] == ["p0000", "p0001", "p0002", "p0003"]
        assert {(page.cursor, page.complete) for page in pages} == {(since, False)}


def test_health_knows_a_web_page_from_a_capability_statement(serve: Callable[[Any], str], over_http: Make) -> None:
    for body in (b"<html/>", b"{}", b"[]", b"[" * 10_000):

        async def app(scope: dict[str, Any], receive: Any, send: Any, body: bytes = body) -> None:
            await receive()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})

        health = over_http(url=serve(app)).health()
        assert not health.ok
        assert health.detail.strip()
