"""Whether a record's fields hold what hub.contract says they hold: Python itself does not look."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from enum import Enum
from types import NoneType
from typing import Any, get_args, get_type_hints

_CPR = re.compile(r"[0-9A-Za-z]{10}")


def wrong_fields(record: Any) -> list[str]:
    """What is wrong with a record's fields, apart from times (see `wrong_times`)."""
    found = []
    for name, value, where in _values(record):
        allowed = get_type_hints(type(where))[name]
        kinds = get_args(allowed) or (allowed,)
        if not any(_is(value, kind) for kind in kinds):
            found.append(f"{type(where).__name__}.{name} is {type(value).__name__}, and should be {allowed}")
        elif name.endswith("cpr") and not _CPR.fullmatch(value):
            found.append(f"{type(where).__name__}.{name} is not ten characters without dash")
        elif name in ("source_id", "position", "reason") and value == "" and not _may_be_empty(where, name):
            found.append(f"{type(where).__name__}.{name} is empty")
    return found


def wrong_times(record: Any) -> list[str]:
    """The times in a record that are not aware or not in UTC."""
    return [
        f"{type(where).__name__}.{name} is {value!r}, and should be aware and in UTC"
        for name, value, where in _values(record)
        if isinstance(value, datetime) and value.utcoffset() != UTC.utcoffset(None)
    ]


def _values(record: Any) -> Iterator[tuple[str, Any, Any]]:
    """Each field's name and value, with the record it is in; of a record in a record too."""
    for each in fields(record):
        value = getattr(record, each.name)
        yield each.name, value, record
        if is_dataclass(value):
            yield from _values(value)


def _is(value: Any, kind: Any) -> bool:
    if kind is NoneType:
        return value is None
    if kind is date:
        return type(value) is date  # a datetime is a date to Python, and not to the hub
    if isinstance(kind, type) and issubclass(kind, Enum):
        return isinstance(value, kind)
    if kind is bool or is_dataclass(kind):
        return type(value) is kind
    return isinstance(value, kind) and not (kind is not bool and isinstance(value, bool))


def _may_be_empty(where: Any, name: str) -> bool:
    return name == "reason" and type(where).__name__ == "Status"
