"""What can be wrong with a system that is asked, and how it answers then."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

from starlette.types import Send

ASKED_TO_WAIT = 7
"""What `Trouble.BUSY` asks a client to wait (seconds)."""
ELSEWHERE = "/elsewhere"
"""Where `Trouble.ELSEWHERE` leads."""
ROUNDS = 300
"""How often `Trouble.CIRCLE` answers the same before it is broken off."""
BOMB_SIZE = 512 * 1024 * 1024
"""What `Trouble.BOMB` unpacks to (bytes)."""


class Trouble(StrEnum):
    """What can be wrong with a system that is asked."""

    SILENT = "silent"
    """It takes the request, and nothing comes of it: no answer."""
    LOST = "lost"
    """It does what it was asked, and the answer never comes."""
    DOWN = "down"
    """503 to everything."""
    BUSY = "busy"
    """429, with Retry-After."""
    LOCKED = "locked"
    """403: our access is wrong."""
    UNKNOWN = "unknown"
    """401: it does not know who we are."""
    EXPIRED = "expired"
    """401 to one request, as when a token has run out; then all is well."""
    WRONG = "wrong"
    """200 with a web page instead of data, as from a proxy that wants somebody to sign in."""
    CUT = "cut"
    """Half of the answer, which looks whole to HTTP."""
    BROKEN = "broken"
    """The connection ends in the middle of the answer."""
    TORN = "torn"
    """As BROKEN, of an answer that comes in chunks and does not say how long it is."""
    SLOW = "slow"
    """The answer's body comes byte by byte, each soon after the last, and does not end while there is trouble."""
    BOMB = "bomb"
    """200 with half a megabyte of gzip that unpacks to BOMB_SIZE."""
    CIRCLE = "circle"
    """The first answer again and again, whatever is asked; after ROUNDS of them 503."""
    ELSEWHERE = "elsewhere"
    """307 to another address."""


ASKED = frozenset({Trouble.LOST, Trouble.CUT, Trouble.BROKEN, Trouble.TORN})
"""With these the system behind is asked all the same."""
_PAGE = b"<!DOCTYPE html><html lang=da><title>Log ind</title><p>Din session er afsluttet.</html>"
_HTML = (b"content-type", b"text/html; charset=utf-8")


@dataclass(slots=True)
class Answer:
    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""


def instead(kind: Trouble) -> Answer:
    """The answer of a server that has this trouble."""
    match kind:
        case Trouble.DOWN:
            return Answer(503, body=b"Service Unavailable")
        case Trouble.BUSY:
            return Answer(429, [(b"retry-after", str(ASKED_TO_WAIT).encode())])
        case Trouble.LOCKED:
            return Answer(403)
        case Trouble.UNKNOWN | Trouble.EXPIRED:
            return Answer(401, [(b"www-authenticate", b'Bearer error="invalid_token"')])
        case Trouble.ELSEWHERE:
            return Answer(307, [(b"location", ELSEWHERE.encode())])
        case Trouble.BOMB:
            return Answer(200, [(b"content-encoding", b"gzip")], bomb())
        case _:
            return Answer(200, [_HTML], _PAGE)


@cache
def bomb() -> bytes:
    """Spaces, which neither XML nor JSON minds, as one gzip member. A fully flushed block can stand any number of
    times in a deflate stream, so only one has to be packed."""
    block = b" " * (16 * 1024 * 1024)
    pack = zlib.compressobj(9, wbits=-15)
    packed = pack.compress(block) + pack.flush(zlib.Z_FULL_FLUSH)
    times, check = BOMB_SIZE // len(block), 0
    for _ in range(times):
        check = zlib.crc32(block, check)
    head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    return head + packed * times + b"\x03\0" + check.to_bytes(4, "little") + BOMB_SIZE.to_bytes(4, "little")


async def give(send: Send, answer: Answer, kind: Trouble | None, lasts: Callable[[], bool]) -> None:
    """Send an answer, as far as it gets. `lasts` says whether the trouble is still there."""
    if kind is Trouble.SLOW:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        while lasts():
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
            await asyncio.sleep(0.01)
        return
    body = answer.body[: len(answer.body) // 2] if kind in (Trouble.CUT, Trouble.BROKEN, Trouble.TORN) else answer.body
    headers = list(answer.headers)
    if kind is not Trouble.TORN:
        # Of a broken answer the length is that of the whole, so that HTTP sees that it is not.
        length = len(body) + 1_000 if kind is Trouble.BROKEN else len(body)
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    # An application that comes to its end while there is more to come makes the server close the connection.
    await send({"type": "http.response.body", "body": body, "more_body": kind is Trouble.TORN})
