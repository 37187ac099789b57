"""The rows of guardians: made, kept up to date, and the same when somebody gets a new number."""

from __future__ import annotations

from collections.abc import Mapping, Set
from uuid import UUID, uuid4

from sqlalchemy import delete, exists, or_, select, update
from sqlalchemy.orm import Session

from hub.context import Context
from hub.contract import GuardianRecord
from hub.identity import Cpr, parse
from hub.store import tables
from hub.store.many import among
from hub.store.people import make_key, open_key, open_keys
from hub.vault import seal_json, unseal_json


def keep(ctx: Context, session: Session, records: Mapping[bytes, GuardianRecord]) -> dict[bytes, UUID]:
    """The rows of the guardians, by token: made or brought up to date."""
    rows = session.execute(select(tables.Guardian).where(among(tables.Guardian.token, records))).scalars().all()
    keys = open_keys(session, ctx.keys, (row.key_id for row in rows))
    found: dict[bytes, UUID] = {}
    for row in rows:
        found[row.token] = row.id
        fields = _fields(records[row.token])
        if row.key_id in keys and unseal_json(keys[row.key_id], row.sealed, f"guardian:{row.id}") != fields:
            row.sealed = seal_json(keys[row.key_id], fields, f"guardian:{row.id}")
    made = []
    for token in sorted(records.keys() - found.keys()):
        key_id, key = make_key(session, ctx.keys)
        guardian_id = uuid4()
        sealed = seal_json(key, _fields(records[token]), f"guardian:{guardian_id}")
        made.append(tables.Guardian(id=guardian_id, token=token, key_id=key_id, sealed=sealed, language="da"))
        found[token] = guardian_id
    session.flush()
    session.add_all(made)
    session.flush()
    return found


def _fields(record: GuardianRecord) -> dict[str, object]:
    return {
        "cpr": parse(record.guardian_cpr).digits,
        "name": record.guardian_name,
        "protected": record.protected,
        "digital_post": record.digital_post,
    }


def numbers_of(ctx: Context, session: Session, guardians: Set[UUID]) -> dict[str, UUID]:
    """The guardians' numbers, opened: for the one call that needs them."""
    rows = session.execute(select(tables.Guardian).where(among(tables.Guardian.id, guardians))).scalars().all()
    keys = open_keys(session, ctx.keys, (row.key_id for row in rows))
    return {
        unseal_json(keys[row.key_id], row.sealed, f"guardian:{row.id}")["cpr"]: row.id
        for row in rows
        if row.key_id in keys
    }


def renumber(ctx: Context, session: Session, guardian_id: UUID, new: Cpr) -> bool:
    """The guardian has this number now: language, letters and answers stay with the person. A row that was made for
    the new number and has not been written to yet gives way. False, and nothing is done, when somebody with the new
    number has been written to already: then there are two rows, and the former has no custody."""
    token = ctx.keys.lookup_token(new.digits)
    row = session.get_one(tables.Guardian, guardian_id, with_for_update=True)
    if row.token == token:
        return True
    key = open_key(session, ctx.keys, row.key_id)
    fields = unseal_json(key, row.sealed, f"guardian:{row.id}") | {"cpr": new.digits}
    other = session.execute(
        select(tables.Guardian).where(tables.Guardian.token == token).with_for_update()
    ).scalar_one_or_none()
    if other is not None:
        used = [
            select(exists().where(table.guardian_id == other.id)).scalar_subquery()
            for table in (
                tables.Acceptance,
                tables.Block,
                tables.Bundle,
                tables.Consent,
                tables.Event,
                tables.Letter,
                tables.RightsRequest,
            )
        ]
        if session.execute(select(or_(*used))).scalar_one():
            return False
        fields = unseal_json(open_key(session, ctx.keys, other.key_id), other.sealed, f"guardian:{other.id}")
        _take_over(session, row.id, other.id)
        session.delete(other)
        session.flush()
    row.token, row.sealed = token, seal_json(key, fields, f"guardian:{row.id}")
    session.flush()
    return True


def _take_over(session: Session, stays: UUID, goes: UUID) -> None:
    """Custody that was noted for the row which goes is the other's: it was read last, so it counts. So are mandates,
    and what a young person hears."""
    for column in ("person_id", "principal_id"):
        session.execute(
            update(tables.Hears).where(getattr(tables.Hears, column) == goes).values({column: stays}),
            execution_options={"synchronize_session": False},
        )
    children = select(tables.Custody.child_id).where(tables.Custody.guardian_id == goes).scalar_subquery()
    session.execute(
        delete(tables.Custody).where(tables.Custody.guardian_id == stays, tables.Custody.child_id.in_(children)),
        execution_options={"synchronize_session": False},
    )
    session.execute(
        update(tables.Custody).where(tables.Custody.guardian_id == goes).values(guardian_id=stays),
        execution_options={"synchronize_session": False},
    )
