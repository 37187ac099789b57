"""Whole cases: years after a child's part in the scheme has ended, all that says something of the child goes, and its
key is destroyed. Only by the municipality's archive decision, after the letters are journalised, and when two different
people have said so: what is destroyed here is gone for good, once the backups of before are.

What is left: the row with nothing in it, each letter's hash and state, and the entries of the log, whose proof holds.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, delete, exists, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from hub.access import log as access_log
from hub.access.log import Asker
from hub.access.policy import Question, decide
from hub.context import Context
from hub.errors import NotAllowed
from hub.retention import people, rest, rows
from hub.retention.entries import KIND, entry
from hub.store import tables
from hub.store.many import among

PURPOSE = "forget"
AT_ONCE = 200
"""So many cases are put before people at a time, those that ended first."""
STAYS = ("child", "letter", "letter_child")
"""Tables whose rows stay, with nothing in them that says anything of the child."""
_CHILD: Table = tables.Child.__table__  # type: ignore[assignment]  # a mapped class has a Table
_GUARDIAN: Table = tables.Guardian.__table__  # type: ignore[assignment]  # a mapped class has a Table
_BUNDLE: Table = tables.Bundle.__table__  # type: ignore[assignment]  # a mapped class has a Table
_LETTER: Table = tables.Letter.__table__  # type: ignore[assignment]  # a mapped class has a Table
TABLES = tuple(
    sorted(
        {"child", "guardian", "letter", "person_key"}
        | {
            key.parent.table.name
            for target in (_CHILD, _GUARDIAN, _LETTER)
            for key in rows.pointing_at(target, save=("child", "letter_child"))
        }
    )
)
"""All that hangs on a child, a guardian or a letter."""


@dataclass(frozen=True, slots=True)
class Due:
    """What may go: how many cases, since when the last of them has ended, and which they are (a digest). `agreed`: when
    somebody has said yes, to these very cases; `mine` whether it was whoever asks."""

    cases: int
    ended: datetime | None
    which: str
    agreed: datetime | None
    mine: bool


def due(ctx: Context, asker: Asker) -> Due:
    """What waits for somebody's yes: no child is named. Raises NotAllowed."""
    _check(asker)
    with ctx.database.begin() as session:
        return _due(ctx, session, asker)


def agree(ctx: Context, asker: Asker, which: str) -> Literal["first", "done"]:
    """Somebody says that these cases (`which` of Due) may go: the first yes waits, the second, another person's,
    destroys them, in one transaction. Whatever has come up meanwhile about a child takes it out.

    Raises NotAllowed: the role, the same person twice, no archive decision, other cases than those that were seen."""
    _check(asker)
    archive = ctx.settings.retention.archive.strip()
    if not archive:
        raise NotAllowed("no archive decision is named in the settings (retention.archive): nothing whole is forgotten")
    with ctx.database.begin() as session:
        session.execute(select(func.pg_advisory_xact_lock(func.hashtext("retention:whole"))))
        now = _due(ctx, session, asker)
        if not now.cases or now.which != which:
            raise NotAllowed("other cases are due by now than those that were seen: look again")
        if now.mine:
            raise NotAllowed("somebody else must say so too")
        said = entry(
            ctx, session, {"agreed": now.cases, "archive": archive, "second": now.agreed is not None}, by=asker
        )
        if now.agreed is None:
            ids = list(session.execute(_ids(ctx)).scalars())
            agreed = {"agreed_at": ctx.clock.now(), "agreed_by": _digest(ctx, asker), "entry_id": said.id}
            session.add_all(tables.Forgetting(child_id=child, **agreed) for child in ids)
            access_log.append(session, [said])
            return "first"
        agreed_to = session.execute(select(tables.Forgetting.child_id, tables.Forgetting.entry_id)).all()
        ids = list(session.execute(_ids(ctx, among_ids=[row.child_id for row in agreed_to])).scalars())
        session.execute(delete(tables.Forgetting))
        letters = _destroy(ctx, session, ids)
        what = {"rule": "cases", "agreed": [str(agreed_to[0].entry_id), str(said.id)]}
        gone = [entry(ctx, session, what | {"letters": letters[child]}, child) for child in ids]
        access_log.append(session, [said, *gone])
    return "done"


def take_back(ctx: Context, asker: Asker) -> None:
    """The first yes is taken back, by whoever may say it. Raises NotAllowed."""
    _check(asker)
    with ctx.database.begin() as session:
        gone = session.execute(delete(tables.Forgetting).returning(tables.Forgetting.child_id)).all()
        if gone:
            access_log.append(session, [entry(ctx, session, {"taken_back": len(gone)}, by=asker)])


def _check(asker: Asker) -> None:
    if not decide(Question(asker.roles, PURPOSE)).see:
        raise NotAllowed("whole cases are forgotten by leaders and the auditor, two of them")


def _digest(ctx: Context, asker: Asker) -> bytes:
    return ctx.keys.once(PURPOSE, asker.who)


def _due(ctx: Context, session: Session, asker: Asker) -> Due:
    agreed = session.execute(select(tables.Forgetting).order_by(tables.Forgetting.child_id)).scalars().all()
    ids = [row.child_id for row in agreed] if agreed else list(session.execute(_ids(ctx)).scalars())
    last = select(func.max(tables.Offer.answered_at)).where(among(tables.Offer.child_id, ids))
    return Due(
        len(ids),
        session.execute(last).scalar_one() if ids else None,
        hashlib.sha256(b"".join(sorted(each.bytes for each in ids))).hexdigest(),
        agreed[0].agreed_at if agreed else None,
        bool(agreed) and agreed[0].agreed_by == _digest(ctx, asker),
    )


def _ids(ctx: Context, among_ids: Iterable[UUID] | None = None) -> Select[UUID]:
    """Children whose case may go: about whom nothing waits for anybody, whom the log no longer needs. Rows that gave
    way to one of them go with it."""
    child, key = tables.Child, aliased(tables.PersonKey)
    ended = rest.years_before(ctx.clock.now(), ctx.settings.retention.case_years)
    where: list[ColumnElement[bool]] = [
        child.same_as.is_(None),
        people.ended_before(ended),
        ~people.waits_for_somebody(child.id),
        func.octet_length(child.sealed) <= people.NOTHING,  # the number went long ago
        ~_logged(child.id, rest.long_ago(ctx)),
        exists().where(key.id == child.key_id, key.wrapped.is_not(None)),
    ]
    if among_ids is not None:
        where.append(among(child.id, among_ids))
    offer = aliased(tables.Offer)
    return (
        select(child.id)
        .join(offer, offer.child_id == child.id)
        .where(*where)
        .order_by(offer.answered_at, child.id)
        .limit(AT_ONCE)
    )


def _logged(child: InstrumentedAttribute[UUID], since: datetime) -> ColumnElement[bool]:
    entry_ = tables.LogEntry
    return exists().where(entry_.child_id == child, entry_.kind != KIND, entry_.at > since)


def _destroy(ctx: Context, session: Session, children: list[UUID]) -> dict[UUID, int]:
    """All of these children, and of guardians who have none the hub remembers. Gives how many letters of each."""
    child, letter, link = tables.Child, tables.Letter, tables.LetterChild
    every = [*children, *session.execute(select(child.id).where(among(child.same_as, children))).scalars()]
    found = session.execute(select(child).where(among(child.id, every)).with_for_update()).scalars().all()
    about = session.execute(select(link.letter_id, link.child_id).where(among(link.child_id, every))).all()
    guardians = _guardians(session, every)
    rows.delete_pointing(session, _CHILD, every, save=STAYS)
    rest.destroy(session, ctx.clock.now(), [row.key_id for row in found])
    for row in found:
        row.token, row.sealed, row.eligible = secrets.token_bytes(32), b"", False
    session.flush()
    # A letter opens only while everybody it is about is remembered: this one never again. Its hash says what it was.
    letters = sorted({row.letter_id for row in about})
    session.execute(update(letter).where(among(letter.id, letters)).values(content=b"", pdf=b""))
    rows.delete_pointing(session, _LETTER, letters, save=("letter_child",))
    _forget_guardians(ctx, session, guardians)
    return {each: sum(row.child_id == each for row in about) for each in children}


def _guardians(session: Session, children: list[UUID]) -> list[UUID]:
    """Everybody whom a letter or any row about them names."""
    letters = select(tables.LetterChild.letter_id).where(among(tables.LetterChild.child_id, children))
    known = [select(tables.Letter.guardian_id).where(tables.Letter.id.in_(letters))]
    known += [
        select(key.parent).where(among(own.parent, children), key.parent.is_not(None))
        for key in rows.pointing_at(_GUARDIAN)
        for own in rows.pointing_at(_CHILD)
        if own.parent.table is key.parent.table
    ]
    return sorted({guardian for each in known for guardian in session.execute(each).scalars()})


def _forget_guardians(ctx: Context, session: Session, guardians: list[UUID]) -> None:
    guardian, letter, link = tables.Guardian, tables.Letter, tables.LetterChild
    remembered = exists().where(
        letter.guardian_id == guardian.id,
        link.letter_id == letter.id,
        link.child_id == tables.Child.id,
        tables.Child.key_id == tables.PersonKey.id,
        tables.PersonKey.wrapped.is_not(None),
    )
    session.execute(
        delete(tables.Bundle).where(among(tables.Bundle.guardian_id, guardians), ~rows.used(_BUNDLE, tables.Bundle.id))
    )
    found = (
        session.execute(
            select(guardian)
            .where(
                among(guardian.id, guardians),
                ~rows.used(_GUARDIAN, guardian.id, save=("letter", "bundle", *people.ONLY_TO_WRITE)),
                ~remembered,
            )
            .with_for_update()
        )
        .scalars()
        .all()
    )
    rest.destroy(session, ctx.clock.now(), [row.key_id for row in found])
    people.write_no_more(session, [row.id for row in found])
    for row in found:
        row.token, row.sealed = secrets.token_bytes(32), b""
    session.flush()
