"""What plugins take away: each configured one that has `narrow_access` is asked before a lookup is queued."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import structlog

from hub.access.asked import Request
from hub.contract import Look
from hub.plugins import Narrower

log = structlog.get_logger()

PATIENCE = 2.0
"""How long a plugin may think (seconds); after that it has said no."""
_THREADS = 8


def look_of(request: Request) -> Look:
    """What plugins are told: who asks and for what, and nothing of the child; so the time they take says nothing of it
    either."""
    asker = request.asker
    return Look(asker.id, asker.role, asker.administration, asker.unit, request.purpose, request.reason)


class Narrow:
    """Asks the plugins, in threads of its own: one that hangs keeps nobody else's work."""

    def __init__(self, narrowers: Mapping[str, Narrower], patience: float = PATIENCE) -> None:
        self._narrowers, self._patience = narrowers, patience
        self._threads = ThreadPoolExecutor(_THREADS, "narrow") if narrowers else None

    def __bool__(self) -> bool:
        """Whether there is any plugin to ask."""
        return bool(self._narrowers)

    async def asked(self, look: Look) -> tuple[str, ...]:
        """The plugins that say no, by name."""
        said = await asyncio.gather(*(self._no(name, narrower, look) for name, narrower in self._narrowers.items()))
        return tuple(name for name, no in zip(self._narrowers, said, strict=True) if no)

    async def _no(self, name: str, narrower: Narrower, look: Look) -> bool:
        work = asyncio.get_running_loop().run_in_executor(self._threads, narrower, look)
        try:
            return await asyncio.wait_for(work, self._patience)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, nothing is shown for it
            log.warning(
                "a plugin fails in narrow_access, so nobody is shown anything", plugin=name, error=type(error).__name__
            )
            return True
