"""A folder with exports and case lists: which file is what, by what is in it. What is neither is told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from lxml import etree

import hub
from tovholder_buf_case.caselist import check_case_list
from tovholder_buf_case.settings import BufSettings
from tovholder_buf_case.unit import opened
from tovholder_buf_case.wire import COMMON, SMALL, SOAP, VARIANTS, WSI, written_at

_MAGIC = {
    b"\x1f\x8b": "compressed (gzip): unpack it",
    b"PK\x03\x04": "a zip file or an Excel workbook: unpack it, or save it as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: save it as CSV",
    b"%PDF": "a PDF: export XML or CSV instead",
}
_NEITHER = "it is neither a wsieksport v7 export nor a case list: export it again, or take it out of the folder"
_LIKE_A_NUMBER = re.compile(r"\d{6}[- ]?\d{4}")


@dataclass(frozen=True, slots=True)
class Files:
    """What lies in a folder: the newest export of each institution, the case lists, and what cannot be read."""

    exports: dict[str, Path]
    lists: tuple[Path, ...]
    problems: tuple[hub.Unreadable, ...]


@dataclass(frozen=True, slots=True)
class _Export:
    number: str
    written: datetime
    has_numbers: bool
    path: Path


def look_into(folder: Path, settings: BufSettings) -> Files:
    """Sort the files of a folder. Names that begin with a dot or `~` are the operating system's and programs' own.

    Raises GaveUp when the folder is not there."""
    newest: dict[str, _Export] = {}
    lists: list[Path] = []
    problems: list[hub.Unreadable] = []
    for path in hub.files(folder, "*"):
        if path.name.startswith((".", "~")):
            continue
        try:
            with opened(path) as file:
                found = _look(file, path, folder, settings)
        except hub.BadRecord as error:
            problems.append(hub.Unreadable(shown(path, folder), str(error)))
            continue
        if found is None:
            lists.append(path)
            continue
        before = newest.get(found.number)
        if before is None or (found.has_numbers, found.written) >= (before.has_numbers, before.written):
            newest[found.number] = found
    for number, found in sorted(newest.items()):
        if not found.has_numbers:
            del newest[number]
            reason = (
                "it is of the variant Lille, which has no CPR numbers: export Mellem, Fuld or FuldMyndighed instead"
            )
            problems.append(hub.Unreadable(shown(found.path, folder), reason))
    return Files({number: found.path for number, found in newest.items()}, tuple(lists), tuple(problems))


def shown(path: Path, folder: Path) -> str:
    """A file's name as it may be shown to operators: somebody may have put a CPR number into it."""
    name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
    return f"file {_LIKE_A_NUMBER.sub('••••••••••', name)}"


def _look(file: IO[bytes], path: Path, folder: Path, settings: BufSettings) -> _Export | None:
    """What an export says of itself, or None for a case list. Raises BadRecord for anything else."""
    start = file.read(1024)
    file.seek(0)
    if not start.strip(b" \t\r\n\0"):
        raise hub.BadRecord("the file is empty: export it again, or take it out of the folder")
    for magic, what in _MAGIC.items():
        if start.startswith(magic):
            raise hub.BadRecord(f"it is {what}")
    if not _like_xml(start):
        check_case_list(file, settings.case_list, shown(path, folder))
        return None
    try:
        return _export(file, path)
    except hub.TryAgain as error:
        raise hub.BadRecord(f"{error}: copy or export it again") from error


def _like_xml(start: bytes) -> bool:
    wide = start[:2] in (b"\xff\xfe", b"\xfe\xff") or start[:2] in (b"<\0", b"\0<")
    text = start[:1022].decode("utf-16" if wide and start[:1] > b"<" else "latin-1", errors="replace")
    return text.lstrip("\ufeffï»¿ \t\r\n\0").startswith("<")


def _export(file: IO[bytes], path: Path) -> _Export:
    """An export's institution, time and variant, from its first lines. Raises TryAgain, BadRecord."""
    known_root = False
    for element in hub.xml_elements(file, "*"):
        if not known_root:
            _check_root(element.getroottree().getroot())
            known_root = True
        parent = element.getparent()
        variant = None if parent is None else hub.xml_name(parent)[0] or None
        if element.tag == f"{{{COMMON}}}InstitutionNumber" and variant in (*VARIANTS, SMALL):
            number = (element.text or "").strip()
            if not number:
                raise hub.BadRecord("the institution has no number: export it again")
            try:
                written = written_at(element).astimezone(UTC)
            except (ValueError, OverflowError) as error:
                raise hub.BadRecord("exportDateTime is missing or no time: export it again") from error
            return _Export(number, written, variant != SMALL, path)
        if element.tag == f"{{{SOAP}}}Fault":
            raise hub.BadRecord("it is a refusal that the service gave instead of an export: export it again")
    raise hub.BadRecord(_NEITHER)


def _check_root(root: etree._Element) -> None:
    namespace, local = hub.xml_name(root)
    if namespace in (*VARIANTS, SMALL, WSI) or root.tag == f"{{{SOAP}}}Envelope":
        return
    if "wsieksport" in namespace or local.startswith("UNILoginExport"):
        raise hub.BadRecord("it is an export of another version of wsieksport: export it with version 7")
    raise hub.BadRecord(_NEITHER)
