"""Members of staff as rows: name, mail, phone and unit sealed under their own key."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub.access.askers import COORDINATORS
from hub.cases.advisers import keep_staff
from hub.context import Context
from hub.contract import StaffRecord
from hub.store import tables
from hub.store.many import among
from hub.store.people import open_keys
from hub.vault import unseal_json


@dataclass(frozen=True, slots=True)
class CoordinatorCard:
    """Who a coordinator is, for letters, pages and answers."""

    id: UUID
    name: str
    phone: str | None
    email: str | None


def add_coordinator(ctx: Context, session: Session, record: StaffRecord, administration: str | None = None) -> UUID:
    """Make somebody a coordinator (or renew what is known of one). They come last in the published order. Whoever leads
    the record's unit in that administration leads them."""
    staff_id = keep_staff(ctx, session, COORDINATORS, administration, record)
    session.get_one(tables.Staff, staff_id).administration = administration
    if session.get(tables.Coordinator, staff_id) is None:
        last = session.execute(select(func.coalesce(func.max(tables.Coordinator.number), 0))).scalar_one()
        session.add(tables.Coordinator(staff_id=staff_id, number=last + 1))
        session.flush()
    return staff_id


def cards(ctx: Context, session: Session, staff: set[UUID]) -> dict[UUID, CoordinatorCard]:
    """The cards of members of staff, by row id; those whose key is destroyed are left out."""
    rows = session.execute(select(tables.Staff).where(among(tables.Staff.id, staff))).scalars().all()
    opened = open_keys(session, ctx.keys, (row.key_id for row in rows))
    result = {}
    for row in rows:
        if row.key_id in opened:
            fields = unseal_json(opened[row.key_id], row.sealed, f"staff:{row.key_id}")
            result[row.id] = CoordinatorCard(row.id, fields["name"], fields.get("phone"), fields.get("email"))
    return result
