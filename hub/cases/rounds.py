"""A round: every source read once, side by side, each by itself, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from hub.cases import apart, quarantine, readers, sources
from hub.cases.sources import Read
from hub.context import Context
from hub.contract import Adapter
from hub.errors import TovholderError, TryAgain

Reader = Callable[[Context, Adapter, Read, readers.Alone], None]
"""Reads one source to its end and counts in the Read. Raises TovholderError when the source does not answer, Overtaken
when it is another process's by now."""


def go(ctx: Context, purpose: str, names: Iterable[str], read: Reader) -> list[Read]:
    """Read the sources with an administration, in the order of the settings. One that did not answer is left alone
    until its next try, unless it is named."""
    named, now = set(names), ctx.clock.now()
    results: dict[str, Read] = {}
    with ctx.database.session() as session:
        standing = {found.source: found for found in sources.fresh(session, purpose)}
    with readers.readers(ctx.database, purpose) as mine:
        tasks = {}
        for name, adapter in ctx.plugins.adapters.items():
            if adapter.administration is None or (named and name not in named):
                continue
            result = results[name] = Read(name)
            before = standing.get(name)
            if not named and before is not None and before.rests(now):
                continue
            alone = mine.take(name)
            if alone is not None:
                tasks[name] = partial(_one, ctx, alone, adapter, result, read)
            else:
                result.busy = True
        for name, _nothing in apart.side_by_side(tasks):
            mine.free(name)
    _tell(ctx, purpose, results)
    return list(results.values())


def _one(ctx: Context, alone: readers.Alone, adapter: Adapter, result: Read, read: Reader) -> None:
    try:
        read(ctx, adapter, result, alone)
    except readers.Overtaken:
        result.busy = True
    except TovholderError as error:
        after = error.after_seconds if isinstance(error, TryAgain) else None
        with ctx.database.begin() as session:
            sources.failed(session, adapter.name, alone.purpose, ctx.clock.now(), str(error), after_seconds=after)


def _tell(ctx: Context, purpose: str, results: dict[str, Read]) -> None:
    """What is known of each source now, whether it was read in this round or not."""
    with ctx.database.begin() as session:
        quarantine.forget(session, ctx.clock.now())
        waiting = quarantine.waiting(session)
        for found in sources.fresh(session):
            result = results.get(found.source)
            if result is None:
                continue
            # Held is held, in whichever read: the source has to be looked at.
            result.held = "; ".join(said for said in (result.held, found.held) if said) or None
            if found.purpose == purpose:
                result.failure, result.stale_since = found.failure, found.stale_since
                result.next_try_at = found.next_try_at
        for name, result in results.items():
            result.in_quarantine = waiting.get(name, 0)
