"""What became of letters: each stands where all that its channel has said puts it, whatever order it came in. A failure
is a task for the coordinator, and so is silence for too long.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub import faults
from hub.cases import quarantine, readers, sources, unsent
from hub.context import Context
from hub.contract import DeliveryStatus, Status, StatusPage, Unreadable
from hub.errors import TovholderError
from hub.store import tables, tasks
from hub.store.many import among

ANSWER_WITHIN = timedelta(days=7)
"""So long a channel has to say what became of a letter before somebody looks (working days vary by channel)."""
WITHHELD = "withheld"
FAILED_LETTER = "letter_failed"


def move(letter: tables.Letter, state: str, now: datetime) -> None:
    letter.state, letter.state_at = state, now
    letter.state_due = now + ANSWER_WITHIN if state in ("sent", "received") else None


def task(ctx: Context, session: Session, letter: tables.Letter) -> None:
    """A letter that did not arrive is the coordinator's to follow up; what it told of cases, each administration's."""
    coordinator = session.execute(
        select(tables.Offer.coordinator_id)
        .join(tables.LetterChild, tables.LetterChild.child_id == tables.Offer.child_id)
        .where(tables.LetterChild.letter_id == letter.id, tables.Offer.coordinator_id.is_not(None))
        .limit(1)
    ).scalar_one_or_none()
    columns = {"staff_id": coordinator, "letter_id": letter.id}
    tasks.put(session, ctx.keys, ctx.clock.now(), FAILED_LETTER, {str(letter.id): columns})
    if letter.state in ("failed", "returned", WITHHELD):
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
    """Bring letters to the state that the channel's statuses say; they may have come before the answer to our own
    sending."""
    session.flush()
    told: dict[str, list[tuple[datetime, DeliveryStatus]]] = {}
    for row in session.execute(
        select(tables.DeliveryStatus.key, tables.DeliveryStatus.time, tables.DeliveryStatus.status).where(
            among(tables.DeliveryStatus.key, (str(letter.id) for letter in letters))
        )
    ):
        told.setdefault(row.key, []).append((row.time, DeliveryStatus(row.status)))
    for letter in letters:
        if letter.state in ("frozen", WITHHELD):
            continue  # our own sending has not been confirmed yet; it will catch up then
        state = state_of(told.get(str(letter.id), []))
        if state is None or state in (DeliveryStatus.UNKNOWN, DeliveryStatus.SENT) or state.value == letter.state:
            continue
        move(letter, state.value, ctx.clock.now())
        if state in (DeliveryStatus.FAILED, DeliveryStatus.RETURNED):
            task(ctx, session, letter)


def overdue(ctx: Context) -> int:
    """Letters whose state should have moved on by now become tasks. Gives how many letters are overdue."""
    with ctx.database.begin() as session:
        letters = (
            session.execute(select(tables.Letter).where(tables.Letter.state_due < ctx.clock.now())).scalars().all()
        )
        for letter in letters:
            task(ctx, session, letter)
        return len(letters)
