"""A frozen letter's two sealed parts: what a person reads on the page, and the very bytes that are sent.

Sealed in layers, under the guardian's key and then each child's: it opens only while all it is about are remembered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import literal, select
from sqlalchemy.orm import Session

from hub.contract import Action, Contact, Recipient
from hub.contract import Letter as ChannelLetter
from hub.letters.filling import Gathered
from hub.letters.render import Rendered
from hub.store import tables
from hub.vault import CannotOpen, Keys, seal, unseal, unseal_json


@dataclass(frozen=True, slots=True)
class Opened:
    """A letter as a channel gets it, and what must still be so for it to leave: that the cases it names are still
    shown, and that it is not `before` yet (a Danish date). Of the children in `ended` it tells that they are in the
    scheme no longer. One that is `quiet` waits for the end of quiet hours, until `latest` at most (UTC)."""

    letter: ChannelLetter
    cases: frozenset[UUID]
    ended: frozenset[UUID]
    before: date
    quiet: bool
    latest: datetime | None


def freeze(letter_id: UUID, rendered: Rendered, gathered: Gathered) -> tuple[bytes, bytes]:
    """The sealed content and the sealed PDF."""
    card, keys = gathered.coordinator, gathered.keys
    content = {
        "title": rendered.subject,
        "file_name": rendered.file_name,
        "html": rendered.html,
        "fragment": rendered.fragment,
        "contact": {"id": str(card.id), "name": card.name, "phone": card.phone, "email": card.email} if card else None,
        "actions": [
            {"label": a.label, "code": a.code, "starts": _iso(a.starts), "ends": _iso(a.ends), "url": a.url}
            for a in rendered.actions
        ],
        "cases": [str(case) for case in gathered.cases],
        "ended": [str(child) for child in gathered.ended],
        "before": gathered.before.isoformat(),
        "quiet": gathered.quiet,
        "latest": _iso(gathered.latest),
        "said": [digest.hex() for digest in gathered.said],
    }
    plain = json.dumps(content, ensure_ascii=False).encode()
    return _seal(keys, plain, f"letter-content:{letter_id}"), _seal(keys, rendered.pdf, f"letter-pdf:{letter_id}")


def open_content(session: Session, keys: Keys, letter: tables.Letter) -> dict[str, Any]:
    """What the letter says. Raises CannotOpen when somebody it is about has been forgotten."""
    return _content(_layers(session, keys, letter), letter)


def open_pdf(session: Session, keys: Keys, letter: tables.Letter) -> bytes:
    """The very bytes that were frozen. Raises CannotOpen."""
    return _unseal(_layers(session, keys, letter), letter.pdf, f"letter-pdf:{letter.id}")


def for_channel(session: Session, keys: Keys, letter: tables.Letter) -> Opened:
    """The letter, to be sent. Raises CannotOpen."""
    layers, sealed = _open(session, keys, letter)
    content = _content(layers, letter)
    fields = unseal_json(layers[0], sealed, f"guardian:{letter.guardian_id}")
    ready = ChannelLetter(
        title=content["title"],
        language=letter.language,
        pdf=_unseal(layers, letter.pdf, f"letter-pdf:{letter.id}"),
        html=content["html"],
        file_name=content["file_name"],
        recipient=Recipient(fields["cpr"], fields["name"] or ""),
        created=letter.frozen_at,
        contact=Contact(**content["contact"]) if content["contact"] else None,
        actions=tuple(
            Action(a["label"], a["code"], _time(a["starts"]), _time(a["ends"]), a["url"]) for a in content["actions"]
        ),
    )
    return Opened(
        ready,
        frozenset(map(UUID, content["cases"])),
        frozenset(map(UUID, content.get("ended", ()))),  # letters of 0.1 have none of these three
        date.fromisoformat(content["before"]),
        content.get("quiet", False),
        _time(content.get("latest")),
    )


def _content(layers: Sequence[bytes], letter: tables.Letter) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(_unseal(layers, letter.content, f"letter-content:{letter.id}"))
    return content


def _layers(session: Session, keys: Keys, letter: tables.Letter) -> list[bytes]:
    return _open(session, keys, letter)[0]


def _open(session: Session, keys: Keys, letter: tables.Letter) -> tuple[list[bytes], bytes]:
    """The guardian's key, then the children's, and what is sealed of the guardian: all in one statement."""
    key = tables.PersonKey
    guardian = (
        select(
            literal(0).label("layer"),
            tables.Guardian.id.label("person"),
            key.id,
            key.version,
            key.wrapped,
            tables.Guardian.sealed,
        )
        .join(key, key.id == tables.Guardian.key_id)
        .where(tables.Guardian.id == letter.guardian_id)
    )
    children = (
        select(literal(1), tables.Child.id, key.id, key.version, key.wrapped, literal(b""))
        .join(key, key.id == tables.Child.key_id)
        .join(tables.LetterChild, tables.LetterChild.child_id == tables.Child.id)
        .where(tables.LetterChild.letter_id == letter.id)
    )
    rows = session.execute(guardian.union_all(children).order_by("layer", "person")).all()
    if any(row.wrapped is None for row in rows):
        raise CannotOpen("somebody this letter is about has been forgotten: it cannot be opened again")
    return [keys.ring.unwrap(row.version, row.wrapped, str(row.id)) for row in rows], rows[0].sealed


def _seal(keys: Sequence[bytes], plain: bytes, about: str) -> bytes:
    for key in keys:
        plain = seal(key, plain, about)
    return plain


def _unseal(keys: Sequence[bytes], sealed: bytes, about: str) -> bytes:
    for key in reversed(keys):
        sealed = unseal(key, sealed, about)
    return sealed


def _iso(time: datetime | None) -> str | None:
    return time.isoformat() if time is not None else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
