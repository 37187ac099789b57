"""Tables as Danish systems and spreadsheets save them: CSV in Windows-1252, UTF-8 or UTF-16, with `;`, `,` or tab, and
Danish dates and decimals.

Read in a stream: memory holds one row, however long the file is.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from hub.contract import Unreadable
from hub.errors import BadRecord, GaveUp, TryAgain
from hub.reading.encodings import Decoder
from hub.reading.files import RAW_LIMIT, Readable

LINE_LIMIT = 1024 * 1024
"""The longest line (bytes), and the longest row with line breaks in quotes (characters)."""
LINES_IN_A_ROW = 200
"""How many lines one row may have, by line breaks in quotes; more is a quote that nobody closed."""
_PIECE = 64 * 1024
_DELIMITERS = ";\t,|"
_DATE = re.compile(r"(?:(\d{4})-(\d\d)-(\d\d)|(\d\d?)[-./](\d\d?)[-./](\d{4}))(?:[T ]\d\d?[:.]\d\d(?:[:.]\d\d)?\S*)?")
_NUMBER = re.compile(r"([-+]?)(\d{1,3}(?:\.\d{3})+|\d+)(?:,(\d+))?")


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row. `line` is the first of its lines in the file, counted from 1; `values` are by the caller's own names for
    the columns, without space around them, "" where the file has no such column; `raw` is for quarantine."""

    line: int
    values: Mapping[str, str]
    raw: bytes

    def __getitem__(self, name: str) -> str:
        return self.values[name]


def csv_rows(
    stream: Readable,
    columns: Mapping[str, Sequence[str]],
    *,
    needed: Collection[str],
    where: str,
    encoding: str | None = None,
) -> Iterator[CsvRow | Unreadable]:
    """The rows of a table whose first line names its columns.

    `columns` gives the headings under which each of the caller's columns may stand; case, spaces and punctuation do not
    count, so `CPR-nr.` is `cpr nr`. Columns nobody asked for are left out. `where` begins each position (a file by
    number: its name may hold a person's). Without `encoding`, a byte order mark decides, else the first line that is
    not ASCII: valid UTF-8, or Windows-1252; a line that contradicts is Unreadable.

    Gives Unreadable in place of a row that cannot be read: a byte that is none in the encoding, NUL, a quote that is
    not closed, more or fewer fields than the heading has, a line over LINE_LIMIT. Raises GaveUp when a column of
    `needed` is missing or stands twice, TryAgain when the file ends in the middle of a row: it may still be written."""
    lines = _Lines(stream, encoding, where)
    head = _heading(lines, where)
    layout = _Layout.of(head, columns, needed, where)
    for got in lines:
        if isinstance(got, Unreadable):
            yield got
        elif got.text.strip(" \t" + layout.delimiter):
            yield _row(got, lines, layout, where)


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: str
    ended: bool
    """Whether a line break stands after it; only the last line of a file may lack it."""


class _Lines:
    """The lines of a stream, decoded; `again` puts lines back."""

    def __init__(self, stream: Readable, encoding: str | None, where: str) -> None:
        self._where = where
        self._decoder = Decoder(encoding)
        self._raw = self._decoder.lines(stream.read, LINE_LIMIT, _PIECE)
        self._back: deque[_Line | Unreadable] = deque()
        self._number = 0

    def __iter__(self) -> Iterator[_Line | Unreadable]:
        return self

    def __next__(self) -> _Line | Unreadable:
        if self._back:
            return self._back.popleft()
        line, whole, ended = next(self._raw)
        self._number += 1
        position = f"{self._where}, line {self._number}"
        if not whole:
            return Unreadable(position, f"the line is longer than {LINE_LIMIT} bytes", line[:RAW_LIMIT])
        if b"\0" in line:
            return Unreadable(position, "the line holds a NUL byte: export the file again", line[:RAW_LIMIT])
        try:
            return _Line(self._number, self._decoder.text(line), ended)
        except BadRecord as error:
            return Unreadable(position, str(error), line[:RAW_LIMIT])

    def again(self, lines: Sequence[_Line | Unreadable]) -> None:
        self._back.extendleft(reversed(lines))


@dataclass(frozen=True, slots=True)
class _Layout:
    delimiter: str
    width: int
    places: Mapping[str, int]
    """The caller's columns that the file has, and where."""
    names: Collection[str]

    @classmethod
    def of(cls, head: str, columns: Mapping[str, Sequence[str]], needed: Collection[str], where: str) -> _Layout:
        """The delimiter under which most of the columns asked for are found, and where they stand."""
        wanted = {_bare(heading): name for name, headings in columns.items() for heading in headings}
        best: tuple[int, int, str, list[str]] = (-1, -1, "", [])
        for delimiter in _DELIMITERS:
            try:
                fields = [_bare(field) for field in next(csv.reader([head], delimiter=delimiter, strict=True))]
            except (csv.Error, StopIteration):
                continue
            best = max(best, (sum(field in wanted for field in fields), len(fields), delimiter, fields))
        _, _, delimiter, fields = best
        while fields and not fields[-1]:
            fields.pop()
        places: dict[str, int] = {}
        for place, field in enumerate(fields):
            name = wanted.get(field)
            if name is None:
                continue
            if name in places:
                raise GaveUp(f"{where}: the column {columns[name][0]} stands twice in the first line")
            places[name] = place
        missing = [columns[name][0] for name in columns if name in needed and name not in places]
        if missing:
            raise GaveUp(f"{where}: the first line does not name the column(s) {', '.join(missing)}")
        return cls(delimiter, len(fields), places, tuple(columns))


def _heading(lines: _Lines, where: str) -> str:
    for got in lines:
        if isinstance(got, Unreadable):
            raise GaveUp(f"{got.position}: the columns cannot be read: {got.reason}")
        # Spreadsheets may say the delimiter in a line of its own.
        if got.text.strip() and not re.fullmatch(r"sep=.", got.text.strip()):
            return got.text
    raise TryAgain(f"{where}: the file is empty, without even its columns")


def _row(first: _Line, lines: _Lines, layout: _Layout, where: str) -> CsvRow | Unreadable:
    taken: list[_Line] = [first]
    size = 0
    while True:
        try:
            fields = next(csv.reader([f"{line.text}\n" for line in taken], delimiter=layout.delimiter, strict=True))
        except csv.Error as error:
            problem = str(error)
        else:
            return _fitted(fields, taken, layout, where)
        if "unexpected end of data" not in problem:
            break
        following = next(lines, None)
        if following is None and len(taken) == 1 and not first.ended:
            raise TryAgain(f"{where}, line {first.number}: the file ends in the middle of a row")
        size += len(following.text) if isinstance(following, _Line) else 0
        if not isinstance(following, _Line) or size > LINE_LIMIT or len(taken) >= LINES_IN_A_ROW:
            problem = "a quote is not closed"
            if following is not None:
                lines.again([following])
            break
        taken.append(following)
    # Only the first line is given up, so that one stray quote does not take the rows after it along.
    lines.again(taken[1:])
    return Unreadable(
        f"{where}, line {first.number}",
        f"not a row: {problem}; correct the quotes in the source, or save the file again",
        first.text.encode()[:RAW_LIMIT],
    )


def _fitted(fields: list[str], taken: list[_Line], layout: _Layout, where: str) -> CsvRow | Unreadable:
    raw = "\n".join(line.text for line in taken).encode()[:RAW_LIMIT]
    while len(fields) > layout.width and not fields[-1].strip():
        fields.pop()
    if len(fields) != layout.width:
        if not taken[-1].ended:
            raise TryAgain(f"{where}, line {taken[0].number}: the file ends in the middle of a row")
        at = f"line {taken[0].number}" + (f" to {taken[-1].number}" if len(taken) > 1 else "")
        reason = f"the row has {len(fields)} fields, the heading {layout.width}: quote what holds the delimiter"
        return Unreadable(f"{where}, {at}", reason, raw)
    values = dict.fromkeys(layout.names, "")
    for name, place in layout.places.items():
        values[name] = _unwrapped(fields[place])
    return CsvRow(taken[0].number, values, raw)


def _unwrapped(value: str) -> str:
    """Without space around it, and without the `="…"` by which exports keep a spreadsheet from eating zeros."""
    value = value.replace("\N{NO-BREAK SPACE}", " ").strip()
    return value[2:-1].strip() if value.startswith('="') and value.endswith('"') and len(value) >= 3 else value


def _bare(heading: str) -> str:
    return "".join(letter for letter in heading.casefold() if letter.isalnum())


def danish_date(text: str) -> date | None:
    """`31-12-2025`, `31.12.2025`, `31/12/2025`, `2025-12-31`, each with or without a time of day, which is left out;
    None for nothing.

    Raises BadRecord for anything else, without the value: what stands in a wrong column may be a number or a name."""
    text = text.strip()
    if not text:
        return None
    found = _DATE.fullmatch(text)
    if found is None:
        raise BadRecord("is no date: write dd-mm-yyyy or yyyy-mm-dd")
    year, month, day = (found[1], found[2], found[3]) if found[1] else (found[6], found[5], found[4])
    try:
        return date(int(year), int(month), int(day))
    except ValueError as error:
        raise BadRecord("is no date: there is no such day") from error


def danish_number(text: str) -> Decimal | None:
    """`1.234,50` and `1234,5`; None for nothing. A point is a thousands separator and no decimal point, so `12.5` is
    refused rather than guessed.

    Raises BadRecord without the value."""
    text = text.strip().replace("\N{NO-BREAK SPACE}", "").replace(" ", "")
    if not text:
        return None
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise BadRecord("is no number in the Danish way: write 1234,50")
    return Decimal(f"{found[1]}{found[2].replace('.', '')}.{found[3] or '0'}")
