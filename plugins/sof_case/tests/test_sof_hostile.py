"""A folder nobody here has seen: mixed, foreign, damaged and hostile files. All is read that can be, the rest is told,
and nothing falls over.
"""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp
from tovholder_sof_case import SofAdapter, SofSettings, formats

import hub

pytestmark = pytest.mark.slow

CHILD = "0406149991"
GIVEN = {
    "kinds": {"32.18.04": {"name": "merudgifter"}},
    "codes": {"Handicapsag": "32.18.04", "FFB": "32.18.04"},
}
TABLE = f"Sagsnummer;CPR-nr.;Sagstype;Status\nS-1;{CHILD};Handicapsag;Aktiv\n"
DUBU = {
    "id": 1, "sagsnummer": "26/1", "sagstype": "Handicapsag", "status": {"brugervendtNoegle": "SagStatus1"},
    "isSensitive": False, "tvang": False, "primaerPerson": {"cprnr": CHILD},
}  # fmt: skip
FFB = {
    "resourceType": "Bundle", "timestamp": "2026-02-01T00:00:00Z", "entry": [
        {"resource": {"resourceType": "Patient", "id": "p",
                      "identifier": [{"system": "urn:oid:1.2.208.176.1.2", "value": CHILD}]}},
        {"resource": {"resourceType": "CarePlan", "id": "plan", "status": "active",
                      "subject": {"reference": "Patient/p"}}},
    ],
}  # fmt: skip


def told(folder: Path | str, **more: Any) -> tuple[list[hub.Record], list[hub.Page]]:
    adapter = SofAdapter(SofSettings.model_validate({"folder": folder, **GIVEN, **more}))
    pages = [*adapter.presence(None), *adapter.read(None, {CHILD})]
    for page in pages:
        json.dumps(page.cursor)
        for record in page.records:
            repr(record).encode()
    presence = list(adapter.presence(None))
    return [record for page in presence for record in page.records], presence


@pytest.fixture
def mixed(tmp_path: Path, make: Any) -> Path:
    (tmp_path / "a.xml").write_text(make.sag(), encoding="utf-8")
    (tmp_path / "b.csv").write_text(TABLE, encoding="cp1252")
    (tmp_path / "c.json").write_text(json.dumps({"value": [DUBU]}), encoding="utf-8")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/e.json").write_text(json.dumps(FFB), encoding="utf-8-sig")
    return tmp_path


IDS = {"11110000-0000-4000-8000-000000000001", "S-1", "26/1", "plan"}


def test_each_file_is_read_by_what_it_is(mixed: Path) -> None:
    records, pages = told(mixed)
    assert {record.source_id for record in records} == IDS
    assert all(isinstance(record, hub.Presence) for record in records)
    assert pages[-1].complete


def test_names_say_nothing_of_a_format(mixed: Path) -> None:
    for n, path in enumerate(sorted(mixed.rglob("*.*"))):
        path.rename(mixed / f"{n}.dat")
    assert {record.source_id for record in told(mixed)[0]} == IDS


def test_packed_files_are_read(mixed: Path) -> None:
    for path in sorted(mixed.rglob("*.*")):
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert {record.source_id for record in told(mixed)[0]} == IDS


FOREIGN = {
    "empty": b"",
    "text": b"Husk: ring til borgeren\n",
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3",
    "excel": b"PK\x03\x04\x14\x00\x06\x00",
    "page": b"<!DOCTYPE html><html><body>Log ind</body></html>",
    "page without a type": b"<html><body>Log ind</body></html>",
    "other XML": b'<?xml version="1.0"?><Lister xmlns="urn:x"><Liste/></Lister>',
    "other JSON": b'{"hello": [1, 2]}',
    "a list": b"[1, 2]",
    "another table": b"Navn;Alder\nAsta;11\n",
    "NUL": b"\0" * 5000,
    "half a gzip": gzip.compress(TABLE.encode())[:-9],
    "a text in JSON": b'"Sag"',
    "a resource": b'{"resourceType": "Patient"}',
    "random": bytes(range(256)) * 20,
}


@pytest.mark.parametrize("name", FOREIGN)
def test_file_that_is_none_of_them_is_told_and_stops_nothing(mixed: Path, name: str) -> None:
    (mixed / "0").write_bytes(FOREIGN[name])
    records, pages = told(mixed)
    assert {record.source_id for record in records} - {None} == IDS
    (bad,) = [record for record in records if isinstance(record, hub.Unreadable)]
    assert bad.position.startswith("0, after case 0")
    assert len(bad.reason) > 20
    # It may have been one of ours, and have held cases: nothing is forgotten until somebody has looked.
    assert not pages[-1].complete


def test_temporary_files_are_left_alone(mixed: Path) -> None:
    (mixed / ".b.csv.swp").write_bytes(b"x")
    (mixed / ".git").mkdir()
    (mixed / ".git/config").write_bytes(b"x")
    records, pages = told(mixed)
    assert ({record.source_id for record in records}, pages[-1].complete) == (IDS, True)


LAUGHS = (
    '<!DOCTYPE Sag [<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(12)
    ) + "]>"
)  # fmt: skip
QUADRATIC = '<!DOCTYPE Sag [<!ENTITY a "' + "x" * 50_000 + '">]>'


@pytest.mark.parametrize(
    ("doctype", "inside"),
    [
        (LAUGHS, "&m;"),
        (QUADRATIC, "&a;" * 5000),
        ('<!DOCTYPE Sag [<!ENTITY x SYSTEM "file:///etc/passwd">]>', "&x;"),
        ('<!DOCTYPE Sag [<!ENTITY x SYSTEM "http://127.0.0.1:9/x">]>', "&x;"),
        ('<!DOCTYPE Sag [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>', ""),
        ('<!DOCTYPE Sag SYSTEM "http://127.0.0.1:9/x.dtd">', ""),
    ],
)
def test_entities_do_nothing(mixed: Path, make: Any, doctype: str, inside: str) -> None:
    sag = make.sag(parts=make.part(f"urn:oio:cpr-nr:{inside}"))
    (mixed / "z.xml").write_text(f'<?xml version="1.0"?>{doctype}{sag}', encoding="utf-8")
    records, _pages = told(mixed)
    assert {record.source_id for record in records if isinstance(record, hub.Presence)} == IDS
    assert any(isinstance(record, hub.Unreadable) and "z.xml" in record.position for record in records)
    assert "root:" not in repr(records)


@pytest.mark.parametrize("text", ["[" * 10_000, '{"a":' * 10_000, "[" * 10_000 + "]" * 10_000, '{"value":' + "[" * 500])
def test_deep_json_is_told(mixed: Path, text: str) -> None:
    (mixed / "z.json").write_text(text, encoding="utf-8")
    records, _pages = told(mixed)
    assert {record.source_id for record in records} - {None} == IDS
    assert len(records) == len(IDS) + 1


def test_deep_xml_is_told(mixed: Path, make: Any) -> None:
    deep = "<x>" * 5000 + "</x>" * 5000
    (mixed / "z.xml").write_text(make.sag().replace("</Registrering>", f"{deep}</Registrering>"), encoding="utf-8")
    assert len(told(mixed)[0]) == len(IDS) + 1


def test_bundles_nested_deep_are_told(mixed: Path) -> None:
    nested: Any = {"resourceType": "Bundle"}
    for _ in range(20):
        nested = {"resourceType": "Bundle", "entry": [{"resource": nested}]}
    (mixed / "z.json").write_text(json.dumps(nested), encoding="utf-8")
    (bad,) = [record for record in told(mixed)[0] if isinstance(record, hub.Unreadable)]
    assert "nested deeper" in bad.reason


def test_large_json_is_refused_before_it_is_held(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "JSON_LIMIT", 10_000)
    (mixed / "z.json").write_text('{"value": [' + " " * 3_000_000 + "]}", encoding="utf-8")
    (bad,) = [record for record in told(mixed)[0] if isinstance(record, hub.Unreadable)]
    assert "smaller files" in bad.reason


def test_bomb_in_a_gzip_is_told(mixed: Path) -> None:
    (mixed / "z.xml").write_bytes(gzip.compress(b"<Sager>" + b" " * 200_000_000 + b"</Sager>"))
    records, _pages = told(mixed)
    assert {record.source_id for record in records} - {None} == IDS
    assert len(records) == len(IDS) + 1


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "Robert'); DROP TABLE;--", "#panic", "Å\u202eB\u0000C", "𝕬" * 400]
)
def test_markup_in_a_name_stays_text(tmp_path: Path, name: str) -> None:
    case = {**DUBU, "primaerBehandler": {"navn": name}}
    (tmp_path / "c.json").write_text(json.dumps({"value": [case]}), encoding="utf-8")
    adapter = SofAdapter(SofSettings.model_validate({"folder": tmp_path, **GIVEN}))
    ((record,),) = [page.records for page in adapter.read(None, {CHILD})]
    assert isinstance(record, hub.CaseRecord)
    assert record.adviser is not None
    assert record.adviser.name == name.replace("\u202e", "").replace("\0", "")[:255]


@pytest.mark.parametrize("text", ["\ud800", "0406149991\0", "０４０６１４９９９１", "<b>0406149"])
def test_number_of_strange_letters_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(json.dumps({"value": [{**DUBU, "primaerPerson": {"cprnr": text}}]}))
    ((bad,), *_) = [
        page.records for page in SofAdapter(SofSettings.model_validate({"folder": tmp_path, **GIVEN})).presence(None)
    ]
    assert isinstance(bad, hub.Unreadable)
    assert text not in repr(bad)


def test_nothing_of_a_file_is_logged(mixed: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    (mixed / "0.json").write_text(f'{{"value": ["{CHILD}', encoding="utf-8")
    (mixed / f"asta {CHILD}.csv").write_text(f"{CHILD};x", encoding="utf-8")
    records, _pages = told(mixed)
    bad = [record for record in records if isinstance(record, hub.Unreadable)]
    assert len(bad) == 2
    assert CHILD not in repr(bad) + caplog.text


_BEGINNINGS = st.sampled_from(
    [b"", b"<", b"{", b"[", b"\xef\xbb\xbf", b"\xff\xfe", b"\x1f\x8b", TABLE.encode(), TABLE.encode("cp1252"),
     TABLE.encode("utf-16"), json.dumps({"value": [DUBU]}).encode(), json.dumps(FFB).encode(),
     b'<Sag xmlns="urn:oio:sts:sagdok:sag:6"><Registrering>']
)  # fmt: skip


def _cut(whole: bytes, at: int, put: bytes) -> bytes:
    at %= len(whole) + 1
    return whole[:at] + put + whole[at + len(put) :]


@given(start=_BEGINNINGS, rest=st.binary(max_size=400), at=st.integers(0, 5000), put=st.binary(max_size=8))
@settings(max_examples=300, deadline=None)
def test_any_bytes_give_records_or_say_why_not(start: bytes, rest: bytes, at: int, put: bytes) -> None:
    with TemporaryDirectory() as folder:
        Path(folder, "x").write_bytes(_cut(start + rest, at, put))
        records, pages = told(folder)
        for record in records:
            assert isinstance(record, hub.Presence | hub.Gone | hub.Unreadable)
        assert pages[-1].complete or any(isinstance(record, hub.Unreadable) for record in records)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in _places(each, (*path, key)))]


@given(data=st.data(), whole=st.sampled_from([{"value": [DUBU]}, FFB]), value=_VALUES)
@settings(max_examples=300, deadline=None)
def test_any_value_anywhere_gives_records_or_says_why_not(data: Any, whole: Any, value: Any) -> None:
    """One value of a good document is something else."""
    changed = json.loads(json.dumps(whole))
    *path, last = data.draw(st.sampled_from(_places(whole)[1:]))
    inner = changed
    for key in path:
        inner = inner[key]
    inner[last] = value
    with TemporaryDirectory() as folder:
        Path(folder, "x").write_text(json.dumps(changed), encoding="utf-8")
        told(folder)


@given(row=st.lists(st.text(max_size=12), min_size=4, max_size=4), encoding=st.sampled_from(["utf-8", "utf-16"]))
@settings(max_examples=200, deadline=None)
def test_any_cells_give_records_or_say_why_not(row: list[str], encoding: str) -> None:
    with TemporaryDirectory() as folder:
        text = TABLE + ";".join(row) + "\n" + f"S-2;{CHILD};Handicapsag;Aktiv\n"
        Path(folder, "x").write_bytes(text.encode(encoding, "replace"))
        told(folder)


@given(body=_BEGINNINGS.flatmap(lambda start: st.binary(max_size=200).map(lambda rest: start + rest)))
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("format_", ["sf1470", "dubu"])
def test_any_answer_gives_records_or_an_error_of_the_hubs(
    shared_serve: Callable[[ASGIApp], str], format_: str, body: bytes
) -> None:
    async def answer(_request: Any) -> Response:
        return Response(body, media_type="application/octet-stream")

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
    url = shared_serve(app) + ("/6" if format_ == "sf1470" else "")
    adapter = SofAdapter(SofSettings.model_validate({"url": url, "format": format_, **GIVEN}))
    for read in (lambda: adapter.presence(None), lambda: adapter.read(None, {CHILD})):
        with suppress(hub.TryAgain, hub.GaveUp):
            list(read())
