"""The body of an answer: unpacked by us, measured, timed, and looked at before anybody takes it for data."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import cast

import httpx2 as httpx

from hub.errors import GaveUp, TryAgain
from hub.reading.unpacking import PIECE, Unpacker

_PAGE = re.compile(
    rb"\s*(?:<\?xml[^>]{0,200}>\s*|<!--.{0,2000}?-->\s*)*<(?:!doctype\s+html|html|head|body|script|meta)\b",
    re.IGNORECASE | re.DOTALL,
)
_LOOKED_AT = 4096
"""How much of an answer is looked at to tell a web page (bytes)."""


class Body(httpx.SyncByteStream):
    """Stands in for a response's stream, whichever way the response is read afterwards: `read`, `json`, `iter_bytes`.

    `most` is how large the body may be when unpacked (bytes), `seconds` how long all waiting for it together may take:
    the time somebody takes to work on a piece is not the source's."""

    def __init__(self, response: httpx.Response, most: int, seconds: float) -> None:
        # What a synchronous client gives; the type is for asynchronous ones too.
        self._inner = cast("httpx.SyncByteStream", response.stream)
        self._raw = iter(self._inner)
        self._most, self._seconds = most, seconds
        self._size, self._waited = 0, 0.0
        packed = response.headers.pop("content-encoding", "identity").strip().casefold()
        if packed not in ("gzip", "x-gzip", "identity", ""):
            raise GaveUp("the source packed its answer in a way we did not ask for, and cannot read")
        self._unpacker = Unpacker() if packed.endswith("gzip") else None
        self._pieces = self._measured()
        self._first = b""

    def refuse_a_page(self, content_type: str) -> None:
        """Raises TryAgain when this begins as a web page: read as XML or JSON it would look like damaged data."""
        self._first = next(self._pieces, b"")
        begins = self._first[:_LOOKED_AT].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe")
        said = content_type.casefold().startswith("text/html") and not begins.lstrip().startswith(
            (b"{", b"[", b"<?xml")
        )
        if said or _PAGE.match(begins):
            raise TryAgain("the source answered with a web page, perhaps a sign-in page or a proxy's error")

    def __iter__(self) -> Iterator[bytes]:
        if self._first:
            yield self._first
        yield from self._pieces

    def close(self) -> None:
        self._inner.close()

    def _measured(self) -> Iterator[bytes]:
        for piece in self._unpacked():
            self._size += len(piece)
            if self._size > self._most:
                raise GaveUp(f"the answer is larger than {self._most} bytes: ask for less at a time (page_size)")
            yield piece

    def _unpacked(self) -> Iterator[bytes]:
        if self._unpacker is None:
            yield from self._timed()
            return
        for piece in self._timed():
            yield from self._unpacker.feed(piece)
        self._unpacker.end()

    def _timed(self) -> Iterator[bytes]:
        while True:
            began = time.monotonic()
            piece = next(self._raw, None)
            self._waited += time.monotonic() - began
            if piece is None:
                return
            if self._waited > self._seconds:
                raise TryAgain(f"the source's answer was not all there after {self._seconds:g} seconds")
            yield piece


class ByteStream:
    """A response's body as a file, read in pieces, for parsers that want `read(n)`."""

    def __init__(self, response: httpx.Response) -> None:
        self._pieces = response.iter_bytes(PIECE)
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        parts = [self._rest]
        have = len(self._rest)
        while size < 0 or have < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            parts.append(piece)
            have += len(piece)
        whole = b"".join(parts)
        cut = len(whole) if size < 0 else size
        self._rest = whole[cut:]
        return whole[:cut]
