"""What every source's section of the settings has."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, model_validator


class Kind(BaseModel):
    """A kind of case that a source may pass on, and how it is told to a family.

    `name` is Danish, in plain words; `name_en` English. `limit_weeks` or `limit_working_days` is the municipality's
    published time limit (retssikkerhedsloven § 3, stk. 2), reckoned from the day the case was opened."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    name_en: str | None = None
    limit_weeks: int | None = Field(default=None, ge=1, le=104)
    limit_working_days: int | None = Field(default=None, ge=1, le=520)


class SourceSettings(BaseModel):
    """What every source's section has: where it is (`url` or `folder`), and the kinds of case it may pass on. The list
    of kinds starts empty: what is not on it is never read further than the adapter."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    administration: str | None = None
    url: HttpUrl | None = None
    folder: Path | None = None
    kinds: dict[str, Kind] = {}
    timeout_seconds: float = Field(default=10.0, gt=0, le=300)
    page_size: int = Field(default=500, ge=1, le=10_000)
    hold_below: float = Field(default=0.7, ge=0, le=1)
    """A whole read that shows less than this share of what is known is not believed: nothing is ended, and an operator
    is asked. 0 believes everything."""

    @model_validator(mode="after")
    def one_place(self) -> Self:
        if (self.url is None) == (self.folder is None):
            raise ValueError("give either url or folder, and not both")
        return self
