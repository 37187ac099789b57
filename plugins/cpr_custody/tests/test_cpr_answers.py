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


def holds(*, since: str = "", until: str = "", holder: str = PARENT, code: str = "3") -> str:
    """One foraeldremyndighed, with dates as they are written."""
    return (
        f"<foraeldremyndighed><foraeldremyndighedtype>{code}</foraeldremyndighedtype>"
        + (f"<foraeldremyndighedStartdato><dato>{since}</dato></foraeldremyndighedStartdato>" if since else "")
        + (f"<foraeldremyndighedSletdato>{until}</foraeldremyndighedSletdato>" if until else "")
        + f"<relationPersonnummer>{holder}</relationPersonnummer></foraeldremyndighed>"
    )


DAY = date(2024, 3, 1)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2024-03-01", DAY),
        ("2024-03-01+01:00", DAY),  # as Serviceplatformen writes an xsd:date in winter
        ("2024-03-01+02:00", DAY),
        ("2024-03-01Z", DAY),
        (" 2024-03-01 ", DAY),
        ("0001-01-01", None),  # .NET's way to say that there is none
        ("0001-01-01Z", None),
        ("9999-12-31", date(9999, 12, 31)),
    ],
)
def test_days_as_they_are_written(written: str, meant: date | None, read_answers: Read) -> None:
    (found,) = read_answers(answer(CHILD, relations=holds(since=written, until=written)), answer(PARENT))
    assert isinstance(found, hub.GuardianRecord)
    assert (found.since, found.until) == (meant, meant)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2024-03-01T00:00:00.000+01:00", DAY),
        ("2024-02-29T23:00:00Z", DAY),  # midnight in Denmark
        ("2024-02-29T23:30:00.1234567Z", DAY),
        ("2024-03-01T00:00:00", DAY),
    ],
)
def test_moments_are_danish_days(written: str, meant: date, read_answers: Read) -> None:
    dead = f"<status><status>90</status><statusdato><dato>{written}</dato></statusdato></status>"
    (found,) = read_answers(answer(CHILD, relations=holds()), answer(PARENT, dead))
    assert isinstance(found, hub.GuardianRecord)
    assert found.until == meant


@pytest.mark.parametrize("written", ["01-03-2024", "2024-3-1", "20240301", "2024-02-30", "i går", "0000-00-00", "2024"])
def test_what_is_no_day_is_unreadable(written: str, read_answers: Read) -> None:
    (found,) = read_answers(answer(CHILD, relations=holds(until=written)), answer(PARENT))
    assert isinstance(found, hub.Unreadable)
    assert found.reason == "foraeldremyndighedSletdato is no date"
    assert found.cpr == CHILD


@pytest.mark.parametrize(
    ("said", "protected"),
    [
        ("", False),
        ("<beskyttet>true</beskyttet>", True),
        ("<beskyttet>false</beskyttet>", False),
        ("<startdato>2020-01-01</startdato><beskyttet>true</beskyttet>", True),
        ("<startdato>2020-01-01</startdato><slutdato>2021-01-01</slutdato><beskyttet>false</beskyttet>", False),
        # It contradicts itself, or does not say: then it is on the safe side.
        ("<startdato>2020-01-01</startdato><beskyttet>false</beskyttet>", True),
        ("<startdato>2020-01-01</startdato>", True),
        ("<startdato>2020-01-01</startdato><slutdato>2021-01-01</slutdato>", True),
        ("<startdato>0001-01-01</startdato><beskyttet>false</beskyttet>", False),
    ],
)
def test_protection(said: str, protected: bool, read_answers: Read) -> None:
    told = f"<adressebeskyttelse>{said}</adressebeskyttelse>" if said else ""
    (found,) = read_answers(answer(CHILD, relations=holds()), answer(PARENT, told))
    assert isinstance(found, hub.GuardianRecord)
    assert found.protected is protected


@pytest.mark.parametrize("code", [" 3 ", "03", "+3", "5", "6"])
def test_codes_as_a_schema_allows_them(code: str, read_answers: Read) -> None:
    (found,) = read_answers(answer(CHILD, relations=holds(code=code)), answer(PARENT))
    assert isinstance(found, hub.GuardianRecord)


@pytest.mark.parametrize(("code", "why"), [(30, "annulled"), (50, "a double"), (60, "changed")])
def test_a_number_that_holds_no_more_and_leads_nowhere(code: int, why: str, read_answers: Read) -> None:
    status = f"<status><status>{code}</status></status>"
    (child,) = read_answers(answer(CHILD, status))
    assert isinstance(child, hub.Unreadable)
    assert child.reason == f"the number is no longer valid (status {code}), and CPR names no other: look in CPR"
    (holder,) = read_answers(answer(CHILD, relations=holds()), answer(PARENT, status))
    assert isinstance(holder, hub.Unreadable)
    assert holder.reason.startswith("a holder: the number is no longer valid"), why


def test_a_dead_holder_without_a_day_is_not_told_of(read_answers: Read) -> None:
    """Then the hub ends the custody it knew; a letter to somebody dead would be worse than one too few."""
    dead = answer(PARENT, "<status><status>90</status></status>")
    other = holds(holder=OTHER, code="4")
    (found,) = read_answers(answer(CHILD, relations=holds() + other), dead, answer(OTHER))
    assert isinstance(found, hub.GuardianRecord)
    assert found.guardian_cpr == OTHER


def test_one_person_by_two_numbers_is_one_guardian(read_answers: Read) -> None:
    """The relation that ended stands there by the former number."""
    relations = holds(since="2015-01-01", until="2018-01-01", holder=OTHER) + holds(since="2020-05-05")
    former = answer(
        OTHER, f"<gaeldendePersonnummer>{PARENT}</gaeldendePersonnummer><status><status>60</status></status>"
    )
    (found,) = read_answers(answer(CHILD, relations=relations), former, answer(PARENT))
    assert isinstance(found, hub.GuardianRecord)
    assert (found.guardian_cpr, found.since, found.until) == (PARENT, date(2020, 5, 5), None)


def test_a_child_by_a_former_number_has_the_custody_of_the_present_one(read_answers: Read) -> None:
    """What stands by the former number is as it was when it was given up."""
    former = answer(CHILD, f"<gaeldendePersonnummer>{OTHER}</gaeldendePersonnummer>", relations=holds())
    (found,) = read_answers(former, answer(OTHER, relations=holds(holder="0606809992")), answer("0606809992"))
    assert isinstance(found, hub.GuardianRecord)
    assert (found.child_cpr, found.guardian_cpr) == (CHILD, "0606809992")


def test_numbers_that_lead_to_each_other_are_for_a_person(read_answers: Read) -> None:
    one = answer(CHILD, f"<gaeldendePersonnummer>{OTHER}</gaeldendePersonnummer>")
    other = answer(OTHER, f"<gaeldendePersonnummer>{CHILD}</gaeldendePersonnummer>")
    (found,) = read_answers(one, other)
    assert isinstance(found, hub.Unreadable)
    assert found.reason == "CPR says by turns that each of two numbers is the one that holds: look in CPR"


def test_an_unknown_new_number_is_for_a_person(read_answers: Read) -> None:
    (found,) = read_answers(answer(CHILD, f"<gaeldendePersonnummer>{OTHER}</gaeldendePersonnummer>"))
    assert isinstance(found, hub.Unreadable)
    assert found.reason == "CPR does not know the number that it says a person has now"


def test_all_zeros_is_nobody(read_answers: Read) -> None:
    (found,) = read_answers(answer(CHILD, relations=holds(holder="0000000000")))
    assert isinstance(found, hub.Unreadable)
    assert found.reason == "custody is held by somebody for whom CPR gives no number"
