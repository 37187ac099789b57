"""The service of Sags- og Dokumentindekset: a search goes out by SOAP 1.2, and what it found comes in as a stream.

The service itself wants OIO IDWS (a SAML token, signed headers, a client certificate), which is not spoken here: `url`
is that of the municipality's own gateway, which adds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from lxml import etree

import hub
from tovholder_sof_case.search import ACTION, Search
from tovholder_sof_case.settings import SofSettings
from tovholder_sof_case.virkning import SD, SDI

FOUND = SDI + "SagFiltreretOejebliksbillede"
_SOAP = "{http://www.w3.org/2003/05/soap-envelope}"
_OK = "20"


class Service:
    """The service at `url`. `reads` is all that may be sent: the one address, by POST."""

    def __init__(self, url: str, settings: SofSettings) -> None:
        base, _, last = url.rpartition("/") if urlsplit(url).path.strip("/") else (url, "", "")
        self.reads: frozenset[tuple[str, str]] = frozenset({("POST", "/" + last)})
        self._url = url
        self._path = last
        self._client = hub.ReadOnlyClient(base, self.reads, timeout_seconds=settings.timeout_seconds)

    def search(self, search: Search) -> Iterator[int | etree._Element]:
        """How many Sager there are in all, if the index says so, and then those it sends. An element must be read
        before the next one is asked for.

        Raises TryAgain or GaveUp when it is no answer to a search, or not a whole one."""
        headers = {"Content-Type": f'application/soap+xml; charset=utf-8; action="{ACTION}"'}
        body = search.envelope(self._url).encode()
        # A fault comes with 400 or 500, which the client turns into GaveUp or TryAgain; one with 200 is caught here.
        with self._client.stream("POST", self._path, content=body, headers=headers) as response:
            tags = (SD + "StandardRetur", SDI + "Antal", FOUND, _SOAP + "Fault")
            answered = False
            for element in hub.xml_elements(hub.ByteStream(response), *tags):
                if element.tag == _SOAP + "Fault":
                    raise hub.TryAgain("the index answered with a SOAP fault")
                if element.tag == SD + "StandardRetur":
                    _check(element.findtext(SD + "StatusKode", "").strip())
                    answered = True
                elif element.tag == FOUND:
                    yield element
                elif (total := _total(element)) is not None:
                    yield total
            if not answered:
                raise hub.TryAgain("the index answered with something else than a result of a search")


def _check(status: str) -> None:
    """Raise unless the index says that it searched. Its own text may hold what was asked for: it is not passed on."""
    if status == _OK:
        return
    said = f"the index answered StatusKode {status if status.isdecimal() and len(status) < 4 else '?'} to the search"
    raise hub.TryAgain(said) if status.startswith("5") else hub.GaveUp(said)


def _total(element: etree._Element) -> int | None:
    """The count of cases there are in all: an Antal within an Antal, after the Element it counts."""
    what = element.getprevious()
    text = (element.text or "").strip()
    counted = what is not None and what.tag == SDI + "Element" and what.text == "sager"
    return int(text) if counted and text.isascii() and text.isdecimal() and len(text) < 10 else None
