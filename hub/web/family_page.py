"""What a guardian's page shows, read from the database: children, coordinator, cases, letters, choices, silent sources;
and a young person's own page, which has their own letters.

Nothing about the other guardian: not the answer, not the name. An answer is shown only to whoever gave it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.access.own import OwnChild, Shown
from hub.cases import sync
from hub.clock import DENMARK, today
from hub.context import Context
from hub.contract import State
from hub.coordination.staff import CoordinatorCard, cards
from hub.identity import parse
from hub.store import tables
from hub.vault import unseal_json
from hub.web.family_choices import PageChoices, read_choices
from hub.web.family_letters import PageLetter, own_reader, read_letters
from hub.web.family_looks import PageLook, read_looks
from hub.web.family_rights import PageRequest, read_requests
from hub.web.words import Words, capital


@dataclass(frozen=True, slots=True)
class PageChild:
    """`offer` is the state of the offer: only offered, accepted and waiting are told, and offered to nobody who has
    said no: what another has answered is theirs. `said` is this guardian's own last answer. `unread` are
    administrations whose cases have not been fetched yet."""

    id: UUID
    label: str
    offer: str
    why: str | None
    answer_by: date | None
    said: str | None
    coordinator: CoordinatorCard | None
    since: date | None
    substitute: CoordinatorCard | None
    unread: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PageCase:
    """`first` is the date it is sorted by; `missed` says that the deadline has passed."""

    id: UUID
    child_id: UUID
    child: str
    administration: str
    kind: str
    state: State
    adviser: CoordinatorCard | None
    deadline: date | None
    missed: bool
    follow_up: date | None
    first: date


@dataclass(frozen=True, slots=True)
class PageSource:
    """An administration's source: when it last answered, and whether it answers now."""

    administration: str
    state: str
    as_of: datetime | None


@dataclass(frozen=True, slots=True)
class FamilyPage:
    children: tuple[PageChild, ...]
    cases: tuple[PageCase, ...]
    letters: tuple[PageLetter, ...]
    more_letters: bool
    sources: tuple[PageSource, ...]
    requests: tuple[PageRequest, ...]
    choices: Mapping[UUID, PageChoices]
    looks: tuple[PageLook, ...]


def read_page(
    ctx: Context, t: Words, guardian_id: UUID | None, session: Session, children: Mapping[UUID, OwnChild]
) -> tuple[FamilyPage, Shown]:
    """Everything on the family page, and what it shows of whom. `guardian_id` is None for a young person, who reads of
    themselves."""
    labels = _labels(t, children) if guardian_id is not None else dict.fromkeys(children, t("dig", "you"))
    found = _children(ctx, t, session, guardian_id, children, labels)
    accepted = {child.id for child in found if child.offer == "accepted"}
    cases = _cases(ctx, t, session, {child: children[child] for child in accepted}, labels)
    reader = guardian_id or own_reader(ctx, session, children)
    letters, more, about = read_letters(ctx, session, reader, children) if reader else ((), False, set())
    shown: dict[UUID, list[str]] = {child.id: ["offer"] for child in found}
    for child in found:
        if child.coordinator is not None:
            shown[child.id].append("coordinator")
        if child.id in accepted:
            shown[child.id].append("cases")
    for child_id in sorted(about):
        shown.setdefault(child_id, []).append("letters")
    requests, asked = read_requests(ctx, t, session, reader, children, labels) if reader else ((), set())
    for child_id in sorted(asked):
        shown.setdefault(child_id, []).append("requests")
    choices = read_choices(ctx, t, session, guardian_id, children, accepted)
    for child_id in sorted(choices):
        shown.setdefault(child_id, []).append("choices")
    looks, looked_at = read_looks(ctx, t, session, children, labels)
    for child_id in sorted(looked_at):
        shown.setdefault(child_id, []).append("reviews")
    page = FamilyPage(tuple(found), tuple(cases), letters, more, _sources(ctx, t, session), requests, choices, looks)
    return page, shown


def _labels(t: Words, children: Mapping[UUID, OwnChild]) -> dict[UUID, str]:
    """How each child is called: by first name once the hub may know it, else by year of birth; by date of birth where
    the year would not tell two apart."""
    born = {child.id: parse(child.fields["cpr"]).born for child in children.values()}
    years = Counter(born[child.id].year for child in children.values() if not child.fields.get("name"))
    labels = {}
    for child in children.values():
        day = born[child.id]
        if child.fields.get("name"):
            labels[child.id] = str(child.fields["name"]).split()[0]
        elif years[day.year] > 1:
            labels[child.id] = t(f"dit barn født {t.day(day)}", f"your child born {t.day(day)}")
        else:
            labels[child.id] = t(f"dit barn født i {day.year}", f"your child born in {day.year}")
    return labels


def _children(
    ctx: Context,
    t: Words,
    session: Session,
    guardian_id: UUID | None,
    children: Mapping[UUID, OwnChild],
    labels: Mapping[UUID, str],
) -> list[PageChild]:
    offers = session.execute(select(tables.Offer).where(tables.Offer.child_id.in_(children))).scalars().all()
    since = dict(
        session.execute(
            select(tables.Assignment.child_id, tables.Assignment.since).where(
                tables.Assignment.child_id.in_(children), tables.Assignment.until.is_(None)
            )
        )
        .tuples()
        .all()
    )
    said = _said(session, guardian_id, children) if guardian_id is not None else {}
    named = {offer.coordinator_id for offer in offers if offer.coordinator_id is not None}
    away = dict(
        session.execute(
            select(tables.Coordinator.staff_id, tables.Coordinator.substitute_id).where(
                tables.Coordinator.staff_id.in_(named), tables.Coordinator.away
            )
        )
        .tuples()
        .all()
    )
    known = cards(ctx, session, named | {sub for sub in away.values() if sub is not None})
    read = set(
        session.execute(
            select(tables.ChildSource.child_id, tables.ChildSource.source).where(
                tables.ChildSource.child_id.in_(children), tables.ChildSource.read_at.is_not(None)
            )
        )
        .tuples()
        .all()
    )
    found = []
    for offer in offers:
        substitute = away.get(offer.coordinator_id) if offer.coordinator_id else None
        unread = {
            ctx.settings.administration_name(adapter.administration, t.language)
            for name, adapter in ctx.plugins.adapters.items()
            if adapter.administration is not None and (offer.child_id, name) not in read
        }
        began = since.get(offer.child_id)
        state = offer.state if offer.state in ("offered", "accepted", "waiting") else "none"
        if state == "offered" and said.get(offer.child_id) == "no":
            state = "none"
        coordinator = offer.coordinator_id if state in ("offered", "accepted") else None
        found.append(
            PageChild(
                id=offer.child_id,
                label=labels[offer.child_id],
                offer=state,
                why=offer.why,
                answer_by=offer.answer_by,
                said=said.get(offer.child_id),
                coordinator=known.get(coordinator) if coordinator else None,
                since=began.astimezone(DENMARK).date() if began else None,
                substitute=known.get(substitute) if substitute else None,
                unread=tuple(sorted(unread)) if offer.state == "accepted" else (),
            )
        )
    return sorted(found, key=lambda child: (child.offer != "offered", child.offer != "accepted", child.label))


def _said(session: Session, guardian_id: UUID, children: Mapping[UUID, OwnChild]) -> dict[UUID, str]:
    """This guardian's own last answer for each child."""
    rows = session.execute(
        select(tables.Acceptance.child_id, tables.Acceptance.answer)
        .where(tables.Acceptance.guardian_id == guardian_id, tables.Acceptance.child_id.in_(children))
        .order_by(tables.Acceptance.at)
    )
    return {row.child_id: row.answer for row in rows}


def _cases(
    ctx: Context, t: Words, session: Session, children: Mapping[UUID, OwnChild], labels: Mapping[UUID, str]
) -> list[PageCase]:
    """The open cases, those with something to come or overdue first."""
    rows = (
        session.execute(select(tables.Case).where(tables.Case.child_id.in_(children), tables.Case.is_open))
        .scalars()
        .all()
    )
    advisers = cards(ctx, session, {row.adviser_id for row in rows if row.adviser_id is not None})
    day = today(ctx.clock)
    found = []
    for row in rows:
        fields = unseal_json(children[row.child_id].key, row.sealed, f"case:{row.id}")
        deadline, follow_up = _day(fields["deadline"]), _day(fields["follow_up"])
        if follow_up is not None and follow_up < day:
            follow_up = None
        found.append(
            PageCase(
                id=row.id,
                child_id=row.child_id,
                child=labels[row.child_id],
                administration=capital(ctx.settings.administration_name(row.administration, t.language)),
                kind=_kind_name(ctx, t, row.source, fields),
                state=State(fields["state"]),
                adviser=advisers.get(row.adviser_id) if row.adviser_id else None,
                deadline=deadline,
                missed=deadline is not None and deadline < day,
                follow_up=follow_up,
                first=min((each for each in (deadline, follow_up) if each is not None), default=date.max),
            )
        )
    return sorted(found, key=lambda case: (case.first, case.child, case.administration, case.kind))


def _kind_name(ctx: Context, t: Words, source: str, fields: Mapping[str, Any]) -> str:
    known = ctx.plugins.kind(source, fields["kind"])
    if known is None:
        return t("En sag", "A case")
    return capital(t(known.name, known.name_en or known.name))


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _sources(ctx: Context, t: Words, session: Session) -> tuple[PageSource, ...]:
    """Every administration's source, also one that has never answered: silence is not absence."""
    fresh = sync.freshness(session)
    found = []
    for name, adapter in ctx.plugins.adapters.items():
        if adapter.administration is not None:
            answered, failure = fresh.get(name, (None, None))
            title = capital(ctx.settings.administration_name(adapter.administration, t.language))
            state = "never" if answered is None else "no answer" if failure is not None else "ok"
            found.append(PageSource(title, state, answered))
    return tuple(found)
