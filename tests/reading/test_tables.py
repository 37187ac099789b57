"""Tables as municipalities export them, whole and broken."""

from __future__ import annotations

import io
from collections.abc import Collection
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import BadRecord, CsvRow, GaveUp, TryAgain, Unreadable, csv_rows, danish_date, danish_number
from hub.reading.tables import LINE_LIMIT, LINES_IN_A_ROW

COLUMNS = {"number": ("CPR-nr.", "Personnummer"), "kind": ("Sagstype",), "note": ("Bemærkning",)}
HEAD = "CPR-nr.;Sagstype;Fritekst;Bemærkning\r\n"


def rows(
    data: bytes | str, *, needed: Collection[str] = ("number",), encoding: str | None = None
) -> list[CsvRow | Unreadable]:
    stream = io.BytesIO(data.encode() if isinstance(data, str) else data)
    return list(csv_rows(stream, COLUMNS, needed=needed, where="file 1", encoding=encoding))


def values(got: list[CsvRow | Unreadable]) -> list[tuple[str, ...]]:
    return [tuple(row.values.values()) for row in got if isinstance(row, CsvRow)]


def bad(got: list[CsvRow | Unreadable]) -> list[Unreadable]:
    return [row for row in got if isinstance(row, Unreadable)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-32"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_same_table_in_every_dress(encoding: str, delimiter: str, end: str) -> None:
    text = f"Sagstype;cpr nr;Bemærkning{end}handicap;0101;Åse på Ærø{end}".replace(";", delimiter)
    assert values(rows(text.encode(encoding))) == [("0101", "handicap", "Åse på Ærø")]


@pytest.mark.parametrize("heading", ["CPR-nr.", "cpr nr", " CPRNR ", "Personnummer", '"CPR-nr."'])
def test_headings_are_known_in_their_spellings(heading: str) -> None:
    assert values(rows(f"{heading};Sagstype\n0101;x\n"))[0][0] == "0101"


def test_a_line_that_says_the_delimiter_is_no_heading() -> None:
    assert values(rows("sep=;\nCPR-nr.;Sagstype\n0101;x\n")) == [("0101", "x", "")]


def test_a_column_that_is_missing_is_named() -> None:
    with pytest.raises(GaveUp, match=r"file 1: the first line does not name the column\(s\) CPR-nr\., Sagstype"):
        rows("0101149990;Hansen\n0102149990;Jensen\n", needed=("number", "kind"))


def test_a_column_that_stands_twice_is_refused() -> None:
    with pytest.raises(GaveUp, match=r"CPR-nr\. stands twice"):
        rows("CPR-nr.;Personnummer\n1;2\n")


def test_delimiter_quote_and_line_break_inside_quotes_are_text() -> None:
    got = rows(HEAD + '1;a;"x;y\nz ""q""";b\r\n2;c;;d\r\n')
    assert values(got) == [("1", "a", "b"), ("2", "c", "d")]
    assert [row.line for row in got if isinstance(row, CsvRow)] == [2, 4], (
        "the line is the file's, not the row's number"
    )


def test_a_quote_nobody_closed_takes_no_other_row_along() -> None:
    got = rows(HEAD + '1;a;"x;b\r\n2;c;;d\r\n3;e;;f\r\n')
    assert values(got) == [("2", "c", "d"), ("3", "e", "f")]
    assert [(row.position, row.reason.startswith("not a row")) for row in bad(got)] == [("file 1, line 2", True)]


def test_a_quote_nobody_closed_is_looked_for_so_far_and_no_further() -> None:
    rest = "".join(f"{n};a;;b\r\n" for n in range(LINES_IN_A_ROW + 50))
    got = rows(HEAD + '0;a;"x;b\r\n' + rest)
    assert len(bad(got)) == 1
    assert len(values(got)) == LINES_IN_A_ROW + 50


def test_a_quote_in_the_middle_of_a_word_is_text() -> None:
    assert values(rows(HEAD + '1;skærm 12";;b\r\n')) == [("1", 'skærm 12"', "b")]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"1;a;b\n", "3 fields, the heading 4"),
        (b"1;a;b;c;d\n", "5 fields, the heading 4"),
        (b"1;a\0;b;c\n", "NUL"),
        (b"1;a;b;" + b"x" * LINE_LIMIT + b"\n", "longer than"),
        (b"1;a;\xe6;b\n", "no letters in utf-8"),
        (b'1;"a"b;c;d\n', "not a row"),
    ],
)
def test_a_bad_row_stands_alone_and_says_what_is_wrong(line: bytes, says: str) -> None:
    head = (HEAD + "8;a;;æ\r\n").encode()
    got = rows(head + line + b"9;c;;d\r\n")
    assert [row[0] for row in values(got)] == ["8", "9"]
    (unreadable,) = bad(got)
    assert unreadable.position == "file 1, line 3"
    assert says in unreadable.reason


def test_utf8_among_windows_1252_is_seen() -> None:
    got = rows(HEAD.encode("cp1252") + "1;æ;;b\n".encode("cp1252") + "2;æ;;b\n".encode() + b"3;a;;b\n")
    assert [row[0] for row in values(got)] == ["1", "3"]
    assert "two encodings in one file" in bad(got)[0].reason


def test_utf16_without_its_mark_is_refused_with_the_way_out() -> None:
    with pytest.raises(GaveUp, match="save it as UTF-8, or say its encoding"):
        rows((HEAD + "1;a;;b\n").encode("utf-16-le"))
    assert values(rows((HEAD + "1;a;;b\n").encode("utf-16-le"), encoding="utf-16-le")) == [("1", "a", "b")]


@pytest.mark.parametrize("cut", [b"2;c", b"2;c;", b'2;c;"x', b"2;c;;d\n3;e;"])
def test_half_a_row_at_the_end_is_a_file_cut_short(cut: bytes) -> None:
    with pytest.raises(TryAgain, match="ends in the middle of a row"):
        rows(HEAD.encode() + b"1;a;;b\n" + cut)


def test_a_last_line_without_its_break_is_a_row() -> None:
    assert values(rows(HEAD + "1;a;;b")) == [("1", "a", "b")]


def test_an_empty_file_is_not_an_empty_table() -> None:
    with pytest.raises(TryAgain, match="without even its columns"):
        rows(b"")
    assert rows(HEAD) == []


def test_empty_fields_at_the_end_and_empty_lines_do_not_count() -> None:
    assert values(rows("CPR-nr.;Sagstype;;\n1;a\n;;;\n\n2;b;;;;\n")) == [("1", "a", ""), ("2", "b", "")]


def test_zeros_kept_from_a_spreadsheet_are_unwrapped() -> None:
    assert values(rows('CPR-nr.;Sagstype\n="0101";" x\u00a0"\n'))[0][:2] == ("0101", "x")


@given(st.lists(st.tuples(*[st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)] * 4)))
def test_what_a_spreadsheet_writes_is_read_back(table: list[tuple[str, str, str, str]]) -> None:
    quoted = [
        ";".join(f'"{field.replace(chr(34), chr(34) * 2)}"' for field in ("k" + row[0], *row[1:])) for row in table
    ]
    got = rows(HEAD + "".join(f"{line}\n" for line in quoted))
    stripped = [
        tuple(field.replace("\u00a0", " ").strip() for field in ("k" + row[0], row[1], row[3])) for row in table
    ]
    plain = [row for row in stripped if not any(field.startswith('="') for field in row)]
    assert [row for row in values(got) if row in plain] == plain


@given(st.binary(max_size=400), st.sampled_from([b"", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf"]))
def test_any_bytes_give_rows_or_our_own_errors(data: bytes, mark: bytes) -> None:
    try:
        got = rows(mark + HEAD.encode() + data)
    except (GaveUp, TryAgain):
        return
    assert all(isinstance(row, CsvRow | Unreadable) for row in got)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("31-12-2025", date(2025, 12, 31)),
        ("1.2.2025", date(2025, 2, 1)),
        ("01/02/2025", date(2025, 2, 1)),
        ("2025-02-01", date(2025, 2, 1)),
        ("2025-02-01T00:00:00+01:00", date(2025, 2, 1)),
        ("01-02-2025 00:00:00", date(2025, 2, 1)),
        ("01-02-2025 13.45", date(2025, 2, 1)),
        ("  ", None),
    ],
)
def test_danish_dates(text: str, day: date | None) -> None:
    assert danish_date(text) == day


@pytest.mark.parametrize("text", ["31-02-2025", "01-02-25", "0101149990", "i går", "2025-13-01", "00-00-0000"])
def test_no_date_is_refused_without_its_words(text: str) -> None:
    with pytest.raises(BadRecord) as refused:
        danish_date(text)
    assert text not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "number"),
    [("1.234,50", "1234.50"), ("1234,5", "1234.5"), ("-7", "-7"), ("1 000", "1000"), ("1.000", "1000"), ("", None)],
)
def test_danish_numbers(text: str, number: str | None) -> None:
    assert danish_number(text) == (None if number is None else Decimal(number))


@pytest.mark.parametrize("text", ["12.5", "1,234.50", "1.23.456", "NaN", "kr. 5"])
def test_no_number_is_refused_without_its_words(text: str) -> None:
    with pytest.raises(BadRecord) as refused:
        danish_number(text)
    assert text not in str(refused.value)
