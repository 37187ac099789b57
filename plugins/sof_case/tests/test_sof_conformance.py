"""The conformance kit, over HTTP and from a folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from tovholder_sof_case import SofAdapter, SofSettings

from hub.clock import SetClock
from hub.demo.model import Town
from hub.demo.servers import sof
from hub.testing import AdapterConformance, Front, Request

KINDS = {kind: {"name": kind} for kind in ("27.21.12", "32.18.04", "32.18.12")}
SEARCH = "{urn:oio:sts:sagdok:sagdokumentindeks:6}FremsoegSagDokumentIndeksInput"
Act = Callable[[], None]


class _Cases(AdapterConformance):
    @pytest.fixture
    def kinds(self) -> Set[str]:
        return set(KINDS)

    @pytest.fixture
    def children(self, town: Town) -> Set[str]:
        """Eight of 28, those whose cases change among them; half of them have cases of a kind that is not listed."""
        return {case.child for case in town.cases["SOF"][:8]}

    @pytest.fixture
    def secrets(self, town: Town) -> Set[str]:
        return {person.cpr for person in town.people.values()} | {person.name for person in town.people.values()}

    @pytest.fixture
    def spoiled(self, town: Town) -> Callable[[bytes], bytes]:
        """A message in which one case stands nowhere that is known."""
        case = re.escape(town.cases["SOF"][4].uuid)

        def how(message: bytes) -> bytes:
            one = re.compile(rf"<d:UUIDIdentifikator>{case}<.*?</s:Registrering>".encode(), re.DOTALL)
            return one.sub(lambda found: re.sub(rb"(<s:FremdriftStatusKode>)\w+", rb"\1Ukendt", found[0]), message)

        return how


class TestOverHttp(_Cases):
    @pytest.fixture
    def source(self, town: Town, clock: SetClock) -> Any:
        return sof.app(town, clock)

    @pytest.fixture
    def base(self) -> str:
        return sof.PATH.rpartition("/")[0]

    @pytest.fixture
    def make_adapter(self, front: Front) -> Callable[..., SofAdapter]:
        given = {"url": front.url + sof.PATH, "kinds": KINDS, "page_size": 12}
        return lambda **settings: SofAdapter(SofSettings.model_validate(given | settings))

    @pytest.fixture
    def writes(self) -> Callable[[Request], bool]:
        """All operations of the index are at one address; one of them searches."""

        def is_write(request: Request) -> bool:
            operation = etree.fromstring(request.body).find("{*}Body")[0].tag
            return (
                operation != SEARCH
                or 'action="http://kombit.dk/sts/sagdokumentindeks/fremsoeg"' not in (request.headers["content-type"])
            )

        return is_write

    @pytest.fixture
    def spoil(self, front: Front, spoiled: Callable[[bytes], bytes]) -> Act:
        return lambda: front.change(spoiled)

    @pytest.fixture
    def remove(self, clock: SetClock) -> Act:
        return lambda: clock.move(timedelta(days=4))

    @pytest.fixture
    def change(self, clock: SetClock) -> Act:
        return lambda: clock.move(timedelta(days=1))


class TestFromFolder(_Cases):
    @pytest.fixture
    def folder(self, town: Town, clock: SetClock, tmp_path: Path) -> Path:
        sof.export(town, clock.now(), tmp_path / "export", per_file=20)
        return tmp_path / "export"

    @pytest.fixture
    def make_adapter(self, folder: Path) -> Callable[..., SofAdapter]:
        given = {"folder": folder, "kinds": KINDS, "page_size": 12}
        return lambda **settings: SofAdapter(SofSettings.model_validate(given | settings))

    @pytest.fixture
    def spoil(self, folder: Path, spoiled: Callable[[bytes], bytes]) -> Act:
        def spoil() -> None:
            for path in folder.iterdir():
                path.write_bytes(spoiled(path.read_bytes()))

        return spoil

    @pytest.fixture
    def remove(self, town: Town, clock: SetClock, folder: Path) -> Act:
        return lambda: sof.export(town, clock.now() + timedelta(days=4), folder, per_file=20)

    @pytest.fixture
    def change(self, town: Town, clock: SetClock, folder: Path) -> Act:
        return lambda: sof.export(town, clock.now() + timedelta(days=1), folder, per_file=20)
