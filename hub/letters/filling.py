"""What a letter to one guardian says: its content, filled in from what was read of those it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from hub.cases import hearing, kinds
from hub.cases.kinds import KINDS
from hub.clock import DENMARK
from hub.context import Context
from hub.contract import State
from hub.coordination.staff import CoordinatorCard
from hub.identity import parse, turns
from hub.letters import preferences
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
from hub.letters.fold import OTHERS
from hub.letters.known import Known
from hub.store import tables
from hub.vault import unseal_json

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


def write(
    ctx: Context,
    known: Known,
    guardian: tables.Guardian,
    told: Sequence[tables.Event],
    children: set[UUID],
    of_age: Mapping[UUID, date],
    digests: tuple[bytes, ...],
) -> Gathered:
    """The letter to a guardian that tells these events, in this order. `children`: those they may hear of today;
    `of_age`: the day each is an adult; `digests`: the events' own (hub.letters.said)."""
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
                event.how,  # type: ignore[arg-type]  # a column is text
                event.spoke,  # type: ignore[arg-type]  # a column is text
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
    elif what in ("changed", "handed_over") and (before := named_before(known, event.bundle_id, event.child_id)):
        former = known.cards.get(before)
    until = cover.until if cover is not None and what == "substitute" else None
    return ContentChange(what, former.name if former else None, until)


def named_before(known: Known, bundle: UUID | None, child: UUID) -> UUID | None:
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


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
