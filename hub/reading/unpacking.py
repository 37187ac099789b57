"""Gzip that cannot be a bomb: unpacked in pieces, with a limit on how much comes of how little."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from hub.errors import GaveUp, TryAgain

PIECE = 64 * 1024
"""Bytes handed on at a time."""
RATIO = 200
"""How many bytes one packed byte may become. The most repetitive XML of real sources stays under 100; a bomb has
1,000, the most that deflate can do."""
_FREE = 1024 * 1024
"""Below this (bytes) the ratio says nothing: a page of empty rows packs very well."""
MAGIC = b"\x1f\x8b"


class Unpacker:
    """Gzip, of one member or several (RFC 1952, section 2.2), given piece by piece."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)
        self._given = self._made = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What comes of `data`, in pieces of at most PIECE bytes.

        Raises TryAgain when it is damaged, GaveUp when it becomes more than RATIO times as much."""
        self._given += len(data)
        while data:
            if self._member.eof:
                if not data.startswith(MAGIC[:1]):
                    return  # padding after the last member
                self._member = zlib.decompressobj(wbits=31)
            try:
                piece = self._member.decompress(data, PIECE)
                yield from self._counted(piece)
                while len(piece) == PIECE and not self._member.eof:
                    piece = self._member.decompress(self._member.unconsumed_tail, PIECE)
                    yield from self._counted(piece)
            except zlib.error as error:
                raise TryAgain("damaged gzip: it cannot be unpacked") from error
            data = self._member.unused_data

    def end(self) -> None:
        """All has been given. Raises TryAgain when the end is missing."""
        if self._given and not self._member.eof:
            raise TryAgain("gzip that is cut short: its end is missing")

    def _counted(self, piece: bytes) -> Iterator[bytes]:
        self._made += len(piece)
        if self._made > max(_FREE, RATIO * self._given):
            raise GaveUp(f"gzip that unpacks to more than {RATIO} times its size, as only a zip bomb does")
        if piece:
            yield piece
