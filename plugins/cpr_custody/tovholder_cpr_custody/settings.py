"""The plugin's section of the settings."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

import hub


class CprSettings(hub.SourceSettings):
    """`[plugins.cpr_custody]`.

    `url` is the host of the service (`https://prod.serviceplatformen.dk`); `folder` holds answers as `*.xml`, any
    number of PersonLookupResponse in a file. CPR belongs to no administration and has no cases: `administration` and
    `kinds` stay empty."""

    parallel: int = Field(default=8, ge=1, le=64)
    """How many lookups are under way at the same time."""

    @model_validator(mode="after")
    def no_cases(self) -> Self:
        if self.administration is not None or self.kinds:
            raise ValueError("leave out administration and kinds: CPR belongs to no administration and has no cases")
        return self
