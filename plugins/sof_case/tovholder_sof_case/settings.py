"""The section `[plugins.sof_case]` of the settings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

import hub

KLE_SUBJECT = re.compile(r"\d\d\.\d\d\.\d\d", re.ASCII)
"""A subject of KLE as SF1470 wants it in the BrugervendtNoegle of the Primær klasse: `nn.nn.nn`."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_STATUSES = {
    **{f"SagStatus{n}": hub.State.OPEN for n in (1, 3, 4)},
    **{f"SagStatus{n}": hub.State.CLOSED for n in (2, 5, 6, 7)},
    **dict.fromkeys(("Ansøgt", "Oprettet", "Under behandling"), hub.State.APPLIED),
    **dict.fromkeys(("Bevilget", "Afslag", "Afgjort"), hub.State.DECIDED),
    **dict.fromkeys(("Aktiv", "Igangværende", "Iværksat", "Løbende", "Åben"), hub.State.OPEN),
    **dict.fromkeys(("Afsluttet", "Inaktiv", "Lukket", "Ophørt"), hub.State.CLOSED),
}


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


Level = Literal["IKKE_FORTROLIGE_DATA", "FORTROLIGE_PERSONOPLYSNINGER", "FOELSOMME_PERSONOPLYSNINGER"]
"""The levels of Foelsomhed that can be let through. VIP_SAGER is none of them: those cases never pass."""


class SofSettings(hub.SourceSettings):
    """Where the cases are, and what may pass. The keys of `kinds` are KLE subjects, `nn.nn.nn`.

    `url` is the address of the index's service, `https://…/sagdokumentindeks/6`, or that above DUBU's `odata/Sag`;
    `folder` holds files of any of the formats, each read by what it is.
    """

    administration: str | None = "SOF"
    format: Literal["sf1470", "dubu"] = "sf1470"
    """What answers at `url`."""
    codes: dict[str, str] = Field(default={})
    """What other formats than SF1470 call a kind → its KLE subject: DUBU's sagstype (or what `kind_from` says), FFB's
    codes of interventions. Case and spaces at the ends do not count. What is not here does not pass."""
    kind_from: Literal["sagstype", "ydelsestype", "paragraf"] = "sagstype"
    """Which column of a DUBU export tells the kind: Sagstype, Ydelsestype, or Afgørelsesparagraf (Lovhjemmel)."""
    statuses: dict[str, hub.State] = Field(default={}, validate_default=True)
    """What DUBU's statuses mean, beside and before those we know. Of `SagStatus1` … `7` it is known only that 1 is
    active, and that 2, 5, 6 and 7 are left out of lists of active cases: look them up in your DUBU."""
    levels: frozenset[Level] = frozenset(get_args(Level))
    """Which levels of Foelsomhed pass."""
    exempt_pass: bool = False
    """Whether cases exempt from public access (OffentlighedUndtaget) pass. The exemption is about the public and says
    nothing about what a party may see, and the hub takes no title; but it is also how a case is marked that nobody is
    to hear of, so it must be chosen."""
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

    @field_validator("codes")
    @classmethod
    def known_codes(cls, codes: dict[str, str]) -> dict[str, str]:
        for code, kind in codes.items():
            if not KLE_SUBJECT.fullmatch(kind):
                raise ValueError(f"{code!r} stands for {kind!r}, which is not a KLE subject; write it as nn.nn.nn")
        return {word(code): kind for code, kind in codes.items()}

    @field_validator("statuses")
    @classmethod
    def known_statuses(cls, statuses: dict[str, hub.State]) -> dict[str, hub.State]:
        given = {word(name): state for name, state in statuses.items()}
        return {word(name): state for name, state in _STATUSES.items()} | given

    @model_validator(mode="after")
    def format_of_an_address(self) -> Self:
        if self.folder is not None and "format" in self.model_fields_set:
            raise ValueError("format is for url: what a file of a folder is, is seen from the file")
        return self

    def listed(self, words: Iterable[str]) -> str | None:
        """The first kind on the list that one of a source's own words stands for."""
        kinds = (self.codes.get(word(each)) for each in words)
        return next((kind for kind in kinds if kind in self.kinds), None)

    def state_of(self, status: str) -> hub.State:
        """Raises BadRecord for a status nobody has explained, without naming it."""
        state = self.statuses.get(word(status))
        if state is None:
            raise hub.BadRecord("the status is not one we know: say what it means in the settings' `statuses`")
        return state


def word(text: str) -> str:
    """A source's own word, for comparing."""
    return " ".join(text.split()).casefold()
