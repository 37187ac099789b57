"""A source made up for testing the kit: records in the order of their change, in JSON, and folders of the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

CHILDREN = ("0104149990", "0205139991", "0306129993", "0407119992")
"""Fictitious."""
ADVISER = "Mette Ravn Bæk"
PARENT = "Frank Fader Prøve"


def rows() -> list[dict[str, Any]]:
    """Eight cases of four children: six of listed kinds, one of another, one that has ended."""
    kinds = ("a", "b", "a", "secret", "b", "a", "b", "a")
    return [
        {
            "seq": number + 1,
            "id": f"case-{number}",
            "cpr": CHILDREN[number % 4],
            "kind": kind,
            "state": "open",
            "opened": f"2026-01-{number + 1:02}",
            "changed": f"2026-03-02T08:0{number}:00+00:00",
            "adviser": ADVISER,
            "parent": PARENT,
            "gone": number == 6,
        }
        for number, kind in enumerate(kinds)
    ]


class ToySource:
    """`GET /records?after=SEQ&size=N` and `GET /health`."""

    def __init__(self) -> None:
        self.rows = rows()
        self.app = Starlette(routes=[Route("/records", self.records), Route("/health", self.health)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    def records(self, request: Request) -> Response:
        after, size = int(request.query_params["after"]), int(request.query_params["size"])
        found = [row for row in sorted(self.rows, key=lambda row: row["seq"]) if row["seq"] > after]
        return JSONResponse({"rows": found[:size], "more": len(found) > size})

    def health(self, _request: Request) -> Response:
        return JSONResponse({"ok": True})

    def set(self, name: str, **values: Any) -> None:
        """Change a record; it moves to the end, as in any log of changes."""
        row = next(row for row in self.rows if row["id"] == name)
        row |= {"seq": max(row["seq"] for row in self.rows) + 1, **values}

    def spoil(self) -> None:
        """As `set`, but the record stays where it is."""
        next(row for row in self.rows if row["id"] == "case-1")["opened"] = "yesterday"


def save(folder: Path) -> None:
    """The listed cases as two files of lines; the last line of each says so."""
    folder.mkdir()
    listed = [row for row in rows() if row["kind"] != "secret" and not row["gone"]]
    for name, some in (("a.jsonl", listed[:3]), ("b.jsonl", listed[3:])):
        lines = [json.dumps(row, ensure_ascii=False) for row in some] + ['"end"']
        (folder / name).write_text("\n".join(lines), encoding="utf-8")
