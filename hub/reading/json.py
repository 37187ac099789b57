"""JSON from somebody who may mean harm, or whose program writes what is none."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from hub.errors import TryAgain

DEEPEST = 100
"""How many objects and lists may stand in each other. Deeper, a reader that follows them runs out of stack; real
documents have about a dozen."""


def json_value(data: bytes | str) -> Any:
    """What a JSON document says. Numbers too long to be one, NaN, Infinity, a name twice in one object (readers do not
    agree on which counts: RFC 8259, section 4), and nesting beyond DEEPEST are refused. Bytes must be UTF-8, with or
    without a byte order mark. Text may hold any character that can be escaped, NUL too: records are checked by the
    hub.

    Raises TryAgain, in words of its own: what stands in the document is not in them."""
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
        value = json.loads(text, object_pairs_hook=_members, parse_constant=_refuse, parse_float=_finite)
    except UnicodeDecodeError as error:
        raise TryAgain(f"not JSON: byte {error.start} is no letter in UTF-8") from error
    except json.JSONDecodeError as error:
        # Its own text, kept in `doc`, is the whole document.
        raise TryAgain(f"not JSON at line {error.lineno}, column {error.colno}") from None
    except RecursionError as error:
        raise TryAgain(f"JSON nested deeper than {DEEPEST}") from error
    except ValueError as error:
        raise TryAgain("JSON with a number too long to be one") from error
    _measure(value)
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise TryAgain("JSON that says one name twice in an object")
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse(digits)


def _refuse(_word: str) -> NoReturn:
    raise TryAgain("JSON with NaN or Infinity, which it has not")


def _measure(value: Any) -> None:
    level = [value] if isinstance(value, dict | list) else []
    for _depth in range(DEEPEST):
        if not level:
            return
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    if level:
        raise TryAgain(f"JSON nested deeper than {DEEPEST}")
