"""An export of DUBU as a table: letters, delimiters, dates, columns, and rows that together are a case."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tovholder_sof_case import SofAdapter, SofSettings

import hub
from hub.clock import SetClock
from hub.contract import State

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CHILD, OTHER = "0104149996", "0205139991"
HEAD = "Sagsnummer;CPR-nr.;Sagstype;Status;Startdato;Slutdato"
GIVEN = {
    "kinds": {"32.18.04": {"name": "merudgifter"}, "27.21.12": {"name": "aflastning"}},
    "codes": {"Handicapsag": "32.18.04", "BL § 90": "27.21.12", "SEL § 41": "32.18.04"},
}
Reading = Callable[..., list[hub.Record]]


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOW)


@pytest.fixture
def read(tmp_path: Path, clock: SetClock) -> Reading:
    """The cases of two children in a file with these lines."""

    def read(*lines: str, encoding: str = "utf-8", **more: Any) -> list[hub.Record]:
        (tmp_path / "dubu.csv").write_bytes("\r\n".join((*lines, "")).encode(encoding))
        adapter = SofAdapter(SofSettings.model_validate({"folder": tmp_path, **GIVEN, **more}), clock.now)
        return [record for page in adapter.read(None, {CHILD, OTHER}) for record in page.records]

    return read


def row(
    number: str = "S-1",
    cpr: str = CHILD,
    kind: str = "Handicapsag",
    status: str = "Iværksat",
    start: str = "01-02-2026",
    end: str = "",
) -> str:
    return ";".join((number, cpr, kind, status, start, end))


CASE = hub.CaseRecord("S-1", CHILD, "32.18.04", State.OPEN, opened=date(2026, 2, 1))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
def test_letters_and_delimiters(read: Reading, encoding: str, delimiter: str) -> None:
    lines = [line.replace(";", delimiter) for line in (HEAD, row(kind="Handicapsag"), row("S-2", kind="Æøå"))]
    assert read(*lines, encoding=encoding) == [CASE]


@pytest.mark.parametrize(
    "start", ["01-02-2026", "01.02.2026", "1/2/2026", "2026-02-01", "20260201", "01-02-2026 10:15"]
)
def test_dates_as_danes_write_them(read: Reading, start: str) -> None:
    assert read(HEAD, row(start=start)) == [CASE]


@pytest.mark.parametrize("start", ["1. februar", "31-02-2026", "01-02-26", "45000"])
def test_date_that_is_none_is_told(read: Reading, start: str) -> None:
    (bad,) = read(HEAD, row(start=start))
    assert isinstance(bad, hub.Unreadable)
    assert (bad.source_id, bad.position) == ("S-1", "dubu.csv, line 2")
    assert bad.reason.startswith("Startdato is no date")
    assert start not in bad.reason


def test_other_columns_and_another_order_change_nothing(read: Reading) -> None:
    """Amounts, and a measure's description over two lines: neither is taken."""
    head = "Tilbud;Slutdato;Ydelsesbeløb;Status;Startdato;cpr nr;SAGSTYPE;Sagsnummer"
    line = '"Ågården;\nafdeling ""2""";;1.234,50;Iværksat;01-02-2026;010414-9996;Handicapsag;S-1'
    assert read(head, line) == [CASE]


@pytest.mark.parametrize("without", ["Sagsnummer", "CPR-nr.", "Sagstype", "Status"])
def test_missing_column_is_named(read: Reading, without: str) -> None:
    (bad,) = read(HEAD.replace(without, "Andet"), row())
    assert isinstance(bad, hub.Unreadable)
    assert bad.reason.endswith(f"the first line does not name the column(s) {without}")


def test_missing_dates_are_no_fault(read: Reading) -> None:
    assert read("Sagsnummer;CPR-nr.;Sagstype;Status", f"S-1;{CHILD};Handicapsag;Aktiv") == [
        hub.CaseRecord("S-1", CHILD, "32.18.04", State.OPEN)
    ]


@pytest.mark.parametrize(
    ("rows", "state", "opened", "closed"),
    [
        # One measure runs, one has ended: the case is open, from the first day of the first.
        ([("Ophørt", "01-01-2025", "31-12-2025"), ("Iværksat", "01-02-2026", "")], "open", (2025, 1, 1), None),
        # All have ended: closed on the last day.
        (
            [("Ophørt", "01-01-2025", "31-12-2025"), ("Ophørt", "01-02-2025", "31-01-2026")],
            "closed",
            (2025, 1, 1),
            (2026, 1, 31),
        ),
        # The status says nothing of it, but the last day has been.
        ([("Iværksat", "01-01-2025", "01-03-2026")], "closed", (2025, 1, 1), (2026, 3, 1)),
        ([("Iværksat", "01-01-2025", "02-03-2026")], "open", (2025, 1, 1), None),
        ([("Iværksat", "01-01-2025", "31-12-9999")], "open", (2025, 1, 1), None),
        # Granted, and not begun.
        ([("Iværksat", "03-03-2026", "")], "decided", (2026, 3, 3), None),
        ([("Bevilget", "", "")], "decided", None, None),
        ([("Ansøgt", "", "")], "applied", None, None),
        ([("Bevilget", "01-02-2026", ""), ("Ansøgt", "02-02-2026", "")], "applied", (2026, 2, 1), None),
    ],
)
def test_rows_of_one_number_are_one_case(read: Reading, rows: Any, state: str, opened: Any, closed: Any) -> None:
    lines = [row(status=status, start=start, end=end) for status, start, end in rows]
    assert read(HEAD, *lines) == [
        hub.CaseRecord("S-1", CHILD, "32.18.04", State(state), opened and date(*opened), closed and date(*closed))
    ]


@given(order=st.permutations(range(6)))
def test_order_of_the_rows_does_not_matter(order: list[int]) -> None:
    rows = [row(), row(status="Ansøgt"), row("S-2", OTHER), row("S-3", status="Ophørt")]
    rows += [row("S-2", OTHER, start="01-01-2026"), row("S-4", kind="Underretning")]
    with TemporaryDirectory() as name:
        (Path(name) / "a.csv").write_text("\n".join((HEAD, *(rows[n] for n in order), "")), encoding="utf-8")
        adapter = SofAdapter(SofSettings.model_validate({"folder": name, **GIVEN, "page_size": 2}), SetClock(NOW).now)
        pages = list(adapter.read(None, {CHILD, OTHER}))
    found = {record.source_id: record for page in pages for record in page.records}
    assert found == {
        "S-1": CASE,
        "S-2": hub.CaseRecord("S-2", OTHER, "32.18.04", State.OPEN, date(2026, 1, 1)),
        "S-3": hub.CaseRecord("S-3", CHILD, "32.18.04", State.CLOSED, date(2026, 2, 1)),
    }
    assert sum(page.ignored for page in pages) == 1
    assert pages[-1].complete


def test_day_that_passes_is_seen_though_the_file_stays(tmp_path: Path, clock: SetClock) -> None:
    (tmp_path / "a.csv").write_text(f"{HEAD}\n{row(end='05-03-2026')}\n", encoding="utf-8")
    adapter = SofAdapter(SofSettings.model_validate({"folder": tmp_path, **GIVEN}), clock.now)
    (page,) = adapter.presence(None)
    assert isinstance(page.records[0], hub.Presence)
    clock.set(datetime(2026, 3, 5, 22, 0, tzinfo=UTC))
    (page,) = adapter.presence(page.cursor)
    assert page.records == ()
    clock.set(datetime(2026, 3, 5, 23, 30, tzinfo=UTC))  # 6 March in Denmark
    (page,) = adapter.presence(page.cursor)
    assert (page.records, page.complete) == ((hub.Gone("S-1"),), True)


def test_unlisted_kind_leaves_only_a_count(read: Reading) -> None:
    assert read(HEAD, row(kind="Underretning", status="?", start="?")) == []
    assert read(HEAD, row(), kinds={}) == []


@pytest.mark.parametrize("word", ["Ja", "1", "x", "True"])
def test_coercion_is_never_told(read: Reading, word: str) -> None:
    """Anything but a no counts, in any row of the case."""
    lines = [f"{HEAD};Tvang", f"{row()};Nej", f"{row(start='02-02-2026')};{word}", f"{row('S-2')};"]
    assert read(*lines) == [hub.Gone("S-1"), hub.CaseRecord("S-2", CHILD, "32.18.04", State.OPEN, date(2026, 2, 1))]


def test_bad_row_keeps_its_case_from_being_told(read: Reading) -> None:
    """The row that cannot be read may be the one that is open: without it the case would be closed."""
    found = read(HEAD, row(status="Ophørt"), row(start="?"), row("S-2"))
    assert [type(record) for record in found] == [hub.Unreadable, hub.CaseRecord]
    assert [record.source_id for record in found] == ["S-1", "S-2"]


def test_two_children_in_one_case_are_told_to_nobody(read: Reading) -> None:
    (bad,) = read(HEAD, row(), row(cpr=OTHER))
    assert isinstance(bad, hub.Unreadable)
    assert "different CPR numbers" in bad.reason
    assert CHILD not in repr(bad)


@pytest.mark.parametrize(
    ("cpr", "reason"), [("104149996", "nine digits"), ("01041499961", "ten"), ("010414999ø", "ten")]
)
def test_number_that_is_none_is_told_and_not_guessed(tmp_path: Path, cpr: str, reason: str) -> None:
    (tmp_path / "a.csv").write_text(f"{HEAD}\n{row(cpr=cpr)}\n", encoding="utf-8")
    (page,) = SofAdapter(SofSettings.model_validate({"folder": tmp_path, **GIVEN})).presence(None)
    (bad,) = page.records
    assert isinstance(bad, hub.Unreadable)
    assert reason in bad.reason
    assert cpr not in repr(bad)


def test_case_with_a_number_that_is_none_is_not_taken_for_gone(read: Reading) -> None:
    """The child's read is complete without the case: the row that could not be read says that it is there."""
    for cpr in ("104149996", "0000000000"):
        (bad,) = read(HEAD, row(), row(cpr=cpr))
        assert isinstance(bad, hub.Unreadable)
        assert bad.source_id == "S-1"


def test_row_without_a_number_of_a_person_says_nothing(read: Reading) -> None:
    assert read(HEAD, row(cpr=""), row("S-2")) == [
        hub.CaseRecord("S-2", CHILD, "32.18.04", State.OPEN, date(2026, 2, 1))
    ]


def test_kind_can_be_the_paragraph(read: Reading) -> None:
    """Then one number can be two cases, one of each kind."""
    head = HEAD.replace("Sagstype", "Afgørelsesparagraf")
    found = read(head, row(kind="SEL § 41"), row(kind="bl §  90"), row(kind="BL § 32"), kind_from="paragraf")
    assert [(r.source_id, r.kind) for r in found if isinstance(r, hub.CaseRecord)] == [
        ("S-1/32.18.04", "32.18.04"),
        ("S-1/27.21.12", "27.21.12"),
    ]


def test_status_of_ones_own(read: Reading) -> None:
    (bad,) = read(HEAD, row(status="Visiteret"))
    assert isinstance(bad, hub.Unreadable)
    assert "`statuses`" in bad.reason
    assert "Visiteret" not in bad.reason
    (case,) = read(HEAD, row(status="Visiteret"), statuses={"visiteret": "decided"})
    assert isinstance(case, hub.CaseRecord)
    assert case.state is State.DECIDED


def test_broken_row_stands_alone_and_nothing_of_it_is_kept(read: Reading) -> None:
    """Its kind cannot be told, so it may be of one that is not listed."""
    found = read(HEAD, row(), f"S-3;{CHILD};Underretning om vold", row("S-2"))
    assert [type(record) for record in found] == [hub.Unreadable, hub.CaseRecord, hub.CaseRecord]
    assert isinstance(found[0], hub.Unreadable)
    assert (found[0].raw, found[0].position) == (b"", "dubu.csv, line 3")


def test_export_without_a_case_makes_what_was_there_gone(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    adapter = SofAdapter(SofSettings.model_validate({"folder": tmp_path, **GIVEN}), SetClock(NOW).now)
    file.write_text(f"{HEAD}\n{row()}\n{row('S-2')}\n", encoding="utf-8")
    (page,) = adapter.presence(None)
    assert len(page.records) == 2
    file.write_text(f"{HEAD}\n{row('S-2')}\n", encoding="utf-8")
    (page,) = adapter.presence(page.cursor)
    assert ([record.source_id for record in page.records], page.complete) == (["S-2"], True)
    file.unlink()
    (page,) = adapter.presence(page.cursor)
    assert (page.records, page.complete) == ((), True)
