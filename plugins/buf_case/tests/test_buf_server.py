"""The town's server follows the town's clock and refuses what is no read. Its schema: test_buf_schema."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx2 as httpx
import pytest
from lxml import etree
from tovholder_buf_case.wire import BPI, COMMON, PATH, SOAP, VARIANTS, WSI, export_request

from hub.clock import SetClock
from hub.demo.model import Person, Town
from hub.demo.servers import buf

FM = VARIANTS[0]


def post(url: str, body: etree._Element | None, path: str = PATH) -> httpx.Response:
    envelope = etree.Element(f"{{{SOAP}}}Envelope")
    inside = etree.SubElement(envelope, f"{{{SOAP}}}Body")
    if body is not None:
        inside.append(body)
    return httpx.post(url + path, content=etree.tostring(envelope))


def export(url: str, number: str, *, filtered: bool = False) -> etree._Element:
    body = export_request(number)
    if not filtered:
        for filters in body.findall(f"{{{WSI}}}filtre"):
            body.remove(filters)
    answer = post(url, body)
    assert answer.status_code == 200
    response = etree.fromstring(answer.content)[0][0]
    assert response.tag == f"{{{WSI}}}eksporterXmlFuldMyndighedResponse"
    (xml,) = response
    assert xml.tag == f"{{{WSI}}}xml"
    (root,) = xml
    assert root.tag == f"{{{FM}}}UNILoginExportFullMyndighed"
    return root


def contacts(root: etree._Element, first_name: str) -> dict[str, tuple[str, str, str]]:
    """A pupil's contact persons: name → relation, childCustody, protected."""
    for person in root.iter(f"{{{FM}}}InstitutionPerson"):
        if person.findtext(f"{{{FM}}}Person/{{{COMMON}}}FirstName") == first_name:
            return {
                found.findtext(f"{{{FM}}}Person/{{{COMMON}}}FirstName", ""): (
                    found.get("relation", ""),
                    found.get("childCustody", ""),
                    found.find(f"{{{FM}}}Person").get("protected", ""),  # always there
                )
                for found in person.iter(f"{{{FM}}}ContactPerson")
            }
    raise AssertionError(f"{first_name} is not in the export")


def test_the_agreements_list_every_institution(server: Any) -> None:
    answer = post(server.url, etree.Element(f"{{{WSI}}}hentDataAftalerFuldMyndighed"))
    response = etree.fromstring(answer.content)[0][0]
    assert [found.text for found in response.iter(f"{{{BPI}}}regnr")] == ["101001", "101002", "201001"]


def test_contact_persons_carry_custody_and_protection_of_the_day(server: Any, clock: SetClock) -> None:
    """Bo's father has custody until 2 September; then an aunt has."""
    alma = contacts(export(server.url, "101001"), "Alma")
    assert alma == {"Mona": ("Mor", "true", "true"), "Frank": ("Far", "false", "false")}
    before = contacts(export(server.url, "101001"), "Bo")
    assert before == {"Mona": ("Mor", "false", "true"), "Frank": ("Far", "true", "false")}
    clock.move(timedelta(hours=17))  # past midnight in Denmark
    after = contacts(export(server.url, "101001"), "Bo")
    assert after == {
        "Mona": ("Mor", "false", "true"),
        "Frank": ("Far", "false", "false"),
        "Tanja": ("Andet", "true", "false"),
    }


def test_filters_leave_out_what_is_not_asked_for(server: Any) -> None:
    root = export(server.url, "101001", filtered=True)
    assert next(root.iter(f"{{{FM}}}ContactPerson"), None) is None
    assert len(list(root.iter(f"{{{FM}}}Student"))) == 2
    assert len(list(root.iter(f"{{{COMMON}}}Employee"))) == 2
    assert len(list(root.iter(f"{{{COMMON}}}CivilRegistrationNumber"))) == 2


def test_pupils_follow_the_towns_clock(server: Any, clock: SetClock) -> None:
    def pupils() -> list[str]:
        found = export(server.url, "101002").iter(f"{{{FM}}}InstitutionPerson")
        return [
            p.findtext(f"{{{FM}}}Person/{{{COMMON}}}FirstName", "")
            for p in found
            if p.find(f"{{{FM}}}Student") is not None
        ]

    assert pupils() == ["Carl", "Dina"]
    clock.move(timedelta(days=3))
    assert pupils() == ["Dina"]
    clock.move(timedelta(days=1))
    assert pupils() == ["Dina", "Erik"]


def test_replacement_numbers_are_marked(server: Any) -> None:
    kinds = [found.text for found in export(server.url, "101002").iter(f"{{{COMMON}}}CivilRegistrationNumberType")]
    assert kinds == ["CPR_VERIFIED", "CPR_REPLACEMENT_ID"]


def test_names_with_signs_of_xml_come_through(server: Any) -> None:
    root = export(server.url, "201001")
    assert root.findtext(f".//{{{COMMON}}}InstitutionName") == "Byskolen <midt i byen>"
    assert next(export(server.url, "101001").iter(f"{{{COMMON}}}FamilyName")).text == "Prøve & Søn"


def test_an_export_carries_its_time_and_is_else_the_same(server: Any, clock: SetClock) -> None:
    first = export(server.url, "101001")
    clock.move(timedelta(hours=1))
    second = export(server.url, "101001")
    times = {root.attrib.pop("exportDateTime") for root in (first, second)}
    assert len(times) == 2
    assert etree.tostring(first) == etree.tostring(second)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "GET"])
def test_other_methods_are_refused(method: str, server: Any) -> None:
    assert httpx.request(method, server.url + PATH).status_code == 405


def test_other_operations_and_addresses_are_refused(server: Any) -> None:
    for name in ("importerXml", "eksporterXmlAlt", "helloWorldWithCertificate"):
        answer = post(server.url, etree.Element(f"{{{WSI}}}{name}"))
        assert answer.status_code == 400
        assert etree.fromstring(answer.content).find(f".//{{{SOAP}}}Fault") is not None
    assert post(server.url, None).status_code == 400
    assert post(server.url, export_request("999999")).status_code == 400
    assert post(server.url, export_request("101001"), "/bpi/wsiimport/7").status_code == 404
    assert httpx.post(server.url + PATH, content=b"no xml").status_code == 400


class Counting(dict[str, Person]):
    """The town's people, counting how often one is looked up."""

    looked_up = 0

    def __getitem__(self, cpr: str) -> Person:
        self.looked_up += 1
        return super().__getitem__(cpr)


def test_an_export_is_made_once_while_nothing_changes(town: Town, clock: SetClock, serve: Callable[[Any], Any]) -> None:
    people = Counting(town.people)
    server = serve(buf.app(dataclasses.replace(town, people=people), clock))
    for _again in range(3):
        export(server.url, "101001", filtered=True)
        assert people.looked_up == 2  # Alma and Bo
        clock.move(timedelta(hours=15))
    clock.move(timedelta(days=1))  # Bo's adviser is another now
    export(server.url, "101001", filtered=True)
    assert people.looked_up == 4
