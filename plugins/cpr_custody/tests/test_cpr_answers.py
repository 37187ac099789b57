"""Answers written by hand: what CPR can say of a child and its guardians, and what is made of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from tovholder_cpr_custody import CprAdapter, CprSettings

import hub

NS = "http://serviceplatformen.dk/xml/wsdl/soap11/CPR/PersonBaseDataExtended/4/"
Read = Callable[..., list[hub.Record]]


def answer(number: str, persondata: str = "", relations: str = "") -> str:
    said = f"<personnummer>{number}</personnummer>" if number else ""
    return (
        f'<PersonLookupResponse xmlns="{NS}"><persondata>{said}{persondata}'
        f"<antalBoernUnder18>0</antalBoernUnder18></persondata><relationer>{relations}</relationer>"
        "</PersonLookupResponse>"
    )


CHILD, PARENT, OTHER = "0101159994", "0404859990", "0505839991"
MOTHER = "<foraeldremyndighed><foraeldremyndighedtype>3</foraeldremyndighedtype>%s</foraeldremyndighed>"


@pytest.fixture
def read_answers(tmp_path: Path) -> Read:
    """Reads handwritten answers for CHILD, each in a file of its own; gives what they say beside who the child is."""

    def read(*answers: str) -> list[hub.Record]:
        for place, text in enumerate(answers):
            (tmp_path / f"{place}.xml").write_text(text, encoding="utf-8")
        pages = CprAdapter(CprSettings(folder=tmp_path)).read(None, {CHILD})
        return [record for page in pages for record in page.records if not isinstance(record, hub.PersonRecord)]

    return read


def test_mothers_number_may_stand_with_the_mother(read_answers: Read) -> None:
    relations = f"<mor><personnummer>{PARENT}</personnummer></mor>" + MOTHER % ""
    (found,) = read_answers(answer(CHILD, relations=relations), answer(PARENT))
    assert isinstance(found, hub.GuardianRecord)
    assert (found.guardian_cpr, found.since, found.digital_post) == (PARENT, None, None)


def test_parents_without_custody_are_no_guardians(read_answers: Read) -> None:
    relations = f"<mor><personnummer>{PARENT}</personnummer></mor><far><personnummer>{OTHER}</personnummer></far>"
    assert read_answers(answer(CHILD, relations=relations), answer(PARENT), answer(OTHER)) == []


def test_custody_that_ended_and_began_again_is_one_guardian(read_answers: Read) -> None:
    holder = f"<relationPersonnummer>{PARENT}</relationPersonnummer>"
    since = "<foraeldremyndighedStartdato><dato>{}</dato></foraeldremyndighedStartdato>"
    ended = since.format("2015-01-01") + "<foraeldremyndighedSletdato>2018-01-01</foraeldremyndighedSletdato>" + holder
    relations = MOTHER % (since.format("2020-05-05") + holder) + MOTHER % ended
    (found,) = read_answers(answer(CHILD, relations=relations), answer(PARENT))
    assert isinstance(found, hub.GuardianRecord)
    assert (found.since, found.until) == (date(2020, 5, 5), None)


def test_dead_holder_has_no_custody_after_that_day(read_answers: Read) -> None:
    relations = MOTHER % f"<relationPersonnummer>{PARENT}</relationPersonnummer>"
    dead = "<status><status>90</status><statusdato><dato>2025-12-24T00:00:00.000+01:00</dato></statusdato></status>"
    (found,) = read_answers(answer(CHILD, relations=relations), answer(PARENT, dead))
    assert isinstance(found, hub.GuardianRecord)
    assert found.until == date(2025, 12, 24)


@pytest.mark.parametrize(
    ("relations", "more", "reason"),
    [
        (MOTHER % "", [], "custody is held by somebody for whom CPR gives no number"),
        (
            MOTHER % f"<relationPersonnummer>{PARENT}</relationPersonnummer>",
            [],
            "CPR does not know the number of a custody holder",
        ),
        (
            MOTHER % "<foraeldremyndighedSletdato>2025-13-01</foraeldremyndighedSletdato>",
            [],
            "foraeldremyndighedSletdato is no date",
        ),
        (
            "<foraeldremyndighed><foraeldremyndighedtype>9</foraeldremyndighedtype></foraeldremyndighed>",
            [],
            "foraeldremyndighedtype is none of 3, 4, 5, 6",
        ),
    ],
)
def test_custody_nobody_can_be_written_to_about_is_unreadable(
    relations: str, more: list[str], reason: str, read_answers: Read
) -> None:
    (found,) = read_answers(answer(CHILD, relations=relations), *more)
    assert isinstance(found, hub.Unreadable)
    assert found.reason == reason
    assert CHILD not in found.position
    assert PARENT not in found.position


def test_answer_without_a_number_is_unreadable_alone(read_answers: Read) -> None:
    relations = MOTHER % f"<relationPersonnummer>{PARENT}</relationPersonnummer>"
    bad, good = read_answers(answer(""), answer(CHILD, relations=relations), answer(PARENT))
    assert isinstance(bad, hub.Unreadable)
    assert bad.position == "0.xml, answer 1"
    assert isinstance(good, hub.GuardianRecord)


def test_a_file_named_by_a_number_is_told_by_its_place(tmp_path: Path) -> None:
    (tmp_path / f"{CHILD}.xml").write_text(answer(""), encoding="utf-8")
    (found,) = [r for page in CprAdapter(CprSettings(folder=tmp_path)).read(None, frozenset()) for r in page.records]
    assert isinstance(found, hub.Unreadable)
    assert found.position == "file 1, answer 1"


def test_new_number_of_a_guardian_counts(read_answers: Read) -> None:
    relations = MOTHER % f"<relationPersonnummer>{PARENT}</relationPersonnummer>"
    changed = answer(PARENT, f"<gaeldendePersonnummer>{OTHER}</gaeldendePersonnummer>")
    (found,) = read_answers(answer(CHILD, relations=relations), changed, answer(OTHER))
    assert isinstance(found, hub.GuardianRecord)
    assert found.guardian_cpr == OTHER


def test_protection_without_a_yes_or_no_is_on_the_safe_side(read_answers: Read) -> None:
    relations = MOTHER % f"<relationPersonnummer>{PARENT}</relationPersonnummer>"
    unclear = "<adressebeskyttelse><startdato>2020-01-01</startdato></adressebeskyttelse>"
    (found,) = read_answers(answer(CHILD, relations=relations), answer(PARENT, unclear))
    assert isinstance(found, hub.GuardianRecord)
    assert found.protected
