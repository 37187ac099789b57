"""Which letters the bytes of a text file are: by its byte order mark, else by the first line that is not ASCII."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator

from hub.errors import BadRecord, GaveUp

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins like UTF-16's, so it is looked for first
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DANISH = tuple(letter.encode() for letter in "æøåÆØÅéöäü")


class Decoder:
    """Bytes to lines, and lines to text. `encoding` None: found out."""

    def __init__(self, encoding: str | None = None) -> None:
        self._told = encoding is not None
        self._encoding = codecs.lookup(encoding).name if encoding else None

    def lines(self, read: Callable[[int], bytes], limit: int, piece: int) -> Iterator[tuple[bytes, bool, bool]]:
        """Each line without its break, whether that is all of it (else it was cut at `limit` bytes), and whether a
        break stands after it. Wide encodings come out as UTF-8."""
        rest, whole = b"", True
        for some in self._pieces(read, piece):
            *lines, rest_now = some.split(b"\n")
            for line in lines:
                line, all_of_it = _joined(rest, line, limit)
                yield line.removesuffix(b"\r"), whole and all_of_it, True
                rest, whole = b"", True
            rest, all_of_it = _joined(rest, rest_now, limit)
            whole = whole and all_of_it
        if rest:
            yield rest.removesuffix(b"\r"), whole, False

    def _pieces(self, read: Callable[[int], bytes], piece: int) -> Iterator[bytes]:
        first = read(piece)
        for mark, encoding in _MARKS:
            if first.startswith(mark):
                first, self._encoding, self._told = first[len(mark) :], encoding, True
                break
        else:
            if self._encoding is None and b"\0" in first[:4]:
                raise GaveUp("the file is UTF-16 without a byte order mark: save it as UTF-8, or say its encoding")
        if self._encoding is None or not self._encoding.startswith(("utf-16", "utf-32")):
            while first:
                yield first
                first = read(piece)
            return
        wide = codecs.getincrementaldecoder(self._encoding)()
        self._encoding = "utf-8"
        try:
            while first:
                yield wide.decode(first).encode()
                first = read(piece)
            wide.decode(b"", final=True)
        except UnicodeError as error:
            raise GaveUp("the file has the byte order mark of UTF-16 or UTF-32 and is not that") from error

    def text(self, line: bytes) -> str:
        """Raises BadRecord when the line is not in the file's encoding."""
        if line.isascii():
            return line.decode("ascii")
        if self._encoding is None:
            self._encoding = "utf-8" if _is(line, "utf-8") else "cp1252"
        if not _is(line, self._encoding):
            raise BadRecord(f"the line holds bytes that are no letters in {self._encoding}, the file's encoding")
        if self._encoding == "cp1252" and not self._told and any(letter in line for letter in _DANISH):
            raise BadRecord("the line is in UTF-8, and lines before it are not: two encodings in one file")
        return line.decode(self._encoding)


def _joined(rest: bytes, more: bytes, limit: int) -> tuple[bytes, bool]:
    return (rest + more)[:limit], len(rest) + len(more) <= limit


def _is(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
