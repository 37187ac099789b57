"""Who hears of a child: to whom letters about it go, on a date.

Those with custody; from 15 the young person too, who has Digital Post of their own (lov om Digital Post § 3); and
representatives with a mandate, as well as or instead of the one whose mandate it is. Who decides is another matter, and
is said by `custody` alone. Whatever writes, drops or sends a letter asks here, so that the answer is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from typing import Any, Literal
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, CompoundSelect, and_, exists, literal, or_, select, union_all
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.selectable import Subquery

from hub.cases import guardians
from hub.clock import today
from hub.context import Context
from hub.identity import ADULT, YOUNG, parse
from hub.store import tables
from hub.store.many import among
from hub.store.people import make_key, open_key, open_keys
from hub.vault import seal_json, unseal_json

Capacity = Literal["guardian", "young", "representative"]


def pairs(on: date, *, replaced: bool = False) -> Subquery:
    """Every (child_id, person_id, capacity) of whoever is written to on a date. `replaced`: also those whose letters go
    to a representative instead: what was written to them before may still leave."""
    return _pairs(on, replaced).subquery("hearing")


@lru_cache(maxsize=64)
def _pairs(on: date, replaced: bool) -> CompoundSelect[Any]:
    """Kept, because building it takes longer than the database does."""
    custody, hears = tables.Custody, tables.Hears
    young = aliased(hears)
    with_custody = select(
        custody.child_id, custody.guardian_id.label("person_id"), literal("guardian").label("as_what")
    )
    with_custody = with_custody.where(custody.holds(on))
    is_young = exists().where(young.child_id == hears.child_id, young.capacity == "young")
    self_: ColumnElement[bool] = hears.capacity == "young"
    if not replaced:
        with_custody = with_custody.where(~_instead(custody.child_id, custody.guardian_id, on))
        self_ = and_(self_, ~_instead(hears.child_id, None, on))
    of_guardian = custody.is_held(hears.child_id, hears.principal_id, on)
    mandate = and_(hears.capacity == "representative", or_(and_(hears.principal_id.is_(None), is_young), of_guardian))
    others = select(hears.child_id, hears.person_id, hears.capacity).where(hears.holds(on), or_(self_, mandate))
    return union_all(with_custody, others)


def _instead(child: Any, principal: Any | None, on: date) -> ColumnElement[bool]:
    """Whether somebody else gets the letters of a guardian (None: of the young person)."""
    other = aliased(tables.Hears)
    whose = other.principal_id.is_(None) if principal is None else other.principal_id == principal
    return exists().where(other.child_id == child, other.instead, whose, other.holds(on))


def hears(child: Any, person: Any, on: date, *, replaced: bool = False) -> ColumnElement[bool]:
    """Whether somebody hears of a child on a date. Each is a row id, or a column of them. `replaced`: see `pairs`."""
    found = pairs(on, replaced=replaced)
    return select(found.c.child_id).where(found.c.child_id == child, found.c.person_id == person).exists()


def of_children(session: Session, children: Iterable[UUID], on: date) -> dict[UUID, list[UUID]]:
    """Who hears of each child on a date, by row id."""
    wanted, found = list(children), pairs(on)
    rows = session.execute(select(found).where(among(found.c.child_id, wanted))).all() if wanted else []
    hearers: dict[UUID, set[UUID]] = {}
    for child, person, _capacity in rows:
        hearers.setdefault(child, set()).add(person)
    return {child: sorted(persons) for child, persons in sorted(hearers.items())}


def of_persons(
    session: Session, persons: Iterable[UUID], on: date, *, replaced: bool = False
) -> dict[UUID, dict[UUID, Capacity]]:
    """Of which children each of these hears on a date, and as what: first as guardian, then as themselves. `replaced`:
    see `pairs`."""
    wanted, found = list(persons), pairs(on, replaced=replaced)
    rows = session.execute(select(found).where(among(found.c.person_id, wanted))).all() if wanted else []
    order = ("representative", "young", "guardian")
    heard: dict[UUID, dict[UUID, Capacity]] = {}
    for child, person, capacity in sorted(rows, key=lambda row: order.index(row[2])):
        heard.setdefault(person, {})[child] = capacity
    return heard


def young_person(session: Session, child: UUID) -> UUID | None:
    """The row that a young person's own letters are written to; None before there is one."""
    own = (tables.Hears.child_id == child, tables.Hears.capacity == "young")
    return session.execute(select(tables.Hears.person_id).where(*own)).scalar_one_or_none()


def own_row(ctx: Context, session: Session, child: UUID) -> UUID | None:
    """As `young_person`, made now for whoever is 15, 16 or 17 and has none; None for anybody else."""
    keep_young(ctx, session, [child])
    return young_person(session, child)


def past_18(session: Session, children: Iterable[UUID], on: date) -> set[UUID]:
    """Of these children, those of whom a mandate of their own lasts when they are adults."""
    row = tables.Hears
    held = select(row.child_id).where(among(row.child_id, children), row.past_18, row.holds(on))
    return set(session.execute(held).scalars())


def keep_young(ctx: Context, session: Session, children: Iterable[UUID]) -> int:
    """Whoever of the children is 15, 16 or 17 hears from now on, under the number and name they have today. Doing it
    again changes nothing. Gives how many are new."""
    day, wanted = today(ctx.clock), list(children)
    rows = session.execute(select(tables.Child).where(among(tables.Child.id, wanted))).scalars().all()
    keys = open_keys(session, ctx.keys, (row.key_id for row in rows))
    fields = {
        row.id: unseal_json(keys[row.key_id], row.sealed, f"child:{row.id}") for row in rows if row.key_id in keys
    }
    old_enough = {
        child: known
        for child, known in fields.items()
        if "cpr" in known and YOUNG <= parse(known["cpr"]).age(day) < ADULT
    }
    mine = (among(tables.Hears.child_id, old_enough), tables.Hears.capacity == "young")
    there = {row.child_id: row for row in session.execute(select(tables.Hears).where(*mine)).scalars()}
    new = 0
    for child, known in sorted(old_enough.items()):
        row = there.get(child)
        if row is not None:
            guardians.renumber(ctx, session, row.person_id, parse(known["cpr"]))
        person = keep_person(ctx, session, known["cpr"], known.get("name"), bool(known.get("protected")))
        if row is None:
            session.add(tables.Hears(child_id=child, person_id=person, capacity="young", since=day))
            new += 1
        elif row.person_id != person:
            row.person_id = person  # the number was somebody's who had been written to already
    session.flush()
    return new


def keep_person(ctx: Context, session: Session, number: str, name: str | None, protected: bool) -> UUID:
    """The row of somebody who is written to, by their number: made, or brought up to date, unless custody has told of
    them: then what CPR said there stands."""
    token = ctx.keys.lookup_token(parse(number).digits)
    row = session.execute(select(tables.Guardian).where(tables.Guardian.token == token)).scalar_one_or_none()
    fields = {"cpr": parse(number).digits, "name": name, "protected": protected, "digital_post": None}
    if row is None:
        key_id, key = make_key(session, ctx.keys)
        session.flush()
        row = tables.Guardian(
            id=(made := uuid4()), token=token, key_id=key_id, sealed=seal_json(key, fields, f"guardian:{made}")
        )
        session.add(row)
        session.flush()
        return made
    from_cpr = session.execute(select(exists().where(tables.Custody.guardian_id == row.id))).scalar_one()
    if not from_cpr:
        key = open_key(session, ctx.keys, row.key_id)
        if unseal_json(key, row.sealed, f"guardian:{row.id}") != fields:
            row.sealed = seal_json(key, fields, f"guardian:{row.id}")
            session.flush()
    return row.id


def merge(session: Session, goes: UUID, stays: UUID, keys: Mapping[UUID, bytes]) -> None:
    """Two rows were one child's: mandates go on with the one that stays (`keys`: of both children). The young person's
    own row is made anew where it is needed."""
    rows = session.execute(select(tables.Hears).where(tables.Hears.child_id == goes)).scalars().all()
    for row in rows:
        if row.capacity == "young":
            session.delete(row)
            continue
        row.child_id = stays
        if row.sealed is not None:
            about = f"hears:{row.id}"
            row.sealed = seal_json(keys[stays], unseal_json(keys[goes], row.sealed, about), about)
    session.flush()
