"""Whom a provider says a guardian or a young person is, by their CPR number, which is forgotten here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from hub.clock import Clock, today
from hub.errors import BadRecord, NotAllowed
from hub.identity import ADULT, YOUNG, Cpr, parse, turns
from hub.store import tables
from hub.vault import Keys


@dataclass(frozen=True, slots=True)
class Known:
    """Who somebody is to the hub: a guardian, a young person (until the day they turn 18), seldom both, or nobody."""

    guardian_id: UUID | None
    young_id: UUID | None
    adult_on: date


def number(claims: Mapping[str, Any], names: Sequence[str]) -> Cpr:
    """The number in the first of the claims that is there. Raises NotAllowed, never with the number."""
    value = next((claims[name] for name in names if claims.get(name) is not None), None)
    if not isinstance(value, str):
        raise NotAllowed(f"none of the claims {', '.join(names)} is there")
    try:
        found = parse(value)
    except BadRecord:
        raise NotAllowed("the claim with the CPR number holds none") from None
    if not found.matchable:
        raise NotAllowed("the claim with the CPR number holds another kind of number")
    return found


def find(session: Session, keys: Keys, clock: Clock, cpr: Cpr) -> Known:
    """Whom the hub knows by this number. Whoever may do so holds the token key."""
    token = keys.lookup_token(cpr.digits)
    # Whoever is only written to (a young person, a representative) is no guardian.
    hears = exists().where(tables.Hears.person_id == tables.Guardian.id)
    custody = exists().where(tables.Custody.guardian_id == tables.Guardian.id)
    guardian = session.execute(
        select(tables.Guardian.id).where(tables.Guardian.token == token, or_(custody, ~hears))
    ).scalar_one_or_none()
    young = _child(session, token) if YOUNG <= cpr.age(today(clock)) < ADULT else None
    return Known(guardian, young, turns(cpr.born, ADULT))


def _child(session: Session, token: bytes) -> UUID | None:
    row = session.execute(select(tables.Child).where(tables.Child.token == token)).scalar_one_or_none()
    if row is not None:
        return row.same_as or row.id
    return session.execute(
        select(tables.FormerNumber.child_id).where(tables.FormerNumber.token == token)
    ).scalar_one_or_none()
