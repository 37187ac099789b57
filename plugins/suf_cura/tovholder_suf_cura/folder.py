"""A folder of files, each known by its content: one FHIR document, or one to a line (NDJSON).

Nothing that is wrong with a file stops the others. Files are read as UTF-8 (with or without byte order mark); UTF-16 is
known by its mark, and bytes that are no UTF-8 are read as Windows-1252. Gzip is unpacked as it is read.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import hub
from tovholder_suf_cura import document
from tovholder_suf_cura.document import Found, Where
from tovholder_suf_cura.pieces import Json, Lines
from tovholder_suf_cura.pool import Bad

_HEAD = 1024 * 1024
"""Bytes looked at to know a file by (bytes)."""
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_PACKED = (b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"\x28\xb5\x2f\xfd")
_LIKE_A_NUMBER = re.compile(r"\d{6}-?\d{4}")
_MOST_BAD = 100
"""Bad lines of one file that are told one by one."""
_HOPELESS = 10_000
"""Bad lines after which the rest of a file is not read."""


def files(folder: Path) -> list[Path]:
    """All files below the folder, by path. Those whose name (or folder's name) begins with a dot are not looked at: so
    programs name what they have not finished copying.

    Raises GaveUp when the folder is not there."""
    return [
        path
        for path in hub.files(folder, "*")
        if not any(name.startswith(".") for name in path.relative_to(folder).parts)
    ]


def fingerprint(folder: Path) -> str:
    """Another one whenever a file came, went or was written. Says nothing about a person: no name is in it."""
    digest = hashlib.sha256()
    for path in files(folder):
        try:
            stat = path.stat()
        except OSError:
            digest.update(b"gone")
        else:
            digest.update(f"{stat.st_size} {stat.st_mtime_ns} ".encode())
    return digest.hexdigest()[:16]


def read(folder: Path) -> Iterator[Found]:
    """What is in a folder's files, by file name and place.

    Raises GaveUp when the folder is not there."""
    for number, path in enumerate(files(folder), start=1):
        name = str(path.relative_to(folder))
        place = f"file {number}" if _LIKE_A_NUMBER.search(name) or not name.isprintable() else name
        try:
            changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            with hub.opened(path) as stream:
                yield from _file(stream, Where(place, place, changed), path.name.lower())
        except OSError as error:
            yield Bad(hub.Unreadable(place, f"the file cannot be read: {error.strerror or type(error).__name__}"))
        except (hub.TryAgain, hub.GaveUp) as error:
            yield Bad(hub.Unreadable(place, f"{error}: deliver the file again"))


def _file(stream: hub.Readable, where: Where, name: str) -> Iterator[Found]:
    whole = _FromStart(stream)
    why = _unknown(whole.head)
    if why is not None:
        yield Bad(hub.Unreadable(where.place, why))
    elif _is_lines(whole.head, name):
        yield from _lines(Lines(_utf8(whole)), where)
    else:
        yield from _document(Json(_utf8(whole)), where)


class _FromStart:
    """A stream whose head has been looked at, from its start again."""

    def __init__(self, stream: hub.Readable) -> None:
        self._stream = stream
        self.head = self._left = stream.read(_HEAD)

    def skip(self, size: int) -> None:
        self._left = self._left[size:]

    def read(self, size: int, /) -> bytes:
        if not self._left:
            return self._stream.read(size)
        given, self._left = self._left[:size], self._left[size:]
        return given


def _unknown(head: bytes) -> str | None:
    """Why a file is none of those that are read; None when it may be."""
    start = _text(head)
    if not start:
        return "the file is empty: deliver it again"
    if start[:1] == "{":
        return None
    if head.startswith(_PACKED):
        return "the file is packed (zip or the like): unpack it"
    if start[:1] == "<":
        page = start[:200].lower().startswith(("<!doctype html", "<html"))
        return f"{'a web page (HTML)' if page else 'XML'}, no FHIR JSON: export as JSON, or move the file elsewhere"
    return "neither a FHIR resource in JSON nor one to a line: move the file elsewhere"


def _text(head: bytes) -> str:
    encoding = "utf-16" if head.startswith(_UTF16) else "utf-8-sig"
    return head.decode(encoding, "replace").lstrip(" \t\r\n")


def _is_lines(head: bytes, name: str) -> bool:
    """Whether each line is a document of its own: the first one is whole, and another one begins after it."""
    first, _, rest = _text(head).partition("\n")
    named = name.removesuffix(".gz").endswith((".ndjson", ".jsonl"))
    return named or (first.rstrip().endswith("}") and rest.lstrip()[:1] == "{")


def _document(text: Json, where: Where) -> Iterator[Found]:
    try:
        while text.peek():
            yield from document.read(text, where)
    except hub.BadRecord as error:
        yield Bad(hub.Unreadable(where.place, f"{error}; what comes after it was not read: deliver the file again"))


def _lines(lines: Lines, where: Where) -> Iterator[Found]:
    bad = 0
    for number, line in enumerate(lines, start=1):
        place = f"{where.place}, line {number}"
        text = Json(line)
        try:
            if text.peek():
                yield from document.read(text, Where(place, where.file, where.time))
            if text.peek():
                raise hub.BadRecord("more than one resource in a line")
        except hub.BadRecord as error:
            bad += 1
            if bad <= _MOST_BAD:
                yield Bad(hub.Unreadable(place, str(error).removesuffix(" at line 1")))
            elif bad == _HOPELESS:
                break
    if bad > _MOST_BAD:
        more = "; the rest of it was not read" if bad == _HOPELESS else ""
        yield Bad(hub.Unreadable(where.place, f"more than {_MOST_BAD} lines of the file cannot be read{more}"))


class _Recoded:
    """UTF-16 as UTF-8."""

    def __init__(self, stream: hub.Readable) -> None:
        self._stream, self._decode = stream, codecs.getincrementaldecoder("utf-16")("replace")

    def read(self, size: int, /) -> bytes:
        while True:
            piece = self._stream.read(size)
            text = self._decode.decode(piece, final=not piece)
            if text or not piece:
                return text.encode("utf-8", "replace")


def _utf8(stream: _FromStart) -> hub.Readable:
    """A file as UTF-8 without byte order mark."""
    if stream.head.startswith(_UTF16):
        return _Recoded(stream)
    if stream.head.startswith(codecs.BOM_UTF8):
        stream.skip(len(codecs.BOM_UTF8))
    return stream
