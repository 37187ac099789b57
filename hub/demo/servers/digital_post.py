"""The town's Digital Post: asks and takes letters as KOMBIT's Serviceplatform does (PostForespoerg, KombiPostAfsend),
and gives receipts as a gateway before Beskedfordeler would.

| request | answer |
|---|---|
| GET /service/PostForespoerg_1/digitalpost?cprNumber=… | {"result": true or false}; false also for unknown people |
| POST /service/KombiPostAfsend_1/kombi | kombi_response; 400 with the reason for what is refused |
| GET /beskeder?after=N&max=N | {"beskeder": [envelope, …], "next": "N"}, oldest first |
| GET /state | {"received": n, "duplicates": n, "refused": n} |

Its own interface, without KOMBIT, is in `digital_post_direct`, signing in in `digital_post_access`.

Every letter taken is kept in the folder: `<messageUUID>.xml` (the MeMo message) or `<messageUUID>.print.xml` (the print
order), written beside and renamed. `received.jsonl` there says in which order and when, and counts the rest; together
they are the whole state, and it starts again from them, also after a kill between the two writes.

A text message (NemSMS) is kept as `<messageUUID>.sms`, and is no letter: no receipt comes of it.

A message with a known UUID, by either route, is answered as received and not kept again.
"""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Iterator, Mapping
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
from hub.demo.model import Person, Town
from hub.demo.servers import digital_post_direct
from hub.demo.servers import digital_post_rules as rules
from hub.demo.servers.digital_post_access import ASK, POST, Access
from hub.demo.servers.digital_post_receipts import Step, envelope, receipt, steps, told, transmission, unlucky

PAGE_MAX = 1000
_MORE = 1024 * 1024
"""A request may hold a message and a print order, and this much around them (bytes)."""


class _Letter(NamedTuple):
    key: str
    route: str
    steps: tuple[Step, ...]


class Box:
    """The letters kept, and their receipts in the order they came about.

    The number of a receipt is its place in that order. It never changes: a receipt is due when its letter comes or
    later, letters come in order, and time only goes forward."""

    def __init__(self, folder: Path, clock: Clock, limit: int = rules.MESSAGE_LIMIT) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._clock = clock
        self._limit = limit
        self._letters: list[_Letter] = []
        self._known: dict[str, str] = {}
        """The route by messageUUID."""
        self._due: list[tuple[datetime, int, int]] = []
        self._given: list[tuple[int, int]] = []
        self.counts = {"received": 0, "duplicates": 0, "refused": 0}
        self._log = folder / "received.jsonl"
        self._deleted: set[str] = set()
        for line in _whole_lines(self._log):
            if line["event"] == "received":
                self._add(line["uuid"], line["route"], datetime.fromisoformat(line["at"]), line["arrives"] == "yes")
            elif line["event"] == "deleted":
                self._deleted.add(line["receipt"])
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
        self._known[key] = route
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

    def take(self, sent: rules.Sent, people: Mapping[str, Person]) -> str:
        """Check what was sent and keep it, if it is not there already; gives its route. Raises RefusedError."""
        if sent.route == "sms":
            rules.check(sent, people, self._limit)
            # Beside the letters, and no letter: nothing is told of it later.
            document = etree.tostring(sent.document, xml_declaration=True, encoding="UTF-8", with_tail=False)
            (self._folder / f"{sent.key}.sms").write_bytes(document)
            return "sms"
        if self.knows(sent.key):
            self.count("duplicates")
        else:
            goes = rules.chosen(sent, people)
            rules.check(goes, people, self._limit)
            self.keep(goes)
        return self._known[sent.key]

    def now(self) -> str:
        return told(self._clock.now())

    def _come(self) -> None:
        """Bring what has come about by now among the receipts."""
        now = self._clock.now()
        while self._due and self._due[0][0] <= now:
            _, number, index = heapq.heappop(self._due)
            self._given.append((number, index))

    def open_receipts(self) -> list[dict[str, str | None]]:
        """The receipts of digital letters that have come about by now and have not been deleted."""
        self._come()
        told = [(self._letters[number], index) for number, index in self._given]
        made = [receipt(letter.key, letter.steps[index]) for letter, index in told if letter.route == "digital"]
        return [one for one in made if one["id"] not in self._deleted]

    def delete(self, receipt_id: str) -> bool:
        """Whether the receipt was there."""
        if not any(one["id"] == receipt_id for one in self.open_receipts()):
            return False
        self._write(event="deleted", receipt=receipt_id)
        self._deleted.add(receipt_id)
        return True

    def receipts(self, after: int, most: int) -> list[str]:
        """The receipts that have come about by now, from number `after` on, at most `most`."""
        self._come()
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


def app(
    town: Town,
    clock: Clock,
    folder: Path,
    access: Access | None = None,
    api_key: str | None = None,
    limit: int = rules.MESSAGE_LIMIT,
) -> Starlette:
    """The server for `town`, keeping what it gets in `folder`. Run it in one process; it shares `folder` with none.
    With `access`, KOMBIT's services want its tokens; with `api_key`, the direct interface wants this one. `limit` is
    how large a message may be (bytes)."""
    box = Box(folder, clock, limit)

    async def whole(request: Request) -> bytes:
        return await _body(request, 2 * limit + _MORE)

    async def digitalpost(request: Request) -> Response:
        asked = request.query_params.get("cprNumber", "")
        # The number must not get into the server's own log of requests, which is written from this scope.
        request.scope["query_string"] = b""
        if access and not access.allows(request, ASK):
            return JSONResponse({"error": "no token, or not for this service and certificate"}, 401)
        if not re.fullmatch("[0-9]{10}", asked) or "x-transaktionsid" not in request.headers:
            return JSONResponse({"error": "cprNumber and X-TransaktionsId must be given"}, 400)
        person = town.people.get(asked)
        return JSONResponse({"result": person is not None and person.digital_post})

    async def kombi(request: Request) -> Response:
        if access and not access.allows(request, POST):
            return _kombi_response(401, None, "Fejl", "Fejl", "token.invalid", "no token for this certificate")
        try:
            if "x-transaktionsid" not in request.headers or "x-transaktionstid" not in request.headers:
                raise rules.RefusedError("header.missing", "X-TransaktionsId and X-TransaktionsTid must be given")
            sent = rules.read(await whole(request))
            route = box.take(sent, town.people)
        except rules.RefusedError as error:
            box.count("refused")
            return _kombi_response(400, None, "Fejl", "Fejl", error.code, str(error))
        # The platform names a sending in Digital Post, and has no name for one in print.
        named = transmission(sent.key) if route != "print" else ""
        return _kombi_response(200, named, "Advis", "Advis", "0", "received")

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
            *digital_post_direct.routes(box, town.people, api_key, whole),
            *(access.routes() if access else []),
        ]
    )


async def _body(request: Request, limit: int) -> bytes:
    parts = []
    size = 0
    async for part in request.stream():
        size += len(part)
        # What is too much is still read, or the client would see a broken connection and not the answer.
        if size <= limit:
            parts.append(part)
    if size > limit:
        raise rules.RefusedError("file.too.large", f"The request is larger than {limit} bytes")
    return b"".join(parts)


def _kombi_response(code: int, sending: str | None, kind: str, prefix: str, id_: str, text: str) -> Response:
    given = f"<TransmissionID>{sending}</TransmissionID>" if sending else ""
    result = "false" if sending is None else "true"
    return Response(
        f'<?xml version="1.0" encoding="UTF-8"?><kombi_response><Result>{result}</Result>{given}'
        f"<HovedoplysningerSvarREST><SvarReaktion><{kind}><{prefix}Id>{id_}</{prefix}Id>"
        f"<{prefix}Tekst>{escape(text)}</{prefix}Tekst></{kind}></SvarReaktion></HovedoplysningerSvarREST>"
        f"</kombi_response>",
        code,
        media_type="application/xml",
    )
