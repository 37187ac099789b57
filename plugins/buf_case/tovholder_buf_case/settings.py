"""The plugin's section of the settings, and which kind a pupil or a case is of."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import BaseModel, ConfigDict, field_validator

import hub

GROUP = "group:"
CASE = "case:"
_INSTITUTION_NUMBER = re.compile(r"[0-9A-Za-z]{6}")


class Variant(StrEnum):
    """The variants of wsieksport v7 that carry CPR numbers, as its operations name them. The fourth, Lille, has names
    and no numbers: its pupils cannot be matched."""

    FULD_MYNDIGHED = "FuldMyndighed"
    FULD = "Fuld"
    MELLEM = "Mellem"


class Column(StrEnum):
    """What a column of a case list can hold."""

    CASE = "case"
    CHILD = "child"
    KIND = "kind"
    STATE = "state"
    OPENED = "opened"
    DECIDED = "decided"
    CLOSED = "closed"
    DEADLINE = "deadline"
    FOLLOW_UP = "follow_up"
    ADVISER = "adviser"
    ADVISER_ID = "adviser_id"
    ADVISER_EMAIL = "adviser_email"
    ADVISER_PHONE = "adviser_phone"
    UNIT = "unit"


class CaseListSettings(BaseModel):
    """`[plugins.buf_case.case_list]`: how to read special education's list of cases (CSV).

    `columns` names a column as the list's first line does (`case = "Journalnr."`), and a column that is named must be
    there; of the others the usual names are known, in any order. `states` says what further words of the status column
    mean (`"Til visitation" = "applied"`). `folder` is where lists lie when the exports come from `url`; else they lie
    in the same folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    columns: dict[Column, str] = {}
    states: dict[str, hub.State] = {}
    folder: Path | None = None


class BufSettings(hub.SourceSettings):
    """`[plugins.buf_case]`; the plugin's README.md tells each format.

    `url` is the service's host (`https://brugerdatabasen.stil.dk`); `folder` holds exports (XML, one institution each:
    of several exports of one institution the newest counts) and case lists (CSV), known by what is in them and not by
    their names.

    Keys of `kinds`: an institution number (`"101001"`) for a special school, all of whose pupils pass; `group:` and a
    pattern (`"group:Specialklasse *"`, `*` and `?` stand for anything, case does not matter) for special classes in
    ordinary schools; `case:` and a pattern for the kind of a case on a list. The institution's own number goes first,
    then the patterns in the order they stand in."""

    administration: str | None = "BUF"
    variant: Variant = Variant.FULD_MYNDIGHED
    """Which export the service is asked for: the one there is a data agreement on."""
    contact_occupations: tuple[str, ...] = ("Handicapkonsulent", "Kontaktperson")
    """What an employee must be, by occupation (Occupation) or role (Role), to be named as a pupil's contact."""
    system_id: str | None = None
    """UdbydersystemId: the id STIL has given the system that asks. Goes into the head of each request."""
    case_list: CaseListSettings = CaseListSettings()

    @field_validator("kinds")
    @classmethod
    def known_keys(cls, kinds: dict[str, hub.Kind]) -> dict[str, hub.Kind]:
        for key in kinds:
            prefix = next((prefix for prefix in (GROUP, CASE) if key.startswith(prefix)), "")
            pattern = key.removeprefix(prefix)
            if not (pattern.strip() if prefix else _INSTITUTION_NUMBER.fullmatch(key)):
                raise ValueError(
                    f"{key!r} is no kind: write an institution number of six characters, such as 101001, "
                    f"{GROUP} and a pattern for the group's name, such as group:Specialklasse *, "
                    f"or {CASE} and a pattern for the kind on the case list, such as case:Specialundervisning*"
                )
        return kinds


def wanted_institutions(kinds: Iterable[str]) -> set[str]:
    """The institution numbers among the keys."""
    return {key for key in kinds if not key.startswith((GROUP, CASE))}


def wants_case_list(kinds: Iterable[str]) -> bool:
    return any(key.startswith(CASE) for key in kinds)


def kind_of(kinds: Collection[str], number: str, group_names: Iterable[str]) -> str | None:
    """The key a pupil of institution `number` falls under by the names of their groups, or None when under none."""
    if number in kinds:
        return number
    names = [name.casefold() for name in group_names]
    return next((key for key, pattern in _patterns(kinds, GROUP) if any(fnmatchcase(n, pattern) for n in names)), None)


def kind_of_case(kinds: Collection[str], name: str) -> str | None:
    """The key a case falls under whose kind the list calls `name`, or None when under none."""
    return next((key for key, pattern in _patterns(kinds, CASE) if fnmatchcase(name.casefold(), pattern)), None)


def _patterns(kinds: Iterable[str], prefix: str) -> Iterator[tuple[str, str]]:
    return ((key, key.removeprefix(prefix).strip().casefold()) for key in kinds if key.startswith(prefix))
