"""`make fuzz`: atheris feeds each parser what no source has sent yet, led by which lines of it have run.

`python -m tests.fuzz NAME [--seconds 60] [--seeds FOLDER]`: one parser, from the files of a folder, else from nothing.
Whatever comes, records or the contract's own errors come out. What ends a run with anything else is printed, and
belongs among the tests.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(
    include=[
        "hub.reading", "tovholder_sof_case", "tovholder_buf_case", "tovholder_suf_cura", "tovholder_cpr_custody",
        "tovholder_digital_post",
    ]
):  # fmt: skip
    import tovholder_buf_case
    import tovholder_cpr_custody
    import tovholder_sof_case
    import tovholder_suf_cura
    from tovholder_digital_post import receipts

import hub

CHILD = "0101159994"
TOLD = (hub.Presence, hub.CaseRecord, hub.PersonRecord, hub.GuardianRecord, hub.Gone, hub.Unreadable)
"""All that an adapter may tell of."""
KINDS = {"32.18.04": {"name": "x"}}


def pages(told: Iterable[hub.Page]) -> Iterator[hub.Page]:
    """Raises AssertionError for what a database could not take."""
    for page in told:
        for record in page.records:
            assert isinstance(record, TOLD), type(record)
            assert repr(record).encode(), "half a surrogate"
            for name in ("source_id", "cpr", "position", "reason"):
                assert "\0" not in (getattr(record, name, "") or ""), name
            if isinstance(record, hub.Unreadable):
                assert record.position
                assert record.reason
                assert len(record.raw) <= hub.RAW_LIMIT
        yield page


def adapter(make: Callable[[Path], Any]) -> Callable[[bytes], None]:
    """Both reads of a folder with one file in it."""
    folder = Path(tempfile.mkdtemp(prefix="tovholder-fuzz-"))
    source = make(folder)

    def once(content: bytes) -> None:
        (folder / "x.xml").write_bytes(content)
        try:
            for page in pages(source.presence(None)):
                assert page.cursor is None or page.cursor.isprintable()
            for _page in pages(source.read(None, {CHILD})):
                pass
        except (hub.TryAgain, hub.GaveUp):
            pass

    return once


def _receipt(content: bytes) -> None:
    found = receipts.read(content, "x")
    assert found is None or isinstance(found, hub.Status | hub.Unreadable), type(found)


PARSERS: dict[str, Callable[[], Callable[[bytes], None]]] = {
    "sof": lambda: adapter(
        lambda folder: tovholder_sof_case.SofAdapter(tovholder_sof_case.SofSettings(folder=folder, kinds=KINDS))
    ),
    "buf": lambda: adapter(
        lambda folder: tovholder_buf_case.BufAdapter(tovholder_buf_case.BufSettings(folder=folder, kinds={}))
    ),
    "suf": lambda: adapter(
        lambda folder: tovholder_suf_cura.SufAdapter(
            tovholder_suf_cura.SufSettings(folder=folder, kinds={"care": {"name": "x"}})
        )
    ),
    "cpr": lambda: adapter(
        lambda folder: tovholder_cpr_custody.CprAdapter(tovholder_cpr_custody.CprSettings(folder=folder))
    ),
    "receipts": lambda: _receipt,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("name", choices=PARSERS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seeds", type=Path, nargs="*", default=[], help="folders with files to begin from")
    given = parser.parse_args()
    known = tempfile.mkdtemp(prefix="tovholder-fuzz-found-")
    words = [sys.argv[0], f"-max_total_time={given.seconds}", "-max_len=20000", "-timeout=25", "-rss_limit_mb=4096"]
    atheris.Setup([*words, known, *map(str, given.seeds)], PARSERS[given.name]())
    atheris.Fuzz()


main()
