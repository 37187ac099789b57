"""A large file takes no more memory than a small one."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from tovholder_buf_case import BufAdapter, BufSettings
from tovholder_buf_case.export import read_export
from tovholder_buf_case.unit import MOST

import hub

Text = Callable[..., str]
KINDS = {key: hub.Kind(name="Specialtilbud") for key in ("101001", "group:Special*", "case:Special*")}
ALMA = "0104149990"


class Endless(io.RawIOBase):
    """A document made while it is read, so that only what the reader keeps takes memory: `piece` `times` times."""

    def __init__(self, start: bytes, piece: bytes, times: int, end: bytes) -> None:
        self._parts = iter([start, *([piece] * times), end])
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size and (part := next(self._parts, None)) is not None:
            self._rest += part
        found, self._rest = self._rest[:size], self._rest[size:]
        return found


def peak_of(action: Callable[[], object]) -> int:
    """The most memory that Python held while this was done (bytes)."""
    tracemalloc.start()
    action()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_export_ten_times_as_long_takes_no_more_memory(make_export: Text, make_pupil: Text) -> None:
    """Of pupils who are not on the list nothing is kept; neither tracemalloc nor the process grows."""
    start, end = make_export("201001", "@").split("@")
    contact = '<e:ContactPerson relation="Mor" childCustody="true" accessLevel="1"/>' * 20
    piece = make_pupil(ALMA, student=contact).encode() * 50
    chosen = BufSettings(folder=Path(), kinds=KINDS)

    def read(times: int) -> None:
        found = read_export(Endless(start.encode(), piece, times, end.encode()), "201001", chosen, None)
        assert (len(found.pupils), found.ignored) == (0, 50 * times)

    small = 4 * 1024 * 1024 // len(piece)
    read(10)
    before = _resident()
    first = peak_of(lambda: read(small))
    second = peak_of(lambda: read(10 * small))
    assert second < first * 1.2 + 1024 * 1024
    assert _resident() < before + 60 * 1024 * 1024


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_case_list_ten_times_as_long_takes_no_more_memory(tmp_path: Path) -> None:
    head = "Sagsnummer;CPR-nr.;Sagstype;Oprettet;Note\r\n"
    row = f"S-1;0104149990;Logopædi;01-08-2026;{'x' * 400}\r\n"
    adapter = BufAdapter(BufSettings(folder=tmp_path, kinds=KINDS))
    peaks = []
    for size in (4, 40):
        rows = size * 1024 * 1024 // len(row)
        with (tmp_path / "sager.csv").open("w", encoding="cp1252", newline="") as file:
            file.write(head)
            file.writelines(row for _ in range(rows))
        pages: list[hub.Page] = []
        peaks.append(peak_of(lambda: pages.extend(adapter.presence(None))))  # noqa: B023 - called at once
        assert sum(page.ignored for page in pages) == rows
    assert peaks[1] < peaks[0] * 1.2 + 1024 * 1024


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_more_records_than_any_school_has_are_refused_and_not_held(make_export: Text, make_pupil: Text) -> None:
    start, end = make_export("101001", "@").split("@")
    person = make_pupil(None, "u1").encode()
    chosen = BufSettings(folder=Path(), kinds=KINDS)

    def read() -> None:
        with pytest.raises(hub.BadRecord, match=f"more than {MOST} records"):
            read_export(Endless(start.encode(), person, 2 * MOST, end.encode()), "101001", chosen, None)

    assert peak_of(read) < 100 * 1024 * 1024


def _resident() -> int:
    """Memory that this process holds now (bytes); libxml2's own is not in tracemalloc."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * 4096
