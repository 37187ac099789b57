"""Members of staff as the sources name them: one row each, sealed under their own key."""

from __future__ import annotations

from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.context import Context
from hub.contract import StaffRecord
from hub.store.people import make_key, open_key
from hub.store.tables import Staff
from hub.vault import seal_json, unseal_json


def fields_of(record: StaffRecord) -> dict[str, str | None]:
    return {"name": record.name, "email": record.email, "phone": record.phone, "unit": record.unit}


def keep_staff(ctx: Context, session: Session, source: str, administration: str | None, record: StaffRecord) -> UUID:
    """The row of a member of staff, made or brought up to date. Gives its id."""
    reference = ctx.keys.refer(source, record.source_id)
    row = session.execute(
        select(Staff).where(Staff.source == source, Staff.reference == reference)
    ).scalar_one_or_none()
    wanted = fields_of(record)
    if row is None:
        key_id, key = make_key(session, ctx.keys)
        session.flush()
        row = Staff(id=uuid4(), source=source, reference=reference, administration=administration, key_id=key_id)
        row.sealed = seal_json(key, wanted, f"staff:{key_id}")
        session.add(row)
        session.flush()
        return row.id
    key = open_key(session, ctx.keys, row.key_id)
    if unseal_json(key, row.sealed, f"staff:{row.key_id}") != wanted:
        row.sealed = seal_json(key, wanted, f"staff:{row.key_id}")
    return row.id


class StaffKeeper:
    """`keep_staff` for a whole read: each member of staff is looked at once."""

    def __init__(self, ctx: Context, source: str, administration: str | None) -> None:
        self._ctx, self._source, self._administration = ctx, source, administration
        self._kept: dict[StaffRecord, UUID] = {}

    def keep(self, session: Session, record: StaffRecord | None) -> UUID | None:
        if record is None:
            return None
        if record not in self._kept:
            self._kept[record] = keep_staff(self._ctx, session, self._source, self._administration, record)
        return self._kept[record]
