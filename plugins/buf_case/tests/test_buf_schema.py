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
from tovholder_buf_case.person import NUMBER_TYPES
from tovholder_buf_case.settings import Variant
from tovholder_buf_case.wire import ABOUT_US, BPI, PATH, SMALL, SOAP, VARIANTS, WSI, export_request

from hub.demo.model import Town
from hub.demo.servers import buf

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


def asked(number: str, variant: buf.Variant) -> etree._Element:
    """The adapter's own request; for Lille, which it never asks for, one without filters."""
    if variant is not buf.Variant.LILLE:
        return export_request(number, Variant(variant.operation))
    body = etree.Element(f"{{{WSI}}}eksporterXmlLille")
    etree.SubElement(body, f"{{{WSI}}}instnr").text = number
    return body


def type_of(variant: buf.Variant) -> str:
    return f"{{{variant.namespace}}}{variant.root.replace('UNI', 'uni')}"


@pytest.mark.parametrize("variant", list(buf.Variant))
def test_exports_keep_the_schema(variant: buf.Variant, server: Any, keeps_schema: Schema) -> None:
    for number in ("101001", "101002", "201001"):
        keeps_schema(ask(server.url, asked(number, variant))[0][0], type_of(variant))
        everything = asked(number, variant)
        for filters in everything.findall(f"{{{WSI}}}filtre"):
            everything.remove(filters)
        found = ask(server.url, everything)[0][0]
        keeps_schema(found, type_of(variant))
        contact = next(found.iter(f"{{{variant.namespace}}}ContactPerson"), None)
        assert (contact is not None) == (variant.full and number == "101001")


@pytest.mark.parametrize("variant", list(buf.Variant))
def test_an_export_is_wrapped_as_the_schema_says(variant: buf.Variant, server: Any, keeps_schema: Schema) -> None:
    response = ask(server.url, asked("101001", variant))
    assert response.tag == f"{{{WSI}}}eksporterXml{variant.operation}Response"
    keeps_schema(response, f"{{{WSI}}}EksporterXmlResponse{variant.root.removeprefix('UNILoginExport')}")
    assert response[0][0].tag == f"{{{variant.namespace}}}{variant.root}"


@pytest.mark.parametrize("variant", list(buf.Variant))
def test_the_agreements_keep_the_schema(variant: buf.Variant, server: Any, keeps_schema: Schema) -> None:
    response = ask(server.url, etree.Element(f"{{{WSI}}}hentDataAftaler{variant.operation}"))
    assert len(response) == 3
    keeps_schema(response, f"{{{BPI}}}HentDataAftalerResponse")


@pytest.mark.parametrize("variant", list(buf.Variant))
def test_saved_exports_keep_the_schema(variant: buf.Variant, town: Town, tmp_path: Path, keeps_schema: Schema) -> None:
    buf.save(town, town.start, tmp_path, variant)
    for path in tmp_path.iterdir():
        keeps_schema(etree.parse(path).getroot(), type_of(variant))


def test_the_builder_of_the_tests_keeps_the_schema(
    make_export: Callable[..., str], make_pupil: Callable[..., str], keeps_schema: Schema
) -> None:
    """Else the rules shown with it would be rules about something else."""
    text = make_export("101001", make_pupil("0104149990"), make_pupil(None, groups=("H", "I")))
    keeps_schema(etree.fromstring(text), EXPORT)


def test_examples_made_by_hand_keep_the_schema(examples: Path, keeps_schema: Schema) -> None:
    for path in examples.glob("*.xml"):
        keeps_schema(etree.parse(path).getroot(), EXPORT)


def test_the_schema_has_four_variants_and_no_more(fragments: str) -> None:
    """Three with numbers, which are read, and Lille, which is told."""
    found = set(re.findall(r'ref="\{([^}]*)\}(UNILoginExport\w*)"', fragments))
    assert found == {(variant.namespace, variant.root) for variant in buf.Variant}
    assert {namespace for namespace, _root in found} == {*VARIANTS, SMALL}


@pytest.mark.parametrize(
    ("variant", "name"), [(Variant.FULD_MYNDIGHED, "Fuld"), (Variant.FULD, "Fuld"), (Variant.MELLEM, "Mellem")]
)
def test_requests_keep_the_schema(variant: Variant, name: str, keeps_schema: Schema) -> None:
    keeps_schema(export_request("101001", variant), f"{{{WSI}}}EksporterXmlRequest{name}")


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


_SPACES = ("common", "full", "fullmyndighed", "medium", "small")
_PLACES = {
    "brugerdatabasen/common/v3/": BPI,
    "brugerdatabasen/bpi/wsieksport/_7/": WSI,
    **{f"brugerdatabasen/bpi/wsieksport/_7/{name}/": f"{WSI}/{name}" for name in _SPACES},
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


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Elevrolle", {"Barn", "Elev", "Studerende"}),
        ("importGroupType", {"Hovedgruppe", "Årgang", "Retning", "Hold", "SFO", "Team", "Andet"}),
        ("cprType", {"CPR_UNKNOWN_TYPE", *NUMBER_TYPES} - {""}),
        ("Kontaktpersonsrelation", {"Mor", "Far", "Andet", "Officielt tilknyttet person"}),
    ],
)
def test_the_words_the_plugin_and_its_tests_know_are_the_schemas(name: str, words: set[str], fragments: str) -> None:
    (body,) = re.findall(rf'<simpleType name="{name}">(.*?)</simpleType>', fragments, re.DOTALL)
    assert set(re.findall(r'value="([^"]*)"', body)) == words


def test_every_reason_for_a_refusal_is_known(fragments: str) -> None:
    (body,) = re.findall(r'<complexType name="AuthentificationError">(.*?)</complexType>', fragments, re.DOTALL)
    assert set(re.findall(r'enumeration value="([^"]*)"', body)) == {*ABOUT_US, "Rettigheder"}
