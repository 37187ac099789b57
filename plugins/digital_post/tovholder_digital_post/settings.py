"""What the municipality says about its sending: the section `[plugins.digital_post]`. README.md beside this package
tells how to fill it in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, model_validator

_OWN_MACHINE = {"localhost", "127.0.0.1", "[::1]"}

MESSAGE_LIMIT = 99_500_000
"""The largest message a public sender may send (bytes): 99.5 MB, bekendtgørelse om størrelse på filer i Digital Post
§ 3. The printers' limits are agreed with each."""


class DigitalPostSettings(BaseModel):
    """`transport` is the way: `kombit` (SF1601, Digital Post and print) or `direct` (Digital Post's own interface, no
    print). `url` is its base address. `sender_name` is what the recipient reads as sender, and is neutral: the
    municipality, never a unit. `system_id` and `generating_system` name the sending system as it is registered with
    Digital Post. `reply` lets the recipient answer in Digital Post: only where somebody reads it; `contact_point` is
    where the answer goes, by its id in Digital Post's list of the municipality's contact points.

    For `kombit`: `print_type` is the number agreed with the printer (ForsendelseTypeIdentifikator). `choice` says who
    chooses between Digital Post and print: `ask` asks PostForespoerg first, `platform` sends both and lets the platform
    choose. `cpr_url` is where SF1520 answers: given, printed letters carry name and address and no number; left out,
    they carry the number alone. `sts_url` is where tokens are issued: left out, a gateway before the platform signs in.
    `receipts_url` is the gateway that keeps receipts, where that is not `url`.

    For `direct`: `api_key` is a file that holds the sending system's key, and `upload` how a message is sent.

    `certificate` and `key` are our own, in PEM (one file may hold both); `authorities` are the roots to trust, where
    they are not the machine's. `max_bytes` is the largest message."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    transport: Literal["kombit", "direct"] = "kombit"
    url: HttpUrl
    memo_version: Literal["1.1", "1.2"] = "1.2"
    cvr: str = Field(pattern=r"^[0-9]{8}$")
    sender_name: str = Field(min_length=1, max_length=256)
    system_id: str = Field(min_length=1, max_length=256)
    generating_system: str = Field(default="Tovholder", min_length=1, max_length=256)
    reply: bool = False
    contact_point: UUID | None = None

    print_type: int | None = Field(default=None, ge=1)
    choice: Literal["ask", "platform"] = "ask"
    cpr_url: HttpUrl | None = None
    sts_url: HttpUrl | None = None
    receipts_url: HttpUrl | None = None

    api_key: Path | None = None
    upload: Literal["xml", "file"] = "xml"

    certificate: Path | None = None
    key: Path | None = None
    authorities: Path | None = None
    max_bytes: int = Field(default=MESSAGE_LIMIT, ge=1, le=MESSAGE_LIMIT)
    timeout_seconds: float = Field(default=30.0, gt=0, le=300)
    page_size: int = Field(default=500, ge=1, le=1000)

    @model_validator(mode="after")
    def encrypted(self) -> Self:
        for name in ("url", "cpr_url", "sts_url", "receipts_url"):
            url: HttpUrl | None = getattr(self, name)
            if url is not None and url.scheme != "https" and url.host not in _OWN_MACHINE:
                raise ValueError(f"{name} must be https: numbers, letters and keys go over this connection")
        return self

    @model_validator(mode="after")
    def whole(self) -> Self:
        """What each way needs is there, and nothing that it would not use."""
        if self.transport == "kombit":
            needed, unused = {"print_type"}, {"api_key"}
        else:
            needed, unused = {"api_key"}, {"print_type", "cpr_url", "sts_url", "receipts_url"}
            if self.url.scheme == "https":
                needed.add("certificate")
        if self.sts_url is not None:
            needed |= {"certificate", "receipts_url"}
        if self.key is not None:
            needed.add("certificate")
        if self.contact_point is not None and not self.reply:
            raise ValueError("contact_point is where an answer goes: it needs reply")
        missing = sorted(name for name in needed if getattr(self, name) is None)
        if missing:
            raise ValueError(f"give {', '.join(missing)} too: transport {self.transport} needs it")
        idle = sorted(name for name in unused if getattr(self, name) is not None)
        if idle:
            raise ValueError(f"leave out {', '.join(idle)}: transport {self.transport} does not use it")
        return self
