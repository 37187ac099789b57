"""What became of letters: each stands where all that its channel has said puts it, whatever order it came in. One that
failed goes by the next channel (hub.letters.policy); else it is a task for the coordinator, and so is silence for too
long.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub import faults
from hub.cases import quarantine, readers, sources, unsent
from hub.context import Context
from hub.contract import DeliveryStatus, Status, StatusPage, Unreadable
from hub.errors import TovholderError
from hub.letters import policy
from hub.store import queue, tables, tasks
from hub.store.many import among

SEND_WITHIN = timedelta(days=1)
"""A frozen letter that has not been handed over by then is somebody's task."""
ANSWER_WITHIN = timedelta(days=7)
"""So long a channel has to say what became of a letter before somebody looks (working days vary by channel)."""
WITHIN = {"frozen": SEND_WITHIN, "unsure": SEND_WITHIN, "sent": ANSWER_WITHIN, "received": ANSWER_WITHIN}
"""How long a letter may stay in a state. Any other is final."""
WITHHELD, UNSURE = "withheld", "unsure"
FAILED_LETTER, UNSURE_LETTER = "letter_failed", "letter_unsure"


def move(letter: tables.Letter, state: str, now: datetime) -> None:
    letter.state, letter.state_at = state, now
    letter.state_due = now + WITHIN[state] if state in WITHIN else None


def in_doubt(letter: tables.Letter, now: datetime) -> bool:
    """Whether a person may say what became of it: nobody can tell, or its channel should have told by now."""
    late = letter.state_due is not None and letter.state_due < now
    return letter.state == UNSURE or (letter.state in ("sent", "received") and late)


def task(ctx: Context, session: Session, letter: tables.Letter) -> None:
    """A letter that did not arrive, or may not have, is the coordinator's to follow up; what it told of cases, each
    administration's."""
    coordinator = session.execute(
        select(tables.Offer.coordinator_id)
        .join(tables.LetterChild, tables.LetterChild.child_id == tables.Offer.child_id)
        .where(tables.LetterChild.letter_id == letter.id, tables.Offer.coordinator_id.is_not(None))
        .limit(1)
    ).scalar_one_or_none()
    columns = {"staff_id": coordinator, "letter_id": letter.id}
    kind = UNSURE_LETTER if letter.state == UNSURE else FAILED_LETTER
    ended = letter.state in ("failed", "returned", WITHHELD)
    # One that was closed while it might still arrive, or go by another channel, is open again once it did not.
    tasks.put(session, ctx.keys, ctx.clock.now(), kind, {str(letter.id): columns}, again=ended)
    if ended:
        unsent.by_letter(ctx, session, letter.bundle_id)


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
        with readers.one_reader(ctx.database, channel.name, sources.STATUSES) as alone:
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
            select(tables.Letter)
            .where(among(tables.Letter.id, ids.values()))
            .order_by(tables.Letter.id)
            .with_for_update()
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
        kept = insert(tables.DeliveryStatus).on_conflict_do_nothing().returning(tables.DeliveryStatus.key)
        new = list(session.execute(kept, rows).scalars())
        result.new += len(new)
        result.unknown += sum(key not in known for key in new)
        catch_up(ctx, session, {letters[known[key]] for key in new if key in known})
    sources.state(session, channel, sources.STATUSES).cursor = page.cursor
    sources.end(session, channel, sources.STATUSES, now)


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


def catch_up(ctx: Context, session: Session, letters: set[tables.Letter]) -> None:
    """Bring letters to the state that their channel's statuses say; they may have come before the answer to our own
    sending. What an earlier channel still says of a letter is kept, and moves it no more."""
    session.flush()
    told: dict[str, list[tuple[datetime, DeliveryStatus, str, str | None]]] = {}
    for row in session.execute(
        select(tables.DeliveryStatus).where(among(tables.DeliveryStatus.key, (str(letter.id) for letter in letters)))
    ).scalars():
        told.setdefault(row.key, []).append((row.time, DeliveryStatus(row.status), row.channel, row.route))
    for letter in letters:
        if letter.state in ("frozen", WITHHELD):
            continue  # our own sending has not been confirmed yet; it will catch up then
        said = [one for one in told.get(str(letter.id), []) if letter.channel in (None, one[2])]
        state = state_of([(time, status) for time, status, _channel, _route in said])
        passed = (None, DeliveryStatus.UNKNOWN) if letter.state == UNSURE else (None, *_NO_NEWS)
        if state in passed or state is None or state.value == letter.state:
            continue
        never_there = all(status is not DeliveryStatus.DELIVERED for _time, status, *_ in said)
        if state is DeliveryStatus.FAILED and never_there and _goes_on(ctx, session, letter):
            continue
        move(letter, state.value, ctx.clock.now())
        settled(session, letter)
        routes = {letter.route, *(route for *_, route in said)}
        if state is DeliveryStatus.RETURNED and "digital" not in routes:
            _came_back(session, letter, ctx.clock.now())
        if state in (DeliveryStatus.FAILED, DeliveryStatus.RETURNED):
            task(ctx, session, letter)


_NO_NEWS = (DeliveryStatus.UNKNOWN, DeliveryStatus.SENT)


def failed(ctx: Context, session: Session, letter: tables.Letter) -> None:
    """What its channel took did not arrive: it goes by the next channel, or is a task."""
    if not _goes_on(ctx, session, letter):
        move(letter, "failed", ctx.clock.now())
        task(ctx, session, letter)


def _goes_on(ctx: Context, session: Session, letter: tables.Letter) -> bool:
    """A letter that failed on its way goes by the next channel, if there is one."""
    following = policy.following(ctx.settings.letters.in_order, letter.channel)
    if following is None:
        return False
    did_not_arrive(session, letter)
    letter.channel = following
    go_again(ctx, session, letter)
    return True


def settled(session: Session, letter: tables.Letter) -> None:
    """Tasks that asked what became of it are done, once that is known."""
    kinds = {"sent": [UNSURE_LETTER], "received": [UNSURE_LETTER], "delivered": [UNSURE_LETTER, FAILED_LETTER]}
    done(session, letter, kinds.get(letter.state, []))


def done(session: Session, letter: tables.Letter, kinds: list[str]) -> None:
    """The open tasks of these kinds about a letter are done."""
    task = tables.Task
    session.execute(
        update(task)
        .where(task.letter_id == letter.id, task.kind.in_(kinds), task.done_at.is_(None))
        .values(done_at=letter.state_at)
    )


def did_not_arrive(session: Session, letter: tables.Letter) -> None:
    """It is known now that no try of it so far has arrived."""
    session.execute(
        update(tables.Delivery)
        .where(tables.Delivery.letter_id == letter.id, tables.Delivery.result.in_(policy.MAY_HAVE_ARRIVED))
        .values(result=policy.LOST)
    )


def go_again(ctx: Context, session: Session, letter: tables.Letter) -> None:
    """The letter is to be sent, in the same commit as the job that does it."""
    move(letter, "frozen", ctx.clock.now())
    letter.route = None
    queue.defer(session, queue.DELIVER, [{"letter_ids": [str(letter.id)]}])


def _came_back(session: Session, letter: tables.Letter, now: datetime) -> None:
    row = {"guardian_id": letter.guardian_id, "letter_id": letter.id, "at": now}
    session.execute(insert(tables.ReturnedMail).values(row).on_conflict_do_nothing())


def overdue(ctx: Context) -> int:
    """Letters whose state should have moved on by now become tasks. Gives how many letters are overdue."""
    with ctx.database.begin() as session:
        letters = (
            session.execute(select(tables.Letter).where(tables.Letter.state_due < ctx.clock.now())).scalars().all()
        )
        for letter in letters:
            task(ctx, session, letter)
        return len(letters)
