"""Many callers at once over connections that stay open, in a process of its own.

`python -m bench.lookup_client` reads what to send as JSON from standard input, and says as JSON how long it took. Plain
sockets: a whole HTTP library would take more of the processor than what is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

HOST = "127.0.0.1"


class Calls:
    """`given`: port, path, clients, count, tokens (one per call, in turn), bodies, expect (a text that every right
    answer holds)."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given
        self._expect = str(given["expect"]).encode()
        self._left: Iterator[int] = iter(range(given["first"], given["first"] + given["count"]))
        self._bodies = [body.encode() for body in given["bodies"]]
        self._heads = [
            (
                f"POST {given['path']} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
                f"Authorization: Bearer {token}\r\nContent-Length: "
            ).encode()
            for token in given["tokens"]
        ]
        self.seconds: list[float] = []
        self.statuses: Counter[str] = Counter()

    async def all(self) -> float:
        """Send them all; gives the time from the first to the last (seconds)."""
        opened = [await asyncio.open_connection(HOST, self._given["port"]) for _ in range(self._given["clients"])]
        start = time.perf_counter()
        await asyncio.gather(*(self._caller(*streams) for streams in opened))
        took = time.perf_counter() - start
        for _reader, writer in opened:
            writer.close()
        return took

    async def _caller(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for n in self._left:
            body, head = self._bodies[n % len(self._bodies)], self._heads[n % len(self._heads)]
            start = time.perf_counter()
            writer.write(b"%s%d\r\n\r\n%s" % (head, len(body), body))
            answered = await reader.readuntil(b"\r\n\r\n")
            shown = await reader.readexactly(_length(answered))
            self.seconds.append(time.perf_counter() - start)
            right = answered.startswith(b"HTTP/1.1 200") and self._expect in shown
            self.statuses["right" if right else answered[:15].decode()] += 1


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError("an answer without a length")


def main() -> None:
    calls = Calls(json.load(sys.stdin))
    took = asyncio.run(calls.all())
    spent = sorted(calls.seconds)
    json.dump(
        {
            "seconds": took,
            "p50": spent[len(spent) // 2],
            "p99": spent[min(len(spent) * 99 // 100, len(spent) - 1)],
            "statuses": calls.statuses,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
