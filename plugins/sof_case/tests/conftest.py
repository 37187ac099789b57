"""A small town of sixty cases and its index, hand-made Sager, and a way to run an ASGI application on 127.0.0.1."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import uvicorn
from lxml import etree
from starlette.types import ASGIApp, Receive, Scope, Send
from tovholder_sof_case import SofAdapter, SofSettings

import hub
from hub.clock import SetClock
from hub.demo.model import Person, Town, TownCase, Version, Worker
from hub.demo.servers import sof

START = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
KINDS = {kind: {"name": kind} for kind in ("27.21.12", "32.18.04", "32.18.12")}
STANDARDS = Path(os.environ.get("TOVHOLDER_STANDARDS") or Path(__file__).parents[4] / "shared" / "standards")
ADVISERS = (
    Worker("a0000000-0000-4000-8000-000000000001", "Mette Ravn Bæk", "m@example.dk", "1", "SOF", "Børnehandicap Syd"),
    Worker("a0000000-0000-4000-8000-000000000002", "Ole Præst Holm", "o@example.dk", "2", "SOF", "Børnehandicap Nord"),
)


@contextmanager
def _serve(app: ASGIApp) -> Iterator[str]:
    # With the protocol named, asyncio turns Nagle's algorithm off; without, each answer waits 40 ms for an ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, lifespan="off", ws="none", log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    until = time.monotonic() + 10
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < until, "the server did not start in ten seconds"
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


class _Stage:
    """An address at which one application after another answers: to start a server takes longer than most tests."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def _stage() -> Iterator[tuple[_Stage, str]]:
    stage = _Stage()
    with _serve(stage) as url:
        yield stage, url


@pytest.fixture
def serve(shared_serve: Callable[[ASGIApp], str]) -> Callable[[ASGIApp], str]:
    """Let an ASGI application answer on 127.0.0.1, until the next one is served; gives its address."""
    return shared_serve


@pytest.fixture(scope="session")
def shared_serve(_stage: tuple[_Stage, str]) -> Callable[[ASGIApp], str]:
    """The same, for tests that are one for many examples."""

    def at(app: ASGIApp) -> str:
        _stage[0].app = app
        return _stage[1]

    return at


def _town() -> Town:
    children = [Person(f"{1 + n:02}0614999{n % 10}", f"Barn{n}", "Ågård", "Vej 1", "9999", "By") for n in range(28)]
    parents = [Person(f"{1 + n:02}0684998{n % 10}", f"Forælder{n}", "Ågård", "Vej 1", "9999", "By") for n in range(28)]
    kinds = ("32.18.04", "32.18.12", "27.21.12", "27.36.16")
    states = (hub.State.APPLIED, hub.State.DECIDED, hub.State.OPEN, hub.State.OPEN, hub.State.APPLIED)
    cases = [
        TownCase(
            uuid=str(UUID(int=0xC0FFEE0000000000 + n)),
            number=f"S-2026-{n:04}",
            administration="SOF",
            kind=kinds[n % 4],
            child=children[n % 28].cpr,
            opened=date(2025, 11, 3) + timedelta(days=n),
            versions=(Version(START - timedelta(days=20, seconds=7 * (n // 3)), states[n % 5], ADVISERS[n % 2].uuid),),
        )
        for n in range(60)
    ]
    first, second = cases[0], cases[1]
    one, other = ADVISERS[0].uuid, ADVISERS[1].uuid
    cases[0] = TownCase(
        first.uuid,
        first.number,
        "SOF",
        "32.18.04",
        first.child,
        date(2026, 2, 1),
        (
            Version(START - timedelta(days=20), hub.State.APPLIED, None),
            Version(START + timedelta(days=1), hub.State.APPLIED, one),
            Version(START + timedelta(days=3), hub.State.DECIDED, one),
            Version(START + timedelta(days=5), hub.State.OPEN, other),
            Version(START + timedelta(days=9), hub.State.CLOSED, other),
        ),
    )
    gone = Version(START + timedelta(days=4), hub.State.OPEN, one, gone=True)
    cases[1] = TownCase(
        second.uuid,
        second.number,
        "SOF",
        "32.18.12",
        second.child,
        second.opened,
        (*second.versions, gone),
    )
    return Town(
        seed=7,
        start=START,
        people={person.cpr: person for person in (*children, *parents)},
        custody={},
        parents={child.cpr: (parent.cpr,) for child, parent in zip(children, parents, strict=True)},
        cases={"SOF": tuple(cases)},
        workers={worker.uuid: worker for worker in ADVISERS},
        coordinators=(),
        institutions={},
    )


@pytest.fixture(scope="session")
def town() -> Town:
    """28 children with 60 cases in SOF, 45 of them of the kinds in `KINDS`. Case 0 goes through all states, with two
    advisers, from day 1 to day 9; case 1 is deleted on day 4."""
    return _town()


@pytest.fixture(scope="session")
def _town_clock() -> SetClock:
    return SetClock(START)


@pytest.fixture
def clock(_town_clock: SetClock) -> SetClock:
    """The clock of the running town, back at the start."""
    _town_clock.set(START)
    return _town_clock


@pytest.fixture(scope="session")
def _town_url(town: Town, _town_clock: SetClock) -> Iterator[str]:
    with _serve(sof.app(town, _town_clock)) as base:
        yield base + sof.PATH


@pytest.fixture
def sof_url(_town_url: str, clock: SetClock) -> str:
    """The address of the town's index, running; move `clock` to let days pass."""
    return _town_url


@pytest.fixture
def sof_http(sof_url: str) -> SofAdapter:
    """An adapter that reads the town over HTTP, seven Sager to a page."""
    return SofAdapter(SofSettings(url=sof_url, kinds=KINDS, page_size=7))


@pytest.fixture
def sof_folder(town: Town, tmp_path: Path) -> SofAdapter:
    """An adapter that reads the town as it is at the start from files of 20, seven Sager to a page."""
    sof.export(town, START, tmp_path / "export", per_file=20)
    return SofAdapter(SofSettings(folder=tmp_path / "export", kinds=KINDS, page_size=7))


@pytest.fixture(scope="session")
def index_schema() -> etree.XMLSchema:
    """The official XSD of SF1470 v6, operations and all."""
    path = STANDARDS / "sagdok/sf1470-v6/xsd/6.0.STS-0/SagDokumentIndeksOperationer.xsd"
    if not path.is_file():
        pytest.skip(f"the official XSD is not at {path}; say where with TOVHOLDER_STANDARDS")
    return etree.XMLSchema(file=str(path))


@pytest.fixture(scope="session")
def standards() -> Path:
    if not STANDARDS.is_dir():
        pytest.skip(f"the sample messages are not at {STANDARDS}; say where with TOVHOLDER_STANDARDS")
    return STANDARDS


NS = (
    'xmlns="urn:oio:sts:sagdok:sag:6" xmlns:i="urn:oio:sts:sagdok:sagindeks:6" xmlns:d="urn:oio:sagdok:3.0.0"'
    ' xmlns:g="urn:oio:sts:generelledefinitioner:6"'
)
ROLES = {
    "ansvarlig": "a1263342-d348-44ba-a566-233f37c4cb67",
    "behandler": "bf1f93ed-9441-4af4-835b-baeb201f3076",
    "part": "d839f26a-d4d1-4441-b2d6-3dbbb12a9404",
    "klasse": "a86c6581-ec85-412d-a655-31a1f1d5b14f",
    "unknown": "11111111-1111-4111-8111-111111111111",
}


class SagMaker:
    """Sager written by hand, piece by piece. Every default is a plain open case about one child."""

    UUID = "11110000-0000-4000-8000-000000000001"
    CHILD = "0406149991"

    def virkning(self, space: str, since: str, until: str | None = None) -> str:
        end = (
            f"<d:TidsstempelDatoTid>{until}</d:TidsstempelDatoTid>"
            if until
            else "<d:GraenseIndikator>true</d:GraenseIndikator>"
        )
        return (
            f"<{space}Virkning><d:FraTidspunkt><d:TidsstempelDatoTid>{since}</d:TidsstempelDatoTid></d:FraTidspunkt>"
            f"<d:TilTidspunkt>{end}</d:TilTidspunkt></{space}Virkning>"
        )

    def step(self, code: str, since: str, until: str | None = None) -> str:
        virkning = self.virkning("", since, until)
        return f"<Fremdrift>{virkning}<FremdriftStatusKode>{code}</FremdriftStatusKode></Fremdrift>"

    def properties(
        self, exempt: bool = False, since: str = "2025-01-01T00:00:00.000+01:00", until: str | None = None
    ) -> str:
        held = (
            "<OffentlighedUndtaget><d:TitelAlternativTekst>Hemmeligt</d:TitelAlternativTekst>"
            "<d:OffentlighedUndtagetHjemmelTekst>§ 30</d:OffentlighedUndtagetHjemmelTekst></OffentlighedUndtaget>"
            if exempt
            else ""
        )
        return (
            f"<Egenskaber>{self.virkning('', since, until)}<BrugervendtNoegle>2025-77</BrugervendtNoegle>"
            f"<Beskrivelse>Diagnosen er</Beskrivelse>{held}<Sagsnummer>2025-77</Sagsnummer>"
            "<Titel>Merudgifter til Asta Bang</Titel></Egenskaber>"
        )

    def index(self, level: str = "FOELSOMME_PERSONOPLYSNINGER", status: str = "", until: str | None = None) -> str:
        told = f"<i:Sagsstatus>{status}</i:Sagsstatus>" if status else ""
        foelsomhed = f"<i:Foelsomhed>{level}</i:Foelsomhed>" if level else ""
        virkning = self.virkning("g:", "2025-01-01T00:00:00.000+01:00", until)
        return f"<i:SagIndeksEgenskaber>{virkning}{told}{foelsomhed}</i:SagIndeksEgenskaber>"

    def klasse(
        self,
        key: str = "32.18.04",
        role: str = "klasse",
        since: str = "2025-01-01T00:00:00.000+01:00",
        until: str | None = None,
    ) -> str:
        own = (
            f"<i:SagsklasseLokalUdvidelse><i:BrugervendtNoegle>{key}</i:BrugervendtNoegle></i:SagsklasseLokalUdvidelse>"
        )
        return f"<Sagsklasse>{self._relation(role, '', '', own, since, until)}</Sagsklasse>"

    def part(
        self,
        urn: str | None = None,
        role: str = "part",
        since: str = "2025-01-01T00:00:00.000+01:00",
        until: str | None = None,
    ) -> str:
        urn = f"urn:oio:cpr-nr:{self.CHILD}" if urn is None else urn
        own = "<i:SagspartLokalUdvidelse><i:FuldtNavn>Asta Bang</i:FuldtNavn></i:SagspartLokalUdvidelse>"
        reference = f"<d:URNIdentifikator>{urn}</d:URNIdentifikator>"
        return f"<Sagspart>{self._relation(role, '', reference, own, since, until)}</Sagspart>"

    def actor(
        self,
        name: str = "Hans Hansen",
        reference: str = "<d:UUIDIdentifikator>B0000000-0000-4000-8000-00000000000B</d:UUIDIdentifikator>",
        kind: str = "85d65133-4b00-460d-992e-3984857b5768",
        role: str = "behandler",
        since: str = "2025-01-01T00:00:00.000+01:00",
        until: str | None = None,
    ) -> str:
        full = f"<i:FuldtNavn>{name}</i:FuldtNavn>" if name else ""
        own = f"<i:SagsaktoerLokalUdvidelse>{full}</i:SagsaktoerLokalUdvidelse>"
        return f"<Sagsaktoer>{self._relation(role, kind, reference, own, since, until)}</Sagsaktoer>"

    def _relation(self, role: str, kind: str, reference: str, own: str, since: str, until: str | None) -> str:
        return (
            self.virkning("g:", since, until)
            + f"<g:Rolle><d:UUIDIdentifikator>{ROLES[role].upper()}</d:UUIDIdentifikator></g:Rolle>"
            + (f"<g:Type><d:UUIDIdentifikator>{kind}</d:UUIDIdentifikator></g:Type>" if kind else "")
            + (f"<g:ReferenceID>{reference}</g:ReferenceID>" if reference else "")
            + f"<g:LokalUdvidelseListe>{own}</g:LokalUdvidelseListe>"
        )

    def registration(
        self,
        *,
        time: str = "2026-02-10T12:30:00.250+01:00",
        sts: str = "",
        life: str = "Importeret",
        properties: str | None = None,
        index: str | None = None,
        steps: str | None = None,
        actors: str = "",
        classes: str | None = None,
        parts: str | None = None,
        own: str = "",
    ) -> str:
        properties = self.properties() if properties is None else properties
        index = self.index() if index is None else index
        steps = self.step("Opstaaet", "2026-01-05T00:00:00.000+01:00") if steps is None else steps
        classes = self.klasse() if classes is None else classes
        parts = self.part() if parts is None else parts
        told = f"<d:Tidspunkt>{time}</d:Tidspunkt>" if time else ""
        seen = f"<g:StsTidspunkt>{sts}</g:StsTidspunkt>" if sts else ""
        extra = f"<g:LokalUdvidelseListe>{index}</g:LokalUdvidelseListe>" if index else ""
        more = f"<g:LokalUdvidelseListe>{own}</g:LokalUdvidelseListe>" if own else ""
        return (
            f"<Registrering>{told}<d:LivscyklusKode>{life}</d:LivscyklusKode>{seen}"
            f"<AttributListe>{properties}{extra}</AttributListe><TilstandListe>{steps}</TilstandListe>"
            f"<RelationListe>{actors}{classes}{parts}{more}</RelationListe></Registrering>"
        )

    def sag(self, *registrations: str, uuid: str | None = None, **fields: str) -> str:
        inner = "".join(registrations) or self.registration(**fields)
        shown = self.UUID if uuid is None else uuid
        return f"<Sag {NS}><d:UUIDIdentifikator>{shown}</d:UUIDIdentifikator>{inner}</Sag>"


@pytest.fixture
def make() -> SagMaker:
    return SagMaker()


@pytest.fixture
def adapter_of(tmp_path: Path) -> Callable[..., SofAdapter]:
    """An adapter over a folder with these Sager in one file."""

    def adapter(*sager: str, **settings: object) -> SofAdapter:
        folder = tmp_path / "sager"
        folder.mkdir(exist_ok=True)
        (folder / "a.xml").write_text(f"<Sager>{''.join(sager)}</Sager>", encoding="utf-8")
        return SofAdapter(SofSettings.model_validate({"folder": folder, "kinds": KINDS, **settings}))

    return adapter
