"""Whatever bytes a source gives: records, Unreadable, TryAgain or GaveUp; no other error, no hang, nothing fetched,
nothing expanded."""

from __future__ import annotations

import gzip
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.responses import Response
from tovholder_buf_case import BufAdapter, BufSettings

import hub
from hub.testing import Front
from hub.testing.front import running

pytestmark = pytest.mark.slow

Make = Callable[..., BufAdapter]
Text = Callable[..., str]
KINDS = {key: hub.Kind(name="Specialtilbud") for key in ("101001", "group:Special*", "case:Special*")}
ALMA, BO = "0104149990", "0205139991"
EXAMPLES = Path(__file__).parent / "examples"
SEEDS = [(EXAMPLES / "101001.xml").read_bytes(), (EXAMPLES / "201001.xml").read_bytes()]
LIST = (Path(__file__).parent / "lists" / "cases.csv").read_bytes()
SECRET = "from-a-file-of-this-machine"


def read_folder(folder: Path) -> list[hub.Record]:
    """All that both operations give; every page is checked for what a read always keeps."""
    adapter = BufAdapter(BufSettings(folder=folder, kinds=KINDS, page_size=50))
    records: list[hub.Record] = []
    for pages in (list(adapter.presence(None)), list(adapter.read(None, {ALMA, BO}))):
        assert all(isinstance(page.cursor, str) for page in pages)
        records += [record for page in pages for record in page.records]
        raw = sum(len(record.raw) for page in pages for record in page.records if isinstance(record, hub.Unreadable))
        assert raw <= 16 * 1024 * 1024
    assert adapter.health().detail
    return records


def survives(*files: bytes) -> list[hub.Record]:
    """The records of a folder with these files, or none where the source as a whole gives up."""
    with tempfile.TemporaryDirectory() as name:
        for number, content in enumerate(files):
            Path(name, f"fil{number}").write_bytes(content)
        try:
            return read_folder(Path(name))
        except (hub.TryAgain, hub.GaveUp):
            return []


_BITS = [
    *(b"", b"\0", b'"', b";", b"\n", b"\r", b"<", b">", b"&", b"]]>", b"<!--", b"-->", b"<![CDATA[", b"&#0;", b"&x;"),
    *(b"\xff", b"\xc3", b"'", b"0104149990", b"9" * 400),
]


@st.composite
def mangled(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A good file with some bytes changed, taken out, doubled or put in."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        to = min(len(data), at + draw(st.integers(0, 200)))
        bit = draw(st.sampled_from(_BITS))
        data[at:to] = bit + bytes(data[at:to]) * draw(st.integers(0, 2))
    return bytes(data)


quick = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])


@given(st.lists(st.binary(max_size=400), min_size=1, max_size=3))
@example([b""])
@example([b"\xef\xbb\xbf"])
@example([b"\xff\xfe<\0"])
@example([b"\xfe\xff"])
@example([b"<"])
@example([b"<a" * 50_000])
@quick
def test_any_bytes(files: list[bytes]) -> None:
    survives(*files)


@given(mangled(SEEDS))
@example(SEEDS[0].replace(b"<UNILoginExport", b"<fm:>UNILoginExport", 1))
@quick
def test_any_damage_to_an_export(data: bytes) -> None:
    found = survives(data, SEEDS[1])
    assert any(isinstance(record, hub.Presence) for record in found), "the good export beside it was lost"


@given(mangled([LIST, LIST.decode("cp1252").encode(), LIST.decode("cp1252").encode("utf-16")]))
@quick
def test_any_damage_to_a_case_list(data: bytes) -> None:
    found = survives(data, SEEDS[0])
    assert any(isinstance(record, hub.Presence) and record.cpr == ALMA for record in found)


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60), end=st.sampled_from(["\n", "\r\n"]))
@quick
def test_any_text_in_any_cell(text: str, end: str) -> None:
    cell = '"' + text.replace('"', '""') + '"'
    head = "Sagsnummer;CPR-nr.;Sagstype;Status;Oprettet;Frist;Sagsbehandler"
    row = "S-1;0104149990;Specialundervisning;Åben;01-08-2026;;Bente"
    rows = [";".join([*row.split(";")[:at], cell, *row.split(";")[at + 1 :]]) for at in range(7)]
    survives(end.join([head, *rows, ""]).encode())


@given(text=st.text(max_size=60), field=st.sampled_from(["UserId", "CivilRegistrationNumber", "FirstName", "GroupId"]))
@quick
def test_any_text_in_any_element(text: str, field: str, make_export: Text, make_pupil: Text) -> None:
    whole = make_export("101001", make_pupil(ALMA, "u1", person=f"<c:{field}>{escape(text)}</c:{field}>"))
    survives(whole.encode("utf-8", "surrogatepass"), SEEDS[1])


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
BLOW_UP = f'<!DOCTYPE x [<!ENTITY a "{"a" * 100_000}">]>'


@pytest.mark.parametrize(
    ("doctype", "name"),
    [
        ('<!DOCTYPE x [<!ENTITY x SYSTEM "{file}">]>', "&x;"),
        ('<!DOCTYPE x [<!ENTITY x PUBLIC "p" "{url}">]>', "&x;"),
        ('<!DOCTYPE x SYSTEM "{url}">', "x"),
        ('<!DOCTYPE x [<!ENTITY % p SYSTEM "{url}"> %p;]>', "x"),
        ('<!DOCTYPE x [<!ENTITY l0 "ha">' + LAUGHS + "]>", "&l11;"),
        (BLOW_UP, "&a;" * 20_000),
        ("", '<i xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="{file}" parse="text"/></i>'),
    ],
    ids=["XXE", "XXE public", "external DTD", "parameter entity", "billion laughs", "quadratic blow-up", "XInclude"],
)
def test_entities_fetch_nothing_and_do_not_expand(
    doctype: str, name: str, make_pupil: Text, make_export: Text, tmp_path: Path
) -> None:
    (tmp_path / "secret.txt").write_text(SECRET)
    with running() as front:
        addresses = {"{file}": (tmp_path / "secret.txt").as_uri(), "{url}": f"{front.url}/dtd"}
        whole = doctype + make_export("101001", make_pupil(ALMA, "u1", person=f"<c:Name>{name}</c:Name>", student=name))
        for mark, address in addresses.items():
            whole = whole.replace(mark, address)
        tracemalloc.start()
        found = survives(whole.encode(), SEEDS[1])
        _now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert front.requests == []
    assert SECRET not in repr(found)
    assert any(isinstance(record, hub.Presence) for record in found)  # of the good export beside it
    assert peak < 40 * 1024 * 1024


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace(b"</c:UserId>", b"\0</c:UserId>", 1),
        lambda text: text.replace(b'encoding="UTF-8"', b'encoding="UTF-16"'),
        lambda text: text.replace(b'encoding="UTF-8"', b'encoding="US-ASCII"'),
        lambda text: text.replace(b'encoding="UTF-8"', b'encoding="no-such-thing"'),
        lambda text: text.replace(b'encoding="UTF-8"', b'encoding="UTF-7"'),
        lambda text: text.decode().encode("latin-1", "replace"),
        lambda text: text.replace("Skolen ved Åen".encode(), b"\xed\xa0\x80"),
        gzip.compress,
        lambda text: gzip.compress(b"<a>" * 10_000_000),
        lambda text: text + text,
        lambda text: text.rstrip()[:-1],
        lambda text: b"<x>" * 1000 + text,
        lambda text: text.replace(b"<fm:Student>", b"<fm:Student>" + b"<x>" * 300, 1),
    ],
)
def test_damage_of_every_kind_is_told_and_the_other_export_is_read(damage: Callable[[bytes], bytes]) -> None:
    found = survives(damage(SEEDS[0]), SEEDS[1])
    assert [record.cpr for record in found if isinstance(record, hub.Presence)] == ["0909159991"]
    told = {record.position for record in found if isinstance(record, hub.Unreadable)}
    assert told & {"file fil0", "institution 101001"}


def test_markup_in_names_stays_text(from_folder: Make, examples: Path, tmp_path: Path) -> None:
    """It is for whoever renders it to escape; here it must not be lost, nor become an element."""
    text = (examples / "101001.xml").read_text(encoding="utf-8")
    nasty = "&lt;b&gt;*Hans*&lt;/b&gt; #panic(1) $x$ {{7*7}} '; DROP TABLE"
    (tmp_path / "101001.xml").write_text(text.replace("<c:FirstName>Hans<", f"<c:FirstName>{nasty}<"), encoding="utf-8")
    (record,) = [r for page in from_folder(tmp_path, kinds=["101001"]).read(None, {"6705159992"}) for r in page.records
                 if isinstance(r, hub.CaseRecord)]  # fmt: skip
    assert record.adviser is not None
    assert record.adviser.name == "<b>*Hans*</b> #panic(1) $x$ {{7*7}} '; DROP TABLE Helskole"


@given(body=st.one_of(st.binary(max_size=300), mangled(SEEDS)), status=st.sampled_from([200, 200, 400, 403, 404, 500]))
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
def test_any_answer_over_http(body: bytes, status: int, front: Front) -> None:
    """Whatever comes, and to whichever question."""
    front.serve(Response(body, status, media_type="application/soap+xml"))
    adapter = BufAdapter(BufSettings.model_validate({"url": front.url, "kinds": KINDS}))
    for pages in (adapter.presence(None), adapter.read(None, {ALMA})):
        with suppress(hub.TryAgain, hub.GaveUp):
            assert not list(pages)[-1].complete
    health = adapter.health()
    assert not health.ok
    assert ALMA not in health.detail
    adapter.close()


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    with running() as front:
        yield front


@pytest.mark.parametrize("operation", ["hentDataAftaler", "eksporterXml"])
@pytest.mark.parametrize(
    ("code", "word", "error"),
    [
        ("Sender", "Rettigheder", None),
        ("Sender", "", None),
        ("Sender", "SignaturMangler", "not signed"),
        ("Sender", "UdbydersytemIdMangler", "system_id is missing"),
        ("Receiver", "", "500"),
    ],
)
def test_refusals_of_one_institution_and_of_us(
    operation: str, code: str, word: str, error: str | None, front: Front, make_export: Text, make_pupil: Text
) -> None:
    """No agreement on one institution stops no other; a request that is not signed stops all."""
    soap, bpi = "http://www.w3.org/2003/05/soap-envelope", "https://brugerdatabasen.stil.dk/bpi/common/3"
    fault = (
        f'<s:Envelope xmlns:s="{soap}"><s:Body><s:Fault><s:Code><s:Value>s:{code}</s:Value></s:Code><s:Reason>'
        f'<s:Text xml:lang="da">0104149990</s:Text></s:Reason><s:Detail><b:AuthentificationError xmlns:b="{bpi}">'
        f"<b:type>{word}</b:type></b:AuthentificationError></s:Detail></s:Fault></s:Body></s:Envelope>"
    )

    async def answer(scope: dict, receive: Callable, send: Callable) -> None:
        asked = (await receive())["body"].decode()
        if f"<w:{operation}" in asked and (operation == "hentDataAftaler" or ">101001<" in asked):
            response = Response(fault, 500 if code == "Receiver" else 400)
        elif "hentDataAftaler" in asked:
            response = Response(f'<a xmlns="{bpi}"><regnr>101001</regnr><regnr>201001</regnr></a>')
        else:
            response = Response(make_export("201001", make_pupil(ALMA), groups={"H": "Hold"}))
        await response(scope, receive, send)

    front.serve(answer)
    kinds = {key: hub.Kind(name="Specialtilbud") for key in ("101001", "group:H")}
    adapter = BufAdapter(BufSettings.model_validate({"url": front.url, "kinds": kinds}))
    pages: list[hub.Page] = []
    if error is None and operation == "eksporterXml":
        pages += adapter.presence(None)
        told = [r for page in pages for r in page.records if isinstance(r, hub.Unreadable)]
        assert [(r.position, "no data agreement" in r.reason) for r in told] == [("institution 101001", True)]
        assert "0104149990" not in told[0].reason
    else:
        kind = hub.TryAgain if code == "Receiver" else hub.GaveUp
        with pytest.raises(kind, match=error or "no data agreement") as caught:
            pages += adapter.presence(None)
        assert "0104149990" not in str(caught.value)
    present = [r.cpr for page in pages for r in page.records if isinstance(r, hub.Presence)]
    assert present == ([ALMA] if operation == "eksporterXml" and (error is None or code == "Receiver") else [])
    assert not any(page.complete for page in pages)
    adapter.close()
