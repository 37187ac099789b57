"""Looks without a case, after a leader's review, as a family reads them: by role, unit and administration; no name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from hub import reviews
from hub.access.own import OwnChild
from hub.context import Context
from hub.web.words import ROLES, Text, Words


@dataclass(frozen=True, slots=True)
class PageLook:
    """`child` is how the page calls the child; `place` is unit and administration, as far as they are told; `right`
    says what the review came to."""

    child: str
    role: Text
    place: str
    at: datetime
    purpose: str
    right: bool
    reviewed: datetime


def read_looks(
    ctx: Context, t: Words, session: Session, children: Mapping[UUID, OwnChild], labels: Mapping[UUID, str]
) -> tuple[tuple[PageLook, ...], set[UUID]]:
    """The reviewed looks at the children, newest review first, and the children they are about."""
    found, about = [], set()
    for child in children.values():
        for one in reviews.of_child(session, child):
            about.add(child.id)
            office = ctx.settings.administration_name(one.administration, t.language) if one.administration else None
            found.append(
                PageLook(
                    labels[child.id],
                    ROLES.get(one.role or "", ROLES["staff"]),
                    ", ".join(part for part in (one.unit, office) if part),
                    one.at,
                    t.purposes[one.purpose],
                    one.verdict == "right",
                    one.reviewed,
                )
            )
    return tuple(sorted(found, key=lambda look: look.reviewed, reverse=True)), about
