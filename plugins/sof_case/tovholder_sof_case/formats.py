"""What a file is, seen from the file: SF1470 XML, a DUBU export, an answer of DUBU's OData, or an FFB bundle; and the
cases in it.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import hub
from tovholder_sof_case import dubu, dubu_csv, entry, ffb
from tovholder_sof_case.pages import Take, Taken
from tovholder_sof_case.sag import SAG_TAGS
from tovholder_sof_case.settings import SofSettings

JSON_LIMIT = 64 * 1024 * 1024
"""The largest JSON file that is read (bytes): it is held in memory as a whole. An export has one citizen, or a page."""
_HEAD = 4096
_ROOT = re.compile(rb"(?:\s+|<\?.*?\?>|<!--.*?-->)*<(?:[\w.-]+:)?([\w.-]+)", re.DOTALL)
_EMPTY = {b"ImporterSagDokumentIndeksInput", b"FremsoegSagDokumentIndeksOutput", b"Envelope"}
"""The documents that may be without a Sag."""
_NONE = (
    "the file is none of what this plugin reads (Sager of SF1470 in XML, a table or OData answer of DUBU, FHIR bundles "
    "of FFB): take it out of the folder, or have it exported again"
)
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_BINARY = (b"%PDF", b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x89PNG", b"\xff\xd8\xff", b"{\\rtf")


class Format(Enum):
    XML = "xml"
    JSON = "json"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading a file's cases needs. `children` None: who is present."""

    settings: SofSettings
    take_sag: Take
    children: Set[str] | None
    today: date


def of(head: bytes) -> Format:
    """What a file is that begins so. Raises GaveUp for none of ours."""
    if any(head.startswith(magic) for magic in _BINARY):
        raise hub.GaveUp(_NONE)
    for mark in _MARKS:
        if head.startswith(mark):
            head = head.removeprefix(mark).replace(b"\0", b"")
            break
    else:
        if b"\0" in head[:4]:
            head = head.replace(b"\0", b"")
    start = head.lstrip()[:1]
    if start == b"<":
        return Format.XML
    return Format.JSON if start in (b"{", b"[") else Format.TABLE


@contextmanager
def opened(path: Path) -> Iterator[tuple[Format, _Again]]:
    """What a file is, and the file to be read from its start, unpacked. Raises GaveUp, TryAgain, OSError."""
    with hub.opened(path) as stream:
        head = b""
        while len(head) < _HEAD and (piece := stream.read(_HEAD - len(head))):
            head += piece
        yield of(head), _Again(head, stream)


class _Again:
    """A stream with what was read of it put back."""

    def __init__(self, head: bytes, stream: hub.Readable) -> None:
        self.head = head
        self._held = head
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        if not self._held:
            return self._stream.read(size)
        given, self._held = self._held[:size], self._held[size:]
        return given


def items(path: Path, name: str, reading: Reading) -> Generator[Taken]:
    """What each case of a file gives. How many there are depends on the file alone. `name` is the file for a message.

    Raises TryAgain and GaveUp when the file cannot be read, or not to its end: what came before was given."""
    with opened(path) as (kind, stream):
        if kind is Format.XML:
            yield from _sager(stream, name, reading)
        elif kind is Format.TABLE:
            yield from dubu_csv.cases(stream, reading.settings, name, reading.today, reading.children)
        else:
            yield from _objects(_json(stream), name, reading)


def made_at(path: Path) -> datetime | None:
    """When a file was made, where its content says so: FFB reports of one citizen must be read in that order, and
    their names do not tell it. None for what cannot be read: `items` will say why."""
    try:
        with opened(path) as (kind, stream):
            return ffb.made_at(_json(stream)) if kind is Format.JSON else None
    except (OSError, hub.TovholderError):
        return None


def _sager(stream: _Again, name: str, reading: Reading) -> Iterator[Taken]:
    at = 0
    for at, element in enumerate(hub.xml_elements(stream, *SAG_TAGS), start=1):
        yield reading.take_sag(element, f"{name} line {element.sourceline}, case {at}")
    root = _ROOT.match(stream.head.removeprefix(_MARKS[0]))
    if not at and (root is None or root[1] not in _EMPTY):
        raise hub.GaveUp(_NONE)


def _json(stream: _Again) -> Any:
    data = b""
    while piece := stream.read(1024 * 1024):
        data += piece
        if len(data) > JSON_LIMIT:
            raise hub.GaveUp(f"the JSON is larger than {JSON_LIMIT} bytes: export it in smaller files")
    return hub.json_value(data)


def _objects(value: Any, name: str, reading: Reading) -> Iterator[Taken]:
    cases: Iterator[entry.Entry]
    if ffb.is_bundle(value):
        cases = ffb.cases_in(value, reading.today)
    elif isinstance(value, dict) and isinstance(value.get("value"), list):
        cases = (dubu.DubuCase(each, reading.settings) for each in dubu.cases_in(value))
    else:
        raise hub.GaveUp(_NONE)
    for at, each in enumerate(cases, start=1):
        yield entry.take(each, reading.settings, f"{name}, case {at}", reading.children)
