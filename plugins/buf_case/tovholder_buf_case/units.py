"""What a source has now: its institutions' exports and its case lists, each to be read by itself."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

import hub
from tovholder_buf_case import wire
from tovholder_buf_case.caselist import CaseList, read_case_lists
from tovholder_buf_case.export import Export, read_export
from tovholder_buf_case.folder import Files, look_into, shown
from tovholder_buf_case.settings import BufSettings, wanted_institutions, wants_case_list
from tovholder_buf_case.unit import Found, Reader, opened

CASE_LIST = "case list"


def find(settings: BufSettings, client: hub.ReadOnlyClient | None) -> Found:
    """All units the source has now.

    Raises TryAgain (no answer), GaveUp (we are refused, or there is nothing at all: to go on would mean that every
    child has left, and it is more likely a fault)."""
    units: dict[str, Reader] = {}
    files = Files({}, (), ())
    folder = settings.folder if client is None else settings.case_list.folder
    if client is not None:
        units |= {number: _asked(client, settings, number) for number in wire.agreements(client, settings)}
    if folder is not None:
        files = look_into(folder, settings)
        if client is None:
            units |= {number: _kept(path, folder, number, settings) for number, path in files.exports.items()}
    if files.lists:
        units[CASE_LIST] = _listed(files.lists, folder, settings)
    if not units and not files.problems:
        raise hub.GaveUp(
            "the source has no institution at all: approve data agreements at tilslutning.stil.dk, "
            "or put exports (XML) or case lists (CSV) into the folder"
        )
    return Found(dict(sorted(units.items())), (*files.problems, *_missing(units, settings)))


def _missing(units: Set[str] | dict[str, Reader], settings: BufSettings) -> list[hub.Unreadable]:
    """What stands on the list of kinds and the source does not have. Going on as if it were empty would tell the hub
    that all its children have left."""
    told = [
        hub.Unreadable(
            f"institution {number}",
            "it is on the list of kinds, and the source has no export of it: approve its data agreement, put its "
            "export into the folder, or take it off the list",
        )
        for number in sorted(wanted_institutions(settings.kinds) - set(units))
    ]
    if wants_case_list(settings.kinds) and CASE_LIST not in units:
        reason = "kinds of it are on the list, and there is no case list: put it into the folder, or take them off"
        told.append(hub.Unreadable(CASE_LIST, reason))
    return told


def _asked(client: hub.ReadOnlyClient, settings: BufSettings, number: str) -> Reader:
    def read(children: Set[str] | None) -> Export:
        with wire.export(client, settings, number) as stream:
            return read_export(stream, number, settings, children)

    return read


def _kept(path: Path, folder: Path, number: str, settings: BufSettings) -> Reader:
    def read(children: Set[str] | None) -> Export:
        try:
            with opened(path) as file:
                return read_export(file, number, settings, children)
        except hub.TryAgain as error:
            # Trying again soon would read the same file: the others go on, and a person looks at this one.
            said = f"{shown(path, folder)}: {error}: copy or export it again"
            raise hub.BadRecord(said) from error

    return read


def _listed(paths: tuple[Path, ...], folder: Path | None, settings: BufSettings) -> Reader:
    def read(children: Set[str] | None) -> CaseList:
        return read_case_lists([(path, shown(path, folder or path.parent)) for path in paths], settings, children)

    return read
