"""A frozen letter's two sealed parts: what a person reads on the page, and the very bytes that are sent.

Sealed in layers, under the guardian's key and then each child's: it opens only while all it is about are remembered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.contract import Action, Contact, Recipient
from hub.contract import Letter as ChannelLetter
from hub.coordination.staff import CoordinatorCard
from hub.letters.render import Rendered
from hub.store import tables
from hub.store.people import open_key, open_keys
from hub.vault import Keys, seal, unseal, unseal_json


def freeze(
    letter_id: UUID, rendered: Rendered, card: CoordinatorCard | None, keys: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """The sealed content and the sealed PDF."""
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
    }
    plain = json.dumps(content, ensure_ascii=False).encode()
    return _seal(keys, plain, f"letter-content:{letter_id}"), _seal(keys, rendered.pdf, f"letter-pdf:{letter_id}")


def open_content(session: Session, keys: Keys, letter: tables.Letter) -> dict[str, Any]:
    """What the letter says. Raises CannotOpen when somebody it is about has been forgotten."""
    content: dict[str, Any] = json.loads(
        _unseal(_layers(session, keys, letter), letter.content, f"letter-content:{letter.id}")
    )
    return content


def open_pdf(session: Session, keys: Keys, letter: tables.Letter) -> bytes:
    """The very bytes that were frozen. Raises CannotOpen."""
    return _unseal(_layers(session, keys, letter), letter.pdf, f"letter-pdf:{letter.id}")


def for_channel(session: Session, keys: Keys, letter: tables.Letter) -> ChannelLetter:
    """The letter as a channel gets it."""
    content = open_content(session, keys, letter)
    guardian = session.get_one(tables.Guardian, letter.guardian_id)
    fields = unseal_json(open_key(session, keys, guardian.key_id), guardian.sealed, f"guardian:{guardian.id}")
    return ChannelLetter(
        title=content["title"],
        language=letter.language,
        pdf=open_pdf(session, keys, letter),
        html=content["html"],
        file_name=content["file_name"],
        recipient=Recipient(fields["cpr"], fields["name"] or ""),
        created=letter.frozen_at,
        contact=Contact(**content["contact"]) if content["contact"] else None,
        actions=tuple(
            Action(a["label"], a["code"], _time(a["starts"]), _time(a["ends"]), a["url"]) for a in content["actions"]
        ),
    )


def _layers(session: Session, keys: Keys, letter: tables.Letter) -> list[bytes]:
    guardian = session.get_one(tables.Guardian, letter.guardian_id)
    children = session.execute(
        select(tables.Child.id, tables.Child.key_id)
        .join(tables.LetterChild, tables.LetterChild.child_id == tables.Child.id)
        .where(tables.LetterChild.letter_id == letter.id)
        .order_by(tables.Child.id)
    ).all()
    ids = [guardian.key_id, *(row.key_id for row in children)]
    opened = open_keys(session, keys, ids)
    return [opened[key_id] if key_id in opened else open_key(session, keys, key_id) for key_id in ids]


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
