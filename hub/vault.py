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
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hub.errors import SettingsError, TovholderError

_NONCE = 12
_KEY = 32
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
T = TypeVar("T")


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
    except (InvalidTag, ValueError):  # ValueError: too short to hold a nonce
        raise CannotOpen(f"a sealed {about} does not open: changed, moved, or its key is another") from None


def json_bytes(value: Any) -> bytes:
    """`value` as what is sealed by `seal_json`."""
    return _ENCODER.encode(value).encode()


def seal_json(key: bytes, value: Any, about: str) -> bytes:
    return seal(key, json_bytes(value), about)


def unseal_json(key: bytes, sealed: bytes, about: str) -> Any:
    return json.loads(unseal(key, sealed, about))


def new_key() -> bytes:
    return secrets.token_bytes(_KEY)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Versioned wrapping keys; the highest version wraps, all unwrap."""

    versions: dict[int, bytes] = field(repr=False)

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
    reference: bytes = field(repr=False)
    token: bytes | None = field(repr=False)

    def lookup_token(self, digits: str) -> bytes:
        """The lookup token of a CPR number (32 bytes)."""
        if self.token is None:
            raise CannotOpen("this process does not hold the token key")
        return hmac.digest(self.token, b"cpr:" + digits.encode(), "sha256")

    def refer(self, source: str, source_id: str) -> bytes:
        """An opaque reference to a source's own id (16 bytes): a source's id may itself be personal."""
        return hmac.digest(self.reference, f"{source}\0{source_id}".encode(), "sha256")[:16]

    def once(self, kind: str, what: str) -> bytes:
        """An opaque digest of a thing of a kind (32 bytes): the same thing come upon twice is one."""
        return hmac.digest(self.reference, f"{kind}:{what}".encode(), "sha256")


def load_keys(folder: Path, *, with_token: bool) -> Keys:
    """The keys in `folder` (ring.json, token.key). Raises SettingsError when they are missing, not readable or not
    whole: a short or empty key would work, and protect nothing."""
    ring = _read(folder / "ring.json", _ring)
    token = _read(folder / "token.key", _key) if with_token else None
    return Keys(*ring, token)


def _read(path: Path, understand: Callable[[str], T]) -> T:
    try:
        return understand(path.read_text(encoding="ascii"))
    except FileNotFoundError as error:
        raise SettingsError(f"the key file {path} is missing; `tovholder migrate` makes keys once") from error
    except OSError as error:
        raise SettingsError(f"the key file {path} cannot be read: {error.strerror}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # The cause is left out of the message: it may hold a key.
        raise SettingsError(f"the key file {path} is not whole; put back the copy that was kept of it") from error


def _ring(text: str) -> tuple[KeyRing, bytes]:
    stored = json.loads(text)
    versions = {int(version): _key(key) for version, key in stored["versions"].items()}
    if not versions:
        raise ValueError("no versions")
    return KeyRing(versions), _key(stored["reference"])


def _key(text: str) -> bytes:
    key = base64.b64decode(text.strip(), validate=True)
    if len(key) != _KEY:
        raise ValueError("not the length of a key")
    return key


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
    """Write a file unless there is one. It gets its name only when it is whole: a crash leaves no half a key."""
    if path.exists():
        return False
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(beside)
        except FileExistsError:
            return False
    finally:
        beside.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True
