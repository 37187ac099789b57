"""Journalising: an administration's case system reads its own parts of the letters that have left, and says which
document each has become. A letter is done when all its parts are journalised, or may be given to nobody any more.

Each part that is read is a look, with an entry of its own, durable before the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased, undefer

from hub import faults
from hub.access import duty, log, several
from hub.access.askers import PersonKeyPair, asker_key, day_key
from hub.access.log import Asker, Disclosure
from hub.access.policy import Consent, Question, Relation, decide
from hub.cases.deadlines import add_working_days
from hub.clock import today
from hub.context import Context
from hub.errors import NotAllowed
from hub.letters.parts import Part, opened
from hub.notices.facts import CASE_GONE, FORGOTTEN, hold
from hub.notices.feed import system_of
from hub.store import positions, tables, tasks
from hub.store.many import among
from hub.store.people import open_keys
from hub.vault import seal_json, unseal_json

AT_MOST = 100
"""Parts in one answer."""
PURPOSE = "journal"
Receipt = Literal["taken", "other", "unknown"]
"""What became of a receipt: taken (also when it is said again), another document was said before, no such part."""
TASK = "not_journalised"
LEFT = ("sent", "received", "delivered", "returned", "failed")
"""The states of a letter that has left, or that somebody else must tell of: also that is journalised."""


@dataclass(frozen=True, slots=True)
class Item:
    """A part, as its administration's case system gets it. `sha256` is the letter's, as it left."""

    id: UUID
    letter_id: UUID
    sha256: bytes
    kind: str
    state: str
    journalised: bool
    part: Part
    text_sha256: bytes


@dataclass(frozen=True, slots=True)
class Items:
    """Some parts, in the order of the list. `cursor` is where to read on; `more` whether there is more now."""

    items: tuple[Item, ...]
    cursor: int
    more: bool


class OtherDocument(NotAllowed):
    """This part has been acknowledged as another document."""


def pull(ctx: Context, asker: Asker, after: int) -> Disclosure[Items]:
    """The next parts for the asker's administration after a cursor (0: from the first).

    Raises NotAllowed unless a system asks for its administration, LogUnavailable when the log cannot be written."""
    administration = system_of(ctx, asker)
    part = tables.LetterPart
    mine = (part.administration == administration, part.position > after)

    def given(session: Session) -> None:
        new = positions.give(session, part, administration, (part.id,), *_ready())
        session.execute(update(part).where(among(part.id, new), part.due.is_(None)).values(due=_due(ctx)))

    def read(session: Session) -> tuple[Items, list[log.SealedEntry]]:
        rows = session.execute(
            select(part, tables.Letter)
            .join(tables.Letter, tables.Letter.id == part.letter_id)
            .where(*mine)
            .options(undefer(part.sealed))
            .order_by(part.position)
            .limit(AT_MOST)
        ).all()
        last = rows[-1][0].position or after if rows else after
        items, entries = _disclose(ctx, session, asker, [(row[0], row[1]) for row in rows])
        left = session.execute(select(func.count()).select_from(part).where(*mine, part.position > last)).scalar_one()
        return Items(items, last, left > 0), entries

    return several.show(ctx.database, read, first=given)


def _due(ctx: Context) -> date:
    """By when a part that is ready today is to be journalised."""
    return add_working_days(today(ctx.clock), ctx.settings.notices.journal_working_days)


def _ready() -> Sequence[Any]:
    """Of parts: the letter has left, and the family has not closed for the administration."""
    part, block = tables.LetterPart, tables.Block
    gone = exists().where(tables.Letter.id == part.letter_id, tables.Letter.state.in_(LEFT))
    shut = exists().where(block.child_id == part.child_id, block.administration == part.administration, block.holds())
    return part.why_not.is_(None), gone, ~shut


def late(day: date) -> Sequence[Any]:
    """Of parts: by that day, no case system has acknowledged them in time."""
    return tables.LetterPart.due < day, tables.LetterPart.journalised_at.is_(None), *_ready()


def _disclose(
    ctx: Context, session: Session, asker: Asker, rows: Sequence[tuple[tables.LetterPart, tables.Letter]]
) -> tuple[tuple[Item, ...], list[log.SealedEntry]]:
    """The parts that may be given, and the entries that say so. What must no longer be told ends here, with its reason;
    what the family has closed meanwhile loses its place, and gets another when it is opened again."""
    now, key = ctx.clock.now(), asker_key(session, ctx.keys, asker)
    nobody = day_key(session, ctx.keys, today(ctx.clock))
    children = {part.child_id for part, _letter in rows}
    key_ids = dict(
        session.execute(select(tables.Child.id, tables.Child.key_id).where(among(tables.Child.id, children)))
        .tuples()
        .all()
    )
    keys = open_keys(session, ctx.keys, key_ids.values())
    parts = {
        part.id: opened(part, keys[key_ids[part.child_id]]) for part, _letter in rows if key_ids[part.child_id] in keys
    }
    wanted = {row for found in parts.values() if found is not None for row in found.rows}
    # Cases first, then the head, as whoever takes a yes back does.
    cases = select(tables.Case.id).where(among(tables.Case.id, wanted)).order_by(tables.Case.id)
    there = set(session.execute(cases.with_for_update(read=True)).scalars())
    hold(session)
    may = _may(ctx, session, asker, children)
    items: list[Item] = []
    entries: list[log.SealedEntry] = []
    for part, letter in rows:
        found = parts.get(part.id)
        if found is None:
            if part.sealed is not None:
                part.why_not = part.why_not or FORGOTTEN
            continue
        basis, see = may(part)
        if basis == "blocked":
            part.position, part.due = None, None
            continue
        if part.why_not is None and not found.rows <= there:
            part.why_not = CASE_GONE
        elif part.why_not is None and not see:
            part.why_not = basis
        if part.why_not is not None:
            continue
        items.append(_item(part, letter, found))
        child_key = (key_ids[part.child_id], keys[key_ids[part.child_id]])
        entries.append(_entry(now, asker, key, part, child_key, basis))
    if not entries:
        said = {"purpose": PURPOSE, "see": False, "basis": duty.NOTHING, "shown": []}
        entries.append(
            log.seal_entry(
                at=now, kind=PURPOSE, child_id=None, asker=asker, asker_key=key, subject=said, subject_key=nobody
            )
        )
    return tuple(items), entries


def _item(part: tables.LetterPart, letter: tables.Letter, found: Part) -> Item:
    return Item(
        part.id,
        letter.id,
        letter.sha256,
        letter.kind,
        letter.state,
        part.journalised_at is not None,
        found,
        part.sha256,
    )


def _entry(
    now: datetime,
    asker: Asker,
    asker_key: PersonKeyPair,
    part: tables.LetterPart,
    child_key: PersonKeyPair,
    basis: str,
) -> log.SealedEntry:
    return log.seal_entry(
        at=now,
        kind=PURPOSE,
        child_id=part.child_id,
        asker=asker,
        asker_key=asker_key,
        subject={
            "purpose": PURPOSE,
            "see": True,
            "basis": basis,
            "shown": ["letter"],
            "letter": str(part.letter_id),
            "part": str(part.id),
        },
        subject_key=child_key,
    )


def _may(ctx: Context, session: Session, asker: Asker, children: set[UUID]) -> Any:
    """What the policy says of a part, as (basis, see). Read once the head is held."""
    block, consent, assignment = tables.Block, tables.Consent, tables.Assignment
    blocked = set(
        session.execute(
            select(block.child_id, block.administration).where(among(block.child_id, children), block.holds())
        ).tuples()
    )
    consented = set(
        session.execute(
            select(consent.child_id, consent.administration).where(
                among(consent.child_id, children), consent.holds(ctx.clock.now())
            )
        ).tuples()
    )
    accepted = set(
        session.execute(
            select(assignment.child_id).where(among(assignment.child_id, children), assignment.until.is_(None))
        ).scalars()
    )

    def may(part: tables.LetterPart) -> tuple[str, bool]:
        whose = (part.child_id, part.administration)
        relation: Relation = "health-case" if part.administration in ctx.settings.access.health else "case"
        given: set[Consent] = {"accepted"} if part.child_id in accepted else set()
        if whose in consented:
            given.add("health")
        asked = Question(asker.roles, PURPOSE, {relation}, given, blocked=whose in blocked)
        decision = decide(asked, ctx.settings.access.switches)
        return decision.basis, decision.see

    return may


def acknowledge(ctx: Context, asker: Asker, part_id: UUID, document: str) -> bool:
    """The part has become a document of the case system. Saying the same again changes nothing. Gives whether the
    letter is done.

    Raises NotAllowed when the part is none of the asker's, OtherDocument when it was said to be another document."""
    said, letters = acknowledge_all(ctx, asker, {part_id: document})
    if said[part_id] == "unknown":
        raise NotAllowed("there is no such part")
    if said[part_id] == "other":
        raise OtherDocument
    return letters[part_id]


def acknowledge_all(
    ctx: Context, asker: Asker, documents: Mapping[UUID, str]
) -> tuple[dict[UUID, Receipt], dict[UUID, bool]]:
    """As `acknowledge`, for several parts in one transaction, each by itself: what became of it, and of those that are
    the asker's whether the letter is done. Raises NotAllowed unless a system asks for its administration."""
    administration, now = system_of(ctx, asker), ctx.clock.now()
    part = tables.LetterPart
    with ctx.database.begin() as session:
        mine = (among(part.id, documents), part.administration == administration, part.position.is_not(None))
        rows = session.execute(
            select(part, tables.Child.key_id)
            .join(tables.Child, tables.Child.id == part.child_id)
            .where(*mine)
            .order_by(part.id)
            .with_for_update(of=part)
        ).all()
        keys = open_keys(session, ctx.keys, (row.key_id for row in rows))
        said: dict[UUID, Receipt] = dict.fromkeys(documents, "unknown")
        for row, key_id in rows:
            if key_id in keys:
                said[row.id] = _receipt(row, keys[key_id], documents[row.id], now)
        done_tasks = [ctx.keys.once(TASK, str(row.id)) for row, _key in rows if said[row.id] == "taken"]
        session.execute(
            update(tables.Task)
            .where(among(tables.Task.once, done_tasks), tables.Task.done_at.is_(None))
            .values(done_at=now)
        )
        session.flush()
        letters = {row.id: row.letter_id for row, _key in rows}
        waiting = _waiting(session, set(letters.values()))
        faults.point("journal.acknowledged")
    faults.point("journal.acknowledged.committed")
    return said, {row: letter not in waiting for row, letter in letters.items()}


def _receipt(part: tables.LetterPart, key: bytes, document: str, now: datetime) -> Receipt:
    about = f"letter-part-receipt:{part.id}"
    if part.journalised_at is None:
        part.journalised_at = now
        part.receipt = seal_json(key, {"document": document}, about)
        return "taken"
    same = part.receipt is not None and unseal_json(key, part.receipt, about)["document"] == document
    return "taken" if same else "other"


def _waiting(session: Session, letters: set[UUID]) -> set[UUID]:
    """Those of the letters of which something is not journalised yet."""
    part = tables.LetterPart
    left = (among(part.letter_id, letters), part.journalised_at.is_(None), part.why_not.is_(None))
    return set(session.execute(select(part.letter_id).where(*left)).scalars())


def is_done(session: Session, letter_id: UUID) -> bool:
    """Whether all that can be journalised of a letter is."""
    return not _waiting(session, {letter_id})


def overdue(ctx: Context) -> int:
    """Parts that no case system has acknowledged in time become the administration's task, once. Gives how many are
    new. Also of a system that has stopped reading; of an administration whose system has never read, nothing is
    expected."""
    part, read = tables.LetterPart, aliased(tables.LetterPart)
    reads = exists().where(read.administration == part.administration, read.position.is_not(None))
    unread = (part.due.is_(None), part.journalised_at.is_(None), reads, *_ready())
    with ctx.database.begin() as session:
        session.execute(
            update(part).where(*unread).values(due=_due(ctx)), execution_options={"synchronize_session": False}
        )
        rows = session.execute(select(part).where(*late(today(ctx.clock))).order_by(part.id)).scalars().all()
        about = {
            str(row.id): {"administration": row.administration, "child_id": row.child_id, "due": row.due}
            for row in rows
        }
        return tasks.put(session, ctx.keys, ctx.clock.now(), TASK, about)


def purge(ctx: Context) -> int:
    """Forget the text of what has been journalised long enough ago, and of what goes to nobody any more. Gives how
    many."""
    before = ctx.clock.now() - timedelta(days=ctx.settings.notices.keep_days)
    part = tables.LetterPart
    with ctx.database.begin() as session:
        over = or_(part.journalised_at < before, part.why_not.is_not(None))
        old = update(part).where(over, part.sealed.is_not(None)).values(sealed=None)
        return len(session.execute(old.returning(part.id)).all())
