"""Whatever comes instead of an answer is read, told of as unreadable, or refused; nothing else, and nothing leaks."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
from tovholder_cpr_custody import CprAdapter, CprSettings, folder, person, records, wire
from tovholder_cpr_custody.person import Custody, Person

import hub

CHILD, PARENT, OTHER = "0101159994", "0404859990", "0505839991"
SOAP = '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>%s</s:Body></s:Envelope>'
ANSWER = (
    f'<PersonLookupResponse xmlns="{person.NS}"><persondata><personnummer>{CHILD}</personnummer>'
    "<navn><personadresseringsnavn>Anna Prøve</personadresseringsnavn><fornavn>Anna</fornavn>"
    "<efternavn>Prøve</efternavn></navn><antalBoernUnder18>0</antalBoernUnder18>"
    "<status><status>1</status><statusdato><dato>2015-01-01T00:00:00.000+01:00</dato></statusdato></status>"
    "<adressebeskyttelse><startdato>2020-01-01</startdato><slutdato>2021-01-01</slutdato><beskyttet>false</beskyttet>"
    "</adressebeskyttelse><tilmeldtDigitalpost>false</tilmeldtDigitalpost></persondata><relationer>"
    f"<mor><personnummer>{PARENT}</personnummer></mor>"
    "<foraeldremyndighed><foraeldremyndighedtype>3</foraeldremyndighedtype>"
    "<foraeldremyndighedStartdato><dato>2015-01-01</dato></foraeldremyndighedStartdato>"
    f"<foraeldremyndighedSletdato>2033-01-01</foraeldremyndighedSletdato>"
    f"<relationPersonnummer>{PARENT}</relationPersonnummer></foraeldremyndighed></relationer></PersonLookupResponse>"
)
GOOD = (SOAP % ANSWER).encode()


def taken(content: bytes) -> wire.Answer | str:
    """What is made of an answer, or what an error of the contract says; any other error fails the test."""
    try:
        return wire.answer(content, CHILD)
    except (hub.TryAgain, hub.GaveUp) as error:
        return str(error)


def test_the_good_one_is_read() -> None:
    found = wire.answer(GOOD, CHILD)
    assert isinstance(found, Person)
    assert found.custody == (Custody(PARENT, date(2015, 1, 1), date(2033, 1, 1)),)


@given(st.binary(max_size=600))
def test_any_bytes(content: bytes) -> None:
    assert not isinstance(taken(content), Person)


@given(st.data())
@settings(max_examples=300)
def test_any_bytes_in_a_good_answer(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(GOOD)))
    length = data.draw(st.integers(0, 40))
    found = taken(GOOD[:place] + data.draw(st.binary(max_size=20)) + GOOD[place + length :])
    assert not isinstance(found, str) or CHILD not in found


@given(st.integers(0, len(GOOD) - 1))
def test_half_an_answer(length: int) -> None:
    """An answer that was cut is no answer, also where what came holds all that is looked for."""
    with pytest.raises(hub.TryAgain):
        wire.answer(GOOD[:length], CHILD)


VALUES = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["", " ", "0001-01-01", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59+14:00", "2025-02-30", "-2025-01-01",
         "2025-01-01+01:00", "20250101", "2025-W01-1", "0000000000", "9" * 5000, "1e400", "٣", "true ", "TRUE", "NaN"]
    ),
)  # fmt: skip


@given(st.data(), VALUES)
@settings(max_examples=300)
def test_any_value_in_any_field(data: st.DataObject, value: str) -> None:
    root = etree.fromstring(ANSWER)
    leaf = data.draw(st.sampled_from([element for element in root.iter() if not len(element)]))
    try:
        leaf.text = value
    except ValueError:
        return  # no XML can hold it
    found = wire.read(root, "place")
    assert isinstance(found, Person | hub.Unreadable)
    if isinstance(found, hub.Unreadable):
        assert found.reason
        assert not value.strip() or len(value.strip()) < 3 or value.strip() not in found.reason


@given(st.data())
@settings(max_examples=200)
def test_any_element_gone_or_twice(data: st.DataObject) -> None:
    root = etree.fromstring(ANSWER)
    element = data.draw(st.sampled_from([element for element in root.iter() if element is not root]))
    parent = element.getparent()
    assert parent is not None
    if data.draw(st.booleans()):
        parent.remove(element)
    else:
        parent.append(etree.fromstring(etree.tostring(element)))
    assert isinstance(wire.read(root, "place"), Person | hub.Unreadable)


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
DOCTYPES = {
    "a file": '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    "the network": '<!DOCTYPE x [<!ENTITY a SYSTEM "http://127.0.0.1:9/a">]>',
    "an outer type": '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">',
    "a parameter entity": '<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///etc/hostname"> %p; <!ENTITY a "b">]>',
    "billion laughs": f'<!DOCTYPE x [<!ENTITY l0 "lol">{LAUGHS}<!ENTITY a "&l9;">]>',
    "quadratic blow-up": f'<!DOCTYPE x [<!ENTITY a "{"a" * 100_000}">]>',
    "a default attribute": "<!DOCTYPE x [<!ATTLIST navn a CDATA 'b'>]>",
}


@pytest.mark.parametrize("doctype", DOCTYPES.values(), ids=DOCTYPES.keys())
def test_entities_are_refused(doctype: str, tmp_path: Path) -> None:
    hostile = doctype + GOOD.decode().replace("<fornavn>Anna", "<fornavn>" + "&a;" * 500)
    with pytest.raises(hub.TryAgain):
        wire.answer(hostile.encode(), CHILD)
    (tmp_path / "a.xml").write_text(hostile, encoding="utf-8")
    (tmp_path / "b.xml").write_bytes(GOOD)
    pages = list(CprAdapter(CprSettings(folder=tmp_path)).persons({CHILD}))
    told = [record for page in pages for record in page.records]
    assert [type(record) for record in told] == [hub.Unreadable, hub.PersonRecord]
    assert not pages[-1].complete


STRANGE = {
    "NUL": GOOD.replace(b"Anna", b"An\0na"),
    "another encoding than it says": b'<?xml version="1.0" encoding="UTF-8"?>' + GOOD.decode().encode("latin-1"),
    "an encoding nobody knows": b'<?xml version="1.0" encoding="klingon"?>' + GOOD,
    "UTF-16 without saying so": GOOD.decode().encode("utf-16-le"),
    "a gzip file": gzip.compress(GOOD),
    "JSON": b'{"persondata": {"personnummer": "0101159994"}}',
    "a web page": b"<!DOCTYPE html><html lang=da><title>Log ind</title>",
    "a tidy web page": b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body/></html>',
    "another service's answer": GOOD.replace(b"PersonBaseDataExtended/4/", b"PersonBaseData/3/"),
    "10,000 levels": b"<a>" * 10_000 + b"</a>" * 10_000,
    "a name of a megabyte": b"<" + b"a" * 1_000_000 + b"/>",
    "nothing": b"",
}


@pytest.mark.parametrize("content", STRANGE.values(), ids=STRANGE.keys())
def test_what_is_no_answer(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(hub.TryAgain):
        wire.answer(content, CHILD)
    (tmp_path / "a.xml").write_bytes(content)
    (tmp_path / "b.xml").write_bytes(GOOD)
    told = [record for page in CprAdapter(CprSettings(folder=tmp_path)).persons({CHILD}) for record in page.records]
    assert [type(record) for record in told] == [hub.Unreadable, hub.PersonRecord]


def test_letters_of_other_alphabets_and_markup_are_names() -> None:
    name = "Ægir <b>&amp;</b> 'Ø' ́ 𝒜 ‮abc $x$ #panic()"
    root = etree.fromstring(ANSWER)
    first, last = (next(root.iter(f"{{{person.NS}}}{part}")) for part in ("fornavn", "efternavn"))
    first.text, last.text = name, "Å"
    found = wire.answer((SOAP % etree.tostring(root, encoding="unicode")).encode(), CHILD)
    assert isinstance(found, Person)
    assert found.name == f"{name} Å"


def test_two_answers_in_one_are_none() -> None:
    for two in (ANSWER + ANSWER, ANSWER + "<s:Fault><faultstring>PNR not found</faultstring></s:Fault>"):
        with pytest.raises(hub.TryAgain):
            wire.answer((SOAP % two).encode(), CHILD)


def test_an_utf_16_answer_is_read() -> None:
    text = '<?xml version="1.0" encoding="UTF-16"?>' + GOOD.decode()
    assert isinstance(wire.answer(text.encode("utf-16"), CHILD), Person)


def test_what_stands_in_a_comment_or_an_element_is_not_half_read() -> None:
    """ "01<!-- -->01159994" is one text to some and another to others."""
    for hidden in (f"{CHILD[:2]}<!-- x -->{CHILD[2:]}", f"<b>{CHILD}</b>", f"{CHILD}<?x y?>"):
        found = wire.answer(GOOD.replace(CHILD.encode(), hidden.encode()), CHILD)
        assert isinstance(found, hub.Unreadable)
        assert found.reason == "personnummer holds something else than text"


def test_an_answer_about_somebody_else_is_nobodys() -> None:
    """A cache that mixes answers up would make a stranger the guardian."""
    found = wire.answer(GOOD.replace(CHILD.encode(), OTHER.encode()), CHILD)
    assert isinstance(found, hub.Unreadable)
    assert found.reason == "the answer is about another number than was asked for"


def test_a_fault_that_says_nothing_about_the_person_is_no_answer() -> None:
    fault = "<s:Fault><faultcode>s:%s</faultcode><faultstring>%s</faultstring></s:Fault>"
    for code, text in (("Server", "Token expired"), ("Client", "Invalid request"), ("Server", "")):
        with pytest.raises(hub.TryAgain):
            wire.answer((SOAP % (fault % (code, text))).encode(), CHILD)
    assert wire.answer((SOAP % (fault % ("Server", "PNR not found"))).encode(), CHILD) is None


def test_an_answer_without_end_is_cut(serve: Callable[[Any], str], over_http: Callable[..., CprAdapter]) -> None:
    """Two gigabytes, packed small: neither is held."""
    million = gzip.compress(b"<a/>" * 250_000)

    async def endless(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        headers = [(b"content-encoding", b"gzip"), (b"content-type", b"text/xml")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for _piece in range(2000):
            await send({"type": "http.response.body", "body": million, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    adapter = over_http(url=serve(endless))
    tracemalloc.start()
    try:
        with pytest.raises((hub.TryAgain, hub.GaveUp)):
            list(adapter.persons({CHILD}))
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_large_file_is_not_held(tmp_path: Path) -> None:
    """A whole register in one file: only those asked for are kept."""
    with (tmp_path / "all.xml").open("w", encoding="utf-8") as file:
        file.write("<answers>")
        for number in range(20_000):
            file.write(ANSWER.replace(CHILD, f"{number:010}"))
        file.write(ANSWER + "</answers>")
    assert (tmp_path / "all.xml").stat().st_size > 15_000_000
    tracemalloc.start()
    try:
        told = [record for page in CprAdapter(CprSettings(folder=tmp_path)).persons({CHILD}) for record in page.records]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [type(record) for record in told] == [hub.PersonRecord]
    assert peak < 5_000_000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(contents=st.lists(st.one_of(st.binary(max_size=200), st.just(GOOD), st.just(GOOD[:-9])), max_size=4))
def test_any_files_in_the_folder(contents: list[bytes], tmp_path: Path) -> None:
    for old in tmp_path.iterdir():
        old.unlink()
    for place, content in enumerate(contents):
        (tmp_path / f"{place}.xml").write_bytes(content)
    pages = list(CprAdapter(CprSettings(folder=tmp_path)).read(None, {CHILD, OTHER}))
    told = [record for page in pages for record in page.records]
    assert all(isinstance(record, hub.PersonRecord | hub.GuardianRecord | hub.Unreadable) for record in told)
    assert {record.cpr for record in told if isinstance(record, hub.PersonRecord | hub.Unreadable)} >= {CHILD, OTHER}
    if any(content != GOOD for content in contents):
        assert not pages[-1].complete


def test_a_folder_that_vanishes_or_may_not_be_read_is_for_a_person(tmp_path: Path) -> None:
    with pytest.raises(hub.GaveUp):
        folder.persons(tmp_path / "nowhere", [CHILD], lambda _answer: [])
    (tmp_path / "a.xml").mkdir()
    (tmp_path / "b.xml").symlink_to(tmp_path / "gone")
    assert folder.persons(tmp_path, [CHILD], lambda _answer: []).answers == {CHILD: None}


NUMBERS = st.sampled_from([CHILD, PARENT, OTHER, "0606809992"])
PERSONS = st.builds(
    Person,
    number=NUMBERS,
    current=NUMBERS,
    name=st.none() | st.just("Anna"),
    protected=st.booleans(),
    digital_post=st.none() | st.booleans(),
    dead=st.booleans(),
    died=st.none() | st.just(date(2025, 1, 1)),
    custody=st.lists(
        st.builds(
            Custody,
            holder=st.none() | NUMBERS,
            since=st.none() | st.just(date(2020, 1, 1)),
            until=st.none() | st.just(date(2024, 1, 1)),
        ),
        max_size=3,
    ).map(tuple),
)


@given(st.dictionaries(NUMBERS, PERSONS | st.none() | st.builds(hub.Unreadable, st.just("x"), st.just("y"))))
@settings(max_examples=300)
def test_whoever_points_at_whom(answers: dict[str, wire.Answer]) -> None:
    """Numbers that lead in a circle, holders who are the child itself, or dead, or nobody: each child is told of once,
    and every record is about it."""
    told = records.custodies(CHILD, answers, 1)
    assert isinstance(told[0], hub.PersonRecord | hub.Unreadable)
    assert all((record.child_cpr if isinstance(record, hub.GuardianRecord) else record.cpr) == CHILD for record in told)
    guardians = [record.guardian_cpr for record in told if isinstance(record, hub.GuardianRecord)]
    assert len(guardians) == len(set(guardians))


def test_a_chain_of_numbers_ends() -> None:
    """A chain of numbers longer than any person has is an error in the register, and ends."""
    chain = [f"01011599{n:02}" for n in range(10, 20)]
    answers: dict[str, wire.Answer] = {
        number: Person(number, after, None, False, None, False, None, ())
        for number, after in zip(chain, [*chain[1:], chain[0]], strict=True)
    }
    found = records.current(chain[0], answers)
    assert isinstance(found, hub.Unreadable)
