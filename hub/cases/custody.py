"""Custody: who are the guardians of the children in the target group, from the sources that know (CPR).

A source without an administration is read for the children asked for, and for no other. A parent is a guardian only
with custody. Names and protection of the child are kept only once the family has said yes: then the child alone is
asked for, and its guardians not once more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub.cases import quarantine, sources
from hub.clock import DENMARK
from hub.context import Context
from hub.contract import Adapter, GuardianRecord, KnowsPersons, Page, PersonRecord, Unreadable
from hub.errors import BadRecord, TovholderError
from hub.identity import parse
from hub.store import tables
from hub.store.people import make_key, open_keys
from hub.vault import seal_json, unseal_json

ASK_AGAIN = timedelta(days=7)
"""So often the guardians of a child with an offer or a coordinator are asked for again: CPR tells no changes."""


@dataclass(slots=True)
class CustodyRead:
    source: str
    read: int = 0
    quarantined: int = 0
    failure: str | None = None


def read_custody(ctx: Context, children: set[UUID]) -> list[CustodyRead]:
    """Ask every custody source about these children (row ids), and what those are called whose family has said yes
    since. A source that fails leaves what was known."""
    results = []
    for adapter in ctx.plugins.adapters.values():
        if adapter.administration is not None:
            continue
        with ctx.database.begin() as session:
            nameless = _nameless(session)
        if isinstance(adapter, KnowsPersons):
            if nameless - children:
                results.append(_read(ctx, adapter, nameless - children, alone=adapter))
            asked = children
        else:
            asked = children | nameless
        if asked:
            results.append(_read(ctx, adapter, asked))
    return results


def _nameless(session: Session) -> set[UUID]:
    """Children with a coordinator whose name has not been asked for."""
    named = select(tables.ChildSource.child_id).where(tables.ChildSource.source == sources.NAME)
    in_scheme = select(tables.Assignment.child_id).where(tables.Assignment.until.is_(None))
    return set(session.execute(in_scheme.where(tables.Assignment.child_id.not_in(named))).scalars())


def unread(session: Session, now: datetime) -> set[UUID]:
    """Children in the target group whose guardians have not been asked for, or not for ASK_AGAIN; nobody whose family
    has said no."""
    asked = select(tables.ChildSource.child_id).where(
        tables.ChildSource.source == sources.CUSTODY, tables.ChildSource.read_at > now - ASK_AGAIN
    )
    ended = select(tables.Offer.child_id).where(tables.Offer.state.not_in(("waiting", "offered", "accepted")))
    in_scheme = select(tables.Assignment.child_id).where(tables.Assignment.until.is_(None))
    wanted = select(tables.Child.id).where(
        or_(tables.Child.eligible, tables.Child.id.in_(in_scheme)),
        tables.Child.id.not_in(asked),
        tables.Child.id.not_in(ended),
    )
    return set(session.execute(wanted).scalars())


@dataclass(slots=True)
class _Answer:
    """What a read has said so far: of whom, and whether it is the whole truth."""

    about: set[UUID] = field(default_factory=set)
    """Children with a guardian who could be read."""
    spoilt: set[UUID] = field(default_factory=set)
    """Children with one who could not."""
    unreadable: bool = False
    """Something could not be read, and it may be about any child."""
    complete: bool = False


def _read(ctx: Context, adapter: Adapter, children: set[UUID], alone: KnowsPersons | None = None) -> CustodyRead:
    """One read of one source; `alone` when it is asked about the children and not about custody."""
    result, answer = CustodyRead(adapter.name), _Answer()
    started = ctx.clock.now()
    with ctx.database.begin() as session:
        numbers = numbers_of(ctx, session, children)

    def ask() -> Iterator[Page]:
        asked = frozenset(numbers)
        return alone.persons(asked) if alone is not None else adapter.read(None, asked)

    try:
        for page in sources.pages(adapter.name, ask):
            with ctx.database.begin() as session:
                _take(ctx, session, adapter.name, page, numbers, answer, result)
        with ctx.database.begin() as session:
            sources.end(session, adapter.name, sources.CUSTODY, ctx.clock.now())
            if alone is None:
                _end_unseen(session, children, answer, started)
    except TovholderError as error:
        result.failure = str(error)
        with ctx.database.begin() as session:
            sources.failed(session, adapter.name, sources.CUSTODY, ctx.clock.now(), result.failure)
    return result


def _end_unseen(session: Session, children: set[UUID], answer: _Answer, started: datetime) -> None:
    """Custody that a whole answer no longer names has ended; and the children have been asked for. What could not be
    read ends nobody's custody, and those it may be about are asked for again."""
    if not answer.complete:
        return
    if not answer.unreadable:
        session.execute(
            update(tables.Custody)
            .where(
                tables.Custody.child_id.in_(children - answer.spoilt),
                tables.Custody.seen_at < started,
                tables.Custody.until.is_(None),
            )
            .values(until=started.astimezone(DENMARK).date())
        )
    asked = (answer.about if answer.unreadable else children) - answer.spoilt
    _note(session, sources.CUSTODY, asked, started)


def _note(session: Session, what: str, children: set[UUID], now: datetime) -> None:
    """Remember that something has been asked for about these children."""
    rows = [{"child_id": child, "source": what, "read_at": now} for child in sorted(children)]
    if rows:
        made = insert(tables.ChildSource)
        session.execute(
            made.on_conflict_do_update(index_elements=["child_id", "source"], set_={"read_at": made.excluded.read_at}),
            rows,
        )


def numbers_of(ctx: Context, session: Session, children: set[UUID]) -> dict[str, UUID]:
    """The children's numbers, opened: number → row id. For the one call that needs them; never stored. Those whose
    number has been forgotten are left out."""
    rows = session.execute(select(tables.Child).where(tables.Child.id.in_(children))).scalars().all()
    opened = open_keys(session, ctx.keys, (row.key_id for row in rows))
    fields = {
        row.id: unseal_json(opened[row.key_id], row.sealed, f"child:{row.id}") for row in rows if row.key_id in opened
    }
    return {known["cpr"]: child for child, known in fields.items() if "cpr" in known}


def _take(
    ctx: Context,
    session: Session,
    source: str,
    page: Page,
    numbers: dict[str, UUID],
    answer: _Answer,
    result: CustodyRead,
) -> None:
    """One page: its guardians, custodies and, of accepted children, names; in a few statements for all of them."""
    now = ctx.clock.now()
    answer.complete = page.complete
    records: list[tuple[UUID, bytes, GuardianRecord]] = []
    persons: dict[UUID, PersonRecord] = {}
    for record in page.records:
        if isinstance(record, GuardianRecord):
            child = numbers.get(record.child_cpr)
            if child is None:
                continue  # not asked for: not ours to know
            try:
                guardian = parse(record.guardian_cpr)
                if not guardian.matchable:
                    raise BadRecord(f"a {guardian.kind} may be two persons; the source should give the CPR number")
            except BadRecord as error:
                reference = ctx.keys.refer(source, record.source_id).hex()
                kept = Unreadable(f"custody {reference}", str(error), repr(record).encode())
                result.quarantined += quarantine.keep(session, ctx.keys, source, kept, now)
                answer.spoilt.add(child)
                continue
            answer.about.add(child)
            records.append((child, ctx.keys.lookup_token(guardian.digits), record))
        elif isinstance(record, PersonRecord) and record.cpr in numbers:
            persons[numbers[record.cpr]] = record
        elif isinstance(record, Unreadable):
            known = numbers.get(record.cpr) if record.cpr is not None else None
            if known is None:
                answer.unreadable = True
            else:
                # It says which child it is about: it stands in the way of no other, and keeps its place by the child.
                answer.spoilt.add(known)
                reference = ctx.keys.refer(source, str(known)).hex()
                record = replace(record, position=f"answer about {reference}")
            result.quarantined += quarantine.keep(session, ctx.keys, source, record, now)
    result.read += len(records)
    _name(ctx, session, persons, now)
    if not records:
        return
    guardians = _guardians(ctx, session, {token: record for _child, token, record in records})
    made = insert(tables.Custody)
    rows = {
        (child, guardians[token]): {
            "child_id": child,
            "guardian_id": guardians[token],
            "since": record.since,
            "until": record.until,
            "seen_at": now,
        }
        for child, token, record in records
    }
    session.execute(
        made.on_conflict_do_update(
            index_elements=["child_id", "guardian_id"],
            set_={name: made.excluded[name] for name in ("since", "until", "seen_at")},
        ),
        list(rows.values()),
    )


def _guardians(ctx: Context, session: Session, records: dict[bytes, GuardianRecord]) -> dict[bytes, UUID]:
    """The rows of the guardians, by token: made or brought up to date."""
    rows = session.execute(select(tables.Guardian).where(tables.Guardian.token.in_(records))).scalars().all()
    keys = open_keys(session, ctx.keys, (row.key_id for row in rows))
    found: dict[bytes, UUID] = {}
    for row in rows:
        found[row.token] = row.id
        fields = _fields(records[row.token])
        if row.key_id in keys and unseal_json(keys[row.key_id], row.sealed, f"guardian:{row.id}") != fields:
            row.sealed = seal_json(keys[row.key_id], fields, f"guardian:{row.id}")
    made = []
    for token in sorted(records.keys() - found.keys()):
        key_id, key = make_key(session, ctx.keys)
        guardian_id = uuid4()
        sealed = seal_json(key, _fields(records[token]), f"guardian:{guardian_id}")
        made.append(tables.Guardian(id=guardian_id, token=token, key_id=key_id, sealed=sealed, language="da"))
        found[token] = guardian_id
    session.flush()
    session.add_all(made)
    session.flush()
    return found


def _fields(record: GuardianRecord) -> dict[str, object]:
    return {
        "cpr": parse(record.guardian_cpr).digits,
        "name": record.guardian_name,
        "protected": record.protected,
        "digital_post": record.digital_post,
    }


def _name(ctx: Context, session: Session, persons: dict[UUID, PersonRecord], now: datetime) -> None:
    """Keep the names and protection of those whose family has said yes, beside the number."""
    in_scheme = select(tables.Assignment.child_id).where(
        tables.Assignment.child_id.in_(persons), tables.Assignment.until.is_(None)
    )
    accepted = set(session.execute(in_scheme).scalars()) if persons else set()
    if not accepted:
        return
    rows = session.execute(select(tables.Child).where(tables.Child.id.in_(accepted))).scalars().all()
    keys = open_keys(session, ctx.keys, (row.key_id for row in rows))
    for row in rows:
        if row.key_id not in keys:
            continue
        fields = unseal_json(keys[row.key_id], row.sealed, f"child:{row.id}")
        wanted = fields | {"name": persons[row.id].name, "protected": persons[row.id].protected}
        if wanted != fields:
            row.sealed = seal_json(keys[row.key_id], wanted, f"child:{row.id}")
    _note(session, sources.NAME, accepted, now)
