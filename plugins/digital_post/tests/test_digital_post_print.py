"""Letters on paper: where the recipient lives, the print order by the official schema, and who chooses."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from lxml import etree
from tovholder_digital_post import DigitalPost, DigitalPostSettings, address, fjernprint, memo
from tovholder_digital_post.address import Address
from tovholder_digital_post.channel import kombi_request

import hub
from hub.clock import SetClock
from hub.demo.model import Person, Town
from hub.demo.servers import cpr, digital_post
from hub.demo.servers import digital_post_rules as rules

KEY = "8c2ea15d-61fb-4ba9-9366-42f8b194c114"
EXEMPT = "1502689998"
STRANGER = "2404759996"
P = f"{{{fjernprint.PRINT}}}"
HOUSE = Address(
    name="Åge Prøvesen", postcode="9999", city="Prøveby", street="Prøvevej", number="13B", floor="2", door="tv",
    care_of="Bente Prøve", place="Den gamle skole",
)  # fmt: skip
LINES = Address(name="Åge Prøvesen", postcode="9999", city="Prøveby", lines=("c/o Bente Prøve", "Prøvevej 13 B, 2. tv"))
Serve = Callable[..., str]
PostAt = Callable[..., DigitalPost]


@pytest.fixture(scope="session")
def print_schema(standards: Path, tmp_path_factory: pytest.TempPathFactory) -> etree.XMLSchema:
    """The print schema spreads one namespace over many files, of which libxml2 reads the first only: gather them."""
    folder = tmp_path_factory.mktemp("fjernprint") / "oio"
    shutil.copytree(standards / "sf1601/fjernprint-xsd/SF1600_EP_SP1-2/xsd/oio", folder)
    folder.chmod(0o755)
    members: dict[str, list[str]] = {}
    for file in folder.glob("*.xsd"):
        file.chmod(0o644)
        members.setdefault(str(etree.parse(file).getroot().get("targetNamespace")), []).append(file.name)
    xs = "{http://www.w3.org/2001/XMLSchema}"
    gathered = {space: f"all{number}.xsd" for number, space in enumerate(members)}
    for space, files in members.items():
        for name in files:
            tree = etree.parse(folder / name)
            for imported in tree.findall(f"{xs}import"):
                if imported.attrib["namespace"] == space:  # which the standard does not allow
                    imported.tag = xs + "include"
                    del imported.attrib["namespace"]
                else:
                    imported.set("schemaLocation", gathered[imported.attrib["namespace"]])
            tree.write(folder / name)
    for space, files in members.items():
        root = etree.Element(xs + "schema", targetNamespace=space)
        for name in sorted(files):
            etree.SubElement(root, xs + "include", schemaLocation=name)
        etree.ElementTree(root).write(folder / gathered[space])
    return etree.XMLSchema(etree.parse(folder / gathered[fjernprint.PRINT]))


def ordered(body: bytes) -> etree._Element:
    """The print order as it goes over the wire, by itself."""
    found = etree.fromstring(body).find(f"{P}ForsendelseISamling/{P}ForsendelseI")
    assert found is not None
    return etree.fromstring(etree.tostring(found))


def texts(element: etree._Element) -> dict[str, str]:
    return {etree.QName(e).localname: e.text or "" for e in element.iter(etree.Element) if len(e) == 0}


@pytest.mark.parametrize("where", [None, HOUSE, LINES, replace(HOUSE, floor="", door="", care_of="", place="")])
@pytest.mark.parametrize("route", ["print", "platform"])
def test_the_print_order_is_valid_by_the_schema_and_the_town(
    paper: hub.Letter, settings: DigitalPostSettings, print_schema: etree.XMLSchema, town: Town,
    where: Address | None, route: str,
) -> None:  # fmt: skip
    body = kombi_request(paper, KEY, route, settings, where)
    choice = {"print": "Fysisk Post", "platform": "Automatisk Valg"}[route]
    assert etree.fromstring(body).findtext("KombiValgKode") == choice
    order = ordered(body)
    print_schema.assertValid(order)
    found = texts(order)
    assert found["AfsendelseIdentifikator"] == KEY
    assert base64.b64decode(found["MeddelelseIndholdData"]) == paper.pdf
    assert found["CPRnummerIdentifikator"] == (paper.recipient.cpr if where is None else "0000000000")
    goes = rules.chosen(rules.read(body), town.people)
    assert goes.route == "print"
    rules.check(goes, town.people)


def test_with_an_address_no_number_is_told(paper: hub.Letter, settings: DigitalPostSettings) -> None:
    body = kombi_request(paper, KEY, "print", settings, HOUSE)
    assert paper.recipient.cpr.encode() not in body
    found = texts(ordered(body))
    assert found.pop("AfsendelseIdentifikator") == KEY
    assert base64.b64decode(found.pop("MeddelelseIndholdData")) == paper.pdf
    assert found == {
        "ForsendelseTypeIdentifikator": "265", "CPRnummerIdentifikator": "0000000000", "PersonName": "Åge Prøvesen",
        "CoNavn": "Bente Prøve", "StreetName": "Prøvevej", "StreetBuildingIdentifier": "13B", "FloorIdentifier": "2",
        "SuiteIdentifier": "tv", "MailDeliverySublocationIdentifier": "Den gamle skole", "PostCodeIdentifier": "9999",
        "CountryIdentificationCode": "DK", "FilformatNavn": "PDF", "TitelTekst": "Brev fra Prøveby Kommune",
        "PostKategoriKode": "Prioritaire",
    }  # fmt: skip


MARKUP = [
    "<b>Bodil</b>", "&amp;&lt;", "]]>", "\"'><script>alert(1)</script>", "<!-- -->", "&#x41;", "{{7*7}}", "%s${x}",
    "<memo:label>x</memo:label>", "Å ø 😀 \u202e\u200d", "--;DROP TABLE", "#panic()", "<?xml?>",
]  # fmt: skip


@pytest.mark.parametrize("text", MARKUP)
@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_markup_in_names_and_texts_comes_through_as_text(
    letter: hub.Letter, settings: DigitalPostSettings, print_schema: etree.XMLSchema, text: str, version: str
) -> None:
    odd = replace(
        letter,
        title=text,
        recipient=hub.Recipient(EXEMPT, text),
        contact=hub.Contact(text, text, text, text),
        actions=(hub.Action(text),),
    )
    ours = settings.model_copy(update={"memo_version": version, "sender_name": text, "generating_system": text})
    body = kombi_request(odd, KEY, "platform", ours, replace(HOUSE, care_of=text, place=text))
    message = etree.fromstring(body).find(f"{{{memo.MEMO}}}Message")
    assert message is not None
    labels = [e.text for e in message.iter(f"{{{memo.MEMO}}}label")]
    assert labels == [text] * 7
    assert next(message.iter(f"{{{memo.MEMO}}}personID")).text == text
    order = ordered(body)
    print_schema.assertValid(order)
    found = texts(order)
    for name in ("TitelTekst", "PersonName", "CoNavn", "MailDeliverySublocationIdentifier"):
        assert found[name] == text
    assert len(message) == 2  # nothing became an element


@given(
    st.builds(
        Address,
        name=st.text(max_size=140), postcode=st.just("9999"), city=st.text(max_size=5),
        street=st.one_of(st.just(""), st.text(max_size=45)), number=st.sampled_from(["1", "13B", "999Z"]),
        floor=st.text(max_size=3) | st.sampled_from(["st", "kl", "k2", "2"]), door=st.text(max_size=6),
        care_of=st.text(max_size=9), place=st.text(max_size=36), lines=st.just(("Prøvevej 1",)),
    )
)  # fmt: skip
@hypothesis_settings(max_examples=150, deadline=None, database=None)
def test_any_address_gives_a_valid_order_or_a_clear_refusal(
    paper: hub.Letter, settings: DigitalPostSettings, print_schema: etree.XMLSchema, where: Address
) -> None:
    where = replace(where, lines=() if where.street else where.lines)
    nameless = replace(paper, recipient=replace(paper.recipient, name=""))
    try:
        body = kombi_request(nameless, KEY, "print", settings, where)
    except hub.BadRecord:
        return
    print_schema.assertValid(ordered(body))


@pytest.mark.parametrize("change", [{"pdf": b"<html>"}, {"title": "x" * 257}, {"title": "a\nb"}])
def test_what_cannot_be_printed_is_refused(
    paper: hub.Letter, settings: DigitalPostSettings, change: dict[str, Any]
) -> None:
    with pytest.raises(hub.BadRecord):
        fjernprint.build(replace(paper, **change), KEY, settings)


def response(adresse: str, *, number: str = EXEMPT, name: str = "Åge Prøvesen") -> etree._Element:
    return etree.fromstring(
        '<PersonLookupResponse xmlns="http://serviceplatformen.dk/xml/wsdl/soap11/CPR/PersonBaseDataExtended/4/">'
        f"<persondata><personnummer>{number}</personnummer><navn><personadresseringsnavn>{name}"
        f"</personadresseringsnavn></navn></persondata><adresse>{adresse}</adresse></PersonLookupResponse>"
    )


def test_an_address_by_its_parts_loses_the_registers_noughts() -> None:
    found = address.read(
        response(
            "<aktuelAdresse><husnummer>013b</husnummer><etage>02</etage><sidedoer>TV</sidedoer>"
            "<conavn>Bente  Prøve</conavn><lokalitet>Den gamle skole</lokalitet><postnummer>9999</postnummer>"
            "<postdistrikt>Prøveby</postdistrikt><vejnavn>Prøvevej</vejnavn></aktuelAdresse>"
        )
    )
    assert found == HOUSE


@pytest.mark.parametrize(
    "adresse",
    [
        "",
        "<udrejseoplysninger><udlandsadresse1>Malmö</udlandsadresse1></udrejseoplysninger>",
        "<aktuelAdresse><vejnavn>Prøvevej</vejnavn><husnummer>1</husnummer></aktuelAdresse>",
        "<aktuelAdresse><postnummer>9999</postnummer></aktuelAdresse>",
        "<aktuelAdresse><postnummer>0</postnummer><standardadresse>Uden fast bopæl</standardadresse></aktuelAdresse>",
        f"<aktuelAdresse><postnummer>9999</postnummer><standardadresse>{'x' * 35}</standardadresse></aktuelAdresse>",
    ],
)
def test_an_address_no_letter_can_go_to_is_refused(adresse: str) -> None:
    with pytest.raises(hub.BadRecord) as caught:
        address.read(response(adresse))
    assert "Malmö" not in str(caught.value)


@pytest.fixture
def printing(serve: Serve, post_at: PostAt, town: Town, clock: SetClock, folder: Path) -> Callable[..., DigitalPost]:
    """The channel to the town's Digital Post and the town's CPR."""
    url, register = serve(digital_post.app(town, clock, folder)), serve(cpr.app(town, clock))
    return lambda **changes: post_at(url, **({"cpr_url": register} | changes))


def test_a_printed_letter_has_the_address_that_cpr_has_now(
    printing: Callable[..., DigitalPost], paper: hub.Letter, letter: hub.Letter, folder: Path
) -> None:
    post = printing()
    sent = post.send(paper, KEY)
    assert isinstance(sent, hub.Sent)
    assert sent.route == "print"
    kept = (folder / f"{KEY}.print.xml").read_bytes()
    assert EXEMPT.encode() not in kept
    found = texts(etree.fromstring(kept))
    assert found["PersonName"] == "Åge Prøvesen"
    assert found["PostCodeIdentifier"] == "9999"
    assert found["PostalAddressFirstLineText"] == "Prøvevej 2"


@pytest.mark.parametrize("choice", ["ask", "platform"])
def test_where_a_registered_person_lives_is_asked_only_when_it_may_be_printed(
    serve: Serve, printing: Callable[..., DigitalPost], letter: hub.Letter, choice: str
) -> None:
    asked: list[str] = []

    async def register(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await send({"type": "http.response.start", "status": 403, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    result = printing(cpr_url=serve(register), choice=choice).send(letter, KEY)
    assert isinstance(result, hub.Sent if choice == "ask" else hub.Later)
    assert asked == ([] if choice == "ask" else [address.PATH])


def test_who_cpr_does_not_know_is_refused_and_not_printed(
    printing: Callable[..., DigitalPost], paper: hub.Letter, folder: Path
) -> None:
    stranger = replace(paper, recipient=hub.Recipient(STRANGER, "Fremmed Prøvesen"))
    result = printing().send(stranger, KEY)
    assert isinstance(result, hub.Refused)
    assert "CPR does not know" in result.reason
    assert list(folder.glob("*.xml")) == []


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, b""), (302, b""), (500, b"<html>"), (200, b"<html>Log in</html>"), (200, b""), (200, b"<a/>"),
        (200, b"<!DOCTYPE a><a/>"), (200, b"<s:Fau"),
    ],
)  # fmt: skip
def test_a_register_that_does_not_answer_is_no_fault_of_the_letter(
    serve: Serve, printing: Callable[..., DigitalPost], paper: hub.Letter, folder: Path, status: int, body: bytes
) -> None:
    async def register(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})

    result = printing(cpr_url=serve(register)).send(paper, KEY)
    assert isinstance(result, hub.Later)
    assert EXEMPT not in result.reason
    assert list(folder.glob("*.xml")) == []


def test_an_answer_about_somebody_else_prints_nothing(
    serve: Serve, printing: Callable[..., DigitalPost], paper: hub.Letter
) -> None:
    other = etree.tostring(response("<aktuelAdresse/>", number=STRANGER))

    async def register(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"<e>" + other + b"</e>"})

    result = printing(cpr_url=serve(register)).send(paper, KEY)
    assert isinstance(result, hub.Refused)
    assert "another person" in result.reason


def test_a_name_with_markup_in_cpr_stays_a_name(
    serve: Serve, printing: Callable[..., DigitalPost], town: Town, clock: SetClock, paper: hub.Letter, folder: Path
) -> None:
    odd = Person(EXEMPT, "<b>Åge", "&\"'>", "Vej ]]> 1", "9999", "Prøveby", digital_post=False)
    other = replace(town, people=town.people | {EXEMPT: odd})
    post = printing(cpr_url=serve(cpr.app(other, clock)))
    assert isinstance(post.send(replace(paper, recipient=hub.Recipient(EXEMPT, "")), KEY), hub.Sent)
    found = texts(etree.parse(folder / f"{KEY}.print.xml").getroot())
    assert found["PersonName"] == odd.name
    assert found["PostalAddressFirstLineText"] == "Vej ]]> 1"
    assert escape(odd.name).encode() in (folder / f"{KEY}.print.xml").read_bytes()


def test_the_platform_chooses_where_it_is_to(
    printing: Callable[..., DigitalPost], letter: hub.Letter, paper: hub.Letter, folder: Path
) -> None:
    """One request for a letter, no number in an address; the same at a second try."""
    keys = [KEY[:-1] + end for end in "12"]
    post = printing(choice="platform")
    for _ in range(2):
        routes = [post.send(one, key) for one, key in zip((letter, paper), keys, strict=True)]
        assert [sent.route for sent in routes if isinstance(sent, hub.Sent)] == ["digital", "print"]
    assert sorted(file.name for file in folder.glob("*.xml")) == [f"{keys[0]}.xml", f"{keys[1]}.print.xml"]


def test_the_two_of_an_automatic_choice_are_the_same_letter(letter: hub.Letter, settings: DigitalPostSettings) -> None:
    body = kombi_request(letter, KEY, "platform", settings)
    assert body.count(KEY.encode()) == 2
    with pytest.raises(rules.RefusedError, match="not the same letter"):
        rules.read(body.replace(KEY.encode(), (KEY[:-1] + "5").encode(), 1))


class TestPaperThatComesBack:
    """Somebody else lives there now, and opens it."""

    @pytest.mark.parametrize("choice", ["ask", "platform"])
    def test_goes_to_nobody_on_paper(
        self, serve: Serve, post_at: PostAt, town: Town, clock: SetClock, folder: Path, paper: hub.Letter, choice: str
    ) -> None:
        channel = post_at(serve(digital_post.app(town, clock, folder)), choice=choice)
        result = channel.send(replace(paper, paper=False), KEY)
        assert type(result) is hub.Refused
        assert paper.recipient.cpr not in result.reason
        assert list(folder.glob("*.xml")) == []

    @pytest.mark.parametrize("choice", ["ask", "platform"])
    def test_who_is_registered_by_now_gets_it_there(
        self, serve: Serve, post_at: PostAt, town: Town, clock: SetClock, folder: Path, letter: hub.Letter, choice: str
    ) -> None:
        channel = post_at(serve(digital_post.app(town, clock, folder)), choice=choice)
        result = channel.send(replace(letter, paper=False), KEY)
        assert isinstance(result, hub.Sent)
        assert result.route == "digital"
        assert [file.name for file in folder.glob("*.xml")] == [f"{KEY}.xml"]
