"""A child's number, and what happens when it changes: the same child goes on under the new one.

A person gets a new number when a replacement number gives way to an ordinary one, at a change of legal gender, or when
two numbers turn out to be one person's. Who says so is CPR; or a source that moves the same record from a replacement
number, which CPR does not know, to an ordinary number with the same birthday. The former number keeps leading to the
child, for sources and staff still use it.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub.access import log
from hub.access.askers import by_system
from hub.cases import hearing, sources, target
from hub.cases.ending import end
from hub.context import Context
from hub.identity import Cpr, CprKind, parse
from hub.store import tables
from hub.store.many import among
from hub.store.people import open_key, open_keys
from hub.vault import seal_json, unseal_json

MOVED = "the child is told about under another number"
KIND = "number"
"""What an entry about a changed number is called in the access log."""

_FIRST = ("accepted", "withdrawn", "declined", "died", "grown", "left", "lapsed", "offered", "waiting")
"""Of two offers to the same child, which one stands: a yes, then a no that was said, then what is still open."""


def numbers_of(ctx: Context, session: Session, children: set[UUID], *, former: bool = False) -> dict[str, UUID]:
    """The children's numbers, opened: number → row id. For the one call that needs them; never stored. Those whose
    number has been forgotten are left out. `former`: the numbers they had before as well."""
    child = tables.Child
    rows = session.execute(select(child.id, child.key_id, child.sealed).where(among(child.id, children))).all()
    opened = open_keys(session, ctx.keys, (row.key_id for row in rows))
    fields = {
        row.id: unseal_json(opened[row.key_id], row.sealed, f"child:{row.id}") for row in rows if row.key_id in opened
    }
    found = {known["cpr"]: child_id for child_id, known in fields.items() if "cpr" in known}
    if former and found:
        keys = {row.id: opened[row.key_id] for row in rows if row.id in fields and "cpr" in fields[row.id]}
        before = session.execute(select(tables.FormerNumber).where(among(tables.FormerNumber.child_id, keys))).scalars()
        for row in before:
            found.setdefault(unseal_json(keys[row.child_id], row.sealed, _about(row.child_id)), row.child_id)
    return found


def tokens_now(session: Session, tokens: Collection[bytes]) -> dict[bytes, bytes]:
    """Of these tokens, those of a child's former number → the token of the number it has now."""
    rows = session.execute(
        select(tables.FormerNumber.token, tables.Child.token)
        .join(tables.Child, tables.Child.id == tables.FormerNumber.child_id)
        .where(among(tables.FormerNumber.token, tokens))
    )
    return dict(rows.tuples().all())


@dataclass(slots=True)
class Changes:
    """What number changes of one transaction leave to be done: `merged` says which row goes on for which, and the
    entries are for the log, to be added last."""

    merged: dict[UUID, UUID] = field(default_factory=dict)
    entries: list[log.SealedEntry] = field(default_factory=list)


def renumber(ctx: Context, session: Session, child_id: UUID, new: Cpr, changes: Changes) -> UUID:
    """The child has this number now. Gives the row that goes on: where there was one for the new number already, the
    one with the older standing in the scheme. Nothing happens when it is the child's number already."""
    token = ctx.keys.lookup_token(new.digits)
    target.alone(session)
    rows = {
        row.id: row
        for row in session.execute(
            select(tables.Child)
            .where((tables.Child.id == child_id) | (tables.Child.token == token))
            .order_by(tables.Child.id)
            .with_for_update()
        ).scalars()
    }
    child = rows[child_id]
    if child.token == token:
        return child_id
    old_token, key = child.token, open_key(session, ctx.keys, child.key_id)
    fields = unseal_json(key, child.sealed, f"child:{child.id}")
    other = next((row for row in rows.values() if row.id != child_id), None)
    stays = child if other is None or _goes_before(session, child_id, other.id) else other
    if other is not None:
        _retire(ctx, session, other if stays is child else child, stays, changes)
        session.flush()  # the token is free before it is taken
    if stays is child:
        child.token = token
        child.sealed = seal_json(key, fields | {"cpr": new.digits}, f"child:{child.id}")
    stays_key = key if stays is child else open_key(session, ctx.keys, stays.key_id)
    if "cpr" in fields:
        # A number that comes back after all is no former one any more.
        session.execute(delete(tables.FormerNumber).where(tables.FormerNumber.token == token))
        _keep_former(session, old_token, stays.id, seal_json(stays_key, fields["cpr"], _about(stays.id)))
    session.execute(update(tables.Presence).where(tables.Presence.token == old_token).values(token=token))
    # Who has custody is asked about by the new number at once. What a source has said meanwhile about it was nobody's:
    # cases are read in full again.
    session.execute(
        delete(tables.ChildSource).where(
            tables.ChildSource.child_id == stays.id, tables.ChildSource.source == sources.CUSTODY
        )
    )
    session.execute(
        update(tables.SourceState)
        .where(tables.SourceState.purpose == sources.CASES)
        .values(cursor=None, under_way=False, full_at=None)  # a run that is under way now writes its own cursor
    )
    changes.entries.append(
        by_system(session, ctx.keys, ctx.clock.now(), KIND, stays.id, (stays.key_id, stays_key), {"changed": "number"})
    )
    session.flush()
    target.reassess(session, {old_token, token})
    return stays.id


def moved(
    ctx: Context,
    session: Session,
    source: str,
    given: Mapping[bytes, bytes],
    numbers: Mapping[bytes, Cpr],
    changes: Changes,
) -> set[bytes]:
    """A source now shows these records (reference → token; `numbers` by token). Where a record was a known child's and
    has another number now, CPR is asked about the child at once, whether it has a new number: the record may also have
    stood on the wrong child. A replacement number that gives way to an ordinary one CPR cannot tell of.

    Gives the tokens that the records of known children leave."""
    before = session.execute(
        select(tables.Presence.reference, tables.Child)
        .join(tables.Child, tables.Child.token == tables.Presence.token)
        .where(
            tables.Presence.source == source,
            among(tables.Presence.reference, given),
            tables.Presence.token.not_in(set(given.values())),
        )
    ).all()
    left = {row.Child.token for row in before}
    if not before:
        return left
    keys = open_keys(session, ctx.keys, (row.Child.key_id for row in before))
    for row in before:
        child, new = row.Child, numbers.get(given[row.reference])
        if child.key_id not in keys or new is None:
            continue
        fields = unseal_json(keys[child.key_id], child.sealed, f"child:{child.id}")
        if "cpr" in fields and _gave_way(parse(fields["cpr"]), new):
            renumber(ctx, session, child.id, new, changes)
    marks = [
        {"child_id": child, "source": sources.MOVED, "read_at": ctx.clock.now()}
        for child in sorted({changes.merged.get(row.Child.id, row.Child.id) for row in before})
    ]
    session.execute(insert(tables.ChildSource).on_conflict_do_nothing(), marks)
    return left


def _gave_way(old: Cpr, new: Cpr) -> bool:
    return old.kind is CprKind.REPLACEMENT and new.kind is CprKind.CPR and old.born == new.born


def _goes_before(session: Session, one: UUID, other: UUID) -> bool:
    """Whether the first row's standing in the scheme is the one that counts."""
    offers = {
        row.child_id: row
        for row in session.execute(
            select(tables.Offer).where(tables.Offer.child_id.in_((one, other))).with_for_update()
        ).scalars()
    }

    def standing(child: UUID) -> tuple[int, float]:
        offer = offers.get(child)
        if offer is None or offer.state not in _FIRST:
            return len(_FIRST), 0.0
        return _FIRST.index(offer.state), offer.found_at.timestamp()

    return standing(one) <= standing(other)


def _retire(ctx: Context, session: Session, child: tables.Child, stays: tables.Child, changes: Changes) -> None:
    """A row that was the same child's: its offer, cases, waiting events and custody end; what was sent and logged is
    kept with it. Its key stays, so that letters and entries can be read as before."""
    offer = session.execute(
        select(tables.Offer).where(tables.Offer.child_id == child.id).with_for_update()
    ).scalar_one_or_none()
    if offer is not None:
        end(ctx, session, offer, "moved", MOVED)
    session.execute(delete(tables.ChildSource).where(tables.ChildSource.child_id == child.id))
    session.execute(delete(tables.Custody).where(tables.Custody.child_id == child.id))
    session.execute(
        update(tables.Task)
        .where(
            tables.Task.child_id == child.id,
            tables.Task.done_at.is_(None),
            tables.Task.entry_id.is_(None),  # not reviews of what was shown
            # What a family asked for is answered all the same.
            tables.Task.id.not_in(select(tables.RightsRequest.task_id)),
        )
        .values(done_at=ctx.clock.now())
    )
    key = open_key(session, ctx.keys, child.key_id)
    stays_key = open_key(session, ctx.keys, stays.key_id)
    before = session.execute(select(tables.FormerNumber).where(tables.FormerNumber.child_id == child.id)).scalars()
    for row in before.all():
        digits = unseal_json(key, row.sealed, _about(child.id))
        row.child_id, row.sealed = stays.id, seal_json(stays_key, digits, _about(stays.id))
    said: list[tables.Said] = [
        *session.execute(select(tables.Consent).where(tables.Consent.child_id == child.id)).scalars(),
        *session.execute(select(tables.Block).where(tables.Block.child_id == child.id)).scalars(),
    ]
    hearing.merge(session, child.id, stays.id, {child.id: key, stays.id: stays_key})
    for one in said:  # what the family has said holds for the child, by whatever number
        about = f"{one.__tablename__}:{one.id}"
        one.child_id, one.sealed = stays.id, seal_json(stays_key, unseal_json(key, one.sealed, about), about)
    changes.merged[child.id] = stays.id
    changes.entries.append(
        by_system(session, ctx.keys, ctx.clock.now(), KIND, child.id, (child.key_id, key), {"same_as": str(stays.id)})
    )
    child.token, child.eligible, child.same_as = secrets.token_bytes(32), False, stays.id
    child.sealed = seal_json(key, {}, f"child:{child.id}")


def _keep_former(session: Session, token: bytes, child_id: UUID, sealed: bytes) -> None:
    made = insert(tables.FormerNumber).values(token=token, child_id=child_id, sealed=sealed)
    session.execute(made.on_conflict_do_update(index_elements=["token"], set_={"child_id": child_id, "sealed": sealed}))


def _about(child_id: UUID) -> str:
    return f"former:{child_id}"
