"""The conformance kit, over HTTP and from a folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Set
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tovholder_suf_cura import SufAdapter, SufSettings

from hub.clock import SetClock
from hub.demo.model import Town
from hub.demo.servers import suf
from hub.demo.servers.suf_files import Way
from hub.testing import AdapterConformance, Front

pytestmark = pytest.mark.slow

KINDS = {"care": {"name": "Pleje og træning"}}
Act = Callable[[], None]


class _Courses(AdapterConformance):
    @pytest.fixture
    def kinds(self) -> Set[str]:
        return set(KINDS)

    @pytest.fixture
    def children(self, who: SimpleNamespace, town: Town) -> Set[str]:
        """The town's children, and some of the old: reading three children would be one page."""
        return who.children | {case.child for case in town.cases["SUF"][-6:]}

    @pytest.fixture
    def secrets(self, town: Town) -> Set[str]:
        return {person.cpr for person in town.people.values()} | {person.name for person in town.people.values()}

    @pytest.fixture
    def spoiled(self, who: SimpleNamespace) -> Callable[[bytes], bytes]:
        """A message in which Bo's number is not said to be one."""
        number = f'"value":"{who.bo}"'.encode()
        return lambda message: message.replace(number, b'"value":""').replace(
            number.replace(b":", b": "), b'"value": ""'
        )


class TestOverHttp(_Courses):
    @pytest.fixture
    def source(self, town: Town, clock: SetClock) -> Any:
        return suf.app(town, clock)

    @pytest.fixture
    def make_adapter(self, front: Front) -> Callable[..., SufAdapter]:
        given = {"url": front.url, "kinds": KINDS, "page_size": 2}
        return lambda **settings: SufAdapter(SufSettings.model_validate(given | settings))

    @pytest.fixture
    def spoil(self, front: Front, spoiled: Callable[[bytes], bytes]) -> Act:
        return lambda: front.change(spoiled)

    @pytest.fixture
    def remove(self, clock: SetClock) -> Act:
        return lambda: clock.move(timedelta(days=6))

    @pytest.fixture
    def change(self, clock: SetClock) -> Act:
        return lambda: clock.move(timedelta(days=9))


class _FromFolder(_Courses):
    way: Way

    @pytest.fixture(scope="class")
    @classmethod
    def dumps(cls, _clock: SetClock, dump: Callable[[Path, Way], None], tmp_path_factory: Any) -> dict[int, Path]:
        """The reports of days 0, 6 and 9."""
        start, folders = _clock.now(), {}
        for day in (0, 6, 9):
            _clock.set(start + timedelta(days=day))
            folders[day] = tmp_path_factory.mktemp(f"day{day}")
            dump(folders[day], cls.way)
        _clock.set(start)
        return folders

    @pytest.fixture
    def folder(self, dumps: dict[int, Path], tmp_path: Path) -> Path:
        return Path(shutil.copytree(dumps[0], tmp_path / "cura"))

    @pytest.fixture
    def make_adapter(self, folder: Path) -> Callable[..., SufAdapter]:
        given = {"folder": folder, "kinds": KINDS, "page_size": 2}
        return lambda **settings: SufAdapter(SufSettings.model_validate(given | settings))

    @pytest.fixture
    def spoil(self, folder: Path, spoiled: Callable[[bytes], bytes]) -> Act:
        def spoil() -> None:
            for path in folder.iterdir():
                path.write_bytes(spoiled(path.read_bytes()))

        return spoil

    @pytest.fixture
    def remove(self, dumps: dict[int, Path], folder: Path) -> Act:
        return lambda: shutil.copytree(dumps[6], folder, dirs_exist_ok=True)

    @pytest.fixture
    def change(self, dumps: dict[int, Path], folder: Path) -> Act:
        return lambda: shutil.copytree(dumps[9], folder, dirs_exist_ok=True)


class TestReports(_FromFolder):
    way = Way.REPORTS


class TestBundlesOfBundles(_FromFolder):
    way = Way.DELIVERIES


class TestReportsByLine(_FromFolder):
    way = Way.LINES


class TestResourcesByLine(_FromFolder):
    way = Way.BULK
