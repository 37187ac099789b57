"""An export of DUBU as a table: a row for each measure (ydelse) of a case. The columns are those of the exports that
municipalities make; which of them stand in a file, and in what order, is each municipality's choice.

Rows of one Sagsnummer are one case. It is open while one of its measures runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import hub
from tovholder_sof_case.entry import Standing, bare_number, case_id, take
from tovholder_sof_case.pages import Taken
from tovholder_sof_case.settings import SofSettings, word

_KINDS = {
    "sagstype": ("Sagstype",),
    "ydelsestype": ("Ydelsestype",),
    "paragraf": ("Afgørelsesparagraf", "Lovhjemmel"),
}
_COLUMNS: Mapping[str, Sequence[str]] = {
    "number": ("Sagsnummer", "Sagsnr."),
    "cpr": ("CPR-nr.", "CPR", "CPR-nummer"),
    "status": ("Status", "Ydelse status"),
    "case_status": ("Sag status",),
    "start": ("Startdato", "Ydelse startdato"),
    "end": ("Slutdato", "Ydelse slutdato"),
    "coercion": ("Tvang",),
    "sensitive": ("isSensitive", "Følsom"),
}
_NEEDED = ("number", "cpr", "status", "kind")
_NO = {"", "0", "nej", "false", "falsk"}
_LIFE = (hub.State.OPEN, hub.State.APPLIED, hub.State.DECIDED, hub.State.CLOSED)
"""Of several measures the first of these is what the case is."""


@dataclass(slots=True)
class _Row:
    """One measure."""

    values: hub.CsvRow
    settings: SofSettings
    today: date
    gone: bool = field(default=False, init=False)

    @property
    def number(self) -> str | None:
        return bare_number(self.values["cpr"])

    @property
    def words(self) -> Sequence[str]:
        return (self.values["kind"],)

    @property
    def hidden(self) -> bool:
        """Whether anything but a no stands under Tvang, or sensitive."""
        return any(word(self.values[name]) not in _NO for name in ("coercion", "sensitive"))

    def source_id(self, kind: str | None) -> str:
        number = case_id(self.values["number"])
        # By Sagstype a case is of one kind; otherwise the same number can be a case of each of its measures' kinds.
        return number if self.settings.kind_from == "sagstype" else f"{number}/{kind}"

    def standing(self) -> Standing:
        start, end = self._day("start"), self._day("end")
        told = [self.settings.state_of(status) for name in ("case_status", "status") if (status := self.values[name])]
        if not told:
            raise hub.BadRecord("the row has no Status")
        state = hub.State.CLOSED if hub.State.CLOSED in told else told[-1]
        if state is hub.State.CLOSED or (end is not None and end < self.today):
            return Standing(hub.State.CLOSED, opened=start, closed=end)
        if state is hub.State.OPEN and start is not None and start > self.today:
            return Standing(hub.State.DECIDED, opened=start, until=start)
        return Standing(state, opened=start, until=None if end is None else end + timedelta(days=1))

    def skeleton(self) -> bytes:
        return json.dumps({"line": self.values.line, "hidden": self.hidden}).encode()

    def _day(self, name: str) -> date | None:
        text = self.values[name]
        if len(text) == 8 and text.isascii() and text.isdecimal():
            text = f"{text[:4]}-{text[4:6]}-{text[6:]}"  # some exports write dates as numbers
        try:
            found = hub.danish_date(text)
        except hub.BadRecord as error:
            raise hub.BadRecord(f"{_COLUMNS[name][0]} {error}") from error
        # 31-12-9999 means for ever.
        return None if found is None or found.year >= 9999 else found


@dataclass(slots=True)
class _Case:
    """The rows of one case."""

    row: _Row
    line: int
    hidden: bool = False
    bad: bool = False
    """Whether a row of it could not be read: then nothing is told of it, since that row may say that it is open."""
    known: Standing | None = None
    """What its rows say together."""
    gone: bool = field(default=False, init=False)

    @property
    def number(self) -> str | None:
        return self.row.number

    @property
    def words(self) -> Sequence[str]:
        return self.row.words

    def source_id(self, kind: str | None) -> str:
        return self.row.source_id(kind)

    def standing(self) -> Standing:
        return self.known or Standing(hub.State.CLOSED)

    def add(self, new: Standing) -> None:
        if self.known is None:
            self.known = new
            return
        state = min(self.known.state, new.state, key=_LIFE.index)
        self.known = Standing(
            state,
            opened=min((day for day in (self.known.opened, new.opened) if day is not None), default=None),
            closed=max((day for day in (self.known.closed, new.closed) if day is not None), default=None)
            if state is hub.State.CLOSED
            else None,
            until=min((day for day in (self.known.until, new.until) if day is not None), default=None),
        )

    def skeleton(self) -> bytes:
        return self.row.skeleton()


def cases(
    stream: hub.Readable, settings: SofSettings, name: str, today: date, children: Set[str] | None
) -> Iterator[Taken]:
    """What a table gives: for each row something if it could not be read or is not listed, then for each case. How many
    there are depends on the file alone, so that a count says where to go on. Cases of listed kinds are kept until the
    file has been read to its end, since the rows of a case may stand anywhere in it.

    Raises GaveUp when a column is missing, TryAgain when the file is cut short."""
    columns = {**_COLUMNS, "kind": _KINDS[settings.kind_from]}
    found: dict[str, _Case] = {}
    for values in hub.csv_rows(stream, columns, needed=_NEEDED, where=name):
        if isinstance(values, hub.Unreadable):
            # Its kind is not known, so nothing of it may be kept.
            yield Taken(replace(values, raw=b""))
        else:
            row = _Row(values, settings, today)
            taken = _gather(found, row, f"{name}, line {values.line}")
            # What could not be read is told whoever is asked for: it keeps what is known of the case from being gone.
            told = children is None or row.number in children or taken.record is not None
            yield taken if told else Taken(None)
    for case in found.values():
        yield take(case, settings, f"{name}, line {case.line}", children) if not case.bad else Taken(None)


def _gather(found: dict[str, _Case], row: _Row, position: str) -> Taken:
    """Put a row to its case; give what is to be said of the row alone."""
    taken = take(row, row.settings, position, None)
    if taken.record is None:
        return taken
    if taken.record.source_id is None:
        return taken
    case = found.get(taken.record.source_id)
    if case is None:
        kept = _Row(replace(row.values, raw=b""), row.settings, row.today)
        case = found[taken.record.source_id] = _Case(kept, row.values.line)
    if isinstance(taken.record, hub.Unreadable):
        case.bad = True
        return taken
    if case.number != row.number:
        case.bad = True
        reason = "rows of one Sagsnummer name different CPR numbers: correct the export"
        return Taken(hub.Unreadable(position, reason, row.skeleton(), source_id=taken.record.source_id))
    if row.hidden:
        case.hidden = True
    else:
        case.add(row.standing())
    return Taken(None)
