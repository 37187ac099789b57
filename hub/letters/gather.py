"""What a letter to one guardian says, read from the database at the moment it is composed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from hub.cases import events, sources
from hub.clock import DENMARK
from hub.context import Context
from hub.contract import State
from hub.coordination.staff import CoordinatorCard, cards
from hub.identity import parse
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
from hub.reading import SourceSettings
from hub.store import tables
from hub.store.people import open_keys
from hub.vault import unseal_json

NO_CUSTODY = "the guardian no longer has custody"
ANSWERED = "the offer was answered before the letter left"
ENDED = "the child is no longer in the scheme"

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


def gather(ctx: Context, session: Session, bundle: tables.Bundle) -> Gathered | None:
    """The content of a bundle's letter; None when nothing of it may be told any more. Events that may not end here,
    with the reason."""
    now = ctx.clock.now()
    day = now.astimezone(DENMARK).date()
    offers, assigned = _standing(session, bundle.guardian_id, day)
    told = _told(session, bundle.id, offers, assigned)
    if not told:
        return None
    guardian = session.get_one(tables.Guardian, bundle.guardian_id)
    offered = sorted({event.child_id for event in told if event.kind == events.OFFERED})
    about = sorted({*offered, *assigned}) if any(event.kind != events.OFFERED for event in told) else offered
    rows = {row.id: row for row in session.execute(select(tables.Child).where(tables.Child.id.in_(about))).scalars()}
    keys = open_keys(session, ctx.keys, [guardian.key_id, *(row.key_id for row in rows.values())])
    opened = {child: unseal_json(keys[row.key_id], row.sealed, f"child:{child}") for child, row in rows.items()}
    coordinators = {offers[child].coordinator_id for child in offered} | {assigned[c] for c in about if c in assigned}
    card = next(iter(cards(ctx, session, {c for c in coordinators if c is not None}).values()), None)
    fields = unseal_json(keys[guardian.key_id], guardian.sealed, f"guardian:{guardian.id}")
    in_scheme = [child for child in about if child in assigned]
    cases = _cases(ctx, session, in_scheme, {child: keys[rows[child].key_id] for child in in_scheme}, told, guardian)
    settings = ctx.settings
    content = LetterContent(
        kind=_kind(told),
        language=guardian.language,
        written=day,
        recipient_name=fields["name"] or _NO_NAME[guardian.language == "en"],
        municipality=ContentMunicipality(
            settings.municipality.name, settings.municipality.phone, settings.municipality.web
        ),
        coordinator=ContentCoordinator(card.name, card.phone, card.email) if card else None,
        offers=tuple(_label(opened[child]) for child in offered),
        answer_by=min((by for child in offered if (by := offers[child].answer_by)), default=None),
        answer_url=settings.letters.family_url if offered else None,
        children=tuple(ContentChild(_label(opened[child]), cases.get(child, ())) for child in in_scheme),
        silent=_silent(ctx, session, guardian.language) if in_scheme else (),
        family_url=settings.letters.family_url,
    )
    return Gathered(
        content, card, (keys[guardian.key_id], *(keys[rows[child].key_id] for child in about)), tuple(about)
    )


_NO_NAME = ("Til dig, der har forældremyndigheden", "To you who have custody")


def _standing(session: Session, guardian: UUID, day: date) -> tuple[dict[UUID, tables.Offer], dict[UUID, UUID]]:
    """For the children the guardian has custody of today: the open offers, and who coordinates."""
    mine = select(tables.Custody.child_id).where(
        tables.Custody.guardian_id == guardian,
        or_(tables.Custody.until.is_(None), tables.Custody.until > day),
        or_(tables.Custody.since.is_(None), tables.Custody.since <= day),
    )
    offers = session.execute(
        select(tables.Offer).where(tables.Offer.child_id.in_(mine), tables.Offer.state == "offered")
    ).scalars()
    assigned = session.execute(
        select(tables.Assignment.child_id, tables.Assignment.coordinator_id).where(
            tables.Assignment.child_id.in_(mine), tables.Assignment.until.is_(None)
        )
    )
    return {offer.child_id: offer for offer in offers}, {row.child_id: row.coordinator_id for row in assigned}


def _told(
    session: Session, bundle: UUID, offers: dict[UUID, tables.Offer], assigned: dict[UUID, UUID]
) -> list[tables.Event]:
    """The bundle's events that may be told still; the others get their reason."""
    told, dropped = [], []
    for event in session.execute(
        select(tables.Event).where(tables.Event.bundle_id == bundle).order_by(tables.Event.at, tables.Event.id)
    ).scalars():
        if event.child_id in (offers if event.kind == events.OFFERED else assigned):
            told.append(event)
        elif event.kind == events.OFFERED and event.child_id in assigned:
            dropped.append((event.id, ANSWERED))
        else:
            dropped.append((event.id, ENDED if event.kind == events.OFFERED else NO_CUSTODY))
    for event_id, why in dropped:
        session.execute(update(tables.Event).where(tables.Event.id == event_id).values(bundle_id=None, why_not=why))
    return told


def _kind(told: Sequence[tables.Event]) -> LetterKind:
    kinds = {event.kind for event in told}
    if events.ASSIGNED in kinds:
        return LetterKind.RECEIPT
    return LetterKind.INTRODUCTION if events.OFFERED in kinds else LetterKind.DEADLINES


def _label(opened: dict[str, Any]) -> ContentLabel:
    name = opened.get("name")
    if name:
        return ContentLabel(first_name=name.split()[0])
    return ContentLabel(birth_year=parse(opened["cpr"]).born.year)


def _cases(
    ctx: Context,
    session: Session,
    children: Sequence[UUID],
    keys: dict[UUID, bytes],
    told: Sequence[tables.Event],
    guardian: tables.Guardian,
) -> dict[UUID, tuple[ContentCase, ...]]:
    """The open cases of the children, and the closed ones there is news about."""
    news: dict[UUID, list[News]] = {}
    for event in told:
        if event.case_id is not None and event.kind in _NEWS:
            codes = news.setdefault(event.case_id, [])
            if _NEWS[event.kind] not in codes:
                codes.append(_NEWS[event.kind])
    rows = (
        session.execute(
            select(tables.Case)
            .where(tables.Case.child_id.in_(children), or_(tables.Case.is_open, tables.Case.id.in_(news)))
            .order_by(tables.Case.administration.desc(), tables.Case.id)
        )
        .scalars()
        .all()
    )
    advisers = cards(ctx, session, {row.adviser_id for row in rows if row.adviser_id is not None})
    found: dict[UUID, tuple[ContentCase, ...]] = {}
    for row in rows:
        fields = unseal_json(keys[row.child_id], row.sealed, f"case:{row.id}")
        adviser = advisers.get(row.adviser_id) if row.adviser_id else None
        deadline = _day(fields["deadline"])
        case = ContentCase(
            administration=ctx.settings.administration_name(row.administration, guardian.language),
            kind=_kind_name(ctx, row.source, fields["kind"], guardian.language),
            state=State(fields["state"]),
            adviser=adviser.name if adviser else None,
            adviser_phone=adviser.phone if adviser else None,
            opened=_day(fields["opened"]),
            deadline=deadline,
            follow_up=_day(fields["follow_up"]),
            # A date that no longer holds is not told: what made it go is news of its own.
            news=tuple(code for code in news.get(row.id, []) if deadline is not None or code not in _DATED),
        )
        found[row.child_id] = (*found.get(row.child_id, ()), case)
    return found


def _kind_name(ctx: Context, source: str, kind: str, language: str) -> str:
    section = ctx.plugins.sections.get(source)
    known = section.kinds.get(kind) if isinstance(section, SourceSettings) else None
    if known is None:
        return "en sag" if language == "da" else "a case"
    return (known.name_en or known.name) if language == "en" else known.name


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _silent(ctx: Context, session: Session, language: str) -> tuple[ContentSilence, ...]:
    """Administrations whose source does not answer: the letter says so, silence is not absence."""
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
            name = ctx.settings.administration_name(adapter.administration, language)
            found.append(ContentSilence(name, since.astimezone(DENMARK).date()))
    return tuple(found)
