"""A small town made by hand, its CPR on 127.0.0.1, and the same answers as a folder."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2 as httpx
import pytest
import uvicorn
from lxml import etree
from tovholder_cpr_custody import CprAdapter, CprSettings, wire
from tovholder_cpr_custody.wire import PATH

from hub.clock import SetClock
from hub.demo.model import Custody, Person, Town
from hub.demo.servers import cpr

NOW = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)

# Fictitious numbers. Anna: both parents have custody. Bo: the father had it until last summer. Cille, protected: her
# aunt has it, her mother has not. Dan, some days old: the father's begins next week.
ANNA, BO, CILLE, DAN = "0101159994", "0202129993", "0303109992", "0101269991"
MUM, DAD, LONE, OLE, AUNT = "0404859990", "0505839991", "0606809992", "0707789993", "0808759994"
NOBODY = "0909099998"
CHILDREN = frozenset({ANNA, BO, CILLE, DAN})


@pytest.fixture
def who() -> SimpleNamespace:
    """The numbers of the town's people by name, `nobody` for a number that is not there, and `children`."""
    return SimpleNamespace(
        anna=ANNA, bo=BO, cille=CILLE, dan=DAN, mum=MUM, dad=DAD, lone=LONE, ole=OLE, aunt=AUNT,
        nobody=NOBODY, children=CHILDREN,
    )  # fmt: skip


def _person(cpr_number: str, first: str, last: str, **more: Any) -> Person:
    return Person(cpr_number, first, last, "Prøvevej 1", "9999", "Prøveby", **more)


@pytest.fixture(scope="session")
def _clock() -> SetClock:
    return SetClock(NOW)


@pytest.fixture
def clock(_clock: SetClock) -> Iterator[SetClock]:
    """The town's time, which a test may move: set back afterwards."""
    yield _clock
    _clock.set(NOW)


@pytest.fixture(scope="session")
def town() -> Town:
    people = [
        _person(ANNA, "Anna Sofie", "Prøve"),
        _person(BO, "Bo", "Øst & Vest"),
        _person(CILLE, "Cille", "Ågård", protected=True),
        _person(DAN, "Dan", "Prøve"),
        _person(MUM, "Mette", "Prøve"),
        _person(DAD, "Lars", "Prøve", digital_post=False),
        _person(LONE, "Lone", "Øst & Vest"),
        _person(OLE, "Ole", "<Vest>"),
        _person(AUNT, "Tante", "Ågård", protected=True),
    ]
    custody = {
        ANNA: (Custody(ANNA, MUM, "mor", date(2015, 1, 1)), Custody(ANNA, DAD, "far", date(2015, 1, 1))),
        BO: (
            Custody(BO, LONE, "mor", date(2012, 2, 2)),
            Custody(BO, OLE, "far", date(2012, 2, 2), until=date(2025, 6, 1)),
        ),
        CILLE: (Custody(CILLE, AUNT, "anden", date(2020, 3, 3)),),
        DAN: (
            Custody(DAN, MUM, "mor", date(2026, 1, 1)),
            Custody(DAN, DAD, "far", date(2026, 1, 12)),
        ),
    }
    parents = {ANNA: (MUM, DAD), BO: (LONE, OLE), CILLE: (LONE,), DAN: (MUM, DAD)}
    return Town(1, NOW, {p.cpr: p for p in people}, custody, parents, {}, {}, (), {})


Serve = Callable[[Any], str]


@contextmanager
def running(app: Any) -> Iterator[str]:
    """An ASGI application on a free port of 127.0.0.1, in a thread; gives its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        end = time.monotonic() + 10
        while not server.started:
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts ASGI applications; all are stopped after the test."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(running(app))


@pytest.fixture(scope="session")
def url(town: Town, _clock: SetClock) -> Iterator[str]:
    """The address of the town's CPR."""
    with running(cpr.app(town, _clock)) as address:
        yield address


def _ask(url: str, number: str) -> httpx.Response:
    body = (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Header/><e:Body>'
        '<q:PersonLookupRequest xmlns:q="http://serviceplatformen.dk/xml/wsdl/soap11/CPR/PersonBaseDataExtended/4/">'
        f'<p:PNR xmlns:p="http://serviceplatformen.dk/xml/schemas/cpr/PNR/1/">{number}</p:PNR>'
        "</q:PersonLookupRequest></e:Body></e:Envelope>"
    )
    return httpx.post(url + PATH, content=body.encode(), headers={"Content-Type": "text/xml"})


@pytest.fixture
def ask() -> Callable[[str, str], httpx.Response]:
    """A lookup as another client than the adapter's would send it: address and number in, response out."""
    return _ask


@pytest.fixture(scope="session")
def _answers(town: Town, url: str) -> list[str]:
    envelopes = [etree.fromstring(_ask(url, number).content) for number in sorted(town.people)]
    return [etree.tostring(envelope[0][0]).decode() for envelope in envelopes]


@pytest.fixture
def folder(_answers: list[str], tmp_path: Path) -> Path:
    """The town's answers as files: two persons to a file, in a folder of its own."""
    place = tmp_path / "cpr"
    place.mkdir()
    for start in range(0, len(_answers), 2):
        pair = "".join(_answers[start : start + 2])
        (place / f"{start:03}.xml").write_text(f"<answers>{pair}</answers>", encoding="utf-8")
    return place


Make = Callable[..., CprAdapter]


@pytest.fixture
def over_http(url: str) -> Iterator[Make]:
    """Makes adapters that read over HTTP; settings may be given."""
    made: list[CprAdapter] = []

    def make(**settings: Any) -> CprAdapter:
        made.append(CprAdapter(CprSettings(**{"url": url} | settings)))
        return made[-1]

    yield make
    for adapter in made:
        adapter.close()


@pytest.fixture
def from_folder(folder: Path) -> Make:
    """Makes adapters that read the folder; settings may be given."""
    return lambda **settings: CprAdapter(CprSettings(**{"folder": folder} | settings))


@pytest.fixture
def standards() -> Path:
    root = Path(__file__).parents[3]
    place = Path(os.environ.get("TOVHOLDER_STANDARDS", root.parent / "shared" / "standards"))
    if not place.is_dir():
        pytest.skip("the standards folder is not here; set TOVHOLDER_STANDARDS")
    return place


@pytest.fixture
def schema(standards: Path, tmp_path: Path) -> etree.XMLSchema:
    """KOMBIT's schema, with the import of PNR that its types file leaves out and libxml2 insists on."""
    place = tmp_path / "schema"
    shutil.copytree(standards / "sf1601/cpr-sf1520", place, copy_function=shutil.copyfile)
    for folder in (place, *place.rglob("*/")):
        folder.chmod(0o700)
    types = place / "xsd/PersonBaseDataExtendedServiceTypes.xsd"
    imported = f'<xsd:import namespace="{wire.PNR}" schemaLocation="../sp/PNR_1.xsd"/><xsd:complexType'
    types.write_text(types.read_text(encoding="utf-8").replace("<xsd:complexType", imported, 1), encoding="utf-8")
    return etree.XMLSchema(etree.parse(place / "PersonBaseDataExtendedServiceMsg.xsd"))
