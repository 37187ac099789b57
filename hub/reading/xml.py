"""XML in a stream, without document types, entities or network."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

from hub.errors import TryAgain
from hub.reading.files import RAW_LIMIT, Readable

RECORD_LIMIT = 16 * 1024 * 1024
"""How much of a document may stand between two records, and so be held in memory (bytes). libxml2 itself refuses more
than 256 levels and text of more than 10 MB."""
_PROLOG = 64 * 1024
"""Within so many bytes the first element must begin."""
_BEFORE = re.compile(r"(?:\s+|<\?.*?\?>|<!--.*?-->)*", re.DOTALL)
_DECLARED = re.compile(rb"<\?xml[^>]{0,200}?\bencoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_READ = {"utf-8", "utf8", "utf-16", "us-ascii", "ascii", "iso-8859-1", "iso-8859-15", "windows-1252", "latin1"}
"""The encodings that are read: those in which a document type can be seen before the parser sees it."""
_BYTES = {etree.ErrorTypes.ERR_INVALID_CHAR, etree.ErrorTypes.ERR_INVALID_ENCODING}
_TOO_MUCH = {etree.ErrorTypes.ERR_RESOURCE_LIMIT, etree.ErrorTypes.ERR_NAME_TOO_LONG}


class _Watched:
    """The document as the parser reads it: looked at before it begins, counted between records."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._looked = False
        self._held = b""
        self.since = 0

    def read(self, size: int = 32 * 1024, /) -> bytes:
        if not self._looked:
            self._look()
        piece, self._held = (self._held[:size], self._held[size:]) if self._held else (self._stream.read(size), b"")
        self.since += len(piece)
        if self.since > RECORD_LIMIT:
            raise TryAgain(f"no record ends within {RECORD_LIMIT} bytes of the XML: it is not read further")
        return piece

    def _look(self) -> None:
        self._looked = True
        while len(self._held) < _PROLOG and (piece := self._stream.read(_PROLOG - len(self._held))):
            self._held += piece
        text = _text(self._held)
        found = _BEFORE.match(text)
        rest = text[found.end() if found else 0 :]
        if rest.startswith("<!") and not rest.startswith("<!--"):
            raise TryAgain("the XML has a document type (<!DOCTYPE …>), which is refused: it can hold an attack")
        if not re.match(r"<[^\W\d]", rest) and len(self._held) >= _PROLOG:
            raise TryAgain(f"no element begins within {_PROLOG} bytes: not an XML document with records")


def _text(data: bytes) -> str:
    """The beginning of a document in letters, as the parser will take it (XML 1.0, appendix F)."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    if b"\0" in data[:4]:
        raise TryAgain("the XML is in UTF-16 or UTF-32 without a byte order mark, which is not read: send UTF-8")
    found = _DECLARED.match(data.removeprefix(b"\xef\xbb\xbf"))
    if found is not None and found[1].decode("ascii").casefold() not in _READ:
        raise TryAgain("the XML is in an encoding that is not read: send UTF-8")
    # All that is looked for is ASCII, and the same bytes in each of these encodings.
    return data.removeprefix(b"\xef\xbb\xbf").decode("latin-1")


def xml_elements(stream: Readable, *tags: str) -> Iterator[etree._Element]:
    """The elements named `tags` (in `{namespace}name` form) in document order, each freed when the next is asked for.
    Memory stays flat however long the document is. A document type is refused, entities are not resolved, and nothing
    is fetched.

    Raises TryAgain when the document is cut short, not well formed, hostile, or has no record within RECORD_LIMIT: what
    came before has been given."""
    watched = _Watched(stream)
    parser = etree.iterparse(
        watched, events=("end",), tag=tags, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        for _event, element in parser:
            watched.since = 0
            yield element
            element.clear(keep_tail=False)
            while element.getprevious() is not None:
                parent = element.getparent()
                if parent is None:
                    break
                del parent[0]
    except etree.XMLSyntaxError as error:
        raise TryAgain(f"not well-formed XML at line {error.lineno}{_why(error)}") from error


def _why(error: etree.XMLSyntaxError) -> str:
    """Never in the parser's own words: they may hold what stands in the document."""
    code = getattr(error, "code", None)  # lxml has it, its stubs do not
    if code in _BYTES:
        return ": bytes that are no letters in the document's encoding"
    if code in _TOO_MUCH:
        return ": nested too deep, or a text too long"
    return ""


def raw(element: etree._Element) -> bytes:
    """An element as bytes for quarantine, cut at `RAW_LIMIT`."""
    return bytes(etree.tostring(element))[:RAW_LIMIT]


def xml_name(element: etree._Element) -> tuple[str, str]:
    """Namespace (empty when it has none) and local name; also of a name that no standard allows and a parser lets
    pass, which lxml's own QName refuses."""
    namespace, _, local = str(element.tag).rpartition("}")
    return namespace.removeprefix("{"), local
