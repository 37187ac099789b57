"""Reading from a folder: pages, cursors, what has changed, what is broken."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tovholder_sof_case import SofAdapter, SofSettings

import hub

KINDS = {"32.18.04": {"name": "Merudgifter"}}


def _uuid(n: int) -> str:
    return f"4444{n:04}-0000-4000-8000-000000000000"


@pytest.fixture
def folder(make: Any, tmp_path: Path) -> Path:
    """Three files of four Sager each, one below another folder."""
    for n, name in enumerate(("a.xml", "b/b.xml", "c.xml")):
        path = tmp_path / "sager" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        sager = "".join(make.sag(uuid=_uuid(4 * n + k)) for k in range(4))
        path.write_text(f"<Sager>{sager}</Sager>", encoding="utf-8")
    return tmp_path / "sager"


@pytest.fixture
def adapter(folder: Path) -> SofAdapter:
    return SofAdapter(SofSettings.model_validate({"folder": folder, "kinds": KINDS, "page_size": 5}))


def ids(pages: list[hub.Page]) -> list[str | None]:
    return [record.source_id for page in pages for record in page.records]


def test_full_read_gives_everything_in_order_of_names(adapter: SofAdapter) -> None:
    pages = list(adapter.presence(None))
    assert ids(pages) == [_uuid(n) for n in range(12)]
    assert [len(page.records) for page in pages] == [5, 5, 2]
    assert [page.complete for page in pages] == [False, False, True]


def test_one_sag_is_a_file_too(make: Any, tmp_path: Path) -> None:
    (tmp_path / "x.xml").write_text(make.sag(), encoding="utf-8")
    adapter = SofAdapter(SofSettings.model_validate({"folder": tmp_path, "kinds": KINDS}))
    assert ids(list(adapter.presence(None))) == [make.UUID]


@pytest.mark.parametrize("page_size", [1, 3, 4, 5, 12, 100])
def test_resumes_right_after_every_page(folder: Path, page_size: int) -> None:
    settings = {"folder": folder, "kinds": KINDS, "page_size": page_size}
    whole = list(SofAdapter(SofSettings.model_validate(settings)).presence(None))
    for n, page in enumerate(whole[:-1]):
        rest = list(SofAdapter(SofSettings.model_validate(settings)).presence(page.cursor))
        assert rest == whole[n + 1 :]


def test_nothing_changed_reads_nothing(adapter: SofAdapter) -> None:
    last = list(adapter.presence(None))[-1]
    (page,) = adapter.presence(last.cursor)
    assert (page.records, page.complete) == ((), False)
    assert page.cursor == last.cursor


def test_only_new_files_come_again(make: Any, adapter: SofAdapter, folder: Path) -> None:
    last = list(adapter.presence(None))[-1]
    (folder / "d.xml").write_text(make.sag(uuid=_uuid(99)), encoding="utf-8")
    pages = list(adapter.presence(last.cursor))
    assert ids(pages) == [_uuid(99)]
    assert not any(page.complete for page in pages)
    (page,) = adapter.presence(pages[-1].cursor)
    assert page.records == ()


@pytest.mark.parametrize("how", ["changed", "removed"])
def test_changed_or_removed_file_makes_a_full_read(adapter: SofAdapter, folder: Path, how: str) -> None:
    """What is no longer in it is gone, and only a full read can say so."""
    last = list(adapter.presence(None))[-1]
    if how == "changed":
        os.utime(folder / "a.xml", ns=(1, 1))
    else:
        (folder / "a.xml").unlink()
    pages = list(adapter.presence(last.cursor))
    assert ids(pages) == [_uuid(n) for n in range(0 if how == "changed" else 4, 12)]
    assert pages[-1].complete


def test_file_changed_in_the_middle_is_read_from_its_start(make: Any, adapter: SofAdapter, folder: Path) -> None:
    first = next(iter(adapter.presence(None)))
    text = (folder / "b/b.xml").read_text(encoding="utf-8")
    (folder / "b/b.xml").write_text(text.replace("</Sager>", make.sag(uuid=_uuid(77)) + "</Sager>"), encoding="utf-8")
    assert ids(list(adapter.presence(first.cursor))) == [_uuid(n) for n in (4, 5, 6, 7, 77, 8, 9, 10, 11)]


def test_later_file_wins(make: Any, adapter: SofAdapter, folder: Path) -> None:
    closed = make.sag(steps=make.step("Afsluttet", "2026-01-01T00:00:00Z"), uuid=_uuid(0))
    (folder / "z.xml").write_text(closed, encoding="utf-8")
    whole = SofAdapter(SofSettings.model_validate({"folder": folder, "kinds": KINDS, "page_size": 100}))
    (page,) = whole.presence(None)
    assert [type(record) for record in page.records if record.source_id == _uuid(0)] == [hub.Gone]


@pytest.mark.parametrize("cut", ["cut short", "not XML"])
def test_broken_file_stops_nothing_and_completes_nothing(adapter: SofAdapter, folder: Path, cut: str) -> None:
    text = (folder / "b/b.xml").read_text(encoding="utf-8")
    (folder / "b/b.xml").write_text(text[: text.rindex("<Registrering")] if cut == "cut short" else "%PDF", "utf-8")
    pages = list(adapter.presence(None))
    kept = [4, 5, 6] if cut == "cut short" else []
    assert [each for each in ids(pages) if each] == [_uuid(n) for n in (0, 1, 2, 3, *kept, 8, 9, 10, 11)]
    (bad,) = [record for page in pages for record in page.records if isinstance(record, hub.Unreadable)]
    assert bad.position == f"b/b.xml, after case {len(kept)}"
    assert ("not well-formed" if cut == "cut short" else "none of what this plugin reads") in bad.reason
    # What stands after the fault is not gone: the read is not complete, neither when it is resumed.
    assert not any(page.complete for page in pages)
    assert not any(page.complete for page in adapter.presence(pages[-2].cursor))
    # It is read again, whole, when it has been mended.
    (folder / "b/b.xml").write_text(text, encoding="utf-8")
    assert ids(list(adapter.presence(pages[-1].cursor))) == [_uuid(n) for n in (4, 5, 6, 7)]


def test_entities_are_not_resolved(make: Any, tmp_path: Path) -> None:
    (tmp_path / "number").write_text(f"urn:oio:cpr-nr:{make.CHILD}", encoding="utf-8")
    sag = make.sag(parts=make.part("&x;"))
    text = f'<!DOCTYPE Sag [<!ENTITY x SYSTEM "file://{tmp_path}/number">]>{sag}'
    (tmp_path / "x.xml").write_text(text, encoding="utf-8")
    adapter = SofAdapter(SofSettings.model_validate({"folder": tmp_path, "kinds": KINDS}))
    told = [record for page in adapter.presence(None) for record in page.records]
    assert not any(isinstance(record, hub.Presence) for record in told)


def test_number_in_a_file_name_is_blotted_out(make: Any, tmp_path: Path) -> None:
    (tmp_path / f"sag-{make.CHILD}.xml").write_text("nothing", encoding="utf-8")
    adapter = SofAdapter(SofSettings.model_validate({"folder": tmp_path, "kinds": KINDS}))
    (page,) = adapter.presence(None)
    assert make.CHILD not in repr(page)


@pytest.mark.parametrize("cursor", ["", "nonsense", "[]", '{"v":99,"place":"folder"}', '{"v":1,"place":"index"}'])
def test_foreign_cursor_reads_all(adapter: SofAdapter, cursor: str) -> None:
    pages = list(adapter.presence(cursor))
    assert len(ids(pages)) == 12
    assert pages[-1].complete


def test_missing_folder_is_told(tmp_path: Path) -> None:
    adapter = SofAdapter(SofSettings.model_validate({"folder": tmp_path / "nowhere"}))
    assert not adapter.health().ok
    with pytest.raises(hub.GaveUp, match="nowhere"):
        list(adapter.presence(None))


def test_folder_answers(adapter: SofAdapter) -> None:
    assert adapter.health() == hub.Health(ok=True)
    assert adapter.reads == frozenset()


def test_no_number_in_the_logs(
    make: Any, adapter_of: Callable[..., SofAdapter], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    adapter = adapter_of(make.sag(), make.sag(steps=""), make.sag(parts=make.part("urn:oio:cpr-nr:04061499911")))
    list(adapter.presence(None))
    list(adapter.read(None, {make.CHILD}))
    assert make.CHILD not in caplog.text
