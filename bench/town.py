"""A town's three source systems as folders of files, in their real formats: the same answers for every side."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from lxml import etree
from starlette.testclient import TestClient

from hub.clock import SetClock
from hub.demo.kinds import LISTED_BUF, LISTED_SOF, LISTED_SUF
from hub.demo.model import Town
from hub.demo.servers import buf, sof, suf

_WSI = "https://brugerdatabasen.stil.dk/bpi/wsieksport/7"
_ASK = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>'
    f'<eksporterXmlFuldMyndighed xmlns="{_WSI}"><instnr>%s</instnr></eksporterXmlFuldMyndighed></s:Body></s:Envelope>'
)


def export(town: Town, now: datetime, folder: Path) -> dict[str, dict[str, Any]]:
    """Write what the town's systems say at `now` (UTC); gives the plugins' sections of the settings."""
    sof.export(town, now, folder / "sof")
    _buf(town, now, folder / "buf")
    _suf(town, now, folder / "suf")
    return {
        "sof_case": {"folder": folder / "sof", "kinds": _kinds(LISTED_SOF)},
        "buf_case": {"folder": folder / "buf", "kinds": _kinds(LISTED_BUF)},
        "suf_cura": {"administration": "SUF", "folder": folder / "suf", "kinds": _kinds(LISTED_SUF)},
    }


def _kinds(listed: Any) -> dict[str, dict[str, str]]:
    return {code: {"name": kind.name} for code, kind in listed.items()}


def _buf(town: Town, now: datetime, folder: Path) -> None:
    folder.mkdir()
    client = TestClient(buf.app(town, SetClock(now)))
    for number in town.institutions:
        answer = client.post("/bpi/wsieksport/7", content=_ASK % number)
        found = etree.fromstring(answer.content).find(f".//{{{_WSI}/fullmyndighed}}UNILoginExportFullMyndighed")
        if found is None:
            raise RuntimeError(f"the town's school system has no export of {number}")
        (folder / f"{number}.xml").write_bytes(etree.tostring(found, encoding="UTF-8", xml_declaration=True))


def _suf(town: Town, now: datetime, folder: Path) -> None:
    folder.mkdir()
    client = TestClient(suf.app(town, SetClock(now)))
    address: str | None = "/Bundle?_count=200"
    place = 0
    while address is not None:
        answer = client.get(address)
        (folder / f"bundle-{place:03}.json").write_bytes(answer.content)
        address = next((link["url"] for link in answer.json()["link"] if link["relation"] == "next"), None)
        place += 1
