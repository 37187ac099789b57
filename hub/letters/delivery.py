"""Hand letters over to their channel, and take in what became of them.

A letter's row is locked while it is sent, so that two workers never send it at once; its id is the key at every try, so
that a try which may have arrived is not a second letter. What the channel says later moves the letter's state, whatever
order it comes in; a failure is a task for the coordinator.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import assert_never
from uuid import UUID, uuid4

from sqlalchemy import and_, delete, exists, func, not_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, undefer

from hub import faults, journal
from hub.cases import events, quarantine, sources
from hub.clock import today
from hub.context import Context
from hub.contract import (
    Channel,
    DeliveryStatus,
    Later,
    Refused,
    SendResult,
    Sent,
    Status,
    StatusPage,
    Unreadable,
    Unsure,
)
from hub.errors import GaveUp, SettingsError, TovholderError, TryAgain
from hub.letters.frozen import Opened, for_channel
from hub.store import home, tables
from hub.vault import CannotOpen

ANSWER_WITHIN = timedelta(days=7)
"""So long a channel has to say what became of a letter before somebody looks (working days vary by channel)."""
WITHHELD = "withheld"
BEGUN = "begun"
"""The result of an attempt that is under way, or was broken off."""
FAILED_LETTER = "letter_failed"


def deliver_all(ctx: Context, letter_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Send frozen letters one by one, each in a transaction of its own, so that none holds up another; gives the state
    of each. Those that are sent already are left alone, so that the same call may be made again.

    Raises TryAgain when some should be tried again with the same key, after the longest wait that was asked for
    (seconds); OnHold where letters may not leave from this database."""
    channel = ctx.plugins.channels.get(ctx.settings.letters.channel)
    if channel is None:
        raise SettingsError(
            f"letters.channel is {ctx.settings.letters.channel!r}, and no configured plugin registers that channel"
        )
    attempts = _begin(ctx, channel.name, letter_ids)
    states: dict[UUID, str] = {}
    later: list[TryAgain] = []
    faults: list[Exception] = []
    for letter_id in letter_ids:
        try:
            states[letter_id] = _deliver(ctx, channel, letter_id, attempts.get(letter_id))
        except TryAgain as error:
            later.append(error)
        except SQLAlchemyError:
            raise  # the next letter would fare no better
        except Exception as error:  # noqa: BLE001 - raised again below: a fault with one letter is not another's
            faults.append(error)
    if later:
        asked = [error.after_seconds for error in later if error.after_seconds is not None]
        raise TryAgain(str(later[0]), after_seconds=max(asked, default=None)) from ExceptionGroup("not sent", later)
    if faults:
        raise faults[0]
    return states


def deliver(ctx: Context, letter_id: UUID) -> str:
    """As `deliver_all`, for one letter."""
    return deliver_all(ctx, [letter_id])[letter_id]


def _begin(ctx: Context, channel: str, letter_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Write down that the letters still frozen are about to be sent, before anything is: of a try that is broken off
    it is not known whether it arrived. Gives the id of each letter's attempt."""
    with ctx.database.begin() as session:
        home.check(session, ctx.clock.now())
        tries = session.execute(
            update(tables.Letter)
            .where(tables.Letter.id.in_(letter_ids), tables.Letter.state == "frozen")
            .values(tries=tables.Letter.tries + 1)
            .returning(tables.Letter.id, tables.Letter.tries)
        ).all()
        rows = [
            {"id": uuid4(), "letter_id": row.id, "channel": channel, "attempt": row.tries, "at": ctx.clock.now()}
            for row in tries
        ]
        if rows:
            session.execute(insert(tables.Delivery), [row | {"result": BEGUN} for row in rows])
            journal.write(ctx, {"begun": [str(row["letter_id"]) for row in rows]})
    faults.point("letters.begun")
    return {row["letter_id"]: row["id"] for row in rows}


def _deliver(ctx: Context, channel: Channel, letter_id: UUID, attempt_id: UUID | None) -> str:
    with ctx.database.begin() as session:
        letter = session.execute(
            select(tables.Letter)
            .where(tables.Letter.id == letter_id)
            .options(undefer(tables.Letter.content), undefer(tables.Letter.pdf))
            .with_for_update()
        ).scalar_one()
        if attempt_id is None or letter.state != "frozen":
            # Sent before, or by another process just now: this attempt has sent nothing.
            session.execute(delete(tables.Delivery).where(tables.Delivery.id == attempt_id))
            return letter.state
        try:
            opened = for_channel(session, ctx.keys, letter)
        except CannotOpen:
            opened = None  # somebody it is about has been forgotten
        standing = _standing(ctx, session, letter, opened) if opened is not None else None
        if opened is None or standing is None or not standing.may_go:
            session.execute(delete(tables.Delivery).where(tables.Delivery.id == attempt_id))
            withhold(ctx, session, letter)
            journal.write(ctx, {"letter": str(letter.id), "result": WITHHELD}, durable=False)
            return letter.state
        try:
            result = channel.send(opened.letter, str(letter.id))
        except TryAgain as error:
            result = Later(str(error), error.after_seconds)
        except GaveUp as error:
            result = Refused(str(error))
        faults.point("letters.handed_over")
        now = ctx.clock.now()
        _note(ctx, letter, result)
        session.execute(
            update(tables.Delivery)
            .where(tables.Delivery.id == attempt_id)
            .values(
                at=now,
                result=type(result).__name__.lower(),
                transmission=result.transmission if isinstance(result, Sent) else None,
                reason=None if isinstance(result, Sent) else result.reason,
            )
        )
        match result:
            case Sent():
                letter.route = result.route
                _move(letter, "sent", now)
                if standing.heard_of:
                    _catch_up(ctx, session, {letter})
            case Refused():
                _move(letter, "failed", now)
                _task(ctx, session, letter)
            case Later() | Unsure():
                pass  # it stays frozen, and is tried again
            case _:
                assert_never(result)
        state = letter.state
    faults.point("letters.sent")
    if isinstance(result, Later | Unsure):
        raise TryAgain(
            f"letter {letter_id}: {result.reason}",
            after_seconds=result.after_seconds if isinstance(result, Later) else None,
        )
    return state


def _note(ctx: Context, letter: tables.Letter, result: SendResult) -> None:
    """The channel's answer, for whoever restores the database. Not flushed to the disk: where a machine dies and its
    database is lost as well, the letter counts as one that may have arrived."""
    sent = {"route": result.route, "transmission": result.transmission} if isinstance(result, Sent) else {}
    journal.write(ctx, {"letter": str(letter.id), "result": type(result).__name__.lower()} | sent, durable=False)


@dataclass(frozen=True, slots=True)
class _Standing:
    may_go: bool
    heard_of: bool
    """The channel has said something of it already, though its answer to our sending has not reached us."""


def _standing(ctx: Context, session: Session, letter: tables.Letter, opened: Opened) -> _Standing:
    """Whether the guardian still has custody of every child it is about, each is a child still, and offered or in the
    scheme; and whether the sources still show every case it names. The letter's row is locked: a status that comes
    while it is sent waits until then."""
    day = today(ctx.clock)
    custody = exists().where(
        tables.Custody.child_id == tables.LetterChild.child_id,
        tables.Custody.guardian_id == letter.guardian_id,
        tables.Custody.holds(day),
    )
    stands = exists().where(
        tables.Offer.child_id == tables.LetterChild.child_id, tables.Offer.state.in_(("offered", "accepted"))
    )
    refused, cases, heard_of = session.execute(
        select(
            exists().where(tables.LetterChild.letter_id == letter.id, not_(and_(custody, stands))),
            select(func.count()).where(tables.Case.id.in_(opened.cases)).scalar_subquery(),
            exists().where(tables.DeliveryStatus.key == str(letter.id)),
        )
    ).one()
    return _Standing(day < opened.before and not refused and cases == len(opened.cases), heard_of)


def withhold(ctx: Context, session: Session, letter: tables.Letter) -> None:
    """A letter that must no longer leave stays; what else it told is told in another. Unless a try may have arrived:
    then a person looks, rather than that the family hears it twice."""
    now = ctx.clock.now()
    _move(letter, WITHHELD, now)
    unsure = (tables.Delivery.letter_id == letter.id, tables.Delivery.result.in_((BEGUN, "unsure")))
    if session.execute(select(exists().where(*unsure))).scalar_one():
        _task(ctx, session, letter)
    else:
        events.tell_again(session, letter.bundle_id, letter.guardian_id, now)


def had_left(
    ctx: Context, session: Session, letter: tables.Letter, at: datetime, route: str | None, transmission: str | None
) -> None:
    """A frozen letter left, as the journal says and this database does not know: it is behind (hub.recovery)."""
    letter.tries += 1
    attempt = {"letter_id": letter.id, "channel": ctx.settings.letters.channel, "attempt": letter.tries, "at": at}
    session.add(tables.Delivery(**attempt, result="sent", transmission=transmission))
    letter.route = route
    _move(letter, "sent", at)
    _catch_up(ctx, session, {letter})


def _move(letter: tables.Letter, state: str, now: datetime) -> None:
    letter.state, letter.state_at = state, now
    letter.state_due = now + ANSWER_WITHIN if state in ("sent", "received") else None


def _task(ctx: Context, session: Session, letter: tables.Letter) -> None:
    """A letter that did not arrive is the coordinator's to follow up."""
    coordinator = session.execute(
        select(tables.Offer.coordinator_id)
        .join(tables.LetterChild, tables.LetterChild.child_id == tables.Offer.child_id)
        .where(tables.LetterChild.letter_id == letter.id, tables.Offer.coordinator_id.is_not(None))
        .limit(1)
    ).scalar_one_or_none()
    session.execute(
        insert(tables.Task)
        .values(
            id=uuid4(),
            kind=FAILED_LETTER,
            once=hmac.digest(ctx.keys.reference, f"{FAILED_LETTER}:{letter.id}".encode(), "sha256"),
            staff_id=coordinator,
            letter_id=letter.id,
            made_at=ctx.clock.now(),
        )
        .on_conflict_do_nothing()
    )


@dataclass(slots=True)
class Taken:
    """What came of asking a channel: how many statuses were new, and how many were about letters not ours."""

    new: int = 0
    unknown: int = 0
    quarantined: int = 0


def take_statuses(ctx: Context) -> Taken:
    """Ask every channel what became of letters, page by page; each page and its cursor are one transaction.

    Raises TryAgain or GaveUp when one did not answer as it should; the others have been asked all the same."""
    result = Taken()
    failures: list[TovholderError] = []
    for channel in ctx.plugins.channels.values():
        with sources.one_reader(ctx.database, channel.name, sources.STATUSES) as alone:
            if not alone:
                continue
            with ctx.database.begin() as session:
                since = sources.state(session, channel.name, sources.STATUSES).cursor
            try:
                for page in sources.pages(channel.name, partial(channel.statuses, since)):
                    with ctx.database.begin() as session:
                        _take(ctx, session, channel.name, page, result)
                        faults.point("statuses.page")
                    faults.point("statuses.page.committed")
            except TovholderError as error:
                failures.append(error)
                with ctx.database.begin() as session:
                    sources.failed(session, channel.name, sources.STATUSES, ctx.clock.now(), str(error))
    if failures:
        raise failures[0]
    return result


def _take(ctx: Context, session: Session, channel: str, page: StatusPage, result: Taken) -> None:
    """One page: what is new of it is kept, and the letters it is about move on."""
    now = ctx.clock.now()
    said: dict[str, list[Status]] = {}
    for status in page.statuses:
        if isinstance(status, Unreadable):
            result.quarantined += quarantine.keep(session, ctx.keys, channel, status, now)
        else:
            said.setdefault(str(_uuid(status.key) or status.key), []).append(status)
    ids = {key: letter_id for key in said if (letter_id := _uuid(key)) is not None}
    letters = {
        letter.id: letter
        for letter in session.execute(
            select(tables.Letter).where(tables.Letter.id.in_(ids.values())).order_by(tables.Letter.id).with_for_update()
        ).scalars()
    }
    known = {key: letter_id for key, letter_id in ids.items() if letter_id in letters}
    rows = [
        {
            "id": uuid4(),
            "channel": channel,
            "key": key,
            "status": status.status.value,
            "time": status.time,
            "route": status.route,
            "reason": status.reason,
            "letter_id": known.get(key),
            "seen_at": now,
        }
        for key, statuses in said.items()
        for status in statuses
    ]
    if rows:
        kept = insert(tables.DeliveryStatus).values(rows).on_conflict_do_nothing().returning(tables.DeliveryStatus.key)
        new = list(session.execute(kept).scalars())
        result.new += len(new)
        result.unknown += sum(key not in known for key in new)
        _catch_up(ctx, session, {letters[known[key]] for key in new if key in known})
    row = sources.state(session, channel, sources.STATUSES)
    row.cursor, row.answered_at, row.failure = page.cursor, now, None


def _uuid(key: str) -> UUID | None:
    try:
        return UUID(key)
    except ValueError:
        return None


_RANK = [DeliveryStatus.UNKNOWN, DeliveryStatus.SENT, DeliveryStatus.RECEIVED, DeliveryStatus.DELIVERED]


def state_of(statuses: list[tuple[datetime, DeliveryStatus]]) -> DeliveryStatus | None:
    """Where a letter stands by all that has been said of it, in whatever order it came: a failure or a return counts
    whenever it is said, also after delivery; else the furthest."""
    bad = [said for said in statuses if said[1] in (DeliveryStatus.FAILED, DeliveryStatus.RETURNED)]
    if bad:
        return max(bad)[1]
    return max((said[1] for said in statuses), key=_RANK.index, default=None)


def _catch_up(ctx: Context, session: Session, letters: set[tables.Letter]) -> None:
    """Bring letters to the state that the channel's statuses say; they may have come before the answer to our own
    sending."""
    session.flush()
    told: dict[str, list[tuple[datetime, DeliveryStatus]]] = {}
    for row in session.execute(
        select(tables.DeliveryStatus.key, tables.DeliveryStatus.time, tables.DeliveryStatus.status).where(
            tables.DeliveryStatus.key.in_([str(letter.id) for letter in letters])
        )
    ):
        told.setdefault(row.key, []).append((row.time, DeliveryStatus(row.status)))
    for letter in letters:
        if letter.state in ("frozen", WITHHELD):
            continue  # our own sending has not been confirmed yet; it will catch up then
        state = state_of(told.get(str(letter.id), []))
        if state is None or state in (DeliveryStatus.UNKNOWN, DeliveryStatus.SENT) or state.value == letter.state:
            continue
        _move(letter, state.value, ctx.clock.now())
        if state in (DeliveryStatus.FAILED, DeliveryStatus.RETURNED):
            _task(ctx, session, letter)


def overdue(ctx: Context) -> int:
    """Letters whose state should have moved on by now become tasks. Gives how many letters are overdue."""
    with ctx.database.begin() as session:
        letters = (
            session.execute(select(tables.Letter).where(tables.Letter.state_due < ctx.clock.now())).scalars().all()
        )
        for letter in letters:
            _task(ctx, session, letter)
        return len(letters)
