"""DUBU over HTTP: what is asked, what of each case passes, and a list that moves while it is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp
from tovholder_sof_case import SofAdapter, SofSettings
from tovholder_sof_case.dubu import DubuCase

import hub
from hub.clock import SetClock
from hub.contract import State
from hub.demo.model import Town
from hub.demo.servers import sof_dubu

Serve = Callable[[ASGIApp], str]
CHILD = "0104149996"
GIVEN = {"format": "dubu", "kinds": {"32.18.04": {"name": "merudgifter"}}, "codes": {"Handicapsag": "32.18.04"}}


def sag(id_: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "sagsnummer": f"26/{id_}",
        "titel": "Asta Bang: merudgifter",
        "sagstype": "Handicapsag",
        "status": {"brugervendtNoegle": "SagStatus1"},
        "isSensitive": False,
        "tvang": False,
        "primaerPerson": {"cprnr": "010414-9996", "fuldeNavn": "Asta Bang", "alder": 11},
        "primaerBehandler": {"navn": "Mette  Ravn", "email": "mette@example.dk"},
        "foerstkommendeFrist": {"id": 7, "fristDato": "2026-05-31T22:00:00Z"},
        **more,
    }


class Dubu:
    """A list of cases, the newest first; `moves` happen before the requests of those numbers."""

    def __init__(self, *cases: dict[str, Any]) -> None:
        self.cases = list(cases)
        self.asked: list[Request] = []
        self.moves: dict[int, Callable[[], None]] = {}
        self.said: Callable[[dict[str, Any]], Any] = lambda answer: answer
        self.app = Starlette(routes=[Route("/odata/Sag", self.answer)])

    async def answer(self, request: Request) -> Response:
        self.asked.append(request)
        self.moves.get(len(self.asked), lambda: None)()
        top, skip = (int(request.query_params.get(name, 0)) for name in ("$top", "$skip"))
        listed = sorted(self.cases, key=lambda case: -case["id"])
        return JSONResponse(self.said({"@odata.count": len(listed), "value": listed[skip : skip + top]}))


@pytest.fixture
def made(serve: Serve) -> Callable[..., SofAdapter]:
    return lambda dubu, **more: SofAdapter(SofSettings.model_validate({"url": serve(dubu.app), **GIVEN, **more}))


def told(pages: Any) -> list[hub.Record]:
    return [record for page in pages for record in page.records]


def test_case_is_index_data_only(made: Any) -> None:
    (case,) = told(made(Dubu(sag())).read(None, {CHILD}))
    assert isinstance(case, hub.CaseRecord)
    assert case.adviser is not None
    # 22:00 UTC on 31 May is 1 June in Denmark.
    assert case == hub.CaseRecord(
        "26/1", CHILD, "32.18.04", State.OPEN, deadline=date(2026, 6, 1),
        adviser=hub.StaffRecord(case.adviser.source_id, "Mette Ravn", email="mette@example.dk"),
    )  # fmt: skip
    assert told(made(Dubu(sag())).presence(None)) == [hub.Presence("26/1", CHILD, State.OPEN)]


def test_asks_for_no_more_than_it_needs(made: Any) -> None:
    dubu = Dubu(sag())
    adapter = made(dubu)
    list(adapter.presence(None))
    list(adapter.read(None, {CHILD}))
    adapter.health()
    assert {(request.method, request.url.path) for request in dubu.asked} == {("GET", "/odata/Sag")}
    addresses = [str(request.url) for request in dubu.asked]
    assert not any(word in address for address in addresses for word in ("titel", "avn)", "search", CHILD, "010414"))
    presence, case = (request.query_params["$expand"] for request in dubu.asked[:2])
    assert "primaerBehandler" not in presence
    assert "primaerBehandler($select=navn,email)" in case


def test_another_address_of_dubu_cannot_be_asked(made: Any) -> None:
    adapter = made(Dubu())
    client = hub.ReadOnlyClient(str(adapter._settings.url), adapter.reads)
    for method, path in (("POST", "api/aktiviteter"), ("PATCH", "api/sager/1"), ("POST", "odata/Sag")):
        with pytest.raises(hub.NotAllowed):
            client.send(method, path)


@pytest.mark.parametrize("mark", ["isSensitive", "tvang"])
def test_what_must_not_be_told_is_gone(made: Any, mark: str) -> None:
    assert told(made(Dubu(sag(**{mark: True}))).presence(None)) == [hub.Gone("26/1")]
    for unclear in (None, "nej", 0):
        (bad,) = told(made(Dubu(sag(**{mark: unclear}))).read(None, {CHILD}))
        assert isinstance(bad, hub.Unreadable)
        assert mark in bad.reason


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"status": {"brugervendtNoegle": "SagStatus9"}}, "`statuses`"),
        ({"status": None}, "no status"),
        ({"status": "SagStatus1"}, "not as DUBU writes it"),
        ({"sagsnummer": None}, "Sagsnummer"),
        ({"sagsnummer": "26/1\0"}, "cannot be seen"),
        ({"foerstkommendeFrist": {"fristDato": "snart"}}, "fristDato"),
        ({"primaerPerson": {"cprnr": "10414999"}}, "ten"),
        ({"primaerBehandler": {"navn": 7}}, "navn is no text"),
    ],
)
def test_bad_case_stands_alone(made: Any, fields: dict[str, Any], reason: str) -> None:
    adapter = made(Dubu(sag(3), sag(2, **({"sagsnummer": "26/2"} | fields)), sag(1)))
    children = {CHILD, "10414999"}
    found = told(adapter.read(None, children))
    assert [type(record) for record in found] == [hub.CaseRecord, hub.Unreadable, hub.CaseRecord]
    bad = found[1]
    assert isinstance(bad, hub.Unreadable)
    assert reason in bad.reason
    assert bad.position == "case 2 of odata/Sag"
    assert not any(word in repr(bad) for word in ("Asta", "Bang", "merudgifter", "Ravn", CHILD, "010414"))


@pytest.mark.parametrize(
    ("person", "kind"), [(None, "Handicapsag"), ({"cprnr": None}, "Handicapsag"), ({"cprnr": CHILD}, "Underretning")]
)
def test_case_of_nobody_or_of_no_listed_kind_says_nothing(made: Any, person: Any, kind: str) -> None:
    pages = list(made(Dubu(sag(primaerPerson=person, sagstype=kind))).presence(None))
    assert (told(pages), sum(page.ignored for page in pages)) == ([], int(kind == "Underretning"))


@pytest.mark.parametrize("page_size", [1, 3, 10, 100])
def test_all_cases_whatever_the_page(made: Any, page_size: int) -> None:
    dubu = Dubu(*(sag(n) for n in range(1, 31)))
    pages = list(made(dubu, page_size=page_size).presence(None))
    assert [record.source_id for record in told(pages)] == [f"26/{n}" for n in range(30, 0, -1)]
    assert [page.complete for page in pages] == [False] * (len(pages) - 1) + [True]


@pytest.mark.parametrize("change", ["opened", "deleted", "many opened", "many deleted", "last given deleted"])
def test_list_that_moves_while_it_is_read_loses_nothing(made: Any, change: str) -> None:
    dubu = Dubu(*(sag(n) for n in range(1, 61)))

    def move() -> None:
        gone = {"deleted": {60}, "many deleted": set(range(45, 61)), "last given deleted": {41}}.get(change, set())
        new = {"opened": [61], "many opened": list(range(61, 91))}.get(change, [])
        dubu.cases = [case for case in dubu.cases if case["id"] not in gone] + [sag(n) for n in new]

    dubu.moves[2] = move
    found = {record.source_id for record in told(made(dubu, page_size=20).presence(None))}
    assert found >= {case["sagsnummer"] for case in dubu.cases if case["id"] <= 60}


def test_list_that_never_stands_still_is_left_for_later(made: Any) -> None:
    dubu = Dubu(*(sag(n) for n in range(1, 61)))

    def renumber() -> None:
        dubu.cases = [sag(case["id"] + 100) for case in dubu.cases]

    dubu.moves = dict.fromkeys(range(100), renumber)
    with pytest.raises(hub.TryAgain, match="faster than"):
        list(made(dubu, page_size=20).presence(None))


def test_count_of_more_than_is_given_is_an_error(made: Any) -> None:
    dubu = Dubu(sag())
    dubu.said = lambda answer: {**answer, "@odata.count": 2}
    with pytest.raises(hub.TryAgain, match="counts more"):
        list(made(dubu).presence(None))


def test_service_that_does_not_skip_is_not_read_for_ever(made: Any) -> None:
    """It gives its first page again and again, and no count."""
    dubu = Dubu(*(sag(n) for n in range(1, 61)))
    dubu.said = lambda _answer: {"value": [sag(n) for n in range(60, 40, -1)]}
    pages = list(made(dubu, page_size=20).presence(None))
    assert len(told(pages)) == 20
    assert len(dubu.asked) < 10
    dubu.said = lambda _answer: {"value": [sag(n) for n in range(60, 40, -1)], "@odata.count": 60}
    with pytest.raises(hub.TryAgain):
        list(made(dubu, page_size=20).presence(None))


def test_list_that_comes_round_again_is_not_read_for_ever(made: Any) -> None:
    dubu = Dubu()
    ring = [sag(n) for n in range(50)]
    asked = iter(range(0, 10_000))
    dubu.said = lambda _answer: {"value": [ring[(next(asked) // 1) % 50] for _ in range(30)]}
    with pytest.raises(hub.TryAgain):
        list(made(dubu, page_size=20).presence(None))
    assert len(dubu.asked) < 50


@pytest.mark.parametrize("answer", [{}, [], {"value": None}, {"value": {}}, "x", None, {"error": {"message": CHILD}}])
def test_answer_that_is_none_is_an_error(made: Any, answer: Any) -> None:
    dubu = Dubu()
    dubu.said = lambda _answer: answer
    with pytest.raises(hub.TryAgain) as error:
        list(made(dubu).presence(None))
    assert CHILD not in str(error.value)


@pytest.mark.parametrize("entry", [None, 7, "x", [], [1], {}, {"id": None}])
def test_entry_that_is_no_case_stands_alone(made: Any, entry: Any) -> None:
    dubu = Dubu(sag(2))
    dubu.said = lambda _answer: {"value": [sag(2), entry, sag(1)], "@odata.count": 3}
    found = told(made(dubu).presence(None))
    assert [record.source_id for record in found if isinstance(record, hub.Presence)] == ["26/2", "26/1"]


def test_town_refuses_what_it_does_not_know(serve: Serve, town: Town, clock: SetClock) -> None:
    import httpx2 as httpx

    url = serve(sof_dubu.app(town, clock)) + sof_dubu.PATH
    assert httpx.post(url).status_code == 405
    for query in ({"$filter": "id lt 7"}, {"$top": "x"}, {"$orderby": "titel"}, {"search": "x"}):
        assert httpx.get(url, params=query).status_code == 400
    shown = httpx.get(url, params={"$select": "id", "$top": "3"}).json()["value"]
    assert [set(case) for case in shown] == [{"id"}] * 3


def test_address_below_a_path(serve: Serve) -> None:
    from starlette.routing import Mount

    dubu = Dubu(sag())
    url = serve(Starlette(routes=[Mount("/gateway/dubu", dubu.app)])) + "/gateway/dubu"
    adapter = SofAdapter(SofSettings.model_validate({"url": url, **GIVEN}))
    assert adapter.health().ok
    assert len(told(adapter.presence(None))) == 1


def test_markup_in_a_name_stays_text(made: Any) -> None:
    name = "<script>alert(1)</script>\u202e\0 Åse\n#panic"
    (case,) = told(made(Dubu(sag(primaerBehandler={"navn": name, "email": None}))).read(None, {CHILD}))
    assert isinstance(case, hub.CaseRecord)
    assert case.adviser is not None
    assert case.adviser.name == "<script>alert(1)</script> Åse #panic"


def test_skeleton_of_what_is_no_case_raises_only_what_it_may() -> None:
    case = DubuCase([], SofSettings.model_validate({"url": "http://a/", **GIVEN}))
    with pytest.raises(hub.BadRecord):
        case.skeleton()
    assert json.loads(DubuCase(sag(), SofSettings.model_validate({"url": "http://a/", **GIVEN})).skeleton()) == {
        "isSensitive": False,
        "tvang": False,
        "status": "SagStatus1",
    }
