"""The conformance kit, over HTTP and from a folder."""

from __future__ import annotations

from collections.abc import Callable, Set
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lxml import etree
from tovholder_cpr_custody import CprAdapter, CprSettings

from hub.clock import SetClock
from hub.demo.model import Town
from hub.demo.servers import cpr
from hub.testing import AdapterConformance, Front, Request

LOOKUP = "{http://serviceplatformen.dk/xml/wsdl/soap11/CPR/PersonBaseDataExtended/4/}PersonLookupRequest"
Act = Callable[[], None]


class _Custody(AdapterConformance):
    @pytest.fixture
    def kinds(self) -> Set[str]:
        return frozenset()

    @pytest.fixture
    def children(self, who: SimpleNamespace) -> Set[str]:
        return who.children

    @pytest.fixture
    def secrets(self, town: Town) -> Set[str]:
        return {person.cpr for person in town.people.values()} | {person.name for person in town.people.values()}


class TestOverHttp(_Custody):
    @pytest.fixture
    def source(self, town: Town, clock: SetClock) -> Any:
        return cpr.app(town, clock)

    @pytest.fixture
    def make_adapter(self, front: Front) -> Callable[..., CprAdapter]:
        # One lookup at a time: the kit makes trouble from the last request on, whichever that is.
        return lambda **settings: CprAdapter(
            CprSettings(**{"url": front.url, "page_size": 1, "parallel": 1} | settings)
        )

    @pytest.fixture
    def writes(self) -> Callable[[Request], bool]:
        def is_write(request: Request) -> bool:
            operation = etree.fromstring(request.body).find("{*}Body")[0].tag
            return request.method != "POST" or operation != LOOKUP

        return is_write

    @pytest.fixture
    def spoil(self, front: Front, who: SimpleNamespace) -> Act:
        aunt = f"<personnummer>{who.aunt}</personnummer>".encode()
        return lambda: front.change(
            lambda body: body.replace(b"igitalpost>true<", b"igitalpost>maybe<") if aunt in body else body
        )

    @pytest.fixture
    def remove(self, front: Front, who: SimpleNamespace) -> Act:
        return lambda: front.rewrite(
            f"<relationPersonnummer>{who.ole}</relationPersonnummer>".encode(),
            f"<relationPersonnummer>{who.lone}</relationPersonnummer>".encode(),
        )

    @pytest.fixture
    def change(self, front: Front) -> Act:
        return lambda: front.rewrite("Ågård".encode(), b"Nyborg")


class TestFromFolder(_Custody):
    @pytest.fixture
    def folder(self, folder: Path) -> Path:
        """That of conftest.py, which the kit's own would hide."""
        return folder

    @pytest.fixture
    def make_adapter(self, folder: Path) -> Callable[..., CprAdapter]:
        return lambda **settings: CprAdapter(CprSettings(**{"folder": folder, "page_size": 1} | settings))

    @pytest.fixture
    def edit(self, folder: Path) -> Callable[[str, str, str], None]:
        """In the answer about one person, puts another text in place of an element's."""

        def edit(number: str, element: str, text: str) -> None:
            for path in folder.glob("*.xml"):
                root = etree.fromstring(path.read_bytes())
                for answer in root:
                    if answer.findtext("{*}persondata/{*}personnummer") == number:
                        found = answer.findall(".//{*}" + element)
                        found[-1].text = text
                        path.write_bytes(etree.tostring(root))

        return edit

    @pytest.fixture
    def spoil(self, edit: Callable[[str, str, str], None], who: SimpleNamespace) -> Act:
        return lambda: edit(who.aunt, "tilmeldtDigitalpost", "maybe")

    @pytest.fixture
    def remove(self, edit: Callable[[str, str, str], None], who: SimpleNamespace) -> Act:
        return lambda: edit(who.bo, "relationPersonnummer", who.lone)

    @pytest.fixture
    def change(self, edit: Callable[[str, str, str], None], who: SimpleNamespace) -> Act:
        return lambda: edit(who.aunt, "efternavn", "Nyborg")
