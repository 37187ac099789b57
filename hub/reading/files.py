"""Files from a folder, in an order that stays, packed or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from hub.errors import GaveUp
from hub.reading.unpacking import MAGIC, PIECE, Unpacker

RAW_LIMIT = 64 * 1024
"""How many bytes of an unreadable record are kept (bytes)."""


class Readable(Protocol):
    """A file opened in binary, or a `ByteStream`."""

    def read(self, size: int, /) -> bytes: ...


def files(folder: Path, *patterns: str) -> Iterator[Path]:
    """The files below `folder` whose name fits one of `patterns`, sorted by path, so that a position stays the same.

    Raises GaveUp when the folder is not there."""
    if not folder.is_dir():
        raise GaveUp(f"the folder {folder} does not exist or is not a folder")
    names = {path for pattern in patterns for path in folder.rglob(pattern) if path.is_file()}
    yield from sorted(names)


@contextmanager
def opened(path: Path) -> Iterator[Readable]:
    """A file to read from, unpacked when its bytes are gzip's, whatever its name says.

    Raises OSError as `open` does; reading raises TryAgain when the gzip is damaged or cut short, GaveUp when it is a
    bomb."""
    with path.open("rb") as stream:
        packed = stream.read(len(MAGIC)) == MAGIC
        stream.seek(0)
        yield _Unpacked(stream) if packed else stream


class _Unpacked:
    def __init__(self, stream: IO[bytes]) -> None:
        self._pieces = self._read(stream)
        self._rest = b""

    @staticmethod
    def _read(stream: IO[bytes]) -> Iterator[bytes]:
        unpacker = Unpacker()
        while piece := stream.read(PIECE):
            yield from unpacker.feed(piece)
        unpacker.end()

    def read(self, size: int = -1, /) -> bytes:
        while size < 0 or len(self._rest) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._rest += piece
        cut = len(self._rest) if size < 0 else size
        given, self._rest = self._rest[:cut], self._rest[cut:]
        return given
