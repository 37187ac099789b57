"""Who can sign in to the demo, and children to look up."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

from sqlalchemy import select

from hub.access.log import Asker
from hub.clock import today
from hub.context import Context
from hub.demo.model import Town
from hub.demo.setup import private
from hub.identity import ADULT, YOUNG, parse
from hub.store import tables

FILE = "personas.json"


def staff(folder: Path) -> dict[str, Asker]:
    """The demo's members of staff, by id."""
    people = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return {person["id"]: Asker(**person) for person in people["staff"]}


def examples(folder: Path) -> list[str]:
    """Numbers of children to look up; the first have a coordinator."""
    people = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return [example["cpr"] for example in people["examples"]]


def clerk(town: Town) -> Asker:
    """Who writes down the answers that come by phone, on paper or in a meeting."""
    worker = town.coordinators[0]
    return Asker(worker.uuid, worker.name, "coordinator", None, worker.unit)


def introduce(ctx: Context, town: Town) -> None:
    """Who can sign in to the demo, with some children to look up: one family that has a coordinator, when there is."""
    if ctx.settings.demo is None:
        return
    askers = []
    for administration in ("SOF", "BUF", "SUF"):
        worker = next(w for w in town.workers.values() if w.administration == administration)
        askers.append(Asker(worker.uuid, worker.name, "staff", administration, worker.unit))
    askers.append(clerk(town))
    tokens = {ctx.keys.lookup_token(cpr): cpr for cpr in town.custody}
    with ctx.database.session() as session:
        rows = session.execute(
            select(tables.Child.id, tables.Child.token, tables.Custody.guardian_id)
            .join(tables.Assignment, tables.Assignment.child_id == tables.Child.id)
            .join(tables.Custody, tables.Custody.child_id == tables.Child.id)
            .where(tables.Assignment.until.is_(None), tables.Custody.until.is_(None))
        ).all()
        guardian_tokens = dict(session.execute(select(tables.Guardian.id, tables.Guardian.token)).tuples().all())
    by_token = {
        ctx.keys.lookup_token(custody.guardian): custody.guardian for c in town.custody.values() for custody in c
    }
    per_guardian: dict[str, set[str]] = {}
    ids: dict[str, str] = {}
    for row in rows:
        guardian = by_token[guardian_tokens[row.guardian_id]]
        per_guardian.setdefault(guardian, set()).add(tokens[row.token])
        ids[guardian] = str(row.guardian_id)
    chosen = sorted(per_guardian, key=lambda g: (-len(per_guardian[g]), g))[:2] + sorted(per_guardian)[:2]
    guardians = [
        {"guardian_id": ids[g], "label": f"{town.people[g].name} ({_children(len(per_guardian[g]))})"}
        for g in dict.fromkeys(chosen)
    ]
    with_coordinator = [min(per_guardian[g]) for g in dict.fromkeys(chosen)]
    numbers = [{"cpr": cpr, "label": "har en koordinator"} for cpr in dict.fromkeys(with_coordinator)]
    without = next((cpr for cpr in sorted(town.custody) if cpr not in {tokens[row.token] for row in rows}), None)
    if without:
        numbers.append({"cpr": without, "label": "har ingen koordinator"})
    write(ctx.settings.demo.folder, askers, guardians, numbers, young(ctx, {tokens[row.token]: row.id for row in rows}))


def young(ctx: Context, children: dict[str, UUID]) -> list[dict[str, str]]:
    """One young person, the youngest from 15, where there is one. `children`: row ids by number."""
    ages = {number: parse(number).age(today(ctx.clock)) for number in children}
    found = sorted((age, number) for number, age in ages.items() if YOUNG <= age < ADULT)[:1]
    return [{"child_id": str(children[number]), "label": f"{age} år"} for age, number in found]


def _children(count: int) -> str:
    return f"{count} {'barn' if count == 1 else 'børn'} i ordningen"


def write(
    folder: Path,
    askers: list[Asker],
    guardians: list[dict[str, str]],
    numbers: list[dict[str, str]],
    young: list[dict[str, str]],
) -> None:
    """Write `personas.json`: who can sign in, and numbers to try."""
    people = {
        "staff": [
            {"id": a.id, "name": a.name, "role": a.role, "administration": a.administration, "unit": a.unit}
            for a in askers
        ],
        "guardians": guardians,
        "young": young,
        "examples": numbers,
    }
    private(folder / f"{FILE}.new", json.dumps(people, ensure_ascii=False))
    (folder / f"{FILE}.new").replace(folder / FILE)
