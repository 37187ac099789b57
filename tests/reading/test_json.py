"""JSON that is none, or that means harm."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import TryAgain, json_value
from hub.reading.json import DEEPEST


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"a": 1, "a": 2}', "one name twice"),
        (b'{"b": {"a": 1, "a": 1}}', "one name twice"),
        (b"[NaN]", "NaN"),
        (b"[-Infinity]", "NaN"),
        (b"[1e999]", "NaN"),
        (b"[" + b"9" * 5000 + b"]", "number too long"),
        (b"[" * 10_000 + b"]" * 10_000, "nested deeper"),
        (b"[" * 1_000_000, "nested deeper"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "nested deeper"),
        (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), "nested deeper"),
        (b'["\xe6"]', "byte 2"),
        ('["æ"]'.encode("utf-16"), "byte 0"),
        (b'["a\0"]', "line 1, column 4"),
        (b'["a', "line 1"),
        (b"", "line 1"),
        (b"{}{}", "line 1, column 3"),
        (b"<html>", "line 1"),
    ],
)
def test_it_is_refused_with_its_reason(data: bytes, says: str) -> None:
    with pytest.raises(TryAgain, match=says):
        json_value(data)


@pytest.mark.parametrize("data", [b"[]", b"\xef\xbb\xbf{}", b"[" * DEEPEST + b"]" * DEEPEST, b"null", b"1.5", b'"x"'])
def test_honest_json_is_read(data: bytes) -> None:
    assert json_value(data) == json.loads(data.decode("utf-8-sig"))


def test_errors_do_not_quote_the_document() -> None:
    with pytest.raises(TryAgain) as told:
        json_value(b'{"navn": "Hansen" Hansen}')
    error: BaseException | None = told.value
    while error is not None:
        assert "Hansen" not in str(error) + str(vars(error))
        error = error.__cause__


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(plain)
def test_what_was_written_is_read(value: object) -> None:
    assert json_value(json.dumps(value)) == value


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_our_own_error(data: bytes) -> None:
    with suppress(TryAgain):
        json_value(data)
