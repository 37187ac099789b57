"""What the municipality says about its e-mail: the section `[plugins.email]`. README.md beside this package tells how
to fill it in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_OWN_MACHINE = {"localhost", "127.0.0.1", "::1"}
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})+")
"""An address as HTML's own field for one has it, with a domain of two parts or more."""


def is_address(text: str) -> bool:
    """Whether `text` is one plain address (RFC 5321), of ASCII and without a name."""
    return len(text) <= 254 and _ADDRESS.fullmatch(text) is not None


class EmailSettings(BaseModel):
    """`host` and `port` are the mail server's; `tls` says how the connection is sealed: `starttls`, `tls` from the
    first byte (port 465), or `none` for a server on this machine alone. `authorities` are the roots to trust, where
    they are not the machine's. `user` signs in with the password in `password_file`. `sender` is the address that mail
    comes from, `sender_name` what stands beside it: neutral, the municipality's and never a unit's. `reply_to` is where
    an answer goes. `hello` is the name this machine gives the server (EHLO). `timeout_seconds` is how long one mail may
    take in all."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    host: str = Field(min_length=1)
    port: int = Field(default=587, ge=1, le=65535)
    tls: Literal["starttls", "tls", "none"] = "starttls"
    authorities: Path | None = None
    user: str | None = None
    password_file: Path | None = None
    sender: str
    sender_name: str = Field(min_length=1, max_length=100)
    reply_to: str | None = None
    hello: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.-]{1,253}$")
    timeout_seconds: float = Field(default=30.0, gt=0, le=300)

    @field_validator("sender", "reply_to")
    @classmethod
    def plain(cls, address: str | None) -> str | None:
        if address is not None and not is_address(address):
            raise ValueError("must be one plain address, as in coordinator@municipality.dk")
        return address

    @field_validator("sender_name")
    @classmethod
    def on_one_line(cls, name: str) -> str:
        if not name.isprintable() or "=?" in name:
            raise ValueError("must be printable, on one line, without =?")
        return name

    @model_validator(mode="after")
    def sealed(self) -> Self:
        if self.tls == "none" and self.host not in _OWN_MACHINE:
            raise ValueError("tls none is for a mail server on this machine: choose starttls or tls")
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file go together: give both or neither")
        return self
