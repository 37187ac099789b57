"""Each administration's own part of a letter: what it says of one child's cases there, and of nothing else.

Made and sealed when the letter is composed, under the child's key alone: what was frozen is what is journalised, and it
cannot be read once the child is forgotten. Its words are the letter's own, by the same templates; whom it went to is
told by role, not by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.context import Context
from hub.letters.content import ContentChild, LetterContent, LetterKind
from hub.letters.filling import Gathered
from hub.letters.render import written
from hub.letters.templates import Templates
from hub.store import tables
from hub.store.many import among
from hub.vault import CannotOpen, seal_json, unseal_json

ROLE = {"da": "forældremyndighedsindehaver", "en": "holder of custody"}
"""Whom the letter went to."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part, opened. `cases` are the cases' ids at their sources, `rows` their rows here."""

    title: str
    written: date
    language: str
    recipient: str
    cases: tuple[tuple[str, str], ...]
    rows: frozenset[UUID]
    text: str


def parts_of(
    ctx: Context, session: Session, letter_id: UUID, gathered: Gathered, templates: Templates
) -> list[tables.LetterPart]:
    """The parts of a letter about to be frozen; none of a letter that tells of no case."""
    rows = session.execute(
        select(tables.Case).where(among(tables.Case.id, gathered.cases)).order_by(tables.Case.source, tables.Case.id)
    ).scalars()
    cases: dict[tuple[UUID, str], list[tables.Case]] = {}
    for row in rows:
        cases.setdefault((row.child_id, row.administration), []).append(row)
    shown = dict(zip(gathered.shown, gathered.content.children, strict=True))
    keys = dict(zip(gathered.children, gathered.keys[1:], strict=True))
    found = []
    for (child, administration), theirs in sorted(cases.items(), key=lambda item: (str(item[0][0]), item[0][1])):
        own = _own(ctx, gathered.content, shown[child], administration)
        if own is not None:
            found.append(_part(letter_id, child, administration, keys[child], theirs, own, templates))
    return found


def _own(ctx: Context, content: LetterContent, child: ContentChild, administration: str) -> LetterContent | None:
    """The letter with one child's cases in one administration, and nothing else."""
    name = ctx.settings.administration_name(administration, content.language)
    cases = tuple(case for case in child.cases if case.administration == name)
    if not cases:
        return None
    return LetterContent(
        kind=LetterKind.DEADLINES,
        language=content.language,
        written=content.written,
        recipient_name=ROLE["en" if content.language == "en" else "da"],
        municipality=content.municipality,
        coordinator=content.coordinator,
        children=(ContentChild(child.label, cases),),
    )


def _part(
    letter_id: UUID,
    child: UUID,
    administration: str,
    key: bytes,
    cases: list[tables.Case],
    content: LetterContent,
    templates: Templates,
) -> tables.LetterPart:
    part_id = uuid4()
    title, language, text = written(content, templates)
    fields = {
        "title": title,
        "written": content.written.isoformat(),
        "language": language,
        "recipient": content.recipient_name,
        "cases": [[case.source, source_id] for case in cases if (source_id := _source_id(key, case)) is not None],
        "rows": [str(case.id) for case in cases],
        "text": text,
    }
    return tables.LetterPart(
        id=part_id,
        letter_id=letter_id,
        child_id=child,
        administration=administration,
        sealed=seal_json(key, fields, f"letter-part:{part_id}"),
        sha256=hashlib.sha256(text.encode()).digest(),
    )


def _source_id(key: bytes, case: tables.Case) -> str | None:
    """None for a case last changed before the hub kept these."""
    fields: Mapping[str, Any] = unseal_json(key, case.sealed, f"case:{case.id}")
    return fields.get("source_id")


def opened(part: tables.LetterPart, key: bytes) -> Part | None:
    """None once its text is no longer kept, or where it does not open: one damaged row must not take others with it."""
    try:
        fields = unseal_json(key, part.sealed, f"letter-part:{part.id}") if part.sealed is not None else None
    except CannotOpen:
        return None
    if fields is None:
        return None
    return Part(
        title=fields["title"],
        written=date.fromisoformat(fields["written"]),
        language=fields["language"],
        recipient=fields["recipient"],
        cases=tuple((source, source_id) for source, source_id in fields["cases"]),
        rows=frozenset(map(UUID, fields["rows"])),
        text=fields["text"],
    )
