"""The section `[plugins.sof_case]` of the settings."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

import hub

KLE_SUBJECT = re.compile(r"\d\d\.\d\d\.\d\d")
"""A subject of KLE as SF1470 wants it in the BrugervendtNoegle of the Primær klasse: `nn.nn.nn`."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _uuid(value: str) -> str:
    value = value.lower()
    if not _UUID.fullmatch(value):
        raise ValueError("a role or type is a UUID of Fælleskommunalt Klassifikationssystem")
    return value


Uuid = Annotated[str, AfterValidator(_uuid)]


class Roles(BaseModel):
    """What a relation of a Sag is, by its `Rolle`; UUIDs of Fælleskommunalt Klassifikationssystem, as KOMBIT's samples
    use them. A relation with another role is ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    ansvarlig: Uuid = "a1263342-d348-44ba-a566-233f37c4cb67"
    primaer_behandler: Uuid = "bf1f93ed-9441-4af4-835b-baeb201f3076"
    primaer_part: Uuid = "d839f26a-d4d1-4441-b2d6-3dbbb12a9404"
    primaer_klasse: Uuid = "a86c6581-ec85-412d-a655-31a1f1d5b14f"


class Types(BaseModel):
    """What a relation points at, by its `Type`; from the same classification as `Roles`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    organisation: Uuid = "bc6972cd-8f2b-4b9d-8d37-62916d6a71aa"
    organisations_enhed: Uuid = "c5fc3b3b-5197-49ee-92e6-ae6ba1957174"


class SofSettings(hub.SourceSettings):
    """Where the index is, and what may pass. The keys of `kinds` are KLE subjects, `nn.nn.nn`.

    `url` is the address of the service itself, `https://…/sagdokumentindeks/6`; `folder` holds `*.xml`.
    """

    administration: str | None = "SOF"
    roles: Roles = Roles()
    types: Types = Types()
    running: frozenset[str] = frozenset({"Løbende"})
    """The index cannot say whether a decided case has a service that runs: `Afgjort` is all there is. A case system
    tells more in `Sagsstatus`, in its own words; a decided case with one of these words is open, any other decided."""
    persons: tuple[str, ...] = Field(default=("urn:oio:cpr-nr:", "urn:oio:cpr:"), min_length=1)
    """How the number of a person is written: what stands before its ten digits. The guidance writes the first, systems
    in use the second too. A first read over HTTP asks the index for each, letter by letter."""
    children_per_search: int = Field(default=50, ge=1, le=500)
    """How many children a first read over HTTP asks for in one search; 1 where the index takes no `OR`."""
    overlap_seconds: int = Field(default=0, ge=0, le=86_400)
    """How long before the newest registration it knows a later read over HTTP starts (seconds): for an index that may
    show a registration later than another with a newer time. What was read already then comes again."""

    @field_validator("kinds")
    @classmethod
    def subjects(cls, kinds: dict[str, hub.Kind]) -> dict[str, hub.Kind]:
        for kind in kinds:
            if not KLE_SUBJECT.fullmatch(kind):
                raise ValueError(f"{kind!r} is not a KLE subject; write it as nn.nn.nn, for example 32.18.04")
        return kinds
