"""Answers and files that mean harm, made of good ones: what stands in them is still there, so that a reader that does
not look closely takes it."""

from __future__ import annotations

import re
from collections.abc import Callable

Spoiling = Callable[[bytes], bytes]

_DECLARATION = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<\?xml[^>]*\?>")
_ROOT = re.compile(rb"<[A-Za-z_][^>]*[^/]>")
_LAUGHS = b"<!DOCTYPE x [<!ENTITY e0 'ha'>%s]>" % b"".join(
    b"<!ENTITY e%d '%s'>" % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 10)
)
_OUTSIDE = b"<!DOCTYPE x [<!ENTITY e9 SYSTEM 'file:///etc/hostname'>]>"


def _is_xml(body: bytes) -> bool:
    return body.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<")


def _is_json(body: bytes) -> bool:
    return body.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{")


def _inside(body: bytes, xml: bytes, json: bytes, line: bytes) -> bytes:
    """Put something where it is no record's: at the beginning of the root element or object, else as a second line."""
    if _is_xml(body):
        root = _ROOT.search(body, (found.end() if (found := _DECLARATION.match(body)) else 0))
        return body if root is None else body[: root.end()] + xml + body[root.end() :]
    if _is_json(body):
        start = body.index(b"{") + 1
        comma = b"" if body[start:].lstrip().startswith(b"}") else b", "
        return body[:start] + b'"hostile": ' + json + comma + body[start:]
    first, end, rest = body.partition(b"\n")
    return first + end + line + end + rest if end else body + line


def _typed(doctype: bytes) -> Spoiling:
    def spoil(body: bytes) -> bytes:
        """With a document type, and its entity used."""
        if not _is_xml(body):
            return body
        after = found.end() if (found := _DECLARATION.match(body)) else 0
        return body[:after] + doctype + _inside(body[after:], b"&e9;", b"", b"")

    return spoil


def _deep(body: bytes) -> bytes:
    return _inside(body, b"<x>" * 10_000 + b"</x>" * 10_000, b"[" * 10_000 + b"]" * 10_000, b'"' * 10_001)


def _zero(body: bytes) -> bytes:
    return _inside(body, b"\0", b'"\0"', b"\0")


def _foreign(body: bytes) -> bytes:
    return _inside(body, b"<x>\xff\xfe\x81</x>", b'"\xff\xfe\x81"', b"\xff\xfe\x81")


def _wide(body: bytes) -> bytes:
    """In UTF-16, which nobody said."""
    try:
        return body.decode("utf-8").encode("utf-16-le")
    except UnicodeDecodeError:
        return body.decode("latin-1").encode("utf-16-le")


def _long(body: bytes) -> bytes:
    return _inside(body, b"<x>" + b"9" * 12_000_000 + b"</x>", b"9" * 5_000, b"9" * 2_000_000)


HOSTILE: dict[str, Spoiling] = {
    "billion laughs": _typed(_LAUGHS),
    "entity of this machine": _typed(_OUTSIDE),
    "nested 10,000 deep": _deep,
    "NUL": _zero,
    "bytes of no encoding": _foreign,
    "UTF-16 unsaid": _wide,
    "a value too long": _long,
    "nothing": lambda _body: b"",
}
"""What can be done to an answer or a file. Each gives it back as it was where the format knows no such harm."""
