"""What the municipality says about its sending: the section `[plugins.digital_post]`."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, model_validator

_OWN_MACHINE = {"localhost", "127.0.0.1", "[::1]"}


class DigitalPostSettings(BaseModel):
    """`url` is the platform's base address, below which its services stand (`/service/...`). `sender_name` is what the
    recipient reads as sender, and is neutral: the municipality, never a unit. `system_id` and `generating_system` name
    the sending system as it is registered with Digital Post. `print_type` is the number agreed with the printer
    (ForsendelseTypeIdentifikator). `reply` lets the recipient answer in Digital Post: only where somebody reads it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    url: HttpUrl
    cvr: str = Field(pattern=r"^[0-9]{8}$")
    sender_name: str = Field(min_length=1, max_length=256)
    system_id: str = Field(min_length=1, max_length=256)
    generating_system: str = Field(default="Tovholder", min_length=1, max_length=256)
    print_type: int = Field(ge=1)
    timeout_seconds: float = Field(default=30.0, gt=0, le=300)
    reply: bool = False
    page_size: int = Field(default=500, ge=1, le=1000)

    @model_validator(mode="after")
    def encrypted(self) -> Self:
        if self.url.scheme != "https" and self.url.host not in _OWN_MACHINE:
            raise ValueError("url must be https: the recipient's number and letter go over this connection")
        return self
