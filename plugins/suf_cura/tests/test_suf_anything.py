"""Whatever comes, what goes out are records, or TryAgain or GaveUp; and of the good report beside it, its presence."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tovholder_suf_cura import SufAdapter, SufSettings

import hub

pytestmark = pytest.mark.slow

Make = Callable[..., SufAdapter]
CPR = "urn:oid:1.2.208.176.1.2"
CHILD = "0101159994"
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
GOOD = {
    "resourceType": "Bundle",
    "type": "collection",
    "timestamp": "2026-03-10T12:00:00Z",
    "entry": [
        {"resource": {"resourceType": "Patient", "id": "good", "identifier": [{"system": CPR, "value": CHILD}]}},
        {"resource": {"resourceType": "CarePlan", "id": "plan", "status": "active",
                      "subject": {"reference": "Patient/good"}}},
    ],
}  # fmt: skip
WHOLE = json.dumps(GOOD, indent=1).encode()


def check(pages: Iterable[hub.Page]) -> set[str]:
    """All that is told is a record that a database can take; gives the ids of those present."""
    present = set()
    for page in pages:
        for record in page.records:
            assert type(record) in (hub.Presence, hub.CaseRecord, hub.Gone, hub.Unreadable)
            said = repr(record)
            assert said.encode(), "half a surrogate"
            for name in ("source_id", "cpr", "position", "reason"):
                assert "\0" not in (getattr(record, name, "") or "")
            if isinstance(record, hub.Unreadable):
                assert record.position
                assert record.reason
                assert len(record.raw) <= hub.RAW_LIMIT
            elif isinstance(record, hub.Presence):
                assert isinstance(record.cpr, str)
                present.add(record.source_id)
    return present


def read_folder(*contents: bytes) -> set[str]:
    """Both operations over a folder of files with these contents and a good one, in pages and on from each page."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, content in enumerate(contents):
            (folder / f"{number}").write_bytes(content)
        (folder / "good.json").write_bytes(WHOLE)
        adapter = SufAdapter(SufSettings(folder=folder, kinds={"care": {"name": "Pleje"}}, page_size=2))
        pages = list(adapter.presence(None))
        for page in pages:
            check(adapter.presence(page.cursor))
        check(adapter.read(None, {CHILD}))
        return check(pages)


@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=3))
def test_any_bytes(contents: list[bytes]) -> None:
    assert "good" in read_folder(*contents)


@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
@given(
    st.lists(
        st.tuples(st.integers(0, len(WHOLE)), st.integers(0, 40),
                  st.binary(max_size=8) | st.sampled_from([b"\n", b"{", b"]", b'"'])),
        min_size=1,
        max_size=4,
    ),
    st.booleans(),
)  # fmt: skip
def test_report_damaged_anywhere(damages: list[tuple[int, int, bytes]], by_line: bool) -> None:
    content = WHOLE.replace(b"good", b"other")
    content = content.replace(b"\n", b"") + b"\n" + content.replace(b"\n", b"") if by_line else content
    for place, length, instead in damages:
        content = content[:place] + instead + content[place + length :]
    assert "good" in read_folder(content)


NAMES = [
    "resourceType", "id", "meta", "type", "timestamp", "entry", "resource", "fullUrl", "identifier", "system", "value",
    "use", "active", "deceasedBoolean", "link", "other", "reference", "subject", "status", "period", "start", "end",
    "author", "participant", "individual", "contained", "name", "given", "family", "telecom", "lastUpdated", "profile",
    "security", "request", "method", "url", "relationship", "coding", "code", "patient", "birthDate", "created",
]  # fmt: skip
TEXTS = [
    "Bundle", "Patient", "CarePlan", "Encounter", "ServiceRequest", "RelatedPerson", "Practitioner", "PractitionerRole",
    "Observation", "OperationOutcome", "collection", "searchset", "transaction", "history", "active", "planned",
    "completed", "entered-in-error", CPR, CHILD, "0404859990", "Patient/a", "Patient/b", "RelatedPerson/a", "#a", "a",
    "b", "urn:uuid:a", "https://x/Patient/a/_history/1", "replaces", "replaced-by", "DELETE", "2026-03-10T12:00:00Z",
    "2026", "2026-02", "2026-02-30", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "PRN", "phone", "email",
    "http://fhir.kl.dk/children/x", "http://fhir.kl.dk/ffbreporting/x", "\0", "\ud800", "ÆØÅ", "",
]  # fmt: skip
leaves = st.sampled_from(TEXTS) | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=20,
)
objects = st.dictionaries(st.sampled_from(NAMES), anything, max_size=6)


def like(kind: str, **members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A resource of a kind with members that may be missing or anything, and others."""
    known = st.fixed_dictionaries({}, optional={name: one | anything for name, one in members.items()})
    return st.builds(lambda own, more: {"resourceType": kind} | more | own, known, st.just({}) | objects)


ids = st.sampled_from(["a", "b", "c", "good"])
pointers = st.sampled_from(["Patient/a", "Patient/b", "urn:uuid:a", "#a", "Patient/good"]).map(
    lambda to: {"reference": to}
)
numbers = st.sampled_from([CHILD, "0202159995", "0404859990", "010115-9994"])
identifiers = st.lists(numbers.map(lambda number: {"system": CPR, "value": number}), max_size=2)
link_kinds = st.sampled_from(["replaces", "replaced-by", "seealso"])
links = st.lists(st.builds(lambda kind, to: {"type": kind, "other": to}, link_kinds, pointers), max_size=2)
times = st.sampled_from(["2026-03-10T12:00:00Z", "2026-03-11T12:00:00+01:00", "2026", "x"])
statuses = st.sampled_from(["active", "completed", "planned", "finished", "entered-in-error", "draft"])
periods = st.builds(lambda start, end: {"start": start, "end": end}, times, times)
meta = st.builds(lambda time: {"lastUpdated": time}, times)
resources = st.one_of(
    like("Patient", id=ids, identifier=identifiers, active=st.booleans(), link=links, meta=meta),
    like("CarePlan", id=ids, status=statuses, subject=pointers, period=periods, meta=meta,
         author=st.just({"reference": "Practitioner/a"})),
    like("Encounter", id=ids, status=statuses, subject=pointers, period=periods, meta=meta),
    like("ServiceRequest", id=ids, status=statuses, subject=pointers, authoredOn=times),
    like("RelatedPerson", id=ids, patient=pointers, identifier=identifiers),
    like("Practitioner", id=ids, name=st.just([{"text": "Nora"}])),
    like("Observation", id=ids, subject=pointers),
    objects,
)  # fmt: skip


@st.composite
def resource(draw: st.DrawFn) -> Any:
    """A strategy by name: printed whole, it would be a page long."""
    return draw(resources)


entries = st.builds(lambda one, address: {"resource": one} | address, resource(),
                    st.just({}) | st.builds(lambda own: {"fullUrl": f"urn:uuid:{own}"}, ids))  # fmt: skip
kinds = st.sampled_from(["collection", "searchset", "transaction", "history", "document"])


def holding(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    held = st.lists(inner.map(lambda one: {"resource": one}), max_size=3)
    return like("Bundle", type=kinds, timestamp=times, entry=held)


reports = like("Bundle", type=kinds, timestamp=times, id=ids, entry=st.lists(entries, max_size=5))
bundles = st.recursive(reports, holding, max_leaves=4)


@st.composite
def bundle(draw: st.DrawFn) -> Any:
    return draw(bundles)


documents = bundle() | resource() | anything


@settings(max_examples=250, deadline=None, suppress_health_check=SLOW)
@given(st.lists(documents, min_size=1, max_size=4), st.booleans())
def test_any_documents_like_fhir(found: list[Any], by_line: bool) -> None:
    texts = [json.dumps(one).encode() for one in found]
    read_folder(*([b"\n".join(texts)] if by_line else texts))


def test_any_answer_to_a_search(serve: Callable[[Any], str], over_http: Make) -> None:
    body = [b""]

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body[0]})

    url = serve(app)

    @settings(max_examples=80, deadline=None, suppress_health_check=SLOW)
    @given(st.binary(max_size=100) | st.builds(lambda entry: json.dumps(
        {"resourceType": "Bundle", "type": "searchset", "entry": entry}).encode(),
        st.lists(st.builds(lambda one: {"resource": one}, documents), max_size=4)))  # fmt: skip
    def answers(answer: bytes) -> None:
        body[0] = answer
        adapter = over_http(url=url, page_size=2)
        for read in (lambda: adapter.presence(None), lambda: adapter.read(None, {CHILD})):
            try:
                pages = list(read())
            except (hub.TryAgain, hub.GaveUp):
                continue
            check(pages)
            for page in pages:
                check(adapter.presence(page.cursor))

    answers()


@settings(max_examples=1_500, deadline=None, suppress_health_check=SLOW)
@given(st.lists(documents, min_size=1, max_size=4), st.booleans())
def test_many_documents_like_fhir(found: list[Any], by_line: bool) -> None:
    texts = [json.dumps(one).encode() for one in found]
    read_folder(*([b"\n".join(texts)] if by_line else texts))
