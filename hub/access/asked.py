"""A lookup as it is asked and answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hub.access.log import Asker


@dataclass(frozen=True, slots=True)
class Request:
    """One question. `token` is the child's lookup token; the number itself has been left behind."""

    asker: Asker
    token: bytes
    purpose: str
    reason: str | None = None
    case: str | None = None


@dataclass(frozen=True, slots=True)
class Coordinator:
    name: str
    phone: str | None
    email: str | None
    since: datetime
    substitute: str | None


@dataclass(frozen=True, slots=True)
class Source:
    """How fresh a source is: the same for every child. `as_of` is when it last answered (UTC)."""

    name: str
    state: str
    as_of: datetime | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What may be shown. No coordinator, not allowed and not known look alike: `coordinator` is None."""

    coordinator: Coordinator | None
    sources: tuple[Source, ...]
