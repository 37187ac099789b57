"""The official schema and the national test families: what CPR may say, and who the guardians then are.

There are no recorded answers of SF1520 in the standards, only its contract; so the families of HL7 Denmark's dk-core
are served by the town's CPR, and an answer with every element of the schema is written here."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from tovholder_cpr_custody import CprAdapter, CprSettings, wire

import hub
from hub.clock import SetClock
from hub.demo.model import Custody, Person, Town
from hub.demo.servers import cpr

NS = "http://serviceplatformen.dk/xml/wsdl/soap11/CPR/PersonBaseDataExtended/4/"
CPR_SYSTEM = "urn:oid:1.2.208.176.1.2"
SINCE = date(2020, 1, 1)

GUARDIANS = {
    # The father has custody; the mother (Kirsten) is a parent and no more.
    "0505209996": {"1502779995"},
    # Only a parent each, and nobody says that they have custody.
    "3101229995": set(),
    "0505159995": set(),
    "0505239996": set(),
    "0505109990": set(),  # and a grandparent
    "0505059996": set(),
    # Mother and guardian, of twins who are grown; their father is no guardian.
    "0104909995": {"0108629996"},
    "0104909989": {"0108629996"},
    # A daughter's guardian is her mother; a father's guardian is his daughter.
    "1509819996": {"2512489996"},
    "0211223989": {"2512489996"},
}
"""Worked out by hand from the RelatedPerson resources: GUARD is custody, MTH and FTH are not."""
PROTECTED = "1502779995"
"""Ruddi Berggren, whose Patient-Confidential is marked R: name and address are protected."""


def cpr_of(resource: dict[str, Any]) -> str | None:
    found = [each["value"] for each in resource.get("identifier", []) if each.get("system") == CPR_SYSTEM]
    return found[0] if found else None


@pytest.fixture
def families(standards: Path) -> Town:
    """dk-core's patients and who is whose guardian or parent, as a town."""
    people: dict[str, Person] = {}
    patients: dict[str, str] = {}
    for path in sorted((standards / "fhir/dk-core").glob("Patient-*.json")):
        patient = json.loads(path.read_text(encoding="utf-8"))
        number = cpr_of(patient)
        if number is None or not patient.get("name"):
            continue
        patients[patient["id"]] = number
        name = patient["name"][0]
        secret = any(each.get("code") == "R" for each in patient.get("meta", {}).get("security", []))
        known = people.get(number)
        people[number] = Person(
            number,
            " ".join(name.get("given", [])),
            name.get("family", ""),
            "Testvej 1",
            "8000",
            "Aarhus",
            protected=secret or (known is not None and known.protected),
        )
    roles: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path in sorted((standards / "fhir/dk-core").glob("RelatedPerson-*.json")):
        related = json.loads(path.read_text(encoding="utf-8"))
        about, number = patients.get(related["patient"]["reference"].removeprefix("Patient/")), cpr_of(related)
        if about and number:
            roles[about, number] |= {c["code"] for each in related["relationship"] for c in each["coding"]}
    custody: dict[str, tuple[Custody, ...]] = {}
    parents: dict[str, tuple[str, ...]] = {}
    for (about, number), codes in sorted(roles.items()):
        if "GUARD" in codes:
            relation = "mor" if "MTH" in codes else "far" if "FTH" in codes else "anden"
            custody[about] = (*custody.get(about, ()), Custody(about, number, relation, SINCE))
        if codes & {"MTH", "FTH"}:
            parents[about] = (*parents.get(about, ()), number)
    return Town(1, datetime(2026, 1, 5, tzinfo=UTC), people, custody, parents, {}, {}, (), {})


@pytest.fixture
def read(families: Town, serve: Callable[[Any], str]) -> Iterator[list[hub.Record]]:
    adapter = CprAdapter(CprSettings(url=serve(cpr.app(families, SetClock(families.start)))))
    yield [record for page in adapter.read(None, set(GUARDIANS)) for record in page.records]
    adapter.close()


def test_the_national_families(read: list[hub.Record], families: Town) -> None:
    found: dict[str, set[str]] = {child: set() for child in GUARDIANS}
    for record in read:
        assert not isinstance(record, hub.Unreadable), record
        if isinstance(record, hub.GuardianRecord):
            found[record.child_cpr].add(record.guardian_cpr)
            assert record.protected == (record.guardian_cpr == PROTECTED)
    assert found == GUARDIANS
    names = {record.cpr: record.name for record in read if isinstance(record, hub.PersonRecord)}
    assert names["0505209996"] == "Rikke Test Berggren"
    assert set(families.people) > set(GUARDIANS)


EVERYTHING = f"""<PersonLookupResponse xmlns="{NS}">
<persondata>
 <personnummer>0101159994</personnummer><gaeldendePersonnummer>0101159994</gaeldendePersonnummer>
 <navn><personadresseringsnavn>Prøve,Anna S</personadresseringsnavn><fornavn>Anna</fornavn>
  <mellemnavn>Sofie</mellemnavn><efternavn>Prøve</efternavn><fornavnMarkering>+</fornavnMarkering>
  <navnestartdato><dato>2015-01-02T00:00:00.000+01:00</dato><usikkerhedsmarkering>*</usikkerhedsmarkering>
  </navnestartdato></navn>
 <foedselsdato><dato>2015-01-01</dato><usikkerhedsmarkering/></foedselsdato>
 <foedselsregistreringsOplysninger><foedselsregistreringsstedKode>101</foedselsregistreringsstedKode>
 </foedselsregistreringsOplysninger>
 <startdato><dato>2015-01-01</dato></startdato><slutdato><dato>2033-01-01</dato></slutdato>
 <alder>11</alder><koen>K</koen><antalBoernUnder18>0</antalBoernUnder18><stilling>Elev</stilling>
 <status><status>1</status><statusdato><dato>2015-01-01T00:00:00.000+01:00</dato></statusdato></status>
 <separation><separeret>false</separeret></separation>
 <civilstand><civilstand>U</civilstand><civilstandsdato><dato>2015-01-01T00:00:00</dato></civilstandsdato></civilstand>
 <statsborgerskab><landekode>5100</landekode></statsborgerskab>
 <umyndiggoerelse><umyndiggorelseRelationType>1</umyndiggorelseRelationType>
  <relationPersonnummer>0808759994</relationPersonnummer>
  <umyndiggoerelseStartdato><dato>2020-01-01</dato></umyndiggoerelseStartdato><umyndiggjort>true</umyndiggjort>
 </umyndiggoerelse>
 <forsvindingsdato><dato>2020-01-01T00:00:00Z</dato></forsvindingsdato>
 <adressebeskyttelse><startdato>2020-01-01</startdato><slutdato>2030-01-01</slutdato><beskyttet>true</beskyttet>
 </adressebeskyttelse>
 <vejviserbeskyttelse><beskyttet>false</beskyttet></vejviserbeskyttelse>
 <markedsfoeringsbeskyttelse><beskyttet>false</beskyttet></markedsfoeringsbeskyttelse>
 <tilmeldtNemsms>false</tilmeldtNemsms><tilmeldtDigitalpost>false</tilmeldtDigitalpost>
</persondata>
<adresse>
 <aktuelAdresse><kommunekode>101</kommunekode><husnummer>1</husnummer><vejnavn>Hemmelig Vej</vejnavn>
  <distrikter><postnummer>2300</postnummer></distrikter></aktuelAdresse>
 <udrejseoplysninger><udrejselandekode>5120</udrejselandekode></udrejseoplysninger>
 <kontaktAdresse><kontaktAdr1>Hemmelig Gård</kontaktAdr1></kontaktAdresse>
 <adresseHistorik><vejnavn>Gammel Vej</vejnavn></adresseHistorik>
</adresse>
<relationer>
 <aegtefaelle><navn>Nogen</navn></aegtefaelle>
 <barn><personnummer>0101409990</personnummer></barn>
 <mor><personnummer>0404859990</personnummer></mor>
 <far><foedselsdato><dato>1983-05-05</dato></foedselsdato><navn>Lars Prøve</navn></far>
 <foraeldremyndighed><foraeldremyndighedtype>3</foraeldremyndighedtype>
  <foraeldremyndighedStartdato><dato>2015-01-01</dato><usikkerhedsmarkering>*</usikkerhedsmarkering>
  </foraeldremyndighedStartdato><foraeldremyndighedSletdato>2033-01-01</foraeldremyndighedSletdato></foraeldremyndighed>
 <foraeldremyndighed><foraeldremyndighedtype>4</foraeldremyndighedtype></foraeldremyndighed>
 <foraeldremyndighed><foraeldremyndighedtype>5</foraeldremyndighedtype>
  <relationPersonnummer>0808759994</relationPersonnummer><relationStartdato>2020-03-03</relationStartdato>
 </foraeldremyndighed>
</relationer>
<notater><notanr>1</notanr><notatlinie>Hemmeligt</notatlinie></notater>
</PersonLookupResponse>"""


def test_an_answer_with_everything_in_it(schema: etree.XMLSchema) -> None:
    root = etree.fromstring(EVERYTHING)
    schema.assertValid(root)
    found = wire.read(root, "")
    assert isinstance(found, wire.Person)
    assert found.name == "Anna Sofie Prøve"
    assert (found.protected, found.digital_post, found.dead) == (True, False, False)
    assert [(each.holder, each.since, each.until) for each in found.custody] == [
        ("0404859990", date(2015, 1, 1), date(2033, 1, 1)),  # type 3: the mother's number stands with the mother
        (None, None, None),  # type 4: the father has no number
        ("0808759994", date(2020, 3, 3), None),
    ]
    for secret in ("Hemmelig", "Gammel", "Elev", "Nogen", "Lars", "5100", "2020, 1, 1"):
        assert secret not in repr(found), "only what the hub needs leaves the answer"


def test_an_answer_with_nothing_in_it(schema: etree.XMLSchema) -> None:
    """All of it is optional in the schema, the number too."""
    root = etree.fromstring(f'<PersonLookupResponse xmlns="{NS}"/>')
    schema.assertValid(root)
    found = wire.read(root, "")
    assert isinstance(found, hub.Unreadable)
    assert found.reason == "the answer has no persondata/personnummer"
