"""`tovholder sync --dry-run --json` over folders nobody has read before: samples of every kind at once, and files that
mean harm. It says what it could not read and why, and never falls over."""

from __future__ import annotations

import gzip
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.test_cli import Run, run

__all__ = ["run"]

NUMBER, NAME = "0311164234", "Karla Testbarn"
"""Fictitious."""
PLUGINS = ("sof_case", "buf_case", "suf_cura", "cpr_custody")
_LAUGHS = "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10}'>" for n in range(1, 10))
HOSTILE: dict[str, bytes] = {
    "empty.xml": b"",
    "empty.json": b"",
    "xxe.xml": f"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/hostname'>]><x>&e;{NUMBER}</x>".encode(),
    "laughs.xml": f"<!DOCTYPE x [<!ENTITY e0 'ha'>{_LAUGHS}]><x>&e9;</x>".encode(),
    "quadratic.xml": f"<!DOCTYPE x [<!ENTITY e '{'a' * 50_000}'>]><x>{'&e;' * 50_000}</x>".encode(),
    "deep.xml": b"<x>" * 10_000 + b"</x>" * 10_000,
    "deep.json": b"[" * 10_000 + b"]" * 10_000,
    "deep object.json": b'{"resourceType":' * 10_000 + b"1" + b"}" * 10_000,
    "cut.xml": f'<ns2:Sag xmlns:ns2="urn:oio:sts:sagdok:sag:6"><a>{NAME}'.encode(),
    "cut.json": f'{{"resourceType": "Bundle", "entry": [{{"resource": {{"name": "{NAME}'.encode(),
    "cut.ndjson": f'{{"resourceType": "Patient"}}\n{{"resourceType": "Pat{NAME}'.encode(),
    "nul.json": b'{"resourceType": "Bundle", "id": "\x00", "entry": []}',
    "surrogate.json": b'{"resourceType": "Patient", "id": "\\ud800"}',
    "wrong letters.csv": b"Sagsnummer;CPR-nr.;Status;Sagstype\r\n\xff\xfe\x81;\x90;;\r\n",
    "open quote.csv": f'Sagsnummer;CPR-nr.;Status;Sagstype\n1;"{NUMBER};x;y\n2;a;b\n'.encode(),
    "html.xml": f"<!DOCTYPE html><html><body>Log ind, {NAME}</body></html>".encode(),
    "html.json": f"<html><body>Log ind, {NAME}</body></html>".encode(),
    "bomb.json.gz": gzip.compress(b"[" + b" " * 50_000_000),
    "not gzip.json.gz": b"\x1f\x8b\x08\x00broken",
    "markup.json": json.dumps({"resourceType": "Patient", "id": "<script>alert(1)</script>\x1b[2J"}).encode(),
}


KINDS = {"sof_case": "27.36.04", "suf_cura": "care"}


def settings(folder: Path) -> str:
    sections = [f"[plugins.{name}]\nfolder = {json.dumps(str(folder))}\n" for name in PLUGINS]
    return "".join(sections + [f"[plugins.{name}.kinds.'{kind}']\nname = 'x'\n" for name, kind in KINDS.items()])


def examined(run: Run, tmp_path: Path, folder: Path) -> dict[str, dict[str, Any]]:
    """What the command says of each source, after looking at what holds for all."""
    (tmp_path / "tovholder.toml").write_text(settings(folder), encoding="utf-8")
    result = run("sync", "--dry-run", "--json")
    assert "Traceback" not in result.stderr
    assert result.stdout, result.stderr
    said = json.loads(result.stdout)
    assert result.returncode == (3 if said["needs_a_person"] else 0)
    for source in said["sources"]:
        for tried in filter(None, (source["presence"], source["records"])):
            assert sum(tried["reasons"].values()) == tried["quarantined"]
            assert "fault" not in (tried["failure"] or ""), tried["failure"]  # of the plugin's own: it fell over
    for secret in (NUMBER, NAME, "\x1b"):
        assert secret not in result.stdout + result.stderr
    assert not (tmp_path / "data").exists()
    return {source["source"]: source for source in said["sources"]}


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name, content in HOSTILE.items():
        (folder / name).write_bytes(content)
    return folder


def test_hostile_files_are_counted_by_source_and_reason(run: Run, tmp_path: Path, hostile: Path) -> None:
    found = examined(run, tmp_path, hostile)
    assert set(found) == set(PLUGINS)
    for name, source in found.items():
        tries = list(filter(None, (source["presence"], source["records"])))
        assert any(tried["quarantined"] or tried["failure"] for tried in tries), name
        assert all(tried["read"] == 0 for tried in tries), name
        assert socket.gethostname() not in json.dumps(tries)


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_each_hostile_file_by_itself(run: Run, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / name).write_bytes(HOSTILE[name])
    examined(run, tmp_path, folder)


def test_samples_of_all_kinds_in_one_folder(run: Run, tmp_path: Path) -> None:
    """Every plugin reads the whole folder, most of which is not for it."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "standards"
    place = Path(os.environ.get("TOVHOLDER_STANDARDS", beside))
    if not place.is_dir():
        pytest.skip("the standards folder is not here; set TOVHOLDER_STANDARDS")
    found = examined(run, tmp_path, place)
    assert set(found) == set(PLUGINS)
    for name, source in found.items():
        tries = list(filter(None, (source["presence"], source["records"])))
        assert any(tried["read"] or tried["quarantined"] or tried["ignored"] for tried in tries), name
