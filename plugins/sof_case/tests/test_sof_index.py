"""Reading over HTTP: the one request that can be sent, pages, cursors, changes, and an index that misbehaves."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lxml import etree
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp
from tovholder_sof_case import SofAdapter, SofSettings

import hub
from hub.clock import SetClock
from hub.demo.model import Town

Serve = Callable[[ASGIApp], str]
KINDS = {kind: {"name": kind} for kind in ("27.21.12", "32.18.04", "32.18.12")}
SOAP = "http://www.w3.org/2003/05/soap-envelope"
SDI = "urn:oio:sts:sagdok:sagdokumentindeks:6"


def told(pages: Iterator[hub.Page] | list[hub.Page]) -> list[hub.Record]:
    return [record for page in pages for record in page.records]


def by_id(record: hub.Record) -> str:
    return record.source_id or ""


class Scripted:
    """An index that gives the answers it was given, and keeps what it was asked."""

    def __init__(self, *answers: tuple[int, str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, str, bytes]] = []
        self.app = Starlette(routes=[Route("/{path:path}", self.answer, methods=["GET", "POST", "PUT", "DELETE"])])

    async def answer(self, request: Request) -> Response:
        kind = request.headers.get("content-type", "")
        self.asked.append((request.method, request.url.path, kind, await request.body()))
        code, text = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return Response(text, status_code=code, media_type="application/soap+xml")


def answer(*sager: str, total: int | None = None, status: str = "20") -> tuple[int, str]:
    """A search result with these Sager."""
    count = "" if total is None else f"<q:Antal><q:Element>sager</q:Element><q:Antal>{total}</q:Antal></q:Antal>"
    shown = "".join(
        sag.replace("<Sag ", "<q:SagFiltreretOejebliksbillede ")
        .replace("</Sag>", "</q:SagFiltreretOejebliksbillede>")
        .replace("<d:UUIDIdentifikator>", "<ObjektType><d:UUIDIdentifikator>", 1)
        .replace("</d:UUIDIdentifikator>", "</d:UUIDIdentifikator></ObjektType>", 1)
        for sag in sager
    )
    return 200, (
        f'<e:Envelope xmlns:e="{SOAP}" xmlns:q="{SDI}" xmlns:d="urn:oio:sagdok:3.0.0"><e:Body>'
        f"<q:FremsoegSagDokumentIndeksOutput><d:StandardRetur><d:StatusKode>{status}</d:StatusKode></d:StandardRetur>"
        f"{count}{shown}</q:FremsoegSagDokumentIndeksOutput></e:Body></e:Envelope>"
    )


@pytest.fixture
def scripted(serve: Serve) -> Callable[..., tuple[SofAdapter, Scripted]]:
    """An adapter and the index it reads, which gives these answers, the last one again and again."""

    def start(*answers: tuple[int, str], **settings: object) -> tuple[SofAdapter, Scripted]:
        index = Scripted(*answers)
        url = serve(index.app) + "/sts/sagdokumentindeks/6"
        return SofAdapter(SofSettings.model_validate({"url": url, "kinds": KINDS, **settings})), index

    return start


def test_folder_and_http_give_the_same_records(sof_http: SofAdapter, sof_folder: SofAdapter, town: Town) -> None:
    children = {case.child for case in town.cases["SOF"][::3]}
    for one, other in (
        (sof_http.presence(None), sof_folder.presence(None)),
        (sof_http.read(None, children), sof_folder.read(None, children)),
    ):
        by_http, by_folder = list(one), list(other)
        assert len(told(by_http)) > 20
        # A read by part gives the children in an order of its own.
        assert sorted(told(by_http), key=by_id) == sorted(told(by_folder), key=by_id)
        assert sum(page.ignored for page in by_http) == sum(page.ignored for page in by_folder) > 0


def test_full_read_is_complete_on_its_last_page_only(sof_http: SofAdapter) -> None:
    pages = list(sof_http.presence(None))
    assert len(pages) > 5
    assert [page.complete for page in pages] == [False] * (len(pages) - 1) + [True]


@pytest.mark.parametrize("page_size", [1, 4, 7, 500])
def test_resumes_right_after_every_page(sof_url: str, page_size: int) -> None:
    def adapter() -> SofAdapter:
        return SofAdapter(SofSettings.model_validate({"url": sof_url, "kinds": KINDS, "page_size": page_size}))

    whole = list(adapter().presence(None))
    for n, page in enumerate(whole[:-1]):
        if page_size == 1 and n % 9:
            continue
        rest = list(adapter().presence(page.cursor))
        assert told(rest) == told(whole[n + 1 :])
        assert rest[-1].complete


def test_nothing_changed_reads_nothing(sof_http: SofAdapter) -> None:
    last = list(sof_http.presence(None))[-1]
    (page,) = sof_http.presence(last.cursor)
    assert (page.records, page.ignored, page.complete, page.cursor) == ((), 0, False, last.cursor)


def test_later_reads_give_what_has_changed(sof_http: SofAdapter, town: Town, clock: SetClock) -> None:
    case, deleted = town.cases["SOF"][0], town.cases["SOF"][1]
    children = {case.child}
    people, cases = list(sof_http.presence(None))[-1].cursor, list(sof_http.read(None, children))[-1].cursor
    seen: list[object] = []
    for _day in range(10):
        clock.move(timedelta(days=1))
        changes = list(sof_http.presence(people))
        people = changes[-1].cursor
        for record in told(changes):
            seen.append((type(record).__name__, record.source_id, getattr(record, "state", None)))
        details = list(sof_http.read(cases, children))
        cases = details[-1].cursor
        for record in told(details):
            if isinstance(record, hub.CaseRecord):
                seen.append((record.state, record.adviser and record.adviser.name, record.closed and record.closed.day))
        assert not any(page.complete for page in (*changes, *details))
    first, second = "Mette Ravn Bæk", "Ole Præst Holm"
    assert seen == [
        ("Presence", case.uuid, hub.State.APPLIED),
        (hub.State.APPLIED, first, None),
        ("Presence", case.uuid, hub.State.DECIDED),
        (hub.State.DECIDED, first, None),
        ("Gone", deleted.uuid, None),
        ("Presence", case.uuid, hub.State.OPEN),
        (hub.State.OPEN, second, None),
        ("Gone", case.uuid, None),
        (hub.State.CLOSED, second, 11),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("page_size", [1, 2, 5])
@pytest.mark.parametrize("cut", [1, 8, 14, 15])
def test_case_changed_while_it_is_read_is_not_missed(
    sof_url: str, town: Town, clock: SetClock, page_size: int, cut: int
) -> None:
    """Cases 0 and 1 change when some pages have been read, and move to the end of the index."""
    adapter = SofAdapter(SofSettings.model_validate({"url": sof_url, "kinds": KINDS, "page_size": page_size}))
    pages = adapter.presence(None)
    got = [next(pages) for _ in range(cut)]
    clock.move(timedelta(days=4))
    got.extend(adapter.presence(got[-1].cursor) if cut % 2 else pages)
    last = {record.source_id: record for record in told(got) if not isinstance(record, hub.Unreadable)}
    assert got[-1].complete
    afterwards = {record.source_id: record for record in told(adapter.presence(None))}
    assert last == afterwards
    assert isinstance(last[town.cases["SOF"][1].uuid], hub.Gone)


def test_overlap_looks_again(sof_url: str) -> None:
    settings = {"url": sof_url, "kinds": KINDS, "overlap_seconds": 86_400}
    adapter = SofAdapter(SofSettings.model_validate(settings))
    last = list(adapter.presence(None))[-1]
    assert told(adapter.presence(last.cursor))


def test_only_the_search_can_be_sent(scripted: Any, make: Any) -> None:
    adapter, index = scripted(*[answer(make.sag(), total=1)] * 3, answer(total=0))
    (page,) = adapter.read(None, {make.CHILD})
    list(adapter.presence(None))
    list(adapter.read(page.cursor, {make.CHILD}))
    adapter.health()
    assert len(index.asked) >= 5
    for method, path, kind, body in index.asked:
        assert (method, path) == ("POST", "/sts/sagdokumentindeks/6")
        assert 'action="http://kombit.dk/sts/sagdokumentindeks/fremsoeg"' in kind
        (operation,) = etree.fromstring(body).find(f"{{{SOAP}}}Body")
        assert operation.tag == f"{{{SDI}}}FremsoegSagDokumentIndeksInput"
    # Only the first read of a child says its number, and in no other place than the body.
    assert [make.CHILD.encode() in body for *_, body in index.asked] == [False, True, False, False, False]


@pytest.mark.parametrize(("method", "path"), [("PUT", "6"), ("DELETE", "6"), ("GET", "6"), ("POST", "7"), ("POST", "")])
def test_nothing_else_leaves_the_client(scripted: Any, method: str, path: str) -> None:
    adapter, index = scripted(answer())
    client = hub.ReadOnlyClient(str(adapter._settings.url).rpartition("/")[0], adapter.reads)
    with pytest.raises(hub.NotAllowed):
        client.send(method, path)
    assert index.asked == []


def test_request_is_valid_by_the_official_schema(scripted: Any, make: Any, index_schema: etree.XMLSchema) -> None:
    adapter, index = scripted(answer(make.sag(), total=1), answer(total=0))
    (last,) = adapter.presence(None)
    list(adapter.presence(last.cursor))
    list(adapter.read(None, {make.CHILD, "0101149998"}))
    adapter.health()
    assert len(index.asked) == 5
    assert index.asked[3][3].count(b"SoegSag>") == 2 * 4
    for _method, _path, _kind, body in index.asked:
        (operation,) = etree.fromstring(body).find(f"{{{SOAP}}}Body")
        index_schema.assertValid(etree.ElementTree(operation))


def test_presence_does_not_ask_who_works_on_it(scripted: Any, make: Any) -> None:
    adapter, index = scripted(*[answer(make.sag(), total=1)] * 3, answer(total=0))
    list(adapter.presence(None))
    (page,) = adapter.read(None, {make.CHILD})
    list(adapter.read(page.cursor, {make.CHILD}))
    presence, newest, *cases = (re.findall(r"<q:Vis>([a-z-]+)</q:Vis>", body.decode()) for *_, body in index.asked)
    wanted = {"egenskaber", "fremdrift", "sagsklasse", "sagspart", "sikkerhedsprofil"}
    assert set(presence) == wanted
    assert newest == ["fremdrift"]
    assert [set(each) for each in cases] == [wanted | {"sagsaktoer"}] * 2


def test_health_asks_for_no_case(scripted: Any) -> None:
    adapter, index = scripted(answer(total=6000))
    assert adapter.health() == hub.Health(ok=True)
    assert b"SagVis" not in index.asked[0][3]


def test_bad_case_is_alone_in_quarantine(scripted: Any, make: Any) -> None:
    one, two, three = (f"5555000{n}-0000-4000-8000-000000000000" for n in range(3))
    adapter, _index = scripted(answer(make.sag(uuid=one), make.sag(steps="", uuid=two), make.sag(uuid=three), total=3))
    (page,) = adapter.presence(None)
    assert [type(record) for record in page.records] == [hub.Presence, hub.Unreadable, hub.Presence]
    assert page.complete
    assert page.records[1].position == "registered from the beginning, case 2"
    assert page.records[1].source_id == two


def test_number_written_otherwise_is_told_and_not_lost(scripted: Any, make: Any) -> None:
    """A search by part would not find it: the full read of a child would take it for gone."""
    adapter, _index = scripted(answer(make.sag(parts=make.part("urn:oio:cpr-nr:040614-9991")), total=1))
    (page,) = adapter.presence(None)
    (bad,) = page.records
    assert isinstance(bad, hub.Unreadable)
    assert bad.source_id == make.UUID
    assert "`persons`" in bad.reason
    known_too = {"persons": ["urn:oio:cpr-nr:", "urn:oio:person:"]}
    adapter, _index = scripted(answer(make.sag(parts=make.part(f"urn:oio:person:{make.CHILD}")), total=1), **known_too)
    (page,) = adapter.presence(None)
    assert isinstance(page.records[0], hub.Presence)


def test_short_page_is_not_taken_for_the_last(scripted: Any, make: Any) -> None:
    """An index may give fewer than asked for; only its own count, or an empty page, ends a read."""
    one, two = (make.sag(uuid=f"5555000{n}-0000-4000-8000-000000000000") for n in range(2))
    adapter, index = scripted(answer(one, total=2), answer(one, two, total=2), page_size=100)
    pages = list(adapter.presence(None))
    assert [page.complete for page in pages] == [False, True]
    adapter, index = scripted(answer(one), answer(one, two), answer(two), page_size=100)
    pages = list(adapter.presence(None))
    assert [page.complete for page in pages] == [False, False, True]
    assert b"<d:FoersteResultatReference>1<" in index.asked[2][3]


def test_count_of_more_than_is_given_is_an_error(scripted: Any, make: Any) -> None:
    """An index that gives nothing more, and says there is more, has not given all."""
    adapter, _index = scripted(answer(make.sag(), total=2), answer(make.sag(), total=2))
    with pytest.raises(hub.TryAgain, match="counts more"):
        list(adapter.presence(None))


def test_index_that_shifts_its_pages_is_read_again(scripted: Any, make: Any) -> None:
    """Three cases of one time; when the first has been given it moves to the end, and the second slides over the edge
    of the page."""
    one, two, three = (make.sag(uuid=f"5555000{n}-0000-4000-8000-000000000000") for n in range(3))
    moved = one.replace("12:30:00", "12:45:00")
    adapter, _index = scripted(
        answer(one, total=3), answer(two, total=3), answer(two, total=3), answer(two, three, total=3),
        answer(three, moved, total=3), answer(moved, total=1), page_size=1,
    )  # fmt: skip
    ids = [record.source_id[7] for page in adapter.presence(None) for record in page.records]
    assert ids == ["0", "1", "2", "0"]


def test_index_that_never_gives_the_same_page_is_refused(scripted: Any, make: Any) -> None:
    one, two = (make.sag(uuid=f"5555000{n}-0000-4000-8000-000000000000") for n in range(2))
    adapter, _index = scripted(*[answer(one, total=9), answer(two, total=9)] * 3, page_size=1)
    with pytest.raises(hub.TryAgain, match="same place"):
        list(adapter.presence(None))


def test_index_that_does_not_sort_is_refused(scripted: Any, make: Any) -> None:
    late, early = make.sag(time="2026-02-02T00:00:00Z"), make.sag(time="2026-02-01T00:00:00Z")
    adapter, _index = scripted(answer(late, early, total=2))
    with pytest.raises(hub.GaveUp, match="order of registration"):
        list(adapter.presence(None))


def test_index_time_goes_before_the_case_systems(scripted: Any, make: Any) -> None:
    sag = make.sag(time="2026-02-01T00:00:00Z", sts="2026-02-03T00:00:00Z")
    adapter, _index = scripted(answer(sag, total=1))
    (page,) = adapter.presence(None)
    assert "2026-02-03" in page.cursor
    assert page.records[0].changed == datetime(2026, 2, 1, tzinfo=UTC)


FAULT = f'<e:Envelope xmlns:e="{SOAP}"><e:Body><e:Fault/></e:Body></e:Envelope>'


@pytest.mark.parametrize(
    ("code_and_text", "error"),
    [
        ((503, "down"), hub.TryAgain),
        ((500, FAULT), hub.TryAgain),
        ((200, FAULT), hub.TryAgain),
        ((200, "<html/>"), hub.TryAgain),
        ((200, "not XML"), hub.TryAgain),
        (answer(status="50"), hub.TryAgain),
        (answer(status="40"), hub.GaveUp),
        ((403, FAULT), hub.GaveUp),
    ],
)
def test_answer_that_is_no_result_is_an_error(scripted: Any, code_and_text: Any, error: type[Exception]) -> None:
    """Never an empty page: silence is not absence."""
    adapter, _index = scripted(code_and_text)
    with pytest.raises(error):
        list(adapter.presence(None))
    assert not adapter.health().ok


def test_answer_cut_short_gives_no_complete_page(scripted: Any, make: Any) -> None:
    code, text = answer(make.sag(), make.sag(), total=2)
    adapter, _index = scripted((code, text[: text.rindex("<Registrering")]))
    with pytest.raises(hub.TryAgain):
        list(adapter.presence(None))


def test_no_number_or_name_in_logs_and_errors(
    scripted: Any, make: Any, sof_http: SofAdapter, town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    list(sof_http.presence(None))
    list(sof_http.read(None, set(town.people)))
    text = answer(make.sag(), status="40")[1].replace("</d:StatusKode>", "</d:StatusKode><d:FejlbeskedTekst>0406149991")
    adapter, _index = scripted((200, text.replace("</d:StandardRetur>", "</d:FejlbeskedTekst></d:StandardRetur>")))
    with pytest.raises(hub.GaveUp) as error:
        list(adapter.presence(None))
    said = caplog.text + str(error.value)
    assert "POST" in caplog.text
    assert make.CHILD not in said
    assert not any(person.cpr in said or person.last in said for person in town.people.values())
