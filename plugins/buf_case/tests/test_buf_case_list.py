"""Special education's list of cases. What the example made by hand should give stands here, worked out by hand."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tovholder_buf_case import BufAdapter, BufSettings
from tovholder_buf_case.settings import Column, kind_of_case
from tovholder_buf_case.words import KNOWN, REQUIRED, STATES

import hub
from hub.clock import SetClock
from hub.demo.model import Town
from hub.demo.servers import buf, buf_list
from hub.testing.front import running

Make = Callable[..., BufAdapter]
KIND = "case:Specialundervisning*"
ALMA, FINN, IDA = "0104149990", "0909159991", "1111139994"
HEAD = "Sagsnummer;CPR-nr.;Sagstype;Status;Oprettet;Afsluttet;Frist;Sagsbehandler\r\n"
ROW = "S-1;010414-9990;Specialundervisning;Igangværende;03-08-2026;;;Bente Ødegård\r\n"


def flat(pages: list[hub.Page]) -> list[hub.Record]:
    return [record for page in pages for record in page.records]


@pytest.fixture
def read(from_folder: Make, tmp_path: Path) -> Callable[..., list[hub.Page]]:
    """What a list of this text gives: presence, or the cases of `children`."""

    def read(
        text: str | bytes, children: set[str] | None = None, kinds: tuple[str, ...] = (KIND,), **more: object
    ) -> list[hub.Page]:
        (tmp_path / "sager.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        adapter = from_folder(tmp_path, kinds=list(kinds), **more)
        return list(adapter.presence(None) if children is None else adapter.read(None, children))

    return read


def cases(pages: list[hub.Page]) -> dict[str, hub.CaseRecord]:
    return {record.cpr: record for record in flat(pages) if isinstance(record, hub.CaseRecord)}


def told(pages: list[hub.Page]) -> dict[str, str]:
    return {record.position: record.reason for record in flat(pages) if isinstance(record, hub.Unreadable)}


def test_the_example_gives_what_was_worked_out_by_hand(from_folder: Make, lists: Path) -> None:
    """Windows-1252 with `;`: five rows, one of a kind that is not on the list, one with a day that does not exist."""
    adapter = from_folder(lists, kinds=[KIND])
    present = list(adapter.presence(None))
    assert {r.cpr: r.state for r in flat(present) if isinstance(r, hub.Presence)} == {
        ALMA: hub.State.APPLIED,
        FINN: hub.State.OPEN,
        IDA: hub.State.CLOSED,
    }
    assert sum(page.ignored for page in present) == 1
    # The row of the second case has two lines, so the last row begins in line 7.
    assert told(present) == {
        "file cases.csv, line 7": "the column Oprettet is no date: there is no such day",
    }
    assert present[-1].complete
    found = cases(list(adapter.read(None, {ALMA, FINN, IDA})))
    bente = hub.StaffRecord("boe", "Bente Ødegård", "bente@example.dk", "33660021", "PPR Nord")
    ids = {cpr: case.source_id for cpr, case in found.items()}
    assert found == {
        ALMA: hub.CaseRecord(
            ids[ALMA], ALMA, KIND, hub.State.APPLIED,
            opened=date(2026, 8, 3), deadline=date(2026, 9, 28), adviser=bente,
        ),
        FINN: hub.CaseRecord(
            ids[FINN], FINN, KIND, hub.State.OPEN,
            opened=date(2026, 9, 1), follow_up=date(2026, 12, 1), adviser=bente,
        ),
        IDA: hub.CaseRecord(
            ids[IDA], IDA, KIND, hub.State.CLOSED,
            opened=date(2025, 2, 1), closed=date(2026, 6, 30),
            adviser=hub.StaffRecord("carl@example.dk", "Carl Holm", "carl@example.dk", None, "PPR Syd"),
        ),
    }  # fmt: skip


def test_names_schools_and_remarks_stop_here(from_folder: Make, lists: Path) -> None:
    adapter = from_folder(lists, kinds=[KIND])
    said = repr([*adapter.presence(None), *adapter.read(None, {ALMA, FINN, IDA})])
    for hidden in ("Prøve-Holm", "Særlig", "Kaj Fejl", "Byskolen", "Autisme", "støtte", "Stammen", "2026-0001"):
        assert hidden not in said


def test_a_row_that_cannot_be_read_keeps_its_id(read: Callable[..., list[hub.Page]]) -> None:
    """So that what the hub knew of the case stays, also in a complete read."""
    (good,) = flat(read(HEAD + ROW))
    for bad in (ROW.replace("03-08-2026", "i går"), ROW.replace("010414-9990", ""), ROW.replace("gangværende", "?")):
        for children in (None, {FINN}):
            pages = read(HEAD + bad, children)
            (record,) = flat(pages)
            assert isinstance(record, hub.Unreadable)
            assert isinstance(good, hub.Presence)
            assert record.source_id == good.source_id
            assert pages[-1].complete


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
@pytest.mark.parametrize("end", ["\r\n", "\n", ""])
def test_however_it_is_saved(
    encoding: str, delimiter: str, end: str, read: Callable[..., list[hub.Page]], town: Town, cpr: dict[str, str]
) -> None:
    text = buf_list.case_list(town, town.start, delimiter=delimiter, encoding="utf-8").decode()
    lines = text.split("\r\n")[:-1]
    saved = (end or "\n").join(lines) + end
    pages = read(saved.encode(encoding), set(cpr.values()), kinds=("case:Specialundervisning",))
    found = cases(pages)
    assert set(found) == {cpr[name] for name in ("Alma", "Bo", "Carl", "Dina")}
    for case in town.cases["BUF"][:4]:
        version = case.versions[0]
        worker = town.workers[version.adviser] if version.adviser else None
        assert found[case.child].opened == case.opened
        adviser = found[case.child].adviser
        assert (adviser.name if adviser else None) == (worker.name if worker else None)
        assert (adviser.source_id if adviser else None) == (worker.uuid if worker else None)
    assert told(pages) == {}
    assert pages[-1].complete


@given(order=st.permutations(range(5)), more=st.lists(st.sampled_from(["Navn", "Diagnose", "Note"]), unique=True))
def test_columns_in_any_order_with_others_between(order: list[int], more: list[str]) -> None:
    names = ["Sagsnummer", "CPR-nr.", "Sagstype", "Oprettet", "Sagsbehandler"]
    values = ["S-1", "010414-9990", "Specialundervisning", "03-08-2026", "Bente"]
    heads = [names[at] for at in order] + more
    cells = [values[at] for at in order] + ["hemmeligt"] * len(more)

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "s.csv").write_text(";".join(heads) + "\n" + ";".join(cells) + "\n", encoding="utf-8")
        kinds = {KIND: hub.Kind(name="Specialundervisning")}
        (record,) = flat(list(BufAdapter(BufSettings(folder=Path(folder), kinds=kinds)).read(None, {ALMA})))
    assert isinstance(record, hub.CaseRecord)
    assert (record.cpr, record.opened) == (ALMA, date(2026, 8, 3))
    assert record.adviser is not None
    assert record.adviser.name == "Bente"


@pytest.mark.parametrize("column", REQUIRED)
def test_a_missing_column_is_told_by_name(column: Column, read: Callable[..., list[hub.Page]]) -> None:
    first = KNOWN[column][0]
    head = HEAD.replace("CPR-nr.", "CPR-nr").replace(first, "Ukendt")
    pages = read(head + ROW)
    (record,) = flat(pages)[:1]
    assert isinstance(record, hub.Unreadable)
    assert record.position == "file sager.csv"
    assert "first line" in record.reason
    assert first in record.reason
    assert "case_list.columns" in record.reason
    assert not pages[-1].complete


def test_the_settings_name_columns(read: Callable[..., list[hub.Page]]) -> None:
    head = HEAD.replace("Sagsnummer", "Løbenr.").replace("Frist", "Senest")
    settings = {"columns": {"case": "løbenr", "deadline": "Senest"}}
    text = head + ROW.replace(";;;", ";;24-12-2026;")
    assert cases(read(text, {ALMA}, case_list=settings))[ALMA].deadline == date(2026, 12, 24)
    without = text.replace("Senest", "Andet")
    assert "Senest" in told(read(without, {ALMA}, case_list=settings))["file sager.csv"]  # named, so it must be there


def test_two_columns_for_one_thing_are_not_guessed_between(read: Callable[..., list[hub.Page]]) -> None:
    text = (HEAD + ROW).replace("Oprettet", "Oprettet;Startdato").replace("03-08-2026", "03-08-2026;01-01-2026")
    assert "Oprettet stands twice" in told(read(text))["file sager.csv"]
    chosen = cases(read(text, {ALMA}, case_list={"columns": {"opened": "Startdato"}}))
    assert chosen[ALMA].opened == date(2026, 1, 1)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("03-08-2026", "32-08-2026", "column Oprettet is no date"),
        ("03-08-2026", "0104149990", "column Oprettet is no date"),
        (";;;", ";snart;;", "column Afsluttet is no date"),
        (";;;", ";;12. maj;", "column Frist is no date"),
        ("010414-9990", "", "column CPR-nr is empty"),
        ("010414-9990", "10414-9990", "nine digits"),
        ("010414-9990", "Alma", "holds no CPR number"),
        ("Igangværende", "Hos Alma", "column Status holds a word that is not known"),
        ("S-1", "", "column Sagsnummer is empty"),
        ("S-1", "S\x07", "column Sagsnummer holds a control character"),
        ("S-1", "S\0", "NUL"),
        ("Bente", '"Bente', "quote"),
        ("Bente", "Bente;Bo", "9 fields, the heading 8"),
        (";;;Bente Ødegård", "", "5 fields, the heading 8"),
    ],
)
def test_a_bad_row_is_told_with_line_and_column_and_stands_alone(
    old: str, new: str, reason: str, read: Callable[..., list[hub.Page]]
) -> None:
    other = ROW.replace("S-1", "S-2").replace("010414-9990", FINN)
    assert old in ROW
    pages = read(HEAD + other.replace("S-2", "S-3") + ROW.replace(old, new) + other, {ALMA, FINN})
    assert [case.cpr for case in flat(pages) if isinstance(case, hub.CaseRecord)] == [FINN, FINN]
    ((position, why),) = told(pages).items()
    assert position == "file sager.csv, line 3"
    assert reason in why
    for hidden in ("9990", "Alma", "Bente"):
        assert hidden not in position + why


@pytest.mark.parametrize("damage", ["Bente Ødegård;for meget", '"Bente Ødegård'])
def test_while_a_row_may_have_swallowed_others_nothing_is_gone(
    damage: str, read: Callable[..., list[hub.Page]]
) -> None:
    assert not read(HEAD + ROW.replace("Bente Ødegård", damage) + ROW.replace("S-1", "S-2"))[-1].complete


def test_a_list_cut_short_is_not_taken_for_the_whole(read: Callable[..., list[hub.Page]]) -> None:
    pages = read((HEAD + ROW + ROW.replace("S-1", "S-2"))[:-30])
    assert len([record for record in flat(pages) if isinstance(record, hub.Presence)]) == 1
    assert "ends in the middle of a row" in told(pages)["file sager.csv"]
    assert not pages[-1].complete


@pytest.mark.parametrize("word", [*STATES, "ÅBEN", "  afsluttet ", "Under behandling", "Afgjort."])
def test_words_for_a_state(word: str, read: Callable[..., list[hub.Page]]) -> None:
    (record,) = flat(read(HEAD + ROW.replace("Igangværende", word)))
    assert isinstance(record, hub.Presence)
    assert record.state is STATES[word.strip().rstrip(".").casefold()]


def test_the_settings_say_what_other_words_mean(read: Callable[..., list[hub.Page]]) -> None:
    text = HEAD + ROW.replace("Igangværende", "Parkeret")
    (record,) = flat(read(text, case_list={"states": {"PARKERET": "applied"}}))
    assert isinstance(record, hub.Presence)
    assert record.state is hub.State.APPLIED


@pytest.mark.parametrize(
    ("decided", "closed", "state"),
    [
        ("", "", hub.State.OPEN),
        ("01-09-2026", "", hub.State.DECIDED),
        ("01-10-2026", "", hub.State.OPEN),  # after the list's own day
        ("01-08-2026", "01-09-2026", hub.State.CLOSED),
        ("01-08-2026", "31-07-2027", hub.State.DECIDED),  # granted until then
    ],
)
def test_without_a_status_the_dates_tell_as_on_the_day_of_the_list(
    decided: str, closed: str, state: hub.State, from_folder: Make, tmp_path: Path
) -> None:
    path = tmp_path / "sager.csv"
    head = "Sagsnummer;CPR-nr.;Sagstype;Oprettet;Afgørelsesdato;Slutdato\n"
    path.write_text(f"{head}S-1;{ALMA};Specialundervisning;01-08-2026;{decided};{closed}\n", encoding="cp1252")
    written = 1_788_213_600  # 1 September 2026, 00:00 in Denmark: still August in UTC
    os.utime(path, (written, written))
    (case,) = flat(list(from_folder(tmp_path, kinds=[KIND]).read(None, {ALMA})))
    assert isinstance(case, hub.CaseRecord)
    assert case.state is state
    assert (case.closed is not None) == (state is hub.State.CLOSED)


def test_several_lists_are_parts_of_one(from_folder: Make, tmp_path: Path) -> None:
    (tmp_path / "nord.csv").write_text(HEAD + ROW, encoding="utf-8")
    (tmp_path / "syd.csv").write_text(HEAD + ROW.replace("S-1", "S-2").replace("010414-9990", FINN), encoding="cp1252")
    (tmp_path / "kopi.csv").write_text(HEAD + ROW, encoding="utf-8")
    pages = list(from_folder(tmp_path, kinds=[KIND]).presence(None))
    assert sorted(record.cpr for record in flat(pages) if isinstance(record, hub.Presence)) == [ALMA, FINN]
    assert told(pages) == {}
    assert pages[-1].complete


def test_an_older_list_beside_a_newer_one_is_told(from_folder: Make, tmp_path: Path) -> None:
    for name, word, day in (("ny.csv", "Afsluttet", 2), ("gammel.csv", "Igangværende", 1)):
        path = tmp_path / name
        path.write_text(HEAD + ROW.replace("Igangværende", word), encoding="utf-8")
        os.utime(path, (day * 86400, day * 86400))
    pages = list(from_folder(tmp_path, kinds=[KIND]).presence(None))
    assert [record.state for record in flat(pages) if isinstance(record, hub.Presence)] == [hub.State.CLOSED]
    assert "file ny.csv, which is newer" in told(pages)["file gammel.csv"]
    assert not pages[-1].complete


def test_the_same_case_number_with_other_data_is_told(read: Callable[..., list[hub.Page]]) -> None:
    pages = read(HEAD + ROW + ROW + ROW.replace("010414-9990", FINN))
    assert [record.cpr for record in flat(pages) if isinstance(record, hub.Presence)] == [ALMA]
    assert told(pages) == {
        "file sager.csv, line 4": "the same case number stands in line 2 with other data: correct it"
    }


def test_a_missing_list_is_told_and_closes_nothing(from_folder: Make, examples: Path) -> None:
    pages = list(from_folder(examples, kinds=["101001", KIND]).presence(None))
    assert "no case list" in told(pages)["case list"]
    assert not pages[-1].complete


def test_a_list_nobody_asked_for_gives_nothing(from_folder: Make, lists: Path) -> None:
    (page,) = from_folder(lists, kinds=[]).presence(None)
    assert (page.records, page.ignored, page.complete) == ((), 5, True)


def test_a_changed_row_is_read_again_and_a_new_remark_is_not(read: Callable[..., list[hub.Page]], tmp_path: Path,
                                                            from_folder: Make) -> None:  # fmt: skip
    head, row = HEAD.replace("Sagsbehandler", "Sagsbehandler;Note"), ROW.replace("Ødegård", "Ødegård;")
    cursor = read(head + row)[-1].cursor
    adapter = from_folder(tmp_path, kinds=[KIND])
    (tmp_path / "sager.csv").write_text(head + row.replace("Ødegård;", "Ødegård;ringet"), encoding="utf-8")
    assert flat(list(adapter.presence(cursor))) == []
    (tmp_path / "sager.csv").write_text(head + row.replace("Igangværende", "Afsluttet"), encoding="utf-8")
    assert len(flat(list(adapter.presence(cursor)))) == 1


def test_exports_over_http_and_lists_from_a_folder(town: Town, lists: Path, cpr: dict[str, str]) -> None:
    kinds = {"101001": {"name": "Specialskole"}, KIND: {"name": "Specialundervisning"}}
    with running() as front:
        front.serve(buf.app(town, SetClock(town.start + timedelta(days=1))))
        given = {"url": front.url, "kinds": kinds, "case_list": {"folder": lists}, "page_size": 2}
        adapter = BufAdapter(BufSettings.model_validate(given))
        found = [record.cpr for record in flat(list(adapter.presence(None))) if isinstance(record, hub.Presence)]
        assert sorted(found) == sorted([cpr["Alma"], cpr["Bo"], ALMA, FINN, IDA])
        assert adapter.health() == hub.Health(True, "3 institutions, case list")
        adapter.close()


def test_kinds_of_case_by_pattern() -> None:
    kinds = ["101001", "group:Special*", "case:Specialbørnehave", "case:Special*"]
    assert kind_of_case(kinds, "SPECIALBØRNEHAVE") == "case:Specialbørnehave"
    assert kind_of_case(kinds, "Specialskole") == "case:Special*"
    assert kind_of_case(kinds, "101001") is None
    with pytest.raises(ValidationError, match="case:Specialundervisning"):
        BufSettings.model_validate({"folder": "x", "kinds": {"case: ": {"name": "x"}}})
