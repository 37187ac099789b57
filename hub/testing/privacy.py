"""Finding a number or a name where none may be, also in disguise."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Iterator, Set
from urllib.parse import unquote_plus

import hub

_DIGEST = 16
"""Characters of a digest that are enough to know it by: some cut digests short."""


def told_of(records: Iterable[hub.Record]) -> set[str]:
    """The numbers and full names that records carry."""
    found: set[str | None] = set()
    for record in records:
        match record:
            case hub.Presence():
                found.add(record.cpr)
            case hub.CaseRecord():
                found |= {record.cpr, record.adviser.name if record.adviser else None}
            case hub.GuardianRecord():
                found |= {record.child_cpr, record.guardian_cpr, record.guardian_name}
            case hub.PersonRecord():
                found |= {record.cpr, record.current, record.name}
            case _:
                pass
    return {each for each in found if each}


def leaks(text: str, secrets: Set[str]) -> list[str]:
    """Those of `secrets` (numbers and names) that can be read out of `text`: as they are, a number with a dash, in
    hexadecimal, as an unkeyed digest (there are few numbers: trying all takes seconds), or any of it in base64."""
    views = [view.casefold() for view in _views(text)]
    return sorted(secret for secret in secrets if any(form in view for form in _forms(secret) for view in views))


def _views(text: str) -> Iterator[str]:
    yield text
    yield unquote_plus(text)
    try:
        padded = text.strip() + "=" * (-len(text.strip()) % 4)
        yield base64.b64decode(padded, altchars=b"-_" if {"-", "_"} & set(text) else None, validate=True).decode()
    except (binascii.Error, ValueError):
        return


def _forms(secret: str) -> set[str]:
    forms = {secret.casefold()}
    if len(secret) == 10 and secret[:6].isdecimal():
        plain = secret.encode()
        forms |= {f"{secret[:6]}-{secret[6:]}".casefold(), plain.hex()}
        forms |= {
            made(plain, usedforsecurity=False).hexdigest()[:_DIGEST]
            for made in (hashlib.sha256, hashlib.sha1, hashlib.md5)
        }
    return forms


def chain(error: BaseException) -> str:
    """All that an error says, with what it came from: a log prints the whole chain."""
    said: list[str] = []
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        said += [str(following), repr(following), *getattr(following, "__notes__", [])]
        following = following.__cause__ or following.__context__
    return "\n".join(said)
