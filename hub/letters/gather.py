"""What a letter to one guardian says, read from the database at the moment it is composed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from hub.cases import events, sources
from hub.clock import DENMARK
from hub.context import Context
from hub.contract import State
from hub.coordination.staff import CoordinatorCard, cards
from hub.identity import ADULT, parse, turns
from hub.letters.content import (
    ContentCase,
    ContentChild,
    ContentCoordinator,
    ContentLabel,
    ContentMunicipality,
    ContentSilence,
    LetterContent,
    LetterKind,
    News,
)
from hub.letters.said import DEADLINES, said
from hub.store import tables
from hub.store.many import among
from hub.store.people import open_keys
from hub.vault import unseal_json

NO_CUSTODY = events.NO_CUSTODY
GROWN = "the child turned 18"
FORGOTTEN = "somebody it is about has been forgotten"
ANSWERED = "the offer was answered before the letter left"
ENDED = "the child is no longer in the scheme"
TOLD = "told by a letter that left between the backup and the restore"

_NEWS = {
    events.CASE_OPENED: News.OPENED,
    events.DECIDED: News.DECIDED,
    events.CASE_CLOSED: News.CLOSED,
    events.ADVISER_CHANGED: News.ADVISER_CHANGED,
    events.DEADLINE_MOVED: News.DEADLINE_MOVED,
    events.DEADLINE_NEAR: News.DEADLINE_NEAR,
}
_DATED = (News.DEADLINE_MOVED, News.DEADLINE_NEAR)


@dataclass(frozen=True, slots=True)
class Gathered:
    content: LetterContent
    coordinator: CoordinatorCard | None
    keys: tuple[bytes, ...]
    """The guardian's key, then each child's in the order of `children`."""
    children: tuple[UUID, ...]
    shown: tuple[UUID, ...]
    """The children of the content, in its order."""
    cases: tuple[UUID, ...]
    """The cases it names."""
    before: date
    """The day the first of the children is an adult: from then on it must not leave."""
    said: tuple[bytes, ...]
    """What it tells, as digests (hub.letters.said)."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What the letters of several bundles are gathered from, read with one statement a table."""

    day: date
    events: dict[UUID, list[tables.Event]]
    """By bundle."""
    mine: dict[UUID, set[UUID]]
    """By guardian: the children they have custody of today."""
    offers: dict[UUID, tables.Offer]
    """By child: the offers that are open."""
    said_no: set[tuple[UUID, UUID]]
    """Guardians, each with the child whose open offer they have said no to."""
    assigned: dict[UUID, UUID]
    """By child: who coordinates."""
    guardians: dict[UUID, tables.Guardian]
    children: dict[UUID, tables.Child]
    opened: dict[UUID, dict[str, Any]]
    """By child: what is sealed; without those who have been forgotten."""
    cases: dict[UUID, list[tables.Case]]
    """By child."""
    keys: dict[UUID, bytes]
    cards: dict[UUID, CoordinatorCard]
    silent: tuple[tuple[str, date], ...]
    told: frozenset[bytes]
    """What letters told that a restored database does not know of."""
    told_now: set[bytes]
    """What of that would have been told again."""


def gather(
    ctx: Context, session: Session, bundles: Sequence[tables.Bundle]
) -> dict[UUID, Gathered | ValueError | None]:
    """The content of each bundle's letter; None when nothing of it may be told any more, and the error of one that
    cannot be written. Events that may not be told end here, with the reason."""
    known = _read(ctx, session, bundles)
    dropped: dict[str, list[UUID]] = {}
    result: dict[UUID, Gathered | ValueError | None] = {}
    for bundle in bundles:
        try:
            result[bundle.id] = _gather(ctx, known, bundle, dropped)
        except ValueError as error:
            result[bundle.id] = error
    for why, ids in dropped.items():
        session.execute(update(tables.Event).where(among(tables.Event.id, ids)).values(bundle_id=None, why_not=why))
    if known.told_now:
        # Once: if it changes back one day, that is news.
        session.execute(delete(tables.Told).where(tables.Told.said.in_(known.told_now)))
    return result


def _read(ctx: Context, session: Session, bundles: Sequence[tables.Bundle]) -> _Known:
    day = ctx.clock.now().astimezone(DENMARK).date()
    guardian_ids = {bundle.guardian_id for bundle in bundles}
    found: dict[UUID, list[tables.Event]] = {}
    for event in session.execute(
        select(tables.Event)
        .where(tables.Event.bundle_id.in_([bundle.id for bundle in bundles]))
        .order_by(tables.Event.at, tables.Event.id)
    ).scalars():
        found.setdefault(event.bundle_id or event.id, []).append(event)
    mine: dict[UUID, set[UUID]] = {}
    for row in session.execute(
        select(tables.Custody.guardian_id, tables.Custody.child_id).where(
            among(tables.Custody.guardian_id, guardian_ids),
            tables.Custody.holds(day),
        )
    ):
        mine.setdefault(row.guardian_id, set()).add(row.child_id)
    child_ids = {child for children in mine.values() for child in children}
    offers = session.execute(
        select(tables.Offer).where(among(tables.Offer.child_id, child_ids), tables.Offer.state == "offered")
    ).scalars()
    assigned = session.execute(
        select(tables.Assignment.child_id, tables.Assignment.coordinator_id).where(
            among(tables.Assignment.child_id, child_ids), tables.Assignment.until.is_(None)
        )
    )
    open_offers = {offer.child_id: offer for offer in offers}
    coordinators = {row.child_id: row.coordinator_id for row in assigned}
    said_no = session.execute(
        select(tables.Acceptance.guardian_id, tables.Acceptance.child_id).where(
            among(tables.Acceptance.child_id, open_offers), tables.Acceptance.answer == "no"
        )
    )
    guardians = session.execute(select(tables.Guardian).where(among(tables.Guardian.id, guardian_ids))).scalars().all()
    children = session.execute(select(tables.Child).where(among(tables.Child.id, child_ids))).scalars().all()
    cases: dict[UUID, list[tables.Case]] = {}
    for case in session.execute(
        select(tables.Case)
        .where(among(tables.Case.child_id, coordinators))
        .order_by(tables.Case.administration.desc(), tables.Case.id)
    ).scalars():
        cases.setdefault(case.child_id, []).append(case)
    staff = {case.adviser_id for rows in cases.values() for case in rows} | set(coordinators.values())
    staff |= {offer.coordinator_id for offer in open_offers.values()}
    keys = open_keys(session, ctx.keys, [*(g.key_id for g in guardians), *(c.key_id for c in children)])
    opened = {
        row.id: unseal_json(keys[row.key_id], row.sealed, f"child:{row.id}") for row in children if row.key_id in keys
    }
    return _Known(
        day=day,
        events=found,
        mine=mine,
        offers=open_offers,
        said_no={(row.guardian_id, row.child_id) for row in said_no if row.guardian_id is not None},
        assigned=coordinators,
        guardians={row.id: row for row in guardians},
        children={row.id: row for row in children},
        opened={child: fields for child, fields in opened.items() if "cpr" in fields},
        cases=cases,
        keys=keys,
        cards=cards(ctx, session, {member for member in staff if member is not None}),
        silent=_silent(ctx, session),
        told=frozenset(session.execute(select(tables.Told.said)).scalars()),
        told_now=set(),
    )


def _gather(ctx: Context, known: _Known, bundle: tables.Bundle, dropped: dict[str, list[UUID]]) -> Gathered | None:
    mine = known.mine.get(bundle.guardian_id, set())
    guardian = known.guardians[bundle.guardian_id]
    if guardian.key_id not in known.keys:
        dropped.setdefault(FORGOTTEN, []).extend(event.id for event in known.events.get(bundle.id, []))
        return None
    of_age = {child: turns(parse(known.opened[child]["cpr"]).born, ADULT) for child in mine if child in known.opened}
    children = {child for child, day in of_age.items() if known.day < day}
    told = _told(known, bundle, mine, children, dropped)
    digests = {event.id: _said(ctx, known, event, guardian) for event in told}
    again = [event for event in told if digests[event.id] in known.told]
    if again:
        known.told_now.update(digests[event.id] for event in again)
        dropped.setdefault(TOLD, []).extend(event.id for event in again)
        told = [event for event in told if event not in again]
    if not told:
        return None
    offered = sorted({event.child_id for event in told if event.kind == events.OFFERED})
    # News about one child is told with where all the guardian's children in the scheme stand.
    in_scheme = sorted(children & known.assigned.keys()) if any(e.kind != events.OFFERED for e in told) else []
    about = sorted({*offered, *in_scheme})
    keys = {child: known.keys[known.children[child].key_id] for child in about}
    opened, news = known.opened, {event.case_id for event in told}
    coordinators = [known.offers[child].coordinator_id for child in offered] + [known.assigned[c] for c in in_scheme]
    card = next((known.cards[c] for c in coordinators if c is not None and c in known.cards), None)
    key = known.keys[guardian.key_id]
    fields = unseal_json(key, guardian.sealed, f"guardian:{guardian.id}")
    language, settings = guardian.language, ctx.settings
    content = LetterContent(
        kind=_kind(told),
        language=language,
        written=known.day,
        recipient_name=(fields["name"] or "").strip() or _NO_NAME[language == "en"],
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
            for child in in_scheme
        ),
        silent=tuple(
            ContentSilence(settings.administration_name(code, language), since) for code, since in known.silent
        )
        if in_scheme
        else (),
        family_url=settings.letters.family_url,
    )
    return Gathered(
        content=content,
        coordinator=card,
        keys=(key, *(keys[child] for child in about)),
        children=tuple(about),
        shown=tuple(in_scheme),
        cases=tuple(
            case.id for child in in_scheme for case in known.cases.get(child, []) if case.is_open or case.id in news
        ),
        before=min(of_age[child] for child in about),
        said=tuple(digests[event.id] for event in told),
    )


_NO_NAME = ("Til dig, der har forældremyndigheden", "To you who have custody")


def _told(
    known: _Known, bundle: tables.Bundle, mine: set[UUID], children: set[UUID], dropped: dict[str, list[UUID]]
) -> list[tables.Event]:
    """The bundle's events that may be told still; the others get their reason. `mine` are the children the guardian
    has custody of, `children` those of them who are children and not forgotten."""
    told = []
    for event in known.events.get(bundle.id, []):
        child = event.child_id
        why: str | None = None
        if child not in mine:
            why = NO_CUSTODY
        elif child not in children:
            why = GROWN if child in known.opened else FORGOTTEN
        elif event.kind == events.OFFERED:
            if child in known.offers:
                why = events.SAID_NO if (bundle.guardian_id, child) in known.said_no else None
            else:
                why = ANSWERED if child in known.assigned else ENDED
        elif child not in known.assigned:
            why = ENDED
        elif event.kind in events.ABOUT_CASES and event.case_id not in {case.id for case in known.cases.get(child, [])}:
            why = events.CASE_GONE
        if why is None:
            told.append(event)
        else:
            dropped.setdefault(why, []).append(event.id)
    return told


def _said(ctx: Context, known: _Known, event: tables.Event, guardian: tables.Guardian) -> bytes:
    child, value = event.child_id, None
    case = next((case for case in known.cases.get(child, []) if case.id == event.case_id), None)
    if event.kind == events.OFFERED:
        value = "reminder" if known.offers[child].reminded_at is not None else None
    elif event.kind == events.ASSIGNED:
        card = known.cards.get(known.assigned[child])
        value = card.name if card else None
    elif case is not None and event.kind in DEADLINES:
        value = str(case.deadline)
    elif case is not None and event.kind == events.ADVISER_CHANGED:
        adviser = known.cards.get(case.adviser_id) if case.adviser_id else None
        value = adviser.name if adviser else None
    elif case is not None and event.kind == events.CASE_OPENED:
        key = known.keys[known.children[child].key_id]
        value = unseal_json(key, case.sealed, f"case:{case.id}")["state"]
    return said(ctx.keys, event, guardian, known.children[child], case, value)


def _kind(told: Sequence[tables.Event]) -> LetterKind:
    kinds = {event.kind for event in told}
    if events.ASSIGNED in kinds:
        return LetterKind.RECEIPT
    return LetterKind.INTRODUCTION if events.OFFERED in kinds else LetterKind.DEADLINES


def _label(opened: dict[str, Any]) -> ContentLabel:
    words = (opened.get("name") or "").split()
    if words:
        return ContentLabel(first_name=words[0])
    return ContentLabel(birth_year=parse(opened["cpr"]).born.year)


def _cases(
    ctx: Context, known: _Known, child: UUID, key: bytes, told: Sequence[tables.Event], language: str
) -> tuple[ContentCase, ...]:
    """The open cases of a child, and the closed ones there is news about."""
    news: dict[UUID, list[News]] = {}
    for event in told:
        if event.case_id is not None and event.kind in _NEWS:
            codes = news.setdefault(event.case_id, [])
            if _NEWS[event.kind] not in codes:
                codes.append(_NEWS[event.kind])
    found = []
    for row in known.cases.get(child, []):
        if not row.is_open and row.id not in news:
            continue
        fields = unseal_json(key, row.sealed, f"case:{row.id}")
        adviser = known.cards.get(row.adviser_id) if row.adviser_id else None
        deadline = _day(fields["deadline"])
        found.append(
            ContentCase(
                administration=ctx.settings.administration_name(row.administration, language),
                kind=_kind_name(ctx, row.source, fields["kind"], language),
                state=State(fields["state"]),
                adviser=adviser.name if adviser else None,
                adviser_phone=adviser.phone if adviser else None,
                opened=_day(fields["opened"]),
                deadline=deadline,
                follow_up=_day(fields["follow_up"]),
                # A date that no longer holds is not told: what made it go is news of its own.
                news=tuple(code for code in news.get(row.id, []) if deadline is not None or code not in _DATED),
            )
        )
    return tuple(found)


def _kind_name(ctx: Context, source: str, kind: str, language: str) -> str:
    known = ctx.plugins.kind(source, kind)
    if known is None:
        return "en sag" if language == "da" else "a case"
    return (known.name_en or known.name) if language == "en" else known.name


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _silent(ctx: Context, session: Session) -> tuple[tuple[str, date], ...]:
    """Administrations whose source does not answer, and since when: the letter says so, silence is not absence."""
    rows = session.execute(
        select(tables.SourceState).where(
            tables.SourceState.purpose == sources.CASES, tables.SourceState.failure.is_not(None)
        )
    ).scalars()
    found = []
    for row in rows:
        adapter = ctx.plugins.adapters.get(row.source)
        since: datetime | None = row.answered_at or row.failed_at
        if adapter is not None and adapter.administration is not None and since is not None:
            found.append((adapter.administration, since.astimezone(DENMARK).date()))
    return tuple(sorted(found))
