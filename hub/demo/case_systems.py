"""The town's case systems, as they read the hub: each reads its notices on, journalises its part of every letter and
says so. Through the hub's own API, with a token for each; SUF's takes its notices by webhook besides.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx2 as httpx

from hub.access.log import Asker
from hub.api import tokens
from hub.context import Context
from hub.demo.setup import signing_key
from hub.errors import GaveUp, NotAllowed
from hub.web.app import build


@dataclass
class CaseSystems:
    """What each system has, and how far it has read. Kept from day to day."""

    ctx: Context
    notices: dict[str, set[str]] = field(default_factory=dict)
    """By administration: the ids of the notices it has taken."""
    documents: dict[str, set[str]] = field(default_factory=dict)
    """By administration: the parts of letters it has journalised."""
    _cursors: dict[tuple[str, str], str] = field(default_factory=dict)

    def read_on(self) -> None:
        """All systems read all there is now. Raises GaveUp when the hub does not answer as it should."""
        if self.ctx.settings.demo is None:
            raise NotAllowed("only the demo has case systems of its own")
        asyncio.run(self._read_on())

    async def _read_on(self) -> None:
        way = httpx.ASGITransport(app=build(self.ctx))
        async with httpx.AsyncClient(transport=way, base_url="http://127.0.0.1") as http:
            for administration in self.ctx.settings.administrations:
                headers = {"Authorization": f"Bearer {self._token(administration)}"}
                async for page in self._pages(http, headers, administration, "notices"):
                    taken = self.notices.setdefault(administration, set())
                    taken |= {event["id"] for event in page["events"]}
                async for page in self._pages(http, headers, administration, "journal"):
                    await self._journalise(http, headers, administration, page["items"])

    async def _pages(self, http: httpx.AsyncClient, headers: dict[str, str], administration: str, what: str) -> Any:
        while True:
            after = self._cursors.get((administration, what))
            asked = {"after": after} if after else {}
            page = _good(await http.get(f"/api/v1/{what}", params=asked, headers=headers))
            yield page
            # Only now: whoever breaks off before reads the same page again.
            self._cursors[administration, what] = page["cursor"]
            if not page["more"]:
                return

    async def _journalise(
        self, http: httpx.AsyncClient, headers: dict[str, str], administration: str, items: list[dict[str, Any]]
    ) -> None:
        new = [item["id"] for item in items if not item["journalised"]]
        if not new:
            return
        said = {"receipts": [{"part": part, "document": f"{administration}-{part}"} for part in new]}
        answer = _good(await http.post("/api/v1/journal/receipts", json=said, headers=headers))
        if any(one["result"] != "taken" for one in answer["receipts"]):
            raise GaveUp("the hub does not take the receipt of a case system")
        self.documents.setdefault(administration, set()).update(new)

    def _token(self, administration: str) -> str:
        demo = self.ctx.settings.demo
        assert demo is not None  # noqa: S101 - as above
        system = Asker(f"fagsystem-{administration}", f"{administration}s fagsystem", "source", administration)
        return tokens.issue(signing_key(demo.folder), self.ctx.settings.api, self.ctx.clock, system)


def _good(answer: httpx.Response) -> Any:
    if answer.status_code != 200:
        raise GaveUp(f"the hub answered {answer.status_code} to a case system")
    return answer.json()
