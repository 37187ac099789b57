"""Hand notices over: choose the ways, look whether each may still be told, log it, send it, and try again.

Whatever leaves has its entry in the log, durable, before it does. A worker that dies in between leaves its claim, which
ends by itself; then the notice goes once more, with the same id, and the receiver can tell.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import httpx2 as httpx
import structlog
from sqlalchemy import delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub import faults
from hub.access import log
from hub.access.askers import PersonKeyPair, asker_key
from hub.access.log import Asker
from hub.context import Context
from hub.contract import Later, Refused, SendResult, Sent
from hub.errors import GaveUp, NotAllowed, TryAgain
from hub.notices import mail, webhook
from hub.notices.facts import Card, Fact, people, read
from hub.store import home, tables
from hub.store.many import among

logger = structlog.get_logger()

MAIL, HOOK = "mail", "webhook/"
AT_ONCE = 50
"""Notices handed over by one claim."""
CLAIM = timedelta(minutes=15)
"""So long one who claims has to hand over AT_ONCE of them; after that they are another's."""
WAITS = (5, 60, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""Between one try and the next (seconds): the schedule that Standard Webhooks proposes, about three and a half days.
After the last try a notice is dead, until somebody replays it."""
JITTER = 0.2
"""A wait is shorter or longer by up to this share, so that a receiver that comes back is not met by all at once."""
NO_WAY = "the settings no longer have this way"
NO_ADDRESS = "the adviser has no mail address, or has been forgotten"
TRIAL = "trial: while letters.trial names a file, no adviser gets a mail"
"""A webhook goes where the settings say, which a trial sets for itself; an adviser's address comes from a source."""


@dataclass(slots=True)
class Handed:
    """What came of a round."""

    sent: int = 0
    withheld: int = 0
    later: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class _Ready:
    """One to be sent now."""

    fact: Fact
    way: str
    tries: int
    to: Card | None


def hand_over_due(ctx: Context) -> Handed:
    """Hand over all that is due. Several workers may do so at once. Nothing where letters may not leave from this
    database either: a copy that is tried out tells nobody (hub.store.home)."""
    result = Handed()
    with ctx.database.begin() as session:
        if home.held(session):
            return result
    route(ctx)
    with webhook.client() as http:
        while True:
            ready, claimed = _claim(ctx, result)
            for one in ready:
                _send(ctx, one, http, result)
            if claimed < AT_ONCE:
                return result


def route(ctx: Context) -> int:
    """Decide by which ways the new notices go: every webhook of the settings that wants them; mail where the adviser
    has chosen so, or where no webhook takes them and mail is configured. Gives how many there were."""
    settings, now, by_mail = ctx.settings.notices, ctx.clock.now(), mail.mailer(ctx) is not None
    with ctx.database.begin() as session:
        new = (
            session.execute(
                select(tables.Notice)
                .where(tables.Notice.routed_at.is_(None))
                .order_by(tables.Notice.at, tables.Notice.id)
                .limit(2000)
                .with_for_update(skip_locked=True, key_share=True)
            )
            .scalars()
            .all()
        )
        chosen = {
            (row.staff_id, row.kind): row.way
            for row in session.execute(
                select(tables.NoticeChoice).where(
                    among(tables.NoticeChoice.staff_id, {notice.adviser_id for notice in new})
                )
            ).scalars()
        }
        rows = []
        for notice in new:
            ways = [
                HOOK + name
                for name, hook in settings.webhooks.items()
                if hook.administration == notice.administration and notice.kind in hook.kinds
            ]
            way = chosen.get((notice.adviser_id, notice.kind))
            if by_mail and (way == "mail" or (way is None and not ways)):
                ways.append(MAIL)
            rows += [
                {"notice_id": notice.id, "way": each, "state": "waiting", "tries": 0, "next_at": now, "state_at": now}
                for each in ways
            ]
        if rows:
            session.execute(insert(tables.Handover).on_conflict_do_nothing(), rows)
        if new:
            ids = [notice.id for notice in new]
            session.execute(update(tables.Notice).where(among(tables.Notice.id, ids)).values(routed_at=now))
    return len(new)


def _claim(ctx: Context, result: Handed) -> tuple[list[_Ready], int]:
    """Take some that are due, with their entries in the log; those that may not be told end here. Gives what is to be
    sent, and how many were taken."""
    now = ctx.clock.now()
    with ctx.database.begin() as session:
        due = (
            session.execute(
                select(tables.Handover)
                .where(tables.Handover.state == "waiting", tables.Handover.next_at <= now)
                .order_by(tables.Handover.next_at, tables.Handover.notice_id, tables.Handover.way)
                .limit(AT_ONCE)
                .with_for_update(skip_locked=True)
            )
            .scalars()
            .all()
        )
        if not due:
            return [], 0
        notices = {
            row.id: row
            for row in session.execute(
                select(tables.Notice).where(among(tables.Notice.id, {each.notice_id for each in due}))
            ).scalars()
        }
        advisers = people(ctx, session, {row.adviser_id for row in notices.values()})
        systems = _systems(ctx, session, {each.way for each in due} - {MAIL})
        facts = read(ctx, session, list(notices.values()), {"staff"})
        ready, entries = [], []
        for each in due:
            fact, adviser = facts[each.notice_id], advisers.get(notices[each.notice_id].adviser_id)
            why = fact if isinstance(fact, str) else _no_way(ctx, each.way, adviser)
            if why is not None:
                each.state, each.state_at, each.reason = "withheld", now, why
                result.withheld += 1
                if isinstance(fact, str) and notices[each.notice_id].why_not is None:
                    notices[each.notice_id].why_not = fact
                continue
            assert isinstance(fact, Fact)  # noqa: S101 - it has no reason against it
            if each.entry_id is None:
                asker, key = _told(each.way, notices[each.notice_id], adviser, systems)
                entry = fact.entry(now, asker, key, each.way)
                entries.append(entry)
                each.entry_id = entry.id
            each.tries, each.next_at = each.tries + 1, now + CLAIM
            if notices[each.notice_id].told_at is None:
                notices[each.notice_id].told_at = now
            ready.append(_Ready(fact, each.way, each.tries, adviser[0] if adviser else None))
        if entries:
            log.append(session, entries)
        faults.point("notices.claimed")
    faults.point("notices.claimed.committed")
    return ready, len(due)


def _systems(ctx: Context, session: Session, ways: Iterable[str]) -> dict[str, tuple[Asker, PersonKeyPair]]:
    """Who is told by each webhook, as the log has it. Made before the log's head is taken."""
    found = {}
    for way in sorted(ways):
        hook = ctx.settings.notices.webhooks.get(way.removeprefix(HOOK))
        if hook is not None:
            asker = Asker(way, way, "source", hook.administration)
            found[way] = asker, asker_key(session, ctx.keys, asker)
    return found


def _told(
    way: str,
    notice: tables.Notice,
    adviser: tuple[Card, PersonKeyPair] | None,
    systems: dict[str, tuple[Asker, PersonKeyPair]],
) -> tuple[Asker, PersonKeyPair]:
    """Who is told, and under whose key that is sealed."""
    if way != MAIL:
        return systems[way]
    assert adviser is not None  # noqa: S101 - as _no_way has it
    return Asker(str(notice.adviser_id), adviser[0].name, "staff", notice.administration), adviser[1]


def _no_way(ctx: Context, way: str, adviser: tuple[Card, PersonKeyPair] | None) -> str | None:
    """Why it cannot go by this way any more."""
    if way != MAIL:
        return None if way.removeprefix(HOOK) in ctx.settings.notices.webhooks else NO_WAY
    if ctx.settings.letters.trial is not None:
        return TRIAL
    if mail.mailer(ctx) is None:
        return NO_WAY
    return None if adviser is not None and adviser[0].email else NO_ADDRESS


def _send(ctx: Context, one: _Ready, http: httpx.Client, result: Handed) -> None:
    """Send it and write down what came of it, in a transaction of its own."""
    result_of = _mailed(ctx, one) if one.way == MAIL else _called(ctx, one, http)
    why = None if isinstance(result_of, Sent) else result_of.reason
    after = result_of.after_seconds if isinstance(result_of, Later) else None
    faults.point("notices.handed_over")
    now = ctx.clock.now()
    if why is None:
        values: dict[str, object] = {"state": "sent", "reason": None}
        result.sent += 1
    elif isinstance(result_of, Refused) or one.tries > len(WAITS):
        values = {"state": "dead", "reason": why}
        result.dead += 1
        logger.warning("a notice is dead", notice=str(one.fact.id), way=one.way, why=why)
    else:
        values = {"reason": why, "next_at": now + timedelta(seconds=wait(one.tries, after))}
        result.later += 1
    mine = (
        tables.Handover.notice_id == one.fact.id,
        tables.Handover.way == one.way,
        tables.Handover.state == "waiting",
    )
    with ctx.database.begin() as session:
        session.execute(update(tables.Handover).where(*mine).values(values | {"state_at": now}))
    faults.point("notices.sent")


def _mailed(ctx: Context, one: _Ready) -> SendResult:
    carrier = mail.mailer(ctx)
    assert carrier is not None  # noqa: S101 - as the claim has seen
    assert one.to is not None  # noqa: S101 - as the claim has seen
    try:
        return carrier.send(mail.mail_of(one.fact, one.to), str(one.fact.id))
    except TryAgain as error:
        return Later(str(error), error.after_seconds)
    except GaveUp as error:
        return Refused(str(error))


def _called(ctx: Context, one: _Ready, http: httpx.Client) -> SendResult:
    hook = ctx.settings.notices.webhooks[one.way.removeprefix(HOOK)]
    stamp = int(ctx.clock.now().timestamp())
    return webhook.send(http, hook, one.fact.event(ctx.settings.municipality.cvr), stamp)


def wait(tries: int, asked: float | None = None) -> float:
    """How long after the how manieth try the next comes (seconds); no sooner than the receiver asked for."""
    planned = WAITS[min(tries, len(WAITS)) - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
    return max(planned, min(asked or 0.0, WAITS[-1]))


@dataclass(frozen=True, slots=True)
class Dead:
    """One that nobody took: for operators, without whom it is about."""

    notice: UUID
    kind: str
    administration: str
    way: str
    tries: int
    since: datetime
    reason: str | None


def dead(session: Session) -> list[Dead]:
    """The dead ones, oldest first."""
    rows = session.execute(
        select(tables.Handover, tables.Notice.kind, tables.Notice.administration)
        .join(tables.Notice, tables.Notice.id == tables.Handover.notice_id)
        .where(tables.Handover.state == "dead")
        .order_by(tables.Handover.state_at, tables.Handover.notice_id)
    )
    return [
        Dead(row.notice_id, kind, administration, row.way, row.tries, row.state_at, row.reason)
        for row, kind, administration in rows
    ]


def replay(
    session: Session,
    now: datetime,
    *,
    notice: UUID | None = None,
    way: str | None = None,
    since: datetime | None = None,
) -> int:
    """Hand over again: one notice, or all that are dead of a way (of all ways when none is named); with `since` those
    of the way that were sent after that time too. Each keeps its id. Whether it may still be told is looked at again.

    Gives how many; raises NotAllowed when `since` names no way, or the notice was never on its way."""
    handover = tables.Handover
    where = [handover.state == "dead"]
    if notice is not None:
        where = [handover.notice_id == notice, handover.state.in_(("dead", "sent"))]
    elif since is not None:
        if way is None:
            raise NotAllowed("say which way (--way) is to have its notices since then once more")
        where = [
            handover.state.in_(("dead", "sent")),
            exists().where(tables.Notice.id == handover.notice_id, tables.Notice.at >= since),
        ]
    if way is not None:
        where.append(handover.way == way)
    again = update(handover).where(*where).values(state="waiting", tries=0, next_at=now, state_at=now)
    count = len(session.execute(again.returning(handover.notice_id)).all())
    if notice is not None and not count:
        raise NotAllowed("this notice is not dead and was not sent; see: tovholder notices dead")
    return count


def purge(ctx: Context) -> int:
    """Forget notices whose time is over, with what was told to whom; their entries in the log stay. Gives how many."""
    before = ctx.clock.now() - timedelta(days=ctx.settings.notices.keep_days)
    notice, other = tables.Notice, tables.Notice.__table__.alias("other")
    waits = exists().where(tables.Handover.notice_id == notice.id, tables.Handover.state.in_(("waiting", "dead")))
    # What is still the last word about a case stays: a later notice follows it.
    needed = exists().where(tables.Case.id == notice.case_id)
    follows = exists().where(other.c.of_id == notice.id)
    old = (notice.at < before, notice.told_at.is_not(None) | notice.why_not.is_not(None), ~waits, ~needed, ~follows)
    with ctx.database.begin() as session:
        return len(session.execute(delete(tables.Notice).where(*old).returning(notice.id)).all())
