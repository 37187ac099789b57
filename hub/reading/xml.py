"""XML in a stream, without entities or network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from lxml import etree

from hub.errors import TryAgain
from hub.reading.client import ByteStream
from hub.reading.files import RAW_LIMIT


def xml_elements(stream: IO[bytes] | ByteStream, *tags: str) -> Iterator[etree._Element]:
    """The elements named `tags` (in `{namespace}name` form) in document order, each freed when the next is asked for.
    Memory stays flat however long the document is. Entities are not resolved and nothing is fetched.

    Raises TryAgain when the document is cut short or not well formed: what came before has been given."""
    parser = etree.iterparse(
        stream, events=("end",), tag=tags, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        for _event, element in parser:
            yield element
            element.clear(keep_tail=False)
            while element.getprevious() is not None:
                parent = element.getparent()
                if parent is None:
                    break
                del parent[0]
    except etree.XMLSyntaxError as error:
        raise TryAgain(f"not well-formed XML at line {error.lineno}") from error


def raw(element: etree._Element) -> bytes:
    """An element as bytes for quarantine, cut at `RAW_LIMIT`."""
    return bytes(etree.tostring(element))[:RAW_LIMIT]
