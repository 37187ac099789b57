"""The conformance kit, over HTTP and from a folder."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Set
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from tovholder_buf_case import BufAdapter, BufSettings

from hub.clock import SetClock
from hub.demo.model import Town
from hub.demo.servers import buf
from hub.testing import AdapterConformance, Front, Request
from hub.testing.front import running

KINDS = {number: {"name": "Specialskole"} for number in ("101001", "101002")}
READS = {"hentDataAftalerFuldMyndighed", "eksporterXmlFuldMyndighed"}
Act = Callable[[], None]


class _Pupils(AdapterConformance):
    @pytest.fixture
    def kinds(self) -> Set[str]:
        return set(KINDS)

    @pytest.fixture
    def children(self, town: Town) -> Set[str]:
        return {case.child for case in town.cases["BUF"]} | set(town.ordinary_pupils["201001"])

    @pytest.fixture
    def secrets(self, town: Town) -> Set[str]:
        return {person.cpr for person in town.people.values()} | {person.name for person in town.people.values()}

    @pytest.fixture
    def spoiled(self, cpr: dict[str, str]) -> Callable[[bytes], bytes]:
        """An export in which Carl has no number."""
        number = rf"(:CivilRegistrationNumber>){cpr['Carl']}<".encode()
        return lambda export: re.sub(number, rb"\g<1><", export)


class TestOverHttp(_Pupils):
    @pytest.fixture
    def source(self, town: Town, clock: SetClock) -> Any:
        return buf.app(town, clock)

    @pytest.fixture
    def make_adapter(self, front: Front) -> Callable[..., BufAdapter]:
        given = {"url": front.url, "kinds": KINDS, "page_size": 1}
        return lambda **settings: BufAdapter(BufSettings.model_validate(given | settings))

    @pytest.fixture
    def writes(self) -> Callable[[Request], bool]:
        """All operations are at one address; these two read."""

        def is_write(request: Request) -> bool:
            return etree.QName(etree.fromstring(request.body).find("{*}Body")[0]).localname not in READS

        return is_write

    @pytest.fixture
    def spoil(self, front: Front, spoiled: Callable[[bytes], bytes]) -> Act:
        return lambda: front.change(spoiled)

    @pytest.fixture
    def remove(self, clock: SetClock) -> Act:
        return lambda: clock.move(timedelta(days=3))

    @pytest.fixture
    def change(self, clock: SetClock) -> Act:
        return lambda: clock.move(timedelta(days=4))


class TestFromFolder(_Pupils):
    @pytest.fixture(scope="class")
    @classmethod
    def exports(cls, town: Town, save_exports: Callable[[str, Path], None], tmp_path_factory: Any) -> dict[int, Path]:
        """The exports of days 0, 3 and 4, taken by hand."""
        clock, folders = SetClock(town.start), {}
        with running() as front:
            front.serve(buf.app(town, clock))
            for day in (0, 3, 4):
                clock.set(town.start + timedelta(days=day))
                folders[day] = tmp_path_factory.mktemp(f"day{day}")
                save_exports(front.url, folders[day])
        return folders

    @pytest.fixture
    def folder(self, exports: dict[int, Path], tmp_path: Path) -> Path:
        return Path(shutil.copytree(exports[0], tmp_path / "exports"))

    @pytest.fixture
    def make_adapter(self, folder: Path) -> Callable[..., BufAdapter]:
        given = {"folder": folder, "kinds": KINDS, "page_size": 1}
        return lambda **settings: BufAdapter(BufSettings.model_validate(given | settings))

    @pytest.fixture
    def spoil(self, folder: Path, spoiled: Callable[[bytes], bytes]) -> Act:
        def spoil() -> None:
            for path in folder.iterdir():
                path.write_bytes(spoiled(path.read_bytes()))

        return spoil

    @pytest.fixture
    def remove(self, exports: dict[int, Path], folder: Path) -> Act:
        return lambda: shutil.copytree(exports[3], folder, dirs_exist_ok=True)

    @pytest.fixture
    def change(self, exports: dict[int, Path], folder: Path) -> Act:
        return lambda: shutil.copytree(exports[4], folder, dirs_exist_ok=True)
