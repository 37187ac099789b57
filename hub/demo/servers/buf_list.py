"""Special education's list of cases, as the town's PPR saves it from its own system: CSV, one row per case.

There is no public schema for such a list; the columns are those that lists of pedagogical-psychological counselling
have in common. What the hub must not read is there, too: the child's name, the school, remarks.
"""

from __future__ import annotations

import csv
import io
from datetime import date, datetime

from hub.contract import State
from hub.demo.model import Town, TownCase, Version

COLUMNS = ("Sagsnummer", "Barnets navn", "CPR-nr.", "Skole", "Sagstype", "Status", "Oprettet", "Afsluttet", "Frist",
           "Næste opfølgning", "Sagsbehandler", "Initialer", "E-mail", "Telefon", "Enhed", "Bemærkninger")  # fmt: skip
SPECIAL = "Specialundervisning"
SUPPORT = "Støtte i dagtilbud"
_WORDS = {
    State.APPLIED: "Indstillet",
    State.OPEN: "Igangværende",
    State.DECIDED: "Afgjort",
    State.CLOSED: "Afsluttet",
}


def case_list(town: Town, now: datetime, *, delimiter: str = ";", encoding: str = "cp1252") -> bytes:
    """The list as it is at `now` (UTC). Cases that are closed stay on it; what is gone does not."""
    out = io.StringIO()
    rows = csv.writer(out, delimiter=delimiter, lineterminator="\r\n")
    rows.writerow(COLUMNS)
    for case in town.cases.get("BUF", ()):
        version = case.at(now)
        if version is not None and not version.gone:
            rows.writerow(_row(town, case, version))
    return out.getvalue().encode(encoding)


def _row(town: Town, case: TownCase, version: Version) -> tuple[str, ...]:
    child, institution = town.people[case.child], town.institutions[case.kind]
    worker = town.workers[version.adviser] if version.adviser is not None else None
    closed = version.changed.date() if version.state is State.CLOSED else None
    return (
        case.number,
        child.name,
        f"{case.child[:6]}-{case.child[6:]}",
        institution.name,
        SPECIAL if institution.special else SUPPORT,
        _WORDS[version.state],
        _day(case.opened),
        _day(closed),
        "",
        _day(case.follow_up),
        *((worker.name, worker.uuid, worker.email, worker.phone, worker.unit) if worker else ("", "", "", "", "")),
        'Se udtalelse: "støttebehov";\nmøde med skolen aftalt',
    )


def _day(day: date | None) -> str:
    return f"{day:%d-%m-%Y}" if day is not None else ""
