"""The conformance kit, in every format: SF1470 over HTTP and from files, DUBU over HTTP and as tables and JSON, FFB."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Set
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from starlette.testclient import TestClient
from tovholder_sof_case import SofAdapter, SofSettings

from hub.clock import SetClock
from hub.demo.model import Town
from hub.demo.servers import sof, sof_dubu, sof_ffb
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


STATUSES = {name: state.value for state, name in sof_dubu.STATUSES.items()}


class TestDubuOverHttp(_Cases):
    @pytest.fixture
    def source(self, town: Town, clock: SetClock) -> Any:
        return sof_dubu.app(town, clock)

    @pytest.fixture
    def make_adapter(self, front: Front, town: Town) -> Callable[..., SofAdapter]:
        codes = sof_dubu.kinds(town)
        given = {"url": front.url, "format": "dubu", "kinds": KINDS, "codes": codes, "statuses": STATUSES}
        return lambda **more: SofAdapter(SofSettings.model_validate(given | {"page_size": 20} | more))

    @pytest.fixture
    def spoil(self, front: Front, town: Town) -> Act:
        def how(message: bytes) -> bytes:
            answer = json.loads(message)
            for case in answer["value"]:
                if case.get("sagsnummer") == town.cases["SOF"][4].number:
                    case["status"] = {"brugervendtNoegle": "SagStatus99"}
            return json.dumps(answer).encode()

        return lambda: front.change(how)

    @pytest.fixture
    def remove(self, clock: SetClock) -> Act:
        return lambda: clock.move(timedelta(days=4))

    @pytest.fixture
    def change(self, clock: SetClock) -> Act:
        return lambda: clock.move(timedelta(days=3))


class _Exports(_Cases):
    """An export that is written anew each time."""

    def write(self, town: Town, clock: SetClock, folder: Path) -> None:
        raise NotImplementedError("each format writes its own")

    def codes(self, town: Town) -> dict[str, str]:
        return sof_dubu.kinds(town)

    @pytest.fixture
    def folder(self, town: Town, clock: SetClock, tmp_path: Path) -> Path:
        self.write(town, clock, tmp_path / "export")
        return tmp_path / "export"

    @pytest.fixture
    def make_adapter(self, folder: Path, town: Town) -> Callable[..., SofAdapter]:
        given = {"folder": folder, "kinds": KINDS, "codes": self.codes(town), "page_size": 20, "statuses": STATUSES}
        return lambda **more: SofAdapter(SofSettings.model_validate(given | more))

    @pytest.fixture
    def remove(self, town: Town, clock: SetClock, folder: Path) -> Act:
        def remove() -> None:
            clock.move(timedelta(days=4))
            self.write(town, clock, folder)

        return remove

    @pytest.fixture
    def change(self, town: Town, clock: SetClock, folder: Path) -> Act:
        def change() -> None:
            clock.move(timedelta(days=3))
            self.write(town, clock, folder)

        return change


class TestDubuTable(_Exports):
    encoding, delimiter = "cp1252", ";"

    def write(self, town: Town, clock: SetClock, folder: Path) -> None:
        sof_dubu.export(town, clock.now(), folder / "dubu.csv", encoding=self.encoding, delimiter=self.delimiter)

    @pytest.fixture
    def spoil(self, folder: Path, town: Town) -> Act:
        """A status nobody knows, in the only row of a case."""

        def spoil() -> None:
            file = folder / "dubu.csv"
            text = file.read_bytes().decode(self.encoding)
            alone = [
                case for case in town.cases["SOF"][2:8]
                if case.kind in KINDS and text.count(f"{self.delimiter}{case.number}{self.delimiter}") == 1
            ]  # fmt: skip
            lines = text.split("\r\n")
            (at,) = [n for n, line in enumerate(lines) if alone[0].number in line]
            spoiled = re.sub("Iværksat|Ansøgt|Bevilget", "Ukendt", lines[at])
            assert spoiled != lines[at]
            lines[at] = spoiled
            file.write_bytes("\r\n".join(lines).encode(self.encoding))

        return spoil


@pytest.mark.slow
class TestDubuTableInUtf8(TestDubuTable):
    encoding, delimiter = "utf-8", ","


@pytest.mark.slow
class TestDubuTableFromASpreadsheet(TestDubuTable):
    encoding, delimiter = "utf-8-sig", ";"


class TestDubuJson(_Exports):
    """Answers of `odata/Sag` that somebody has saved."""

    def write(self, town: Town, clock: SetClock, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        client = TestClient(sof_dubu.app(town, clock))
        expand = "primaerPerson,primaerBehandler,status,foerstkommendeFrist"
        for skip in range(0, 90, 30):
            answer = client.get(sof_dubu.PATH, params={"$expand": expand, "$top": "30", "$skip": str(skip)})
            (folder / f"sag-{skip:03}.json").write_bytes(answer.content)

    @pytest.fixture
    def spoil(self, folder: Path, town: Town) -> Act:
        def spoil() -> None:
            for file in folder.iterdir():
                answer = json.loads(file.read_bytes())
                for case in answer["value"]:
                    if case["sagsnummer"] == town.cases["SOF"][4].number:
                        del case["isSensitive"]
                file.write_text(json.dumps(answer))

        return spoil


class TestFfb(_Exports):
    def write(self, town: Town, clock: SetClock, folder: Path) -> None:
        sof_ffb.export(town, clock.now(), folder)

    def codes(self, town: Town) -> dict[str, str]:
        return sof_ffb.kinds()

    @pytest.fixture
    def spoil(self, folder: Path, town: Town) -> Act:
        def spoil() -> None:
            for file in folder.iterdir():
                bundle = json.loads(file.read_bytes())
                for entry in bundle["entry"]:
                    if entry["resource"]["id"] == town.cases["SOF"][4].uuid:
                        entry["resource"]["status"] = "somehow"
                file.write_text(json.dumps(bundle), encoding="utf-8")

        return spoil
