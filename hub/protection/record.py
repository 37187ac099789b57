"""What is stored of whom, read from the files beside this one, which a lawyer can read as well.

`fields.toml`: every stored column, in which form it is, and for each table why, on what ground, for whom, how long and
what deletes it; where nothing does, it says so. `risks.toml`: the impact assessment. `families.da.md`, `staff.da.md`:
what people are told, where [square brackets] are the municipality's to fill in.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from hub.cases.match import KEEP_UNSEEN
from hub.cases.quarantine import KEEP_RESOLVED
from hub.reconcile import REMEMBER
from hub.settings import Notices

FOLDER = Path(__file__).parent
Said = Annotated[str, StringConstraints(min_length=3)]
Form = Literal["sealed", "token", "clear", "key", "none"]
FORMS: Mapping[Form, str] = {
    "sealed": "encrypted under the key of the person it is about",
    "token": "keyed digest: personal data to whoever holds the key, nothing to others",
    "clear": "readable in the database: says something of a person to whoever can tell whose row it is",
    "key": "a person's data key, encrypted under the municipality's key ring",
    "none": "says nothing of a person",
}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Table(_Part):
    """A stored table. `grounds` are names of legal grounds; a column is its form and what it holds."""

    about: Said
    purpose: Said
    grounds: tuple[str, ...]
    recipients: Said
    kept: Said
    deleted_by: Said
    columns: dict[str, tuple[Form, str]]


class Beside(_Part):
    """What is kept elsewhere than in a table."""

    where: Said
    what: Said
    kept: Said


class Risk(_Part):
    what: Said
    whom: Said
    measures: Said
    tests: tuple[str, ...]
    left: str


class _Fields(_Part):
    grounds: dict[str, Said]
    tables: dict[str, Table]
    beside: tuple[Beside, ...]


class _Risks(_Part):
    risks: tuple[Risk, ...]


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


_DAYS = {
    "unseen": KEEP_UNSEEN,
    "resolved": KEEP_RESOLVED,
    "remember": REMEMBER,
    "notices": timedelta(days=Notices().keep_days),
}
_text = _read("fields.toml")
for _name, _time in _DAYS.items():
    _text = _text.replace(f"{{{_name}}} days", f"{_time.days} days")
_fields = _Fields.model_validate(tomllib.loads(_text))
GROUNDS, TABLES, BESIDE = _fields.grounds, _fields.tables, _fields.beside
RISKS = _Risks.model_validate(tomllib.loads(_read("risks.toml"))).risks
FAMILIES, STAFF = _read("families.da.md"), _read("staff.da.md")
