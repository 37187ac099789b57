"""CPR numbers, checked against a table of their own: standards/README.md section 5, MedCom and NSP for eCPR."""

from __future__ import annotations

import csv
import os
import re
import string
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import BadRecord
from hub.identity import CprKind, mask, parse

STANDARDS = Path(os.environ.get("TOVHOLDER_STANDARDS", Path(__file__).parents[2] / "shared" / "standards"))
TEST_PERSONS = STANDARDS / "cpr" / "dk-core-test-persons.csv"

CENTURIES = {
    # position 7: ((from year, to year) of the two digits, century), all a hundred years covered
    "0": [(0, 99, 1900)],
    "1": [(0, 99, 1900)],
    "2": [(0, 99, 1900)],
    "3": [(0, 99, 1900)],
    "4": [(0, 36, 2000), (37, 99, 1900)],
    "5": [(0, 57, 2000), (58, 99, 1800)],
    "6": [(0, 57, 2000), (58, 99, 1800)],
    "7": [(0, 57, 2000), (58, 99, 1800)],
    "8": [(0, 57, 2000), (58, 99, 1800)],
    "9": [(0, 36, 2000), (37, 99, 1900)],
}
ECPR = {
    # position 7: kind, century
    "1": (CprKind.X_ECPR, 1900),
    "7": (CprKind.X_ECPR, 2000),
    "0": (CprKind.D_ECPR, 1900),
    "5": (CprKind.D_ECPR, 1800),
    "6": (CprKind.D_ECPR, 2000),
}
WEIGHTS = (4, 3, 2, 7, 6, 5, 4, 3, 2, 1)

seventh = st.sampled_from(string.digits)
years = st.integers(0, 99)
tail = st.text(string.digits, min_size=3, max_size=3)
letters = st.text(string.ascii_uppercase, min_size=2, max_size=2)


def century(digit: str, year: int) -> int:
    return next(hundred for low, high, hundred in CENTURIES[digit] if low <= year <= high)


@st.composite
def persons(draw: st.DrawFn, add_to_day: int = 0) -> tuple[str, date]:
    """A number and the birth date that it must say."""
    digit, year = draw(seventh), draw(years)
    full = century(digit, year) + year
    born = draw(st.dates(date(full, 1, 1), date(full, 12, 31)))
    return f"{born.day + add_to_day:02}{born:%m}{year:02}{digit}{draw(tail)}", born


@given(persons())
def test_every_century_is_read_from_position_seven(person: tuple[str, date]) -> None:
    digits, born = person
    number = parse(digits)
    assert (number.kind, number.born, number.digits) == (CprKind.CPR, born, digits)


@pytest.mark.parametrize(
    ("digits", "year"),
    [
        ("0101003111", 1900),
        ("0101993111", 1999),
        ("0101004111", 2000),
        ("0101364111", 2036),
        ("0101374111", 1937),
        ("0101369111", 2036),
        ("0101379111", 1937),
        ("0101575111", 2057),
        ("0101585111", 1858),
        ("0101578111", 2057),
        ("0101588111", 1858),
    ],
)
def test_the_edges_of_the_centuries(digits: str, year: int) -> None:
    assert parse(digits).born == date(year, 1, 1)


@given(persons())
def test_modulus_11_is_never_asked_for(person: tuple[str, date]) -> None:
    """Ten numbers that differ in the last digit only: at most one of them has a control digit that fits."""
    digits, born = person
    family = [digits[:9] + last for last in string.digits]
    assert sum(sum(w * int(d) for w, d in zip(WEIGHTS, n, strict=True)) % 11 == 0 for n in family) <= 1
    assert [parse(number).born for number in family] == [born] * 10


@given(persons(add_to_day=60))
def test_a_replacement_number_has_sixty_added_to_its_day(person: tuple[str, date]) -> None:
    digits, born = person
    number = parse(digits)
    assert (number.kind, number.born) == (CprKind.REPLACEMENT, born)
    assert number.matchable


def test_a_replacement_number_and_the_plain_one_are_two_numbers() -> None:
    assert parse("6703051234") != parse("0703051234")
    assert parse("6703051234").born == parse("0703051234").born


@given(st.sampled_from(sorted(ECPR)), years, st.integers(0, 364), letters, st.sampled_from(string.digits))
def test_electronic_numbers_are_kept_apart_and_match_nothing(
    digit: str, year: int, day: int, initials: str, sex: str
) -> None:
    kind, hundred = ECPR[digit]
    born = date(hundred + year, 1, 1) + timedelta(days=day)
    number = parse(f"{born:%d%m}{year:02}{digit}{initials}{sex}")
    assert (number.kind, number.born, number.matchable) == (kind, born, False)


@given(st.sampled_from(sorted(set(string.digits) - set(ECPR))), letters)
def test_an_electronic_number_with_another_position_seven_is_refused(digit: str, initials: str) -> None:
    with pytest.raises(BadRecord, match="position 7"):
        parse(f"010190{digit}{initials}1")


@pytest.mark.parametrize("text", ["0000000000", "000000-0000", " 000000 0000 "])
def test_all_zeros_is_unknown_and_nobody(text: str) -> None:
    with pytest.raises(BadRecord, match="unknown"):
        parse(text)


@pytest.mark.parametrize("text", ["311299-3111", "3112993111", "311299 3111", " 3112993111\n"])
def test_a_number_may_be_written_with_a_dash_or_spaces(text: str) -> None:
    assert parse(text).digits == "3112993111"


def test_letters_may_be_small() -> None:
    assert parse("0703921vj4") == parse("0703921VJ4")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "031116423",  # nine
        "03111642345",  # eleven
        "3102993111",  # 31 February
        "2902993111",  # 1999 is no leap year
        "2902003111",  # 1900 was none
        "0013993111",  # day 0
        "0100993111",  # month 0
        "0113993111",  # month 13
        "3211993111",  # day 32
        "6011993111",  # day 60: neither plain nor replacement
        "9211993111",  # day 32 of a replacement number
        "6703921VJ4",  # sixty is not added to an electronic number's day
        "0703921V44",  # one letter
        "07039214J4",
        "A703921234",
        "0703921VJX",
        "٠٣١١١٦٤٢٣٤",  # digits, of another script
        "²³11164234",
        "03111６4234",  # a full-width six
        "0703921ß4",  # nine characters that become ten in capitals
        "0703921ﬀ4",
        "0703921ÆØ4",  # letters, but not of A-Z
        "031116\u00004234",
        "0311164\n34",
    ],
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(BadRecord):
        parse(text)


@given(
    st.one_of(
        st.text(max_size=14), st.text(string.digits + "-VJ", min_size=8, max_size=12), persons().map(lambda p: p[0])
    )
)
def test_anything_is_either_a_number_or_a_bad_record_that_does_not_repeat_it(text: str) -> None:
    refused = refusal(text)
    if refused is None:
        assert parse(parse(text).digits) == parse(text)
        return
    assert refused.__cause__ is None
    assert refused.__suppress_context__ or refused.__context__ is None
    for part in re.findall(r"\d{4,}", text):
        assert part not in str(refused)


def refusal(text: str) -> BadRecord | None:
    try:
        parse(text)
    except BadRecord as error:
        return error
    return None


@given(persons())
def test_neither_str_nor_repr_nor_format_shows_any_of_it(person: tuple[str, date]) -> None:
    number = parse(person[0])
    for shown in (
        str(number),
        repr(number),
        f"{number}",
        f"{number!r:>40}",
        repr([number]),
        mask(number.digits),
    ):
        assert not set(shown) & set(string.digits)


@pytest.mark.parametrize(
    ("on", "age"),
    [
        (date(2026, 2, 28), 17),
        (date(2026, 3, 1), 18),  # born 29 February: 18 on 1 March in a common year
        (date(2028, 2, 28), 19),
        (date(2028, 2, 29), 20),
    ],
)
def test_somebody_born_on_29_february_grows_a_year_on_1_march(on: date, age: int) -> None:
    assert parse("2902084111").age(on) == age


@given(persons(), st.integers(0, 120))
def test_a_birthday_is_the_day_the_age_goes_up(person: tuple[str, date], years_on: int) -> None:
    number = parse(person[0])
    if (number.born.month, number.born.day) == (2, 29):
        return
    birthday = number.born.replace(year=number.born.year + years_on)
    assert number.age(birthday) == years_on
    assert number.age(birthday - timedelta(days=1)) == years_on - 1


@pytest.mark.skipif(not TEST_PERSONS.exists(), reason=f"the national test persons are not here: {TEST_PERSONS}")
def test_the_48_national_test_persons_pass() -> None:
    with TEST_PERSONS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 48
    # The sample has a slip: one of three rows with this number says 2 February, the number and the others 2 January.
    slips = [row for row in rows if row["patient_id"] == "else"]
    assert [(row["cpr"][:6], row["birthDate"]) for row in slips] == [("020191", "1991-02-02")]
    for row in rows:
        number = parse(row["cpr"])
        if row["birthDate"] and row not in slips:
            assert number.born == date.fromisoformat(row["birthDate"]), row["patient_id"]
        expected = {
            "urn:oid:1.2.208.176.1.2": CprKind.CPR,
            "urn:oid:1.2.208.176.1.6.1.1": CprKind.X_ECPR,
        }.get(row["system"], CprKind.D_ECPR)
        assert number.kind == expected, row["patient_id"]
