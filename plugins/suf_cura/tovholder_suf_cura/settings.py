"""The plugin's section of the settings."""

from __future__ import annotations

from pydantic import field_validator

import hub

CARE = "care"
"""The only kind there is: that the citizen has a course. What it is about is health, and stops in the adapter."""


class SufSettings(hub.SourceSettings):
    """`[plugins.suf_cura]`.

    `url` is the base address of a FHIR server (`https://cura.example.dk/fhir`); see `wire` for what it is asked.
    `folder` holds files of FHIR JSON, each known by its content: a report, a bundle of reports, a resource that stands
    alone, or any of them one to a line. `kinds` may hold `care`; without it nothing passes."""

    administration: str | None = "SUF"

    @field_validator("kinds")
    @classmethod
    def only_care(cls, kinds: dict[str, hub.Kind]) -> dict[str, hub.Kind]:
        for key in kinds:
            if key != CARE:
                raise ValueError(f"{key!r} is no kind: this source has only {CARE}, which says nothing about health")
        return kinds
