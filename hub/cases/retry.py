"""Ask again for what is in quarantine: the sources themselves, in full, since a record cannot be asked for by itself.

What is sealed in quarantine is never put in: it may be older than what the hub has. The source says how it is now, and
it is taken up in the order of every read."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from hub.cases import custody, quarantine, sources
from hub.cases.match import match
from hub.cases.quarantine import Kept
from hub.cases.sources import Read
from hub.cases.sync import sync
from hub.context import Context
from hub.contract import Adapter
from hub.errors import NotAllowed


def retry(ctx: Context, records: Iterable[Kept]) -> tuple[list[Read | custody.CustodyRead], list[Kept]]:
    """Read the sources of these records in full, now. Gives what came of each read, and the records as they stand then.

    Raises NotAllowed for records of a channel: its receipts are given once, and the next ones come by themselves."""
    records = list(records)
    wanted: dict[str, set[str]] = {sources.PRESENCE: set(), sources.CASES: set(), sources.CUSTODY: set()}
    for record in records:
        adapter: Adapter | None = ctx.plugins.adapters.get(record.source)
        if adapter is None:
            raise NotAllowed(
                f"{record.source} is no source that can be asked again: a channel, or no longer configured"
            )
        wanted[sources.CUSTODY if adapter.administration is None else record.purpose].add(record.source)
    with ctx.database.begin() as session:
        for purpose in (sources.PRESENCE, sources.CASES):
            for name in sorted(wanted[purpose]):
                sources.read_anew(session, name, purpose)
        children = custody.unread(session, ctx.clock.now()) if wanted[sources.CUSTODY] else set()
    reads: list[Read | custody.CustodyRead] = []
    if wanted[sources.PRESENCE]:
        reads += match(ctx, wanted[sources.PRESENCE]).reads
    if wanted[sources.CASES]:
        reads += sync(ctx, wanted[sources.CASES])
    if wanted[sources.CUSTODY]:
        reads += custody.read_custody(ctx, children)
    with ctx.database.session() as session:
        return reads, quarantine.find(session, ids=[record.id for record in records], resolved=True)


def chosen(ctx: Context, ids: Iterable[UUID], source: str | None) -> list[Kept]:
    """The records meant, open ones only. Raises NotAllowed for an id that is not there."""
    wanted = list(ids)
    with ctx.database.session() as session:
        found = quarantine.find(session, source=source, ids=wanted or None)
    missing = {str(one) for one in wanted} - {str(record.id) for record in found}
    if missing:
        raise NotAllowed(f"there is no record {min(missing)} in quarantine, or it has left it")
    return found
