"""Many values at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, any_, literal
from sqlalchemy.orm import InstrumentedAttribute


def among(column: InstrumentedAttribute[Any] | ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """Whether the column has one of these values; never, when there are none. They are one parameter: `IN` has one for
    each, is written and read anew for every number of them, and ends at 65,535."""
    return column == any_(literal(list(values), ARRAY(column.type)))
