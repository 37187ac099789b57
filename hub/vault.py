"""Sealing and tokens: pure cryptography, the keys are passed in or live in a `Keys` object; no database.

A record about a person is sealed with AES-256-GCM under that person's own data key. The data key is stored wrapped
(AES-256-GCM) by a version of the key ring, so that the ring can be rotated without touching the records, and a person
is forgotten by destroying one small key. What a sealed record is (table, column, row) is bound in as associated data,
so a sealed value cannot be moved to another place and still open.

Two more keys turn ids into opaque references: the token key (CPR number → lookup token, held by the processes that
match and look up) and the reference key (a source's own id → reference). Both are HMAC-SHA-256: numbers of children can
be enumerated, so a token is personal data to whoever has the key and nothing to others.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hub.errors import SettingsError, TovholderError

_NONCE = 12
_KEY = 32


class CannotOpen(TovholderError):
    """A sealed value does not open: it was changed, moved, or its key is another or destroyed."""


def seal(key: bytes, plain: bytes, about: str) -> bytes:
    """`plain` sealed under a 32-byte `key`; `about` says what it is (the same text opens it)."""
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, about.encode())


def unseal(key: bytes, sealed: bytes, about: str) -> bytes:
    """What `seal` sealed. Raises CannotOpen."""
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], about.encode())
    except InvalidTag:
        raise CannotOpen(f"a sealed {about} does not open: changed, moved, or its key is another") from None


def seal_json(key: bytes, value: Any, about: str) -> bytes:
    return seal(key, json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), about)


def unseal_json(key: bytes, sealed: bytes, about: str) -> Any:
    return json.loads(unseal(key, sealed, about))


def new_key() -> bytes:
    return secrets.token_bytes(_KEY)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Versioned wrapping keys; the highest version wraps, all unwrap."""

    versions: dict[int, bytes]

    @property
    def current(self) -> int:
        return max(self.versions)

    def wrap(self, key: bytes, person: str) -> tuple[int, bytes]:
        """A data key wrapped for storage, with the version that wrapped it. `person` is the key's row id."""
        return self.current, seal(self.versions[self.current], key, f"key:{person}")

    def unwrap(self, version: int, wrapped: bytes, person: str) -> bytes:
        if version not in self.versions:
            raise CannotOpen(f"version {version} of the key ring is not here")
        return unseal(self.versions[version], wrapped, f"key:{person}")


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys a process holds. `token` is None in processes that neither match nor look up."""

    ring: KeyRing
    reference: bytes
    token: bytes | None

    def lookup_token(self, digits: str) -> bytes:
        """The lookup token of a CPR number (32 bytes)."""
        if self.token is None:
            raise CannotOpen("this process does not hold the token key")
        return hmac.digest(self.token, b"cpr:" + digits.encode(), "sha256")

    def refer(self, source: str, source_id: str) -> bytes:
        """An opaque reference to a source's own id (16 bytes): a source's id may itself be personal."""
        return hmac.digest(self.reference, f"{source}\0{source_id}".encode(), "sha256")[:16]


def load_keys(folder: Path, *, with_token: bool) -> Keys:
    """The keys in `folder` (ring.json, token.key). Raises SettingsError when they are missing or not readable."""
    path = folder / "ring.json"
    try:
        stored = json.loads(path.read_text(encoding="ascii"))
        ring = KeyRing({int(v): base64.b64decode(k) for v, k in stored["versions"].items()})
        reference = base64.b64decode(stored["reference"])
        token = base64.b64decode((folder / "token.key").read_text(encoding="ascii")) if with_token else None
    except FileNotFoundError as error:
        raise SettingsError(f"the key file {error.filename} is missing; `tovholder migrate` makes keys once") from error
    except (KeyError, ValueError) as error:
        raise SettingsError(f"the key file {path} cannot be read: {error}") from error
    return Keys(ring, reference, token)


def make_keys(folder: Path) -> bool:
    """Make the keys in `folder` (0700, files 0600) if they are not there. True when made now; never overwrites."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = {"versions": {"1": _text(new_key())}, "reference": _text(new_key())}
    made_ring = _write_once(folder / "ring.json", json.dumps(fresh))
    made_token = _write_once(folder / "token.key", _text(new_key()))
    return made_ring or made_token


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode("ascii")


def _write_once(path: Path, text: str) -> bool:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return True
