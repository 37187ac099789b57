"""Every published sample of what SOF's systems speak, with what it must give, worked out by hand."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from tovholder_sof_case import SofAdapter, SofSettings

import hub
from hub.contract import State

KINDS = {"32.18.04": {"name": "merudgifter"}}
NOW = datetime(2021, 6, 1, 12, 0, tzinfo=UTC)
CITIZEN = "0101814321"
PLAN, OTHER_PLAN = "944c7c24-37b4-455e-9319-cd9f35a7aec9", "8ea1d7f3-3c40-4826-bf35-d16b313610d4"
HEALTHY_LIVING, SKILLS = "638f44df-6bf2-47f8-9935-b8fdc83e5bf5", "7e419926-bb04-4829-99c9-95ea20403c2c"
"""Measures of the examples' plans: "Støtte til sund levevis" in the first, another in the second."""


def adapter(folder: Path, now: datetime = NOW, **more: Any) -> SofAdapter:
    return SofAdapter(SofSettings.model_validate({"folder": folder, "kinds": KINDS, **more}), lambda: now)


def told(pages: Any) -> list[hub.Record]:
    return [record for page in pages for record in page.records]


@pytest.fixture
def ffb(standards: Path, tmp_path: Path) -> Any:
    """A folder with those of KL's three reports about one citizen that begin so."""

    def folder(*names: str) -> Path:
        for name in names:
            (path,) = (standards / "fhir" / "kl-ffb-reporting").glob(f"Bundle-{name}*.json")
            (tmp_path / path.name).write_bytes(path.read_bytes())
        return tmp_path

    return folder


ASSESSMENT, PLANNED, ENDED = "4b4e5f33", "5bf6a186", "ae9cdbef"


def test_assessment_is_an_application(ffb: Any) -> None:
    """29 May 2021: a request of case Sag154689 and its assessment; no plan yet, and no code of what is asked for."""
    folder = ffb(ASSESSMENT)
    assert told(adapter(folder).presence(None)) == []
    assert told(adapter(folder, codes={"FFB": "32.18.04"}).presence(None)) == [
        hub.Presence("Sag154689/request", CITIZEN, State.APPLIED, datetime(2021, 5, 29, 12, 13, 41, tzinfo=UTC))
    ]


def test_two_plans_are_two_cases(ffb: Any) -> None:
    """Two plans from 29 May, both to be looked at again on 29 August; the first gives two measures, the second one."""
    codes = {HEALTHY_LIVING: "32.18.04", SKILLS: "32.18.04"}
    found = told(adapter(ffb(PLANNED), codes=codes).read(None, {CITIZEN}))
    expected = {
        "kind": "32.18.04",
        "cpr": CITIZEN,
        "state": State.OPEN,
        "opened": date(2021, 5, 29),
        "follow_up": date(2021, 8, 29),
        "changed": datetime.fromisoformat(_timestamp(ffb, PLANNED)),
    }
    # The request of the same case number, told before, is none any more.
    assert found == [
        hub.CaseRecord(PLAN, **expected),
        hub.CaseRecord(OTHER_PLAN, **expected),
        hub.Gone("Sag154689/request"),
    ]


def test_only_plans_with_a_listed_measure_pass(ffb: Any) -> None:
    pages = list(adapter(ffb(PLANNED), codes={SKILLS: "32.18.04"}).read(None, {CITIZEN}))
    assert [record.source_id for record in told(pages)] == [OTHER_PLAN, "Sag154689/request"]
    assert sum(page.ignored for page in pages) == 1


def test_completed_plan_is_closed_and_the_other_stays(ffb: Any) -> None:
    """30 August: the first plan is completed; of the second the last report says nothing, so it stands as it stood.
    By name the last report comes last, and the first in the middle: their own times count."""
    folder = ffb(ASSESSMENT, PLANNED, ENDED)
    known: dict[str | None, hub.Record] = {}
    for record in told(adapter(folder, codes={"FFB": "32.18.04"}).read(None, {CITIZEN})):
        if isinstance(record, hub.Gone):
            known.pop(record.source_id, None)
        else:
            known[record.source_id] = record
    assert {name: (r.state, r.closed) for name, r in known.items() if isinstance(r, hub.CaseRecord)} == {
        PLAN: (State.CLOSED, date(2021, 8, 30)),
        OTHER_PLAN: (State.OPEN, None),
    }


def test_nothing_of_a_report_but_the_index_passes(ffb: Any) -> None:
    every = adapter(ffb(ASSESSMENT, PLANNED, ENDED), codes={"FFB": "32.18.04"})
    said = repr(told(every.presence(None))) + repr(told(every.read(None, {CITIZEN})))
    for code in (HEALTHY_LIVING, "5cfc9530-a193-4f66-9981-3b980ee9ea7b", "ae9f388a-91c3-46cf-af55-f81952f2977c"):
        assert code not in said


def _timestamp(ffb: Any, name: str) -> str:
    (path,) = ffb(name).glob(f"Bundle-{name}*.json")
    return str(json.loads(path.read_bytes())["timestamp"])


def _tables(standards: Path) -> dict[str, list[str]]:
    """Name of a table of a municipality's data → its columns."""
    text = (standards / "sagdok/dubu-columns/randers-BSDUBU-columns.md").read_text(encoding="utf-8")
    found = {}
    for part in text.split("## <a")[1:]:
        name = re.match(r' id="\w+">\s*(\w+)</a>', part)
        assert name is not None
        rows = re.findall(r"^\| (\S+)\s*\| (.*?)\s*\|$", part, re.MULTILINE)
        found[name[1]] = [own for technical, own in rows if not technical.startswith(("Tekniks", "TekniskN", ":"))]
    return found


VALUES = {
    "CPR-nr.": "010414-9996",
    "CPR": "0104149996",
    "Cpr.nr.": "0104149996",
    "Sagsnummer": "S-1",
    "Sagstype": "Handicap",
    "Status": "Iværksat",
    "Startdato": "01-02-2021",
    "Slutdato": "",
    "Ydelsesbeløb": "1.234,50",
}


TABLES = {
    # The exports that name persons, cases and where they stand.
    "BSDUBU2": "a case",
    "BSDUBUp30": "a case",
    # No number of a case, no number of a person.
    "BSDUBU": "Sagsnummer, CPR-nr.",
    # Nobody to whom a case could be told.
    "BSDUBUp32": "CPR-nr.",
    # Other systems, without case numbers.
    "BSSofus": "Sagsnummer, CPR-nr., Status, Sagstype",
    "BSSpecialtilbud": "Sagsnummer, Status, Sagstype",
    "SASensum": "Sagsnummer, Sagstype",
    "SASensumSagsAktivitet": "Sagsnummer, Status, Sagstype",
}


@pytest.mark.parametrize(("table", "expected"), TABLES.items())
def test_every_table_of_columns(standards: Path, tmp_path: Path, table: str, expected: str) -> None:
    columns = _tables(standards)[table]
    assert len(columns) > 8
    text = io.StringIO()
    rows = csv.writer(text, delimiter=";")
    rows.writerow(columns)
    rows.writerow([VALUES.get(column, "x") for column in columns])
    (tmp_path / "export.csv").write_bytes(text.getvalue().encode("cp1252"))
    records = told(adapter(tmp_path, codes={"Handicap": "32.18.04"}).read(None, {"0104149996"}))
    if expected == "a case":
        assert records == [
            hub.CaseRecord("S-1", "0104149996", "32.18.04", State.OPEN, opened=date(2021, 2, 1)),
        ]
    else:
        (bad,) = records
        assert isinstance(bad, hub.Unreadable)
        assert bad.reason.endswith(f"does not name the column(s) {expected}")


def test_all_tables_are_tried(standards: Path) -> None:
    assert _tables(standards).keys() == TABLES.keys()


def test_what_is_no_case_is_said_to_be_none(standards: Path) -> None:
    """All of the case index's material: schemas, guidance, classifications, another system's grants. No file of it
    holds a case; each is reported, and none stops the others."""
    folder = standards / "sagdok"
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    pages = list(adapter(folder).presence(None))
    records = told(pages)
    assert all(isinstance(record, hub.Unreadable) for record in records)
    assert {
        record.position.partition(", after")[0] for record in records if isinstance(record, hub.Unreadable)
    } == there
    assert not any(page.complete for page in pages)
