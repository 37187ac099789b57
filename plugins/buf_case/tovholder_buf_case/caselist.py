"""Special education's list of cases (PPR, specialundervisning) as CSV: who works on a case, where it stands, dates.

A list is how things are, like an export; several lists in a folder are parts of one. Of a row only the columns in
`settings.Column` are looked at, so that names, diagnoses and remarks stop here.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO

import hub
from tovholder_buf_case.settings import BufSettings, CaseListSettings, Column, kind_of_case
from tovholder_buf_case.unit import Budget, opened
from tovholder_buf_case.wire import DENMARK
from tovholder_buf_case.words import columns_of, needed_in, states_of

_DATES = (Column.OPENED, Column.DECIDED, Column.CLOSED, Column.DEADLINE, Column.FOLLOW_UP)


@dataclass(slots=True)
class CaseList:
    rows: list[hub.CaseRecord | hub.Unreadable] = field(default_factory=list)
    ignored: int = 0
    digest: str = ""
    whole: bool = True

    def presences(self) -> list[hub.Record]:
        return [
            hub.Presence(row.source_id, row.cpr, row.state) if isinstance(row, hub.CaseRecord) else row
            for row in self.rows
        ]

    def cases(self) -> list[hub.Record]:
        return list(self.rows)


def check_case_list(file: IO[bytes], settings: CaseListSettings, where: str) -> None:
    """Raises BadRecord, with the reason, when the file's first line is not that of a case list."""
    next(_rows(file, settings, where), None)


def _rows(file: IO[bytes], settings: CaseListSettings, where: str) -> Iterator[hub.CsvRow | hub.Unreadable]:
    """Raises BadRecord when the file is no case list or is cut short."""
    try:
        yield from hub.csv_rows(file, columns_of(settings), needed=needed_in(settings), where=where)
    except hub.GaveUp as error:
        said = str(error).removeprefix(f"{where}: ")
        raise hub.BadRecord(
            f"{said}: it is no case list, or its columns have other names: correct it, or name them in the settings "
            "(case_list.columns)"
        ) from error
    except hub.TryAgain as error:
        said = str(error).removeprefix(f"{where}: ").removeprefix(f"{where}, ")
        raise hub.BadRecord(f"{said}: copy or export it again") from error


def read_case_lists(paths: Sequence[tuple[Path, str]], settings: BufSettings, children: Set[str] | None) -> CaseList:
    """Read the lists (file, and its name as it may be shown), the newest first.

    `children`: None for all; else those with these numbers, and those whose row cannot be read, so that the hub knows
    that they are there still. A file that cannot be read, or not to its end, is told and stops no other."""
    reader = _Reader(settings, children)
    dated = [(_changed(path), path, name) for path, name in paths]
    for changed, path, name in sorted(dated, key=lambda found: (-found[0], found[2])):
        reader.take(path, name, datetime.fromtimestamp(changed, UTC).astimezone(DENMARK).date())
    return reader.finish()


def _changed(path: Path) -> float:
    """When a file was last written (seconds); 0 for one that is not there any more, which reading it will tell."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


@dataclass(slots=True)
class _Seen:
    """Where a case was first given."""

    position: str
    name: str
    row: bytes


class _Reader:
    def __init__(self, settings: BufSettings, children: Set[str] | None) -> None:
        self._list = CaseList()
        self._settings = settings
        self._children = children
        self._states = states_of(settings.case_list)
        self._headings = {column: names[0] for column, names in columns_of(settings.case_list).items()}
        self._seen: dict[str, _Seen] = {}
        self._staff: dict[hub.StaffRecord, hub.StaffRecord] = {}
        self._budget = Budget()
        rules = repr(("1", list(settings.kinds), settings.case_list))
        self._hash = hashlib.sha256(rules.encode())
        for cpr in sorted(children or ()):
            self._hash.update(cpr.encode())

    def take(self, path: Path, name: str, day: date) -> None:
        """Read one list; `day` is the Danish date it was written on."""
        newer: set[str] = set()
        try:
            with opened(path) as file:
                for row in _rows(file, self._settings.case_list, name):
                    if isinstance(row, hub.Unreadable):
                        # Nobody knows which case it is, or which rows it has swallowed: what is not seen is not gone.
                        self._list.whole = False
                        self._give(row)
                    else:
                        self._row(row, name, day, newer)
        except hub.BadRecord as error:
            self._tell(name, str(error))
        for other in sorted(newer):
            self._tell(name, f"some of its cases stand otherwise in {other}, which is newer: take the older list out")

    def _tell(self, name: str, reason: str) -> None:
        """Something is wrong with a list as such: what it may have held is not gone."""
        self._list.whole = False
        self._list.rows.append(hub.Unreadable(name, reason))
        self._hash.update(reason.encode())

    def finish(self) -> CaseList:
        self._list.digest = self._hash.hexdigest()
        return self._list

    def _give(self, row: hub.CaseRecord | hub.Unreadable) -> None:
        self._budget.record()
        if isinstance(row, hub.Unreadable):
            row = replace(row, raw=self._budget.raw(row.raw))
        self._list.rows.append(row)
        self._hash.update(repr(row).encode())

    def _row(self, row: hub.CsvRow, name: str, day: date, newer: set[str]) -> None:
        kind = kind_of_case(self._settings.kinds, _text(row[Column.KIND]))
        if kind is None:
            self._list.ignored += 1
            return
        position = f"{name}, line {row.line}"
        number = _text(row[Column.CASE])
        # As a digest: some put the CPR number into the case number.
        source_id = f"case:{hashlib.sha256(number.encode()).hexdigest()[:16]}" if number else None
        try:
            record = self._record(row, kind, source_id, day)
        except hub.BadRecord as error:
            # Of the row, too, only what the hub may know is kept: the rest may be a diagnosis.
            raw = "\n".join(f"{self._headings[column]}: {cell}" for column, cell in row.values.items() if cell)
            self._give(hub.Unreadable(position, str(error), raw.encode()[: hub.RAW_LIMIT], source_id))
            return
        own = hashlib.sha256(repr(record).encode()).digest()
        first = self._seen.setdefault(record.source_id, _Seen(position, name, own))
        if first.position == position:
            if self._children is None or record.cpr in self._children:
                self._give(record)
        elif first.row != own:
            if first.name != name:
                newer.add(first.name)
            else:
                at = first.position.removeprefix(f"{name}, ")
                self._give(hub.Unreadable(position, f"the same case number stands in {at} with other data: correct it"))

    def _record(self, row: hub.CsvRow, kind: str, source_id: str | None, day: date) -> hub.CaseRecord:
        """Raises BadRecord: says the column."""
        for column, cell in row.values.items():
            if any(unicodedata.category(letter) == "Cc" for letter in _text(cell)):
                raise hub.BadRecord(f"the column {self._headings[column]} holds a control character: correct it")
        if source_id is None:
            raise hub.BadRecord(f"{self._column(Column.CASE)} is empty, so that the case cannot be known again")
        dates = {column: self._date(row, column) for column in _DATES}
        state = self._state(row, dates, day)
        return hub.CaseRecord(
            source_id=source_id,
            cpr=self._number(row),
            kind=kind,
            state=state,
            opened=dates[Column.OPENED],
            closed=dates[Column.CLOSED] if state is hub.State.CLOSED else None,
            deadline=dates[Column.DEADLINE],
            follow_up=dates[Column.FOLLOW_UP],
            adviser=self._adviser(row),
        )

    def _column(self, column: Column) -> str:
        return f"the column {self._headings[column]}"

    def _date(self, row: hub.CsvRow, column: Column) -> date | None:
        try:
            return hub.danish_date(row[column])
        except hub.BadRecord as error:
            raise hub.BadRecord(f"{self._column(column)} {error}") from None

    def _state(self, row: hub.CsvRow, dates: Mapping[Column, date | None], day: date) -> hub.State:
        """By the word in the status column; where there is none, by the dates as they are on the list's own day."""
        word = _text(row[Column.STATE])
        if word:
            state = self._states.get(word.casefold().rstrip("."))
            if state is None:
                raise hub.BadRecord(
                    f"{self._column(Column.STATE)} holds a word that is not known: say in the settings what it means "
                    "(case_list.states)"
                )
            return state
        closed, decided = dates[Column.CLOSED], dates[Column.DECIDED]
        if closed is not None and closed <= day:
            return hub.State.CLOSED
        return hub.State.DECIDED if decided is not None and decided <= day else hub.State.OPEN

    def _adviser(self, row: hub.CsvRow) -> hub.StaffRecord | None:
        name, email = _text(row[Column.ADVISER]), _text(row[Column.ADVISER_EMAIL])
        if not name:
            return None
        made = hub.StaffRecord(
            source_id=(_text(row[Column.ADVISER_ID]) or email or name).casefold(),
            name=name,
            email=email or None,
            phone=_text(row[Column.ADVISER_PHONE]) or None,
            unit=_text(row[Column.UNIT]) or None,
        )
        return self._staff.setdefault(made, made)

    def _number(self, row: hub.CsvRow) -> str:
        """The number as ten characters. Raises BadRecord."""
        number = "".join(row[Column.CHILD].strip("'").replace("-", "").split())
        if not number:
            raise hub.BadRecord(f"{self._column(Column.CHILD)} is empty, so that the case cannot be matched")
        if len(number) == 9 and number.isdecimal():
            raise hub.BadRecord(
                f"{self._column(Column.CHILD)} has nine digits: a spreadsheet took the first 0 away; save it as text"
            )
        if len(number) != 10:
            raise hub.BadRecord(f"{self._column(Column.CHILD)} holds no CPR number: ten digits, with a dash or without")
        return number


def _text(cell: str) -> str:
    return " ".join(cell.split())
