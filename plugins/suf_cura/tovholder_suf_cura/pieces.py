"""JSON read in pieces: of a stream only the value that is being read is held, however long the whole is.

A value nested too deep to be decoded, or longer than `LARGEST`, is passed over and counts as absent, so that what
stands around it is read all the same. The decoding is the standard library's; docs/why.md says why no other.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

import hub

PIECE = 64 * 1024
"""Bytes read at a time."""
LARGEST = 4 * 1024 * 1024
"""Characters one value may have that is held as a whole."""
_BLANK = " \t\r\n"
_AFTER = frozenset(_BLANK + ",]}")
"""What may stand after a number."""
_LONGEST_WORD = 16
"""Characters that a number, an escape or a word cut off at the end may need to be seen as such."""
_NO_BLANK = re.compile(r"[^ \t\r\n]")
_FIRST_MEMBER = re.compile(r'\{[ \t\r\n]*"(\w+)"[ \t\r\n]*:[ \t\r\n]*"(\w+)"', re.ASCII)
_OUTSIDE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{}]', re.DOTALL)
"""A whole string, or the beginning of one that is not at hand to its end, or a bracket."""
_AFTER_SCALAR = re.compile(r"[ \t\r\n,\]}]")
_INSIDE = re.compile(r'["\\]')


class Twice(dict[str, Any]):
    """An object in which a name stands more than once: which of its values is meant nobody can say."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Twice(found)


def _danish(error: UnicodeError) -> tuple[str, int]:
    """Bytes that are no UTF-8 are read as Windows-1252, which Danish systems wrote before."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error("tovholder-suf-danish", _danish)


# Numbers are never used, and one of 5,000 digits must not stop the rest.
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=float, strict=False)


class Json:
    """One document, to be read value by value or member by member.

    Every method raises BadRecord when the document is cut short or not well formed; what was read before is good."""

    def __init__(self, stream: hub.Readable) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8")("tovholder-suf-danish")
        self._held, self._at, self._ended = "", 0, False
        self._lines = 1

    def _more(self) -> bool:
        """Read on; more at a time the more is held, so that a long value is not tried again and again."""
        if self._ended:
            return False
        piece = self._stream.read(max(PIECE, len(self._held) - self._at))
        self._ended = not piece
        self._lines += self._held.count("\n", 0, self._at)
        self._held = self._held[self._at :] + self._decode.decode(piece, final=self._ended)
        self._at = 0
        return True

    @property
    def line(self) -> int:
        """The line, from 1, that has been read to."""
        return self._lines + self._held.count("\n", 0, self._at)

    def _error(self, cut: bool = False) -> hub.BadRecord:
        cut = cut or (self._ended and not self._held[self._at :].strip(_BLANK))
        return hub.BadRecord(f"{'the JSON is cut short' if cut else 'no well-formed JSON'} at line {self.line}")

    def peek(self) -> str:
        """The next character that is not space; empty at the end."""
        while True:
            found = _NO_BLANK.search(self._held, self._at)
            if found is not None:
                self._at = found.start()
                return found.group()
            self._at = len(self._held)
            if not self._more():
                return ""

    def first_member(self) -> tuple[str, str] | None:
        """Name and value of the first member of the object that comes next, if both are plain text and at hand."""
        self.peek()
        found = _FIRST_MEMBER.match(self._held, self._at)
        return None if found is None else (found.group(1), found.group(2))

    def take(self, wanted: str) -> bool:
        """Whether the next character is `wanted`; if so, go past it."""
        if self.peek() != wanted:
            return False
        self._at += 1
        return True

    def _expect(self, wanted: str) -> None:
        if not self.take(wanted):
            raise self._error()

    def names(self) -> Iterator[str]:
        """The names of the members of the object that comes next. Read each one's value before asking for the next."""
        self._expect("{")
        if self.take("}"):
            return
        while True:
            name = self.value()
            if not isinstance(name, str):
                raise self._error()
            self._expect(":")
            yield name
            if not self.take(","):
                break
        self._expect("}")

    def elements(self) -> Iterator[int]:
        """The places, from 1, of the elements of the list that comes next; read each before asking for the next."""
        self._expect("[")
        if self.take("]"):
            return
        place = 1
        yield place
        while self.take(","):
            place += 1
            yield place
        self._expect("]")

    def value(self) -> Any:
        """The value that comes next; None for one that is passed over."""
        self.peek()
        while True:
            cut = True
            try:
                value, end = _DECODER.raw_decode(self._held, self._at)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated") or error.pos >= len(self._held)
                if not cut and error.pos <= len(self._held) - _LONGEST_WORD:
                    raise self._error() from None
            except RecursionError:
                self.skip()
                return None
            else:
                # A number at the end of what is held may go on.
                if end < len(self._held) and (self._held[end] in _AFTER or not isinstance(value, float)):
                    self._at = end
                    return value
                if self._ended:
                    self._at = end
                    return value
            if len(self._held) - self._at > LARGEST:
                self.skip()
                return None
            if not self._more():
                raise self._error(cut)

    def skip(self) -> None:
        """Go past the value that comes next, holding nothing of it."""
        depth, inside = 0, False
        scalar = self.peek() not in ('"', "[", "{")
        while True:
            found = (_AFTER_SCALAR if scalar else _INSIDE if inside else _OUTSIDE).search(self._held, self._at)
            if found is not None and scalar:
                self._at = found.start()
                return
            if found is None:
                self._at = len(self._held)
                if not self._more():
                    raise self._error()
                continue
            self._at = found.end()
            match found.group():
                case '"':
                    inside = not inside
                case "\\":
                    if self._at >= len(self._held) and not self._more():
                        raise self._error()
                    self._at += 1
                case "[" | "{":
                    depth += 1
                case "]" | "}":
                    depth -= 1
                case _:
                    pass  # a whole string
            if depth == 0 and not inside:
                return


class _Line:
    """One line of a stream of lines, as a stream."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.ended = False

    def read(self, size: int, /) -> bytes:
        if self.ended:
            return b""
        piece, self.ended = self._lines.take(size)
        return piece if piece or self.ended else self.read(size)


class Lines:
    """A stream of lines (NDJSON) as a stream for each line, so that a bad one spoils no other. A line may be of any
    length."""

    def __init__(self, stream: hub.Readable) -> None:
        self._stream = stream
        self._held, self._at, self._ended = b"", 0, False

    def take(self, size: int) -> tuple[bytes, bool]:
        """At most so many bytes of the current line, and whether it ends with them."""
        if not self._filled():
            return b"", True
        end = self._held.find(b"\n", self._at, self._at + size)
        begin, self._at = self._at, min(self._at + size, len(self._held)) if end < 0 else end + 1
        return self._held[begin : self._at if end < 0 else end], end >= 0

    def _filled(self) -> bool:
        if self._at >= len(self._held) and not self._ended:
            self._held, self._at = self._stream.read(PIECE), 0
            self._ended = not self._held
        return not self._ended

    def __iter__(self) -> Iterator[_Line]:
        while self._filled():
            line = _Line(self)
            yield line
            while not line.ended:
                line.read(PIECE)
