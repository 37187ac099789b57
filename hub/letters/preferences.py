"""How a guardian wants to be written to: their own choice, sealed under their own key, and never anybody else's to see.

Large print and an interpreter go into the letter; the ways of saying that there is news go beside it
(hub.letters.pointers). The language stands with the guardian, since it is read wherever they are written to.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub.cases import hearing
from hub.context import Context
from hub.letters.templates import languages
from hub.store import tables
from hub.store.many import among
from hub.store.people import open_key
from hub.vault import seal, unseal_json

EMAIL_AT_MOST = 254
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
LANGUAGES = {
    "albansk": "Albanian", "amharisk": "Amharic", "arabisk": "Arabic", "bosnisk": "Bosnian", "bulgarsk": "Bulgarian",
    "dansk tegnsprog": "Danish Sign Language", "dari": "Dari", "engelsk": "English", "farsi": "Farsi",
    "fransk": "French", "færøsk": "Faroese", "grønlandsk": "Greenlandic", "hindi": "Hindi", "italiensk": "Italian",
    "kinesisk": "Chinese", "kroatisk": "Croatian", "kurdisk": "Kurdish", "lettisk": "Latvian",
    "litauisk": "Lithuanian", "pashto": "Pashto", "polsk": "Polish", "portugisisk": "Portuguese",
    "rumænsk": "Romanian", "russisk": "Russian", "serbisk": "Serbian", "somali": "Somali", "spansk": "Spanish",
    "swahili": "Swahili", "tamil": "Tamil", "thai": "Thai", "tigrinya": "Tigrinya", "tyrkisk": "Turkish",
    "tysk": "German", "ukrainsk": "Ukrainian", "ungarsk": "Hungarian", "urdu": "Urdu", "vietnamesisk": "Vietnamese",
}  # fmt: skip
"""What an interpreter may be asked for in, in Danish and in English: a list, so that nobody's own text stands in a
letter."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """`interpreter` is one of LANGUAGES. `email` is where to say that there is news; `sms` whether to say it by NemSMS,
    to the number the person has given there themselves."""

    large_print: bool = False
    interpreter: str | None = None
    email: str | None = None
    sms: bool = False


NONE = Preferences()


def spoken(interpreter: str | None, language: str) -> str | None:
    """The language of the interpreter, as a text in `language` calls it."""
    return LANGUAGES.get(interpreter, interpreter) if interpreter and language != "da" else interpreter


def is_email(text: str) -> bool:
    """Whether `text` is one plain address."""
    return len(text) <= EMAIL_AT_MOST and _EMAIL.fullmatch(text) is not None


def choose(ctx: Context, guardian_id: UUID, chosen: Preferences, language: str | None = None) -> None:
    """Keep what a guardian has chosen, and the language of their letters from here on (None: as before); a choice of
    nothing leaves nothing behind. Raises ValueError (no address, no language of the list or that letters are written
    in), CannotOpen (they have been forgotten)."""
    if language is not None and language not in languages(ctx.settings.letters.folder):
        raise ValueError("language is none that letters are written in")
    if chosen.interpreter is not None and chosen.interpreter not in LANGUAGES:
        raise ValueError("interpreter is no language of the list")
    if chosen.email is not None and not is_email(chosen.email):
        raise ValueError("email is no plain address")
    with ctx.database.begin() as session:
        if language is not None:
            session.execute(update(tables.Guardian).where(tables.Guardian.id == guardian_id).values(language=language))
        if chosen == NONE:
            session.execute(delete(tables.Preference).where(tables.Preference.guardian_id == guardian_id))
            return
        guardian = session.get_one(tables.Guardian, guardian_id)
        key = open_key(session, ctx.keys, guardian.key_id)
        sealed = seal(key, json.dumps(asdict(chosen), ensure_ascii=False).encode(), _about(guardian_id))
        row = insert(tables.Preference).values(guardian_id=guardian_id, sealed=sealed, at=ctx.clock.now())
        session.execute(
            row.on_conflict_do_update(
                index_elements=["guardian_id"], set_={"sealed": row.excluded.sealed, "at": row.excluded.at}
            )
        )


def choose_young(ctx: Context, young_id: UUID, chosen: Preferences, language: str | None = None) -> None:
    """As `choose`, for a young person, by their child's row: kept with the row that they are written to. Nothing where
    there is none any more, since they are not written to."""
    with ctx.database.begin() as session:
        person = hearing.own_row(ctx, session, young_id)
    if person is not None:
        choose(ctx, person, chosen, language)


def of(session: Session, keys: Mapping[UUID, bytes], guardians: Collection[UUID]) -> dict[UUID, Preferences]:
    """What guardians have chosen, of those who have. `keys` is each guardian's own."""
    rows = session.execute(select(tables.Preference).where(among(tables.Preference.guardian_id, guardians))).scalars()
    return {row.guardian_id: read(keys[row.guardian_id], row) for row in rows if row.guardian_id in keys}


def read(key: bytes, row: tables.Preference) -> Preferences:
    return Preferences(**unseal_json(key, row.sealed, _about(row.guardian_id)))


def _about(guardian_id: UUID) -> str:
    return f"preference:{guardian_id}"
