"""A copy of the keys, apart from the data: each is useless without the other, and together they are everything.

Whoever finds a backup reads times, states and counts, and no number, name or letter; so the keys never go into the same
folder. A backup names its keys by fingerprint, and a restore refuses other ones before it begins.
"""

from __future__ import annotations

import hmac
import os
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from hub.errors import GaveUp, NotAllowed
from hub.store.backup import DUMP, PREFIX
from hub.vault import Keys, load_keys

FILES = ("ring.json", "token.key")
_COPY = "keys-"


class OtherKeys(GaveUp):
    """These are not the keys that open this backup."""


def fingerprints(keys: Keys) -> dict[str, str]:
    """What tells keys apart and reveals nothing of them: 8 bytes of an HMAC under each, hexadecimal."""
    named = {f"ring {version}": key for version, key in keys.ring.versions.items()} | {"reference": keys.reference}
    if keys.token is not None:
        named["token"] = keys.token
    return {name: hmac.digest(key, b"tovholder backup", "sha256")[:8].hex() for name, key in named.items()}


def check(keys: Keys, wanted: Mapping[str, str], folder: Path) -> None:
    """Raise OtherKeys unless these keys open what those with the fingerprints `wanted` sealed. More versions of the key
    ring than then are well: it has been rotated since."""
    have = fingerprints(keys)
    wrong = sorted(name for name in wanted if have.get(name) != wanted[name])
    if wrong:
        raise OtherKeys(
            f"the keys in {folder} do not open this backup ({', '.join(wrong)}); name the folder with the keys of that "
            "time in TOVHOLDER_KEYS. Without them the backup cannot be read by anybody"
        )


def copy(keys: Path, folder: Path, now: datetime) -> Path:
    """Copy the keys into a folder of their own in `folder`, read it back, and give where.

    Raises NotAllowed when that would lay them beside a backup, GaveUp when it cannot be written."""
    refuse_beside_data(folder, keys)
    done = folder / f"{_COPY}{now:%Y%m%dT%H%M%SZ}"
    part = folder / f".{done.name}.part"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if done.exists():
            raise GaveUp(f"{done} is there already; try again in a second")
        part.mkdir(mode=0o700)
        try:
            for name in FILES:
                handle = os.open(part / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(handle, "wb") as file:
                    file.write((keys / name).read_bytes())
                    file.flush()
                    os.fsync(file.fileno())
            if load_keys(part, with_token=True) != load_keys(keys, with_token=True):
                raise GaveUp(f"the keys did not arrive whole in {folder}; is its disk well?")
            part.rename(done)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    except OSError as error:
        raise GaveUp(f"the keys cannot be copied to {folder}: {error.strerror}") from error
    return done


def refuse_beside_data(folder: Path, keys: Path) -> None:
    """Raise NotAllowed when keys in `folder` would lie with a backup, or in the folder they come from."""
    if _within(folder, keys):
        raise NotAllowed(f"{folder} is where the keys are now: a copy there is no copy; name a folder on another disk")
    for place in (folder, *folder.absolute().parents):
        if (place / DUMP).exists() or any(place.glob(f"{PREFIX}*/{DUMP}")):
            raise NotAllowed(f"{place} holds backups of the data: the keys must lie elsewhere; name a folder apart")
    if any(folder.glob(f"**/{DUMP}")):
        raise NotAllowed(f"within {folder} are backups of the data: the keys must lie elsewhere; name a folder apart")


def refuse_beside_keys(folder: Path) -> None:
    """Raise NotAllowed when a backup in `folder` would lie with keys."""
    ring = FILES[0]
    for place in (folder, *folder.absolute().parents):
        if (place / ring).exists() or any(place.glob(f"{_COPY}*/{ring}")):
            raise NotAllowed(f"{place} holds keys: a backup must lie elsewhere; name a folder apart")
    if any(folder.glob(f"**/{ring}")):
        raise NotAllowed(f"within {folder} are keys: a backup must lie elsewhere; name a folder apart")


def _within(folder: Path, other: Path) -> bool:
    return folder.resolve() == other.resolve() or other.resolve() in folder.resolve().parents
