"""Order, names and types against the fragments of the schema: the server's answers, the adapter's requests and the
examples made by hand. Skipped where the fragments are not to be had."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from lxml import etree
from tovholder_buf_case.wire import BPI, PATH, SOAP, VARIANTS, WSI, export_request

Schema = Callable[[etree._Element, str], None]
FM = VARIANTS[0]
EXPORT = f"{{{FM}}}uniLoginExportFullMyndighed"
XS = "{http://www.w3.org/2001/XMLSchema}"


def ask(url: str, body: etree._Element) -> etree._Element:
    """The response element inside the SOAP body."""
    envelope = etree.Element(f"{{{SOAP}}}Envelope")
    etree.SubElement(envelope, f"{{{SOAP}}}Body").append(body)
    answer = httpx.post(url + PATH, content=etree.tostring(envelope))
    assert answer.status_code == 200
    return etree.fromstring(answer.content)[0][0]


@pytest.fixture(scope="session")
def keeps_schema(fragments: str) -> Callable[[etree._Element, str], None]:
    """Checks an element against a type of the fragments; says the path of what is wrong.

    Order and number of children, namespaces, required and known attributes, and the simple types whose definition is
    among the fragments, are checked; text of other simple types is not."""
    types = _types(fragments)

    def check(element: etree._Element, type_name: str) -> None:
        _check(element, types[type_name], types, etree.QName(element).localname)

    return check


def test_exports_keep_the_schema(server: Any, keeps_schema: Schema) -> None:
    for number in ("101001", "101002", "201001"):
        asked = export_request(number)
        keeps_schema(ask(server.url, asked)[0][0], EXPORT)
        everything = export_request(number)
        everything.remove(everything[1])  # no filter
        found = ask(server.url, everything)[0][0]
        keeps_schema(found, EXPORT)
        assert number != "101001" or next(found.iter(f"{{{FM}}}ContactPerson")) is not None


def test_an_export_is_wrapped_as_the_schema_says(server: Any, keeps_schema: Schema) -> None:
    response = ask(server.url, export_request("101001"))
    assert response.tag == f"{{{WSI}}}eksporterXmlFuldMyndighedResponse"
    keeps_schema(response, f"{{{WSI}}}EksporterXmlResponseFullMyndighed")
    assert response[0][0].tag == f"{{{FM}}}UNILoginExportFullMyndighed"


def test_the_agreements_keep_the_schema(server: Any, keeps_schema: Schema) -> None:
    response = ask(server.url, etree.Element(f"{{{WSI}}}hentDataAftalerFuldMyndighed"))
    assert len(response) == 3
    keeps_schema(response, f"{{{BPI}}}HentDataAftalerResponse")


def test_examples_made_by_hand_keep_the_schema(examples: Path, keeps_schema: Schema) -> None:
    for path in examples.glob("*.xml"):
        keeps_schema(etree.parse(path).getroot(), EXPORT)


def test_requests_keep_the_schema(keeps_schema: Schema) -> None:
    keeps_schema(export_request("101001"), f"{{{WSI}}}EksporterXmlRequestFuld")


def test_the_schema_check_sees_a_wrong_order(examples: Path, keeps_schema: Schema) -> None:
    root = etree.parse(examples / "101001.xml").getroot()
    person = next(root.iter(f"{{{FM}}}Person"))
    person.append(person[0])
    with pytest.raises(AssertionError, match="FirstName"):
        keeps_schema(root, EXPORT)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("CPR_VERIFIED", "VERIFIED"),
        ('relation="Mor"', 'relation="Forælder"'),
        ('protected="true"', ""),
        ("2025-08-11", "11-08-2025"),
        ("<c:Level>6</c:Level>", ""),
        ("<c:PostalCode>2400</c:PostalCode>", "<c:Postnummer>2400</c:Postnummer>"),
    ],
)
def test_the_schema_check_sees_a_wrong_value(old: str, new: str, examples: Path, keeps_schema: Schema) -> None:
    text = (examples / "101001.xml").read_text(encoding="utf-8")
    assert old in text
    with pytest.raises((AssertionError, ValueError)):
        keeps_schema(etree.fromstring(text.replace(old, new).encode()), EXPORT)


_PLACES = {
    "brugerdatabasen/common/v3/": BPI,
    "brugerdatabasen/bpi/wsieksport/_7/": WSI,
    **{f"brugerdatabasen/bpi/wsieksport/_7/{name}/": f"{WSI}/{name}" for name in ("common", "full", "fullmyndighed")},
}
# Attributes of importSourceAttrs, which is not among the fragments: as the classes that read them name them.
_IMPORT_SOURCE = ("sourceDateTime", "source", "schoolYear")


def _types(text: str) -> dict[str, etree._Element]:
    """The fragments by `{namespace}name`; the types without a name, of global elements, by the element's name."""
    found = {}
    for place, body in re.findall(r"<!-- (\S+)\.java -->\n(.*?)(?=\n<!-- |\Z)", text, re.DOTALL):
        folder, _, file = place.rpartition("/")
        namespace = _PLACES.get(folder + "/")
        if namespace is not None:
            root = etree.fromstring(re.sub(r'base="<([^>]*)>', r'base="{\1}', body))
            root.set("ns", namespace)
            found[f"{{{namespace}}}{root.get('name', file)}"] = root
    return found


def _particles(kind: etree._Element, types: dict[str, etree._Element]) -> list[etree._Element]:
    """The elements and choices of a complex type in order, those of the extended type first."""
    derived = kind.find("complexContent")
    derived = derived[0] if derived is not None else kind
    base = types.get(derived.get("base", ""))
    inherited = _particles(base, types) if base is not None and derived.tag == "extension" else []
    for own in derived.iterfind("sequence/*"):
        for one in own.iter("element"):
            one.set("ns", kind.get("ns", ""))
        inherited.append(own)
    return inherited


def _attributes(kind: etree._Element, types: dict[str, etree._Element]) -> dict[str, etree._Element | None]:
    found: dict[str, etree._Element | None] = {}
    for derived in kind.iter("restriction", "extension"):
        base = types.get(derived.get("base", ""))
        if base is not None:
            found.update(_attributes(base, types))
        found.update({one.get("name", ""): one for one in derived.iterfind("attribute")})
        if derived.find("attGroup") is not None:
            found.update(dict.fromkeys(_IMPORT_SOURCE))
    return found


def _check(element: etree._Element, kind: etree._Element, types: dict[str, etree._Element], path: str) -> None:
    attributes = _attributes(kind, types)
    assert set(element.attrib) <= set(attributes), f"{path}: attributes {set(element.attrib) - set(attributes)}"
    for name, declared in attributes.items():
        assert element.get(name) is not None, f"{path}: attribute {name} is missing"  # all are required
        if declared is not None:
            _check_text(element.get(name, ""), declared.get("type", ""), types, f"{path}/@{name}")
            assert element.get(name) == declared.get("fixed", element.get(name)), f"{path}/@{name}"
    children = [child for child in element if isinstance(child.tag, str)]
    for particle in _particles(kind, types) if kind.tag == "complexType" else []:
        options = {}
        for one in particle.iter("element"):
            name = one.get("ref") or f"{{{one.get('ns')}}}{one.get('name')}"
            options[name] = one.get("type") or _GLOBAL.get(name, name)
        most = particle.get("maxOccurs", "1")
        count = 0
        while children and children[0].tag in options and (most == "unbounded" or count < int(most)):
            child = children.pop(0)
            below = f"{path}/{etree.QName(child).localname}"
            declared_type = options[child.tag]
            if declared_type in types and types[declared_type].tag == "complexType":
                _check(child, types[declared_type], types, below)
            else:
                _check_text(child.text or "", declared_type, types, below)
            count += 1
        assert count >= int(particle.get("minOccurs", "1")), f"{path}: missing {sorted(options)}"
    left = [etree.QName(child).localname for child in children]
    assert kind.find("simpleContent") is not None or not left, f"{path}: not here, or not in this order: {left}"


_GLOBAL = {
    f"{{{WSI}/common}}Address": f"{{{WSI}/common}}address",
    f"{{{WSI}/common}}CivilRegistrationNumberType": f"{{{WSI}/common}}cprType",
    f"{{{WSI}/common}}Gender": f"{{{WSI}/common}}gender",
    f"{{{WSI}/common}}CountryCode": f"{{{WSI}/common}}countryCode",
    f"{{{WSI}/common}}BirthDate": f"{XS}date",
}


def _check_text(text: str, declared: str, types: dict[str, etree._Element], path: str) -> None:
    if declared == f"{XS}boolean":
        assert text in ("true", "false", "0", "1"), f"{path}: no boolean"
    elif declared == f"{XS}date":
        date.fromisoformat(text)
    elif declared == f"{XS}dateTime":
        assert datetime.fromisoformat(text).tzinfo is not None, f"{path}: no zone"
    elif declared in types:
        allowed = {one.get("value") for one in types[declared].iter("enumeration")}
        assert text in allowed, f"{path}: {text} is none of {sorted(map(str, allowed))}"
