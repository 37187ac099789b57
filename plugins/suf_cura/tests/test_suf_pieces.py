"""JSON read in pieces: the same as read at once, however it is cut, and never more held than one value."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tovholder_suf_cura import pieces
from tovholder_suf_cura.pieces import Json, Lines, Twice

import hub

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)  # fmt: skip
documents = st.dictionaries(st.text(max_size=6) | st.just("entry"), values, max_size=6)


class Pieces:
    """A stream that gives at most `most` bytes at a time."""

    def __init__(self, content: bytes, most: int) -> None:
        self._stream, self._most = io.BytesIO(content), most

    def read(self, size: int = -1, /) -> bytes:
        return self._stream.read(min(size, self._most) if size >= 0 else self._most)


def members(text: Json) -> Iterator[tuple[str, Any]]:
    """A document's members in their order, of `entry` each element by itself."""
    for name in text.names():
        if name == "entry" and text.peek() == "[":
            for _ in text.elements():
                yield name, text.value()
        else:
            yield name, text.value()
    if text.peek():
        raise hub.BadRecord("more than one value")


def flat(document: dict[str, Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in document.items():
        found += [(name, one) for one in (value if name == "entry" and isinstance(value, list) else [value])]
    return found


@settings(max_examples=150, deadline=None)
@given(documents, st.integers(1, 9), st.sampled_from([None, 1]), st.booleans())
def test_in_pieces_is_the_same_as_at_once(
    document: dict[str, Any], most: int, indent: int | None, ascii_: bool
) -> None:
    content = json.dumps(document, indent=indent, ensure_ascii=ascii_).encode("utf-8", "surrogatepass")
    assert list(members(Json(Pieces(content, most)))) == flat(document)


@settings(max_examples=80, deadline=None)
@given(documents, st.data())
def test_cut_short_is_never_taken_for_whole(document: dict[str, Any], data: st.DataObject) -> None:
    content = json.dumps(document).encode()
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(hub.BadRecord):
        list(members(Json(io.BytesIO(content[:cut]))))


@settings(max_examples=150, deadline=None)
@given(documents, values, st.integers(1, 9))
def test_passing_over_a_value_ends_where_it_ends(document: dict[str, Any], value: Any, most: int) -> None:
    text = Json(Pieces(json.dumps([value, document, value]).encode(), most))
    found = []
    for place in text.elements():
        if place == 2:
            found.append(text.value())
        else:
            text.skip()
    assert found == [document]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=6), st.integers(1, 9))
def test_each_line_is_a_stream(lines: list[bytes], most: int) -> None:
    def whole(stream: Any) -> bytes:
        return b"".join(iter(lambda: stream.read(7), b""))

    content = b"\n".join(lines)
    expected = lines[:-1] if not lines or lines[-1] == b"" else lines
    assert [whole(line) for line in Lines(Pieces(content, most))] == expected
    # What is left of a line belongs to no other.
    assert sum(1 for line in Lines(Pieces(content, most)) if line.read(1) or True) == len(expected)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"null", b'"x"', b"{1:2}", b'{"a":1,}', b'{"a" 1}', b'{"a":tru}', b'{"a":1}x', b'{"a":1',
        b'{"entry":[1 2]}', b'{"entry":[1,', b'{"a":"\\q"}', b'{"a":"x\\', b"[" * 100_000, b'{"a":' + b"[" * 100_000,
        b'{"a":\x00}', b"\x00" * 100,
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_refused(content: bytes) -> None:
    with pytest.raises(hub.BadRecord):
        list(members(Json(io.BytesIO(content))))


def test_it_says_at_which_line_and_whether_it_was_cut() -> None:
    for content, said in [
        (b'{\n"a": 1,\n"b" 2}', "no well-formed JSON at line 3"),
        (b'{\n"a": [1,', "cut short at line 2"),
    ]:
        with pytest.raises(hub.BadRecord, match=said):
            list(members(Json(io.BytesIO(content))))


@pytest.mark.parametrize("depth", [900, 10_000, 100_000])
@pytest.mark.parametrize(("begin", "end"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_what_is_nested_too_deep_is_absent_and_the_rest_is_there(depth: int, begin: bytes, end: bytes) -> None:
    content = b'{"deep":' + begin * depth + b"1" + end * depth + b',"id":"x"}'
    assert dict(members(Json(io.BytesIO(content))))["id"] == "x"


def test_what_is_too_long_is_absent_and_the_rest_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    most = 100_000
    monkeypatch.setattr(pieces, "LARGEST", most)
    content = (
        b'{"a":"' + b"x" * 4 * most + b'\\"","n":' + b"9" * 4 * most + b',"l":[' + b"1," * 4 * most + b'1],"id":"x"}'
    )
    for cut in (1_000, 10**9):
        found = dict(members(Json(Pieces(content, cut))))
        assert found["id"] == "x"
        if cut == 1_000:
            assert found == {"a": None, "n": None, "l": None, "id": "x"}


@pytest.mark.parametrize("number", ["9" * 5_000, "-" + "9" * 5_000, "1e999999", "NaN", "-Infinity"])
def test_no_number_stops_the_rest(number: str) -> None:
    content = f'{{"n":{number},"id":"x"}}'.encode()
    assert dict(members(Json(io.BytesIO(content))))["id"] == "x"


def test_a_name_that_stands_twice_is_marked() -> None:
    found = dict(members(Json(io.BytesIO(b'{"a":{"b":1,"b":2},"c":{"b":1}}'))))
    assert isinstance(found["a"], Twice)
    assert not isinstance(found["c"], Twice)


def test_what_is_no_utf_8_is_read_as_windows_1252() -> None:
    content = '{"name":"Søren Ågård","id":"x"}'
    for encoding in ("utf-8", "cp1252"):
        for most in (1, 100):
            found = dict(members(Json(Pieces(content.encode(encoding), most))))
            assert found == {"name": "Søren Ågård", "id": "x"}


class Endless:
    """`count` times `piece` between `begin` and `end`, made while it is read."""

    def __init__(self, begin: bytes, piece: bytes, count: int, end: bytes) -> None:
        self._parts = iter([begin, *([piece * 64] * (count // 64)), end])
        self.given = 0

    def read(self, size: int = -1, /) -> bytes:
        found = next(self._parts, b"")
        self.given += len(found)
        return found


ENTRY = json.dumps({"resource": {"text": "x" * 1000}}).encode()


def test_memory_stays_flat_however_many_entries() -> None:
    """That of long values is measured from outside: test_suf_memory."""
    whole = Endless(b'{"entry":[' + ENTRY, b"," + ENTRY, 20_000, b"]}")
    tracemalloc.start()
    try:
        assert sum(1 for _ in members(Json(whole))) == 20_000 // 64 * 64 + 1
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
    assert whole.given > 19_000_000
