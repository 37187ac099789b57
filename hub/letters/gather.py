"""What a letter to one guardian says, read from the database at the moment it is composed."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from hub.cases import agreements, events, hearing, kinds
from hub.cases.kinds import KINDS
from hub.clock import DENMARK
from hub.context import Context
from hub.contract import State
from hub.coordination.staff import CoordinatorCard
from hub.identity import ADULT, parse, turns
from hub.letters import holding, preferences
from hub.letters.content import (
    NEWS,
    Age,
    Answer,
    Change,
    ContentAnswer,
    ContentCase,
    ContentChange,
    ContentChild,
    ContentCoordinator,
    ContentLabel,
    ContentMunicipality,
    ContentSilence,
    ContentTurn,
    Goodbye,
    LetterContent,
    LetterKind,
    News,
    Reader,
)
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

CHANGES: Mapping[str, Change] = {
    kinds.COORDINATOR_CHANGED: "changed",
    kinds.COORDINATOR_HANDED_OVER: "handed_over",
    kinds.COORDINATOR_SUBSTITUTE: "substitute",
    kinds.COORDINATOR_BACK: "back",
}
TURNS: Mapping[str, Age] = {
    kinds.TURNS_15: "15",
    kinds.TURNS_16: "16",
    kinds.TURNS_17_HALF: "17½",
    kinds.TURNS_18: "18",
}
ANSWERS: Mapping[str, Answer] = {
    kinds.YES_GIVEN: "yes_given",
    kinds.NO_GIVEN: "no_given",
    kinds.OFFICE_CLOSED: "closed",
    kinds.OFFICE_OPENED: "opened",
    kinds.OBJECTED: "objected",
    kinds.CONSENT_GIVEN: "consent_given",
    kinds.CONSENT_WITHDRAWN: "consent_withdrawn",
    kinds.YES_WITHDRAWN: "yes_withdrawn",
}
GOODBYES: Mapping[str, Goodbye] = {
    kinds.YES_ENDED: "withdrawn",
    kinds.SCHEME_ENDED: "closed",
    kinds.MOVED_AWAY: "moved",
}


@dataclass(frozen=True, slots=True)
class Gathered:
    content: LetterContent
    coordinator: CoordinatorCard | None
    keys: tuple[bytes, ...]
    """The guardian's key, then each child's in the order of `children`."""
    children: tuple[UUID, ...]
    shown: tuple[UUID, ...]
    """The children of the content, in its order."""
    ended: tuple[UUID, ...]
    """Those of the children it is told of that they are in the scheme no longer."""
    cases: tuple[UUID, ...]
    """The cases it names."""
    before: date
    """The day the first of the children is an adult: from then on it must not leave."""
    said: tuple[bytes, ...]
    """What it tells, in its order, as digests (hub.letters.said)."""
    quiet: bool
    """Not to arrive in quiet hours (hub.letters.holding), …"""
    latest: datetime | None
    """… unless they last longer than this."""


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
    return _write(
        ctx, known, guardian, told, children & mine.keys(), of_age, tuple(digests[event.id] for event in told)
    )


def _write(
    ctx: Context,
    known: Known,
    guardian: tables.Guardian,
    told: Sequence[tables.Event],
    children: set[UUID],
    of_age: Mapping[UUID, date],
    digests: tuple[bytes, ...],
) -> Gathered:
    offered = sorted({event.child_id for event in told if event.kind == kinds.OFFERED})
    ended = sorted(
        {
            event.child_id
            for event in told
            if KINDS[event.kind].about == "end"
            or (KINDS[event.kind].about == "answer" and not known.in_scheme(guardian.id, event.child_id))
        }
    )
    # News about one child is told with where all the guardian's children in the scheme stand.
    in_scheme = sorted(children & known.assigned.keys()) if any(e.kind != kinds.OFFERED for e in told) else []
    named = {event.child_id for event in told}  # an answer may be about a child without a coordinator
    about = sorted({*offered, *ended, *in_scheme, *named})
    keys = {child: known.keys[known.children[child].key_id] for child in about}
    opened, news = known.opened, {event.case_id for event in told}
    coordinators = [known.offers[child].coordinator_id for child in offered] + [known.assigned[c] for c in in_scheme]
    calls = (known.cards.get(known.calls(member)) for member in _first(told, known, coordinators))
    card = next((found for found in calls if found is not None), None)
    key = known.keys[guardian.key_id]
    fields = unseal_json(key, guardian.sealed, f"guardian:{guardian.id}")
    language, settings = guardian.language, ctx.settings
    wishes = known.wishes.get(guardian.id, preferences.NONE)
    reader = _reader({known.speaks[guardian.id][child] for child in about})
    content = LetterContent(
        kind=_kind(told),
        language=language,
        written=known.day,
        recipient_name=(fields["name"] or "").strip() or None,
        municipality=ContentMunicipality(
            settings.municipality.name, settings.municipality.phone, settings.municipality.web
        ),
        coordinator=ContentCoordinator(card.name, card.phone, card.email) if card else None,
        offers=tuple(_label(opened[child]) for child in offered),
        answer_by=min((by for child in offered if (by := known.offers[child].answer_by)), default=None),
        answer_url=settings.letters.family_url if offered else None,
        reminder=bool(offered) and all(known.offers[child].reminded_at is not None for child in offered),
        children=tuple(
            ContentChild(_label(opened[child]), _cases(ctx, known, child, keys[child], told, language))
            for child in _in_order(in_scheme, told)
        ),
        silent=tuple(
            ContentSilence(settings.administration_name(code, language), since) for code, since in known.silent
        )
        if in_scheme
        else (),
        family_url=settings.letters.family_url,
        large_print=wishes.large_print,
        interpreter=preferences.spoken(wishes.interpreter, language),
        change=_change(known, told),
        turns=tuple(
            ContentTurn(
                _label(opened[event.child_id]),
                TURNS[event.kind],
                turns(parse(opened[event.child_id]["cpr"]).born, *kinds.TURNS[event.kind]),
                lasts=reader == "young" and event.child_id in known.past_18,
            )
            for event in told
            if event.kind in TURNS
        ),
        answers=tuple(
            ContentAnswer(
                _label(opened[event.child_id]),
                ANSWERS[event.kind],
                settings.administration_name(event.administration, language) if event.administration else None,
                event.at.astimezone(DENMARK).date(),
                event.how,  # type: ignore[arg-type]
                event.spoke,  # type: ignore[arg-type]
            )
            for event in told
            if event.kind in ANSWERS
        ),
        goodbye=next((GOODBYES[event.kind] for event in told if event.kind in GOODBYES), None),
        reader=reader,
    )
    urgent = any(KINDS[event.kind].urgent for event in told)
    return Gathered(
        content=content,
        coordinator=card,
        keys=(key, *(keys[child] for child in about)),
        children=tuple(about),
        shown=tuple(_in_order(in_scheme, told)),
        ended=tuple(ended),
        cases=tuple(
            case.id for child in in_scheme for case in known.cases.get(child, []) if case.is_open or case.id in news
        ),
        before=min(of_age[child] for child in about),
        said=digests,
        quiet=not urgent and any(KINDS[event.kind].unpleasant for event in told),
        latest=min((event.latest for event in told if event.latest is not None), default=None),
    )


def _reader(capacities: Set[hearing.Capacity]) -> Reader:
    """As what a letter's reader is written to: who has custody of one of the children, as that."""
    if "guardian" in capacities:
        return "guardian"
    return "young" if capacities == {"young"} else "representative"


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
        if _former(known, bundle.id, event.child_id) == known.assigned[event.child_id]:
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


def _kind(told: Sequence[tables.Event]) -> LetterKind:
    """What the letter opens with: the most important of what it tells."""
    return LetterKind(min((KINDS[event.kind].letter for event in told), key=kinds.OPENS.index))


def _first(told: Sequence[tables.Event], known: Known, coordinators: Sequence[UUID | None]) -> list[UUID]:
    """Coordinators, those first of whom there is news."""
    changed = [known.assigned[event.child_id] for event in told if event.kind in CHANGES]
    return [*changed, *(member for member in coordinators if member is not None)]


def _change(known: Known, told: Sequence[tables.Event]) -> ContentChange | None:
    """What has become of the coordinator. One for the family: siblings have the same."""
    event = next((event for event in told if event.kind in CHANGES), None)
    if event is None:
        return None
    what, coordinator = CHANGES[event.kind], known.assigned[event.child_id]
    cover, former = known.cover.get(coordinator), None
    if what == "substitute":
        former = known.cards.get(coordinator)
    elif what in ("changed", "handed_over") and (before := _former(known, event.bundle_id, event.child_id)):
        former = known.cards.get(before)
    until = cover.until if cover is not None and what == "substitute" else None
    return ContentChange(what, former.name if former else None, until)


def _former(known: Known, bundle: UUID | None, child: UUID) -> UUID | None:
    """Who coordinated before the first change that waits in a bundle: whom the last letter named."""
    about = known.events.get(bundle, []) if bundle is not None else []
    began = next((event.at for event in about if event.child_id == child and event.kind in OTHERS), None)
    rows = known.former.get(child, [])
    if began is None or not rows:
        return None
    return next((row for row in rows if row.until and row.until >= began), rows[-1]).coordinator_id


def _label(opened: dict[str, Any]) -> ContentLabel:
    words = (opened.get("name") or "").split()
    if words:
        return ContentLabel(first_name=words[0])
    return ContentLabel(birth_year=parse(opened["cpr"]).born.year)


_LAST = len(kinds.RANK)


def _in_order(children: Sequence[UUID], told: Sequence[tables.Event]) -> list[UUID]:
    """The children, those first in whose cases there is what the reader must do first: what is told of no case has a
    place of its own before them."""
    first = {event.child_id: kinds.RANK[event.kind] for event in reversed(told) if event.kind in NEWS}
    return sorted(children, key=lambda child: (first.get(child, _LAST), child))


def _cases(
    ctx: Context, known: Known, child: UUID, key: bytes, told: Sequence[tables.Event], language: str
) -> tuple[ContentCase, ...]:
    """The open cases of a child, and the closed ones there is news about; those first of which there is what the reader
    must do first."""
    news: dict[UUID, list[News]] = {}
    first: dict[UUID, int] = {}
    for event in told:  # in the order of the letter
        if event.case_id is not None and event.kind in NEWS:
            first.setdefault(event.case_id, kinds.RANK[event.kind])
            codes = news.setdefault(event.case_id, [])
            if NEWS[event.kind] not in codes:
                codes.append(NEWS[event.kind])
    found = []
    for row in sorted(known.cases.get(child, []), key=lambda row: first.get(row.id, _LAST)):
        if not row.is_open and row.id not in news:
            continue
        fields = unseal_json(key, row.sealed, f"case:{row.id}")
        adviser = known.cards.get(row.adviser_id) if row.adviser_id else None
        found.append(
            ContentCase(
                administration=ctx.settings.administration_name(row.administration, language),
                kind=_kind_name(ctx, row.source, fields["kind"], language),
                state=State(fields["state"]),
                adviser=adviser.name if adviser else None,
                adviser_phone=adviser.phone if adviser else None,
                opened=_day(fields["opened"]),
                deadline=_day(fields["deadline"]),
                follow_up=_day(fields["follow_up"]),
                news=tuple(news.get(row.id, ())),
            )
        )
    return tuple(found)


def _kind_name(ctx: Context, source: str, kind: str, language: str) -> str:
    known = ctx.plugins.kind(source, kind)
    if known is None:
        return ""
    return (known.name_en or known.name) if language == "en" else known.name


def _danish(at: datetime) -> date:
    return at.astimezone(DENMARK).date()


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
