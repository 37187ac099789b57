"""A guardian's letters, or a young person's own, as they were frozen: the list, one to read, and the PDF that was sent,
byte for byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from hub.access.own import OwnChild, Shown
from hub.clock import DENMARK
from hub.context import Context
from hub.letters.frozen import open_content, open_pdf
from hub.store import tables
from hub.vault import CannotOpen
from hub.web.words import LETTER_STATES

NEWEST = 25
"""So many letters stand on the page."""


@dataclass(frozen=True, slots=True)
class PageLetter:
    id: UUID
    day: date
    title: str
    language: str
    state: str
    route: str | None


def read_letters(
    ctx: Context, session: Session, guardian_id: UUID, children: Mapping[UUID, OwnChild]
) -> tuple[tuple[PageLetter, ...], bool, set[UUID]]:
    """The guardian's newest letters that have left, whether there are more, and the children they are about. A letter
    that is also about a child the guardian no longer has custody of is not shown."""
    rows = (
        session.execute(_mine(guardian_id, children).order_by(tables.Letter.frozen_at.desc()).limit(NEWEST + 1))
        .scalars()
        .all()
    )
    about = _about(session, [row.id for row in rows])
    found, shown = [], set()
    for row in rows[:NEWEST]:
        try:
            content = open_content(session, ctx.keys, row)
        except CannotOpen:
            continue  # somebody it is about has been forgotten
        day = row.frozen_at.astimezone(DENMARK).date()
        found.append(PageLetter(row.id, day, content["title"], row.language, row.state, row.route))
        shown |= about[row.id]
    return tuple(found), len(rows) > NEWEST, shown


def own_reader(ctx: Context, session: Session, children: Mapping[UUID, OwnChild]) -> UUID | None:
    """The row that a young person's own letters are written to; None where none has been yet."""
    tokens = [ctx.keys.lookup_token(child.fields["cpr"]) for child in children.values() if "cpr" in child.fields]
    return session.execute(select(tables.Guardian.id).where(tables.Guardian.token.in_(tokens))).scalar_one_or_none()


def _mine(guardian_id: UUID, children: Mapping[UUID, OwnChild]) -> Select[tables.Letter]:
    foreign = select(tables.LetterChild.letter_id).where(tables.LetterChild.child_id.not_in(children))
    own = select(tables.LetterChild.letter_id).where(tables.LetterChild.child_id.in_(children))
    return select(tables.Letter).where(
        tables.Letter.guardian_id == guardian_id,
        tables.Letter.state.in_(LETTER_STATES),
        tables.Letter.id.in_(own),
        tables.Letter.id.not_in(foreign),
    )


def _about(session: Session, letters: Sequence[UUID]) -> dict[UUID, set[UUID]]:
    found: dict[UUID, set[UUID]] = {letter: set() for letter in letters}
    for row in session.execute(select(tables.LetterChild).where(tables.LetterChild.letter_id.in_(letters))).scalars():
        found[row.letter_id].add(row.child_id)
    return found


@dataclass(frozen=True, slots=True)
class OneLetter:
    """A letter as it is read on the page, or its PDF: `pdf` holds exactly the bytes that were frozen."""

    id: UUID
    day: date
    language: str
    title: str
    fragment: str
    file_name: str
    pdf: bytes


def read_letter(
    ctx: Context, guardian_id: UUID | None, letter_id: UUID, session: Session, children: Mapping[UUID, OwnChild]
) -> tuple[OneLetter | None, Shown]:
    """One letter, or None when it is not theirs to see: not to this guardian (None: to the young person who reads), not
    sent, about a child not theirs now."""
    guardian_id = guardian_id or own_reader(ctx, session, children)
    if guardian_id is None:
        return None, {}
    row = session.execute(_mine(guardian_id, children).where(tables.Letter.id == letter_id)).scalar_one_or_none()
    if row is None:
        return None, {}
    try:
        content, pdf = open_content(session, ctx.keys, row), open_pdf(session, ctx.keys, row)
    except CannotOpen:
        return None, {}
    letter = OneLetter(
        row.id,
        row.frozen_at.astimezone(DENMARK).date(),
        row.language,
        content["title"],
        content["fragment"],
        content["file_name"],
        pdf,
    )
    return letter, {child: [f"letter:{row.id}"] for child in _about(session, [row.id])[row.id]}
