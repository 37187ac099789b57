"""Hand letters over to their channel.

A letter's row is locked while it is sent, so that two workers never send it at once; its id is the key at every try, so
that a try which may have arrived is not a second letter where the channel knows keys. By which channel it goes:
hub.letters.policy. What the channel says later: hub.letters.statuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never
from uuid import UUID, uuid4

from sqlalchemy import and_, case, delete, exists, func, not_, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, undefer

from hub import faults, journal
from hub.cases import events, hearing
from hub.clock import today
from hub.context import Context
from hub.contract import (
    Channel,
    Later,
    Refused,
    SendResult,
    Sent,
    Unsure,
)
from hub.contract import Letter as ChannelLetter
from hub.errors import GaveUp, TryAgain
from hub.letters import holding, pointers, policy
from hub.letters.frozen import Opened, for_channel
from hub.letters.policy import BEGUN, MAY_HAVE_ARRIVED
from hub.letters.statuses import UNSURE, WITHHELD, catch_up, move, task
from hub.letters.trial import WHY, recipients
from hub.store import home, queue, tables
from hub.store.many import among
from hub.vault import CannotOpen


def deliver_all(ctx: Context, letter_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Send frozen letters one by one, each in a transaction of its own, so that none holds up another; gives the state
    of each. Those that are sent already are left alone, so that the same call may be made again.

    Raises TryAgain when some should be tried again with the same key, after the longest wait that was asked for
    (seconds); OnHold where letters may not leave from this database; SettingsError when a channel is missing or the
    file of a trial cannot be used."""
    channels = policy.in_order(ctx)
    trial = recipients(ctx.settings.letters.trial)
    states: dict[UUID, str] = {}
    later: list[TryAgain] = []
    broken: list[Exception] = []
    waiting = list(letter_ids)
    while waiting:
        attempts = _begin(ctx, channels, waiting)
        passed_on: list[UUID] = []
        for letter_id in waiting:
            try:
                state = _deliver(ctx, channels, trial, letter_id, attempts.get(letter_id))
            except TryAgain as error:
                later.append(error)
            except SQLAlchemyError:
                raise  # the next letter would fare no better
            except Exception as error:  # noqa: BLE001 - raised again below: a fault with one letter is not another's
                broken.append(error)
            else:
                if state is None:
                    passed_on.append(letter_id)
                else:
                    states[letter_id] = state
        waiting = passed_on  # each to a later channel than before, so this ends
    if later:
        asked = [error.after_seconds for error in later if error.after_seconds is not None]
        raise TryAgain(str(later[0]), after_seconds=max(asked, default=None)) from ExceptionGroup("not sent", later)
    if broken:
        raise broken[0]
    return states


def deliver(ctx: Context, letter_id: UUID) -> str:
    """As `deliver_all`, for one letter."""
    return deliver_all(ctx, [letter_id])[letter_id]


def _begin(ctx: Context, channels: Sequence[Channel], letter_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Write down that the letters still frozen are about to be sent, and by which channel, before anything is: of a try
    that is broken off it is not known whether it arrived. Gives the id of each letter's attempt."""
    names = [channel.name for channel in channels]
    with ctx.database.begin() as session:
        home.check(session, ctx.clock.now())
        # One that the settings no longer name is left for the first; what may have arrived there is not forgotten.
        on = case((tables.Letter.channel.in_(names), tables.Letter.channel), else_=names[0])
        tries = session.execute(
            update(tables.Letter)
            .where(among(tables.Letter.id, letter_ids), tables.Letter.state == "frozen")
            .values(tries=tables.Letter.tries + 1, channel=on)
            .returning(tables.Letter.id, tables.Letter.tries, tables.Letter.channel)
        ).all()
        rows = [
            {"id": uuid4(), "letter_id": row.id, "channel": row.channel, "attempt": row.tries, "at": ctx.clock.now()}
            for row in tries
        ]
        if rows:
            session.execute(insert(tables.Delivery), [row | {"result": BEGUN} for row in rows])
            journal.write(ctx, {"begun": [str(row["letter_id"]) for row in rows]})
    faults.point("letters.begun")
    return {row["letter_id"]: row["id"] for row in rows}


def _deliver(
    ctx: Context,
    channels: Sequence[Channel],
    trial: frozenset[str] | None,
    letter_id: UUID,
    attempt_id: UUID | None,
) -> str | None:
    """Make one attempt. Gives the letter's state; None when it is to go by the next channel."""
    with ctx.database.begin() as session:
        letter = session.execute(
            select(tables.Letter)
            .where(tables.Letter.id == letter_id)
            .options(undefer(tables.Letter.content), undefer(tables.Letter.pdf))
            .with_for_update()
        ).scalar_one()
        if attempt_id is None or letter.state != "frozen":
            # Sent before, or by another process just now: this attempt has sent nothing.
            _unsent(session, attempt_id)
            return letter.state
        try:
            opened = for_channel(session, ctx.keys, letter)
        except CannotOpen:
            opened = None  # somebody it is about has been forgotten
        standing = _standing(ctx, session, letter, opened) if opened is not None else None
        if opened is None or standing is None or not standing.may_go:
            _unsent(session, attempt_id)
            withhold(ctx, session, letter)
            journal.write(ctx, {"letter": str(letter.id), "result": WITHHELD}, durable=False)
            return letter.state
        if trial is not None and opened.letter.recipient.cpr not in trial:
            letter.why = WHY
            move(letter, WITHHELD, ctx.clock.now())
            journal.write(ctx, {"letter": str(letter.id), "result": WITHHELD}, durable=False)
            _unsent(session, attempt_id)
            return letter.state
        channel = next(channel for channel in channels if channel.name == letter.channel)
        before = _may_have_arrived(session, letter, attempt_id)
        if before - ({channel.name} if channel.knows_keys else set()):
            # Not again before it is known that no try arrived: a status says so, or a person.
            if standing.heard_of:
                move(letter, "sent", ctx.clock.now())
                catch_up(ctx, session, {letter})
            else:
                move(letter, UNSURE, ctx.clock.now())
            _unsent(session, attempt_id)
            return letter.state
        paper = not policy.paper_comes_back(session, letter)
        result = _quiet(ctx, opened) or _send(channel, opened.letter, letter, paper=paper)
        faults.point("letters.handed_over")
        now = ctx.clock.now()
        _note(ctx, letter, channel.name, result)
        wait = (result.after_seconds or queue.backoff(letter.tries)) if isinstance(result, Later) else None
        session.execute(
            update(tables.Delivery)
            .where(tables.Delivery.id == attempt_id)
            .values(
                at=now,
                result=type(result).__name__.lower(),
                transmission=result.transmission if isinstance(result, Sent) else None,
                reason=None if isinstance(result, Sent) else result.reason,
                try_again_at=now + timedelta(seconds=wait) if wait is not None else None,
            )
        )
        match result:
            case Sent():
                letter.route = result.route
                move(letter, "sent", now)
                pointers.owe(ctx, session, letter, session.get(tables.Preference, letter.guardian_id))
                if standing.heard_of:
                    catch_up(ctx, session, {letter})
            case Refused():
                following = policy.following([channel.name for channel in channels], channel.name)
                if following is not None and not before:
                    letter.channel = following
                else:
                    move(letter, "failed", now)
                    task(ctx, session, letter)
            case Unsure() if not channel.knows_keys:
                move(letter, UNSURE, now)
            case Later() | Unsure():
                pass  # it stays frozen, and is tried again
            case _:
                assert_never(result)
        state = letter.state
    faults.point("letters.sent")
    if isinstance(result, Refused) and state == "frozen":
        return None
    if isinstance(result, Later | Unsure) and state == "frozen":
        raise TryAgain(
            f"letter {letter_id}: {result.reason}",
            after_seconds=result.after_seconds if isinstance(result, Later) else None,
        )
    return state


def _unsent(session: Session, attempt_id: UUID | None) -> None:
    """This attempt has sent nothing, and goes."""
    session.execute(delete(tables.Delivery).where(tables.Delivery.id == attempt_id))


def _may_have_arrived(session: Session, letter: tables.Letter, but: UUID) -> set[str]:
    """The channels on which a try before this one may have arrived."""
    return set(
        session.execute(
            select(tables.Delivery.channel).where(
                tables.Delivery.letter_id == letter.id,
                tables.Delivery.id != but,
                tables.Delivery.result.in_(MAY_HAVE_ARRIVED),
            )
        ).scalars()
    )


def _send(channel: Channel, ready: ChannelLetter, letter: tables.Letter, *, paper: bool) -> SendResult:
    try:
        if not channel.reaches(ready.recipient):
            return Refused("the channel does not reach the recipient")
        return channel.send(replace(ready, paper=paper), str(letter.id))
    except TryAgain as error:
        return Later(str(error), error.after_seconds)
    except GaveUp as error:
        return Refused(str(error))


def _quiet(ctx: Context, opened: Opened) -> Later | None:
    """A try that comes again, or a queue that was long, may lead into hours in which nobody can be called: what is
    unpleasant waits for their end, but not past its latest moment."""
    now = ctx.clock.now()
    ends = holding.quiet_until(now, unpleasant=opened.quiet)
    ends = min(ends, opened.latest) if opened.latest is not None else ends
    return Later("quiet hours", (ends - now).total_seconds()) if ends > now else None


def _note(ctx: Context, letter: tables.Letter, channel: str, result: SendResult) -> None:
    """The channel's answer, for whoever restores the database. Not flushed to the disk: where a machine dies and its
    database is lost as well, the letter counts as one that may have arrived."""
    sent = {"route": result.route, "transmission": result.transmission} if isinstance(result, Sent) else {}
    what = {"letter": str(letter.id), "result": type(result).__name__.lower(), "channel": channel}
    journal.write(ctx, what | sent, durable=False)


@dataclass(frozen=True, slots=True)
class _Standing:
    may_go: bool
    heard_of: bool
    """The channel has said something of it already, though its answer to our sending has not reached us."""


def _standing(ctx: Context, session: Session, letter: tables.Letter, opened: Opened) -> _Standing:
    """Whether whoever it is to still hears of every child it is about, each is a child still, and in the scheme or
    offered to a guardian who has not said no; and whether the sources still show every case it names.
    The letter's row is locked: a status that comes while it is sent waits until then."""
    day = today(ctx.clock)
    hears = hearing.hears(tables.LetterChild.child_id, letter.guardian_id, day, replaced=True)
    no = tables.Acceptance.says_no(tables.LetterChild.child_id, letter.guardian_id)
    stands = exists().where(
        tables.Offer.child_id == tables.LetterChild.child_id,
        or_(
            tables.Offer.state == "accepted",
            and_(tables.Offer.state == "offered", ~no),
            and_(among(tables.LetterChild.child_id, opened.ended), tables.Offer.state != "died"),
        ),
    )
    refused, cases, heard_of = session.execute(
        select(
            exists().where(tables.LetterChild.letter_id == letter.id, not_(and_(hears, stands))),
            select(func.count()).where(among(tables.Case.id, opened.cases)).scalar_subquery(),
            exists().where(tables.DeliveryStatus.key == str(letter.id)),
        )
    ).one()
    return _Standing(day < opened.before and not refused and cases == len(opened.cases), heard_of)


def withhold(ctx: Context, session: Session, letter: tables.Letter) -> None:
    """A letter that must no longer leave stays; what else it told is told in another. Unless a try may have arrived:
    then a person looks, rather than that the family hears it twice."""
    now = ctx.clock.now()
    move(letter, WITHHELD, now)
    unsure = (tables.Delivery.letter_id == letter.id, tables.Delivery.result.in_(MAY_HAVE_ARRIVED))
    if session.execute(select(exists().where(*unsure))).scalar_one():
        task(ctx, session, letter)
    else:
        events.tell_again(session, letter.bundle_id, letter.guardian_id, now)


def had_left(
    ctx: Context,
    session: Session,
    letter: tables.Letter,
    at: datetime,
    channel: str | None,
    route: str | None,
    transmission: str | None,
) -> None:
    """A frozen letter left, as the journal says and this database does not know: it is behind (hub.recovery)."""
    letter.tries += 1
    letter.channel, letter.route = channel or ctx.settings.letters.in_order[0], route
    attempt = {"letter_id": letter.id, "channel": letter.channel, "attempt": letter.tries, "at": at}
    session.add(tables.Delivery(**attempt, result="sent", transmission=transmission))
    move(letter, "sent", at)
    catch_up(ctx, session, {letter})
