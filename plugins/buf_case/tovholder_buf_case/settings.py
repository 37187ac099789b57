"""The plugin's section of the settings, and which kind a pupil is of."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Iterable

from pydantic import field_validator

import hub

GROUP = "group:"
_INSTITUTION_NUMBER = re.compile(r"[0-9A-Za-z]{6}")


class BufSettings(hub.SourceSettings):
    """`[plugins.buf_case]`.

    `url` is the service's host (`https://brugerdatabasen.stil.dk`); `folder` holds exports as `*.xml`, one institution
    each: of several exports of one institution the newest counts.

    Keys of `kinds`: an institution number (`"101001"`) for a special school, all of whose pupils pass; or `group:` and
    a pattern (`"group:Specialklasse *"`, `*` and `?` stand for anything, case does not matter) for special classes in
    ordinary schools. The institution's own number goes first, then the patterns in the order they stand in."""

    administration: str | None = "BUF"
    contact_occupations: tuple[str, ...] = ("Handicapkonsulent", "Kontaktperson")
    """What an employee must be, by occupation (Occupation) or role (Role), to be named as a pupil's contact."""
    system_id: str | None = None
    """UdbydersystemId: the id STIL has given the system that asks. Goes into the head of each request."""

    @field_validator("kinds")
    @classmethod
    def known_keys(cls, kinds: dict[str, hub.Kind]) -> dict[str, hub.Kind]:
        for key in kinds:
            pattern = key.removeprefix(GROUP)
            if (key.startswith(GROUP) and not pattern.strip()) or (
                not key.startswith(GROUP) and not _INSTITUTION_NUMBER.fullmatch(key)
            ):
                raise ValueError(
                    f"{key!r} is no kind: write an institution number of six characters, such as 101001, "
                    f"or {GROUP} and a pattern for the group's name, such as group:Specialklasse *"
                )
        return kinds


def wanted_institutions(kinds: Iterable[str]) -> set[str]:
    """The institution numbers among the keys."""
    return {key for key in kinds if not key.startswith(GROUP)}


def kind_of(kinds: Collection[str], number: str, group_names: Iterable[str]) -> str | None:
    """The key a pupil of institution `number` falls under by the names of their groups, or None when under none."""
    if number in kinds:
        return number
    names = [name.casefold() for name in group_names]
    for key in kinds:
        if key.startswith(GROUP):
            pattern = key.removeprefix(GROUP).strip().casefold()
            if any(fnmatch.fnmatchcase(name, pattern) for name in names):
                return key
    return None
