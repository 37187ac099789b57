"""Files from a folder, packed or not, and large ones."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from hub import GaveUp, TryAgain, files, opened


def test_files_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b/2.xml", "a.xml", "b/1.xml", "c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [str(path.relative_to(tmp_path)) for path in files(tmp_path, "*.xml")] == ["a.xml", "b/1.xml", "b/2.xml"]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(GaveUp, match="does not exist or is not a folder"):
        list(files(tmp_path / "none", "*"))


@pytest.mark.parametrize("size", [0, 1, 7, 65_536, 200_001])
def test_packed_and_plain_files_read_alike(tmp_path: Path, size: int) -> None:
    data = bytes(n % 251 for n in range(size))
    (tmp_path / "plain").write_bytes(data)
    (tmp_path / "packed").write_bytes(gzip.compress(data))
    for name in ("plain", "packed"):
        with opened(tmp_path / name) as stream:
            begun = stream.read(5)
            assert len(begun) == min(5, size)
            assert begun + b"".join(iter(lambda: stream.read(1000), b"")) == data


def test_damage_in_a_packed_file_is_told(tmp_path: Path) -> None:
    packed = gzip.compress(bytes(range(256)) * 100)
    (tmp_path / "cut.gz").write_bytes(packed[:-20])
    (tmp_path / "bad.gz").write_bytes(packed[:30] + b"xxxx" + packed[34:])
    for name in ("cut.gz", "bad.gz"):
        with opened(tmp_path / name) as stream, pytest.raises(TryAgain, match="gzip"):
            stream.read(1_000_000)


def test_a_bomb_in_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(b"\0" * 50_000_000))
    with opened(tmp_path / "bomb.gz") as stream, pytest.raises(GaveUp, match="zip bomb"):
        stream.read(50_000_000)


LARGE = """
import resource, sys
from hub import CsvRow, csv_rows, xml_elements
{records}
class Long:
    def __init__(self):
        self.left, self.rest, self.state = 2 * 1024**3, begin, 0
    def read(self, size=-1, /):
        while len(self.rest) < size and self.left > 0:
            self.rest += record
            self.left -= len(record)
            if self.left <= 0:
                self.rest += end
        given, self.rest = self.rest[:size], self.rest[size:]
        return given
stream = Long()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(sum(1 for _ in {read}))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
XML = """
begin, end = b"<all>", b"</all>"
record = b"<r>" + b"<navn a='1'>" + b"x" * 20_000 + b"</navn>" * 1 + b"</r>" + b"<other>y</other>"
"""
CSV = """
begin, end = b"CPR-nr.;Sagstype;Note\\r\\n", b""
record = ("0101149990;handicap;\\"" + "Åse " * 5_000 + "\\n\\"\\r\\n").encode("cp1252")
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("records", "read"),
    [
        (XML, "xml_elements(stream, 'r')"),
        (CSV, "csv_rows(stream, {'n': ('CPR-nr.',), 't': ('Note',)}, needed={'n'}, where='file 1')"),
    ],
)
def test_two_gigabytes_take_no_memory(records: str, read: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LARGE.format(records=records, read=read)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    count, grown = map(int, done.stdout.split())
    assert count > 100_000
    assert grown < 50 * 1024, "KiB more than before"
