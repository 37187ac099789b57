"""Ages and custody: what the law or the plan says, what the hub does, and what it does not do yet.

`python -m hub.cases.ages > docs/ages-and-custody.md` writes the page. Each row has a test that says whether it holds:
it fails where a row is not true, and where one that says "not yet" begins to be.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Row(BaseModel):
    """`when` it is about; the `rule` and where it is from; what the hub does (`does`), and whether that is the rule."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    key: str
    when: str
    rule: str
    does: str
    holds: Literal["yes", "not yet"]


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    title: str
    rows: tuple[Row, ...]


GROUPS = tuple(
    _Group.model_validate(group)
    for group in tomllib.loads(Path(__file__).with_name("ages.toml").read_text(encoding="utf-8"))["groups"]
)
ROWS = tuple(row for group in GROUPS for row in group.rows)


_BEGINNING = """\
# Ages and custody

Written by `python -m hub.cases.ages > docs/ages-and-custody.md` from `hub/cases/ages.toml`. Every row has a test of the
same name in `tests/cases/test_ages.py`, which fails when the row is not true, also when what is "not yet" begins to
hold. Whoever has custody is what CPR says today (Danish date); a parent without custody is no guardian. The rules are
named as far as they are certain; the municipality's lawyer has the last word.
"""


def page() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _BEGINNING.rstrip()
    for group in GROUPS:
        yield f"\n## {group.title}\n"
        yield "| when | the rule | what the hub does | holds | test |\n|---|---|---|---|---|"
        for row in group.rows:
            holds = "yes" if row.holds == "yes" else "**not yet**"
            yield f"| {row.when} | {row.rule} | {row.does} | {holds} | `{row.key}` |"


if __name__ == "__main__":
    sys.stdout.write(page())
