"""The town's Digital Post: asks and takes letters as KOMBIT's Serviceplatform does (PostForespoerg, KombiPostAfsend),
and gives receipts as a gateway before Beskedfordeler would.

| request | answer |
|---|---|
| GET /service/PostForespoerg_1/digitalpost?cprNumber=… | {"result": true or false}; false also for unknown people |
| POST /service/KombiPostAfsend_1/kombi | kombi_response; 400 with the reason for what is refused |
| GET /beskeder?after=N&max=N | {"beskeder": [envelope, …], "next": "N"}, oldest first |
| GET /state | {"received": n, "duplicates": n, "refused": n} |

Every letter taken is kept in the folder: `<messageUUID>.xml` (the MeMo message) or `<messageUUID>.print.xml` (the print
order), written beside and renamed. `received.jsonl` there says in which order and when, and counts the rest; together
they are the whole state, and it starts again from them, also after a kill between the two writes.

A message with a known UUID, by either route, is answered as received and not kept again.
"""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from lxml import etree
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hub.clock import Clock
from hub.demo.model import Town
from hub.demo.servers import digital_post_rules as rules
from hub.demo.servers.digital_post_receipts import Step, envelope, steps, transmission, unlucky

PAGE_MAX = 1000


class _Letter(NamedTuple):
    key: str
    route: str
    steps: tuple[Step, ...]


class Box:
    """The letters kept, and their receipts in the order they came about.

    The number of a receipt is its place in that order. It never changes: a receipt is due when its letter comes or
    later, letters come in order, and time only goes forward."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._clock = clock
        self._letters: list[_Letter] = []
        self._known: set[str] = set()
        self._due: list[tuple[datetime, int, int]] = []
        self._given: list[tuple[int, int]] = []
        self.counts = {"received": 0, "duplicates": 0, "refused": 0}
        self._log = folder / "received.jsonl"
        for line in _whole_lines(self._log):
            if line["event"] == "received":
                self._add(line["uuid"], line["route"], datetime.fromisoformat(line["at"]), line["arrives"] == "yes")
            else:
                self.counts[line["event"]] += 1
        for file in sorted(folder.glob("*.xml")):
            key, _, rest = file.name.partition(".")
            if key not in self._known:
                self._receive(key, "print" if rest == "print.xml" else "digital", etree.parse(file).getroot())

    def _add(self, key: str, route: str, at: datetime, arrives: bool) -> None:
        number = len(self._letters)
        letter = _Letter(key, route, steps(key, route, at, arrives=arrives))
        self._letters.append(letter)
        self._known.add(key)
        self.counts["received"] += 1
        for index, step in enumerate(letter.steps):
            heapq.heappush(self._due, (step.at, number, index))

    def _write(self, **line: str) -> None:
        with self._log.open("a", encoding="ascii") as log:
            log.write(json.dumps(line) + "\n")

    def _receive(self, key: str, route: str, document: etree._Element) -> None:
        at = self._clock.now()
        arrives = not unlucky(rules.recipient_of(document))
        self._write(event="received", uuid=key, route=route, at=at.isoformat(), arrives="yes" if arrives else "no")
        self._add(key, route, at, arrives)

    def knows(self, key: str) -> bool:
        return key in self._known

    def keep(self, sent: rules.Sent) -> None:
        name = f"{sent.key}.print.xml" if sent.route == "print" else f"{sent.key}.xml"
        beside = self._folder / f"{name}.new"
        beside.write_bytes(etree.tostring(sent.document, xml_declaration=True, encoding="UTF-8", with_tail=False))
        beside.replace(self._folder / name)
        self._receive(sent.key, sent.route, sent.document)

    def count(self, event: str) -> None:
        self._write(event=event)
        self.counts[event] += 1

    def receipts(self, after: int, most: int) -> list[str]:
        """The receipts that have come about by now, from number `after` on, at most `most`."""
        now = self._clock.now()
        while self._due and self._due[0][0] <= now:
            _, number, index = heapq.heappop(self._due)
            self._given.append((number, index))
        return [
            envelope(letter.key, letter.route, letter.steps[index])
            for letter, index in ((self._letters[number], index) for number, index in self._given[after : after + most])
        ]


def _whole_lines(path: Path) -> Iterator[dict[str, str]]:
    """The lines of the log; a last line that a kill cut short is cut off."""
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        path.write_bytes(whole)
    for line in whole.splitlines():
        yield json.loads(line)


def app(town: Town, clock: Clock, folder: Path) -> Starlette:
    """The server for `town`, keeping what it gets in `folder`. Run it in one process; it shares `folder` with none."""
    box = Box(folder, clock)

    async def digitalpost(request: Request) -> Response:
        asked = request.query_params.get("cprNumber", "")
        # The number must not get into the server's own log of requests, which is written from this scope.
        request.scope["query_string"] = b""
        if not re.fullmatch("[0-9]{10}", asked) or "x-transaktionsid" not in request.headers:
            return JSONResponse({"error": "cprNumber and X-TransaktionsId must be given"}, 400)
        person = town.people.get(asked)
        return JSONResponse({"result": person is not None and person.digital_post})

    async def kombi(request: Request) -> Response:
        try:
            if "x-transaktionsid" not in request.headers or "x-transaktionstid" not in request.headers:
                raise rules.RefusedError("header.missing", "X-TransaktionsId and X-TransaktionsTid must be given")
            sent = rules.read(await _body(request))
            if box.knows(sent.key):
                box.count("duplicates")
            else:
                rules.check(sent, town.people)
                box.keep(sent)
        except rules.RefusedError as error:
            box.count("refused")
            return _kombi_response(400, None, "Fejl", "Fejl", error.code, str(error))
        return _kombi_response(200, transmission(sent.key), "Advis", "Advis", "0", "received")

    async def beskeder(request: Request) -> Response:
        after, most = request.query_params.get("after", "0"), request.query_params.get("max", "200")
        if not after.isdecimal() or not most.isdecimal():
            return JSONResponse({"error": "after and max must be whole numbers"}, 400)
        found = box.receipts(int(after), min(int(most), PAGE_MAX))
        return JSONResponse({"beskeder": found, "next": str(int(after) + len(found))})

    async def state(request: Request) -> Response:
        return JSONResponse(box.counts)

    return Starlette(
        routes=[
            Route("/service/PostForespoerg_1/digitalpost", digitalpost),
            Route("/service/KombiPostAfsend_1/kombi", kombi, methods=["POST"]),
            Route("/beskeder", beskeder),
            Route("/state", state),
        ]
    )


async def _body(request: Request) -> bytes:
    parts = []
    size = 0
    async for part in request.stream():
        size += len(part)
        # What is too much is still read, or the client would see a broken connection and not the answer.
        if size <= rules.BODY_LIMIT:
            parts.append(part)
    if size > rules.BODY_LIMIT:
        raise rules.RefusedError("file.too.large", f"The request is larger than {rules.BODY_LIMIT} bytes")
    return b"".join(parts)


def _kombi_response(code: int, sending: str | None, kind: str, prefix: str, id_: str, text: str) -> Response:
    given = f"<TransmissionID>{sending}</TransmissionID>" if sending else ""
    result = "true" if sending else "false"
    return Response(
        f'<?xml version="1.0" encoding="UTF-8"?><kombi_response><Result>{result}</Result>{given}'
        f"<HovedoplysningerSvarREST><SvarReaktion><{kind}><{prefix}Id>{id_}</{prefix}Id>"
        f"<{prefix}Tekst>{escape(text)}</{prefix}Tekst></{kind}></SvarReaktion></HovedoplysningerSvarREST>"
        f"</kombi_response>",
        code,
        media_type="application/xml",
    )
