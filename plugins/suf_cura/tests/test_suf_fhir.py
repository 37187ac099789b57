"""FHIR documents read in pieces: the same as read at once, however they are cut, and never more than one entry held."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tovholder_suf_cura import fhir

import hub

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)
documents = st.dictionaries(st.text(max_size=6) | st.just("entry"), values, max_size=6)


class Pieces:
    """A stream that gives at most `most` bytes at a time."""

    def __init__(self, content: bytes, most: int) -> None:
        self._stream, self._most = io.BytesIO(content), most

    def read(self, size: int = -1, /) -> bytes:
        return self._stream.read(min(size, self._most) if size >= 0 else self._most)


def flat(document: dict[str, Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in document.items():
        many = value if name == "entry" and isinstance(value, list) else [value]
        found += [(name, one) for one in many]
    return found


@settings(max_examples=150, deadline=None)
@given(documents, st.integers(1, 9), st.sampled_from([None, 1]), st.booleans())
def test_in_pieces_is_the_same_as_at_once(
    document: dict[str, Any], most: int, indent: int | None, ascii_: bool
) -> None:
    content = json.dumps(document, indent=indent, ensure_ascii=ascii_).encode()
    assert list(fhir.members(Pieces(content, most))) == flat(document)


@settings(max_examples=60, deadline=None)
@given(documents, st.data())
def test_cut_short_is_never_taken_for_whole(document: dict[str, Any], data: st.DataObject) -> None:
    content = json.dumps(document).encode()
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(hub.TryAgain):
        list(fhir.members(io.BytesIO(content[:cut])))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b'"x"',
        b"{1:2}",
        b'{"a":1,}',
        b'{"a" 1}',
        b'{"entry":[1 2]}',
        b'{"a":"\xff"}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_json_object_is_refused(content: bytes) -> None:
    with pytest.raises(hub.TryAgain):
        list(fhir.members(io.BytesIO(content)))


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(hub.TryAgain):
        list(fhir.members(io.BytesIO(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}")))


def test_byte_order_mark_is_no_content() -> None:
    assert list(fhir.members(io.BytesIO(b'\xef\xbb\xbf{"a": 1}'))) == [("a", 1)]


def test_memory_stays_flat_however_many_entries() -> None:
    entry = json.dumps({"resource": {"text": "x" * 1000}}).encode()

    class Endless:
        """20 MB of entries, made while they are read."""

        def __init__(self) -> None:
            self.left, self.began = 20_000, False

        def read(self, size: int = -1, /) -> bytes:
            if not self.began:
                self.began = True
                return b'{"entry":[' + entry
            if self.left == 0:
                return b""
            count = min(self.left, 64)
            self.left -= count
            return (b"," + entry) * count + (b"]}" if self.left == 0 else b"")

    tracemalloc.start()
    try:
        assert sum(1 for _ in fhir.members(Endless())) == 20_001
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
