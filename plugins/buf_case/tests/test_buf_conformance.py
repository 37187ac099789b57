"""The conformance kit, over HTTP and from a folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from lxml import etree
from tovholder_buf_case import BufAdapter, BufSettings

from hub.clock import SetClock
from hub.demo.model import Town
from hub.demo.servers import buf, buf_list
from hub.testing import AdapterConformance, Front, Request

KINDS = {number: {"name": "Specialskole"} for number in ("101001", "101002")}
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
    variant = "FuldMyndighed"

    @pytest.fixture
    def source(self, town: Town, clock: SetClock) -> Any:
        return buf.app(town, clock)

    @pytest.fixture
    def make_adapter(self, front: Front) -> Callable[..., BufAdapter]:
        given = {"url": front.url, "kinds": KINDS, "page_size": 1, "variant": self.variant}
        return lambda **settings: BufAdapter(BufSettings.model_validate(given | settings))

    @pytest.fixture
    def writes(self) -> Callable[[Request], bool]:
        """All operations are at one address; these two read."""

        def is_write(request: Request) -> bool:
            operation = etree.QName(etree.fromstring(request.body).find("{*}Body")[0]).localname
            return operation.removesuffix(self.variant) not in ("hentDataAftaler", "eksporterXml")

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


@pytest.mark.slow
class TestFuldOverHttp(TestOverHttp):
    variant = "Fuld"


@pytest.mark.slow
class TestMellemOverHttp(TestOverHttp):
    variant = "Mellem"


class TestFromFolder(_Pupils):
    """What lies in the folder on days 0, 3 and 4, saved by hand."""

    variant = buf.Variant.FULD_MYNDIGHED
    listed: ClassVar[Any] = KINDS

    def save(self, town: Town, day: int, folder: Path) -> None:
        buf.save(town, town.start + timedelta(days=day), folder, self.variant)

    @pytest.fixture
    def folder(self, town: Town, tmp_path: Path) -> Path:
        self.save(town, 0, tmp_path / "exports")
        return tmp_path / "exports"

    @pytest.fixture
    def make_adapter(self, folder: Path) -> Callable[..., BufAdapter]:
        given = {"folder": folder, "kinds": self.listed, "page_size": 1}
        return lambda **settings: BufAdapter(BufSettings.model_validate(given | settings))

    @pytest.fixture
    def spoil(self, folder: Path, spoiled: Callable[[bytes], bytes]) -> Act:
        def spoil() -> None:
            for path in folder.iterdir():
                path.write_bytes(spoiled(path.read_bytes()))

        return spoil

    @pytest.fixture
    def remove(self, town: Town, folder: Path) -> Act:
        return lambda: self.save(town, 3, folder)

    @pytest.fixture
    def change(self, town: Town, folder: Path) -> Act:
        return lambda: self.save(town, 4, folder)


@pytest.mark.slow
class TestFuldFromFolder(TestFromFolder):
    variant = buf.Variant.FULD


@pytest.mark.slow
class TestMellemFromFolder(TestFromFolder):
    variant = buf.Variant.MELLEM


class TestCaseList(TestFromFolder):
    listed: ClassVar[Any] = {"case:Specialundervisning": {"name": "Specialundervisning"}}

    def save(self, town: Town, day: int, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "sager.csv").write_bytes(buf_list.case_list(town, town.start + timedelta(days=day)))

    @pytest.fixture
    def kinds(self) -> Set[str]:
        return set(self.listed)

    @pytest.fixture
    def spoiled(self, cpr: dict[str, str]) -> Callable[[bytes], bytes]:
        """A list in which Carl's case was opened on a day that does not exist."""
        return lambda text: re.sub(rb"(Carl [^\n]*;)11-08-2025;", rb"\g<1>31-09-2025;", text)


@pytest.mark.slow
class TestCaseListInUtf8WithCommas(TestCaseList):
    def save(self, town: Town, day: int, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        found = buf_list.case_list(town, town.start + timedelta(days=day), delimiter=",", encoding="utf-8-sig")
        (folder / "sager.csv").write_bytes(found)

    @pytest.fixture
    def spoiled(self, cpr: dict[str, str]) -> Callable[[bytes], bytes]:
        return lambda text: re.sub(rb"(Carl [^\n]*,)11-08-2025,", rb"\g<1>31-09-2025,", text)
