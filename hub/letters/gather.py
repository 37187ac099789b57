"""What of a bundle may be told at the moment its letter is composed, and the letter that comes of it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from hub.cases import agreements, events, kinds, unsent
from hub.cases.kinds import KINDS
from hub.clock import DENMARK
from hub.context import Context
from hub.identity import ADULT, parse, turns
from hub.letters import holding
from hub.letters.filling import ANSWERS, CHANGES, Gathered, named_before, write
from hub.letters.fold import OTHERS, UNDONE, Folded, Now, fold, into
from hub.letters.known import Known, read
from hub.letters.said import DEADLINES, said
from hub.store import tables
from hub.store.many import among
from hub.vault import unseal_json

NO_CUSTODY = events.NO_CUSTODY
GROWN = "the child turned 18"
FORGOTTEN = "somebody it is about has been forgotten"
ANSWERED = "the offer was answered before the letter left"
ENDED = "the child is no longer in the scheme"
TOLD = "told by a letter that left between the backup and the restore"
PROTECTED = "it could tell where somebody protected lives"


@dataclass(frozen=True, slots=True)
class Held:
    """Nothing is written yet. `until`: when to look again; None where only what sources tell themselves waits."""

    until: datetime | None


@dataclass(slots=True)
class _Ends:
    """Why events are not told."""

    why: dict[UUID, str] = field(default_factory=dict)

    def end(self, ids: Iterable[UUID], why: str) -> None:
        self.why.update(dict.fromkeys(ids, why))


def gather(
    ctx: Context, session: Session, bundles: Sequence[tables.Bundle]
) -> dict[UUID, Gathered | Held | ValueError | None]:
    """The content of each bundle's letter; None when nothing of it may be told any more, Held when it is not to leave
    yet, and the error of one that cannot be written. Events that may not be told end here, with the reason."""
    known = read(ctx, session, bundles)
    dropped: dict[str, list[UUID]] = {}
    result: dict[UUID, Gathered | Held | ValueError | None] = {}
    for bundle in bundles:
        ends = _Ends()
        found: Gathered | Held | ValueError | None
        try:
            found = _gather(ctx, known, bundle, ends)
        except ValueError as error:
            found = error
        result[bundle.id] = found
        if isinstance(found, Held):
            continue  # what it comes to is seen when it leaves
        for event, why in ends.why.items():
            dropped.setdefault(why, []).append(event)
    for why, ids in dropped.items():
        session.execute(update(tables.Event).where(among(tables.Event.id, ids)).values(bundle_id=None, why_not=why))
    protected = set(dropped.get(PROTECTED, ()))
    found_events = (event for waiting in known.events.values() for event in waiting)
    unsent.of_place(ctx, session, [event for event in found_events if event.id in protected])
    if known.told_now:
        # Once: if it changes back one day, that is news.
        session.execute(delete(tables.Told).where(tables.Told.said.in_(known.told_now)))
    return result


def _gather(ctx: Context, known: Known, bundle: tables.Bundle, ends: _Ends) -> Gathered | Held | None:
    mine, speaks = known.mine.get(bundle.guardian_id, {}), known.speaks.get(bundle.guardian_id, {})
    guardian = known.guardians[bundle.guardian_id]
    if guardian.key_id not in known.keys:
        ends.end((event.id for event in known.events.get(bundle.id, [])), FORGOTTEN)
        return None
    of_age = {
        # Their own mandate may last past that day; what comes of custody does not.
        child: date.max
        if child in known.past_18 and capacity != "guardian"
        else turns(parse(known.opened[child]["cpr"]).born, ADULT)
        for child, capacity in speaks.items()
        if child in known.opened
    }
    children = {child for child, day in of_age.items() if known.day < day}
    folded = _told(known, bundle, mine, speaks, children, ends)
    digests = {event.id: _said(ctx, known, event, guardian) for event in folded.told}
    again = [event for event in folded.told if digests[event.id] in known.told]
    told = [event for event in folded.told if event not in again]
    if told and not any(_by_hub(ctx, known, event) for event in told):
        return Held(None)
    until = holding.until(known.now, told, known.left.get(guardian.id, ()), ctx.settings.letters.most_a_week)
    if told and until > known.now:
        return Held(until)
    known.told_now.update(digests[event.id] for event in again)
    ends.end((event.id for event in again), TOLD)
    if not told:
        return None
    return write(ctx, known, guardian, told, children & mine.keys(), of_age, tuple(digests[event.id] for event in told))


def _told(
    known: Known,
    bundle: tables.Bundle,
    mine: Container[UUID],
    speaks: Container[UUID],
    children: set[UUID],
    ends: _Ends,
) -> Folded:
    """The bundle's events that may be told still, and what they come to; the others get their reason. `mine` are the
    children the reader hears of; `speaks` those too of whom a representative hears instead, of whom they read only
    their own answers; `children` those of all these who are children and not forgotten."""
    may = []
    for event in known.events.get(bundle.id, []):
        why = _why_not(known, event, speaks if event.kind in kinds.ANSWERS else mine, children)
        if why is None:
            may.append(event)
        else:
            ends.end([event.id], why)
    for event in [event for event in may if event.kind in OTHERS]:
        if named_before(known, bundle.id, event.child_id) == known.assigned[event.child_id]:
            may.remove(event)
            ends.end([event.id], UNDONE)  # it is the same coordinator again
    cases = {case.id: case.deadline for child in children for case in known.cases.get(child, [])}
    folded = fold(may, Now(cases, known.unkept.get(bundle.guardian_id, set())))
    ends.why.update(folded.ended)
    return folded


def _why_not(known: Known, event: tables.Event, mine: Container[UUID], children: set[UUID]) -> str | None:
    """Why an event must not be told; None where it may."""
    child, kind = event.child_id, KINDS[event.kind]
    if child not in mine:
        return NO_CUSTODY
    if child not in children:
        return GROWN if child in known.opened else FORGOTTEN
    if kind.reveals_place and child in known.protected:
        return PROTECTED
    if kind.about == "offer" and child in known.offers:
        return events.SAID_NO if (event.guardian_id, child) in known.said_no else None
    if kind.about == "offer":
        return ANSWERED if child in known.assigned else ENDED
    if kind.about == "end":
        return into(kinds.ASSIGNED) if child in known.assigned else None
    if kind.about == "answer":
        return None
    if child not in known.assigned:
        return ENDED
    if kind.about == "case" and event.case_id not in {case.id for case in known.cases.get(child, [])}:
        return events.CASE_GONE
    return None


def _by_hub(ctx: Context, known: Known, event: tables.Event) -> bool:
    """Whether a letter is made for it; else it is only told along with something else."""
    case = _case_of(known, event)
    return agreements.hub_sends(ctx.settings, event.kind, case.source if case is not None else None, known.day)


def _case_of(known: Known, event: tables.Event) -> tables.Case | None:
    return next((case for case in known.cases.get(event.child_id, []) if case.id == event.case_id), None)


def _said(ctx: Context, known: Known, event: tables.Event, guardian: tables.Guardian) -> bytes:
    child, value = event.child_id, None
    case = _case_of(known, event)
    if event.kind == kinds.OFFERED:
        value = "reminder" if known.offers[child].reminded_at is not None else None
    elif event.kind == kinds.ASSIGNED or event.kind in CHANGES:
        # Who coordinates is no other news when somebody answers for them meanwhile; who answers is.
        coordinator = known.assigned[child]
        card = known.cards.get(coordinator if event.kind in (kinds.ASSIGNED, *OTHERS) else known.calls(coordinator))
        value = card.name if card else None
    elif event.kind in ANSWERS:
        value = ":".join(filter(None, (event.administration or str(None), str(_danish(event.at)), event.spoke)))
    elif case is not None and event.kind in DEADLINES:
        value = str(case.deadline)
    elif case is not None and event.kind == kinds.ADVISER_CHANGED:
        adviser = known.cards.get(case.adviser_id) if case.adviser_id else None
        value = adviser.name if adviser else None
    elif case is not None and event.kind in (kinds.APPLIED, kinds.CASE_OPENED):
        key = known.keys[known.children[child].key_id]
        value = unseal_json(key, case.sealed, f"case:{case.id}")["state"]
    return said(ctx.keys, event, guardian, known.children[child], case, value)


def _danish(at: datetime) -> date:
    return at.astimezone(DENMARK).date()
