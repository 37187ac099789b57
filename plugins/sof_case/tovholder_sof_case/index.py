"""Reading Sager from Sags- og Dokumentindekset by SOAP 1.2: SagDokumentIndeksService_6.wsdl, operation `fremsoeg`.

The service's other operations (fjern, importer, opdater) are writes at the same address, told apart by action and body
only. So this module can make one request and no other: `_search`.

A read follows the index as a log: Sager in the order of registration (StsTidspunkt), from the time of the cursor on,
less those of exactly that time that were given already. A case that changes while it is read moves to the end and
comes again; none is missed. The next read begins after the newest time seen.

The service itself wants OIO IDWS (a SAML token, signed headers, a client certificate), which is not spoken here: `url`
is that of the municipality's own gateway, which adds them.

Not written anywhere: whether the index counts results from 0 (taken here) or from 1. A wrong guess is an error when a
page ends between cases of the same time, never a missing case.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from lxml import etree

import hub
from tovholder_sof_case.pages import Filling, Take, read_cursor, write_cursor
from tovholder_sof_case.sag import SD, SDI, Sag
from tovholder_sof_case.settings import SofSettings

_PLACE = "index"
_SOAP = "{http://www.w3.org/2003/05/soap-envelope}"
_ACTION = "http://kombit.dk/sts/sagdokumentindeks/fremsoeg"
_FOUND = SDI + "SagFiltreretOejebliksbillede"
_OK = "20"
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_TICK = timedelta(milliseconds=1)
"""How precise the format writes a time."""
PRESENCE = ("egenskaber", "fremdrift", "sagsklasse", "sagspart", "sikkerhedsprofil")
"""What of each Sag the index is asked to send: nothing of documents, journal notes, related cases or objects."""
CASE = (*PRESENCE, "sagsaktoer")
"""The same, and who works on it."""


@dataclass(frozen=True, slots=True)
class _Place:
    """How far a read has come: all that was registered before `time`, and `given` of those registered at `time`, the
    last of them `last` (a digest of its UUID)."""

    full: bool
    time: datetime | None = None
    given: int = 0
    last: str = ""

    def cursor(self) -> str:
        time = None if self.time is None else self.time.isoformat()
        return write_cursor(_PLACE, full=self.full, time=time, given=self.given, last=self.last)

    def after(self, met: list[_Met]) -> _Place:
        """Where a read stands after a page of these. Raises GaveUp when they are not in order."""
        if not met:
            return self
        times = [each.time for each in met] if self.time is None else [self.time, *(each.time for each in met)]
        if any(later < earlier for earlier, later in pairwise(times)):
            raise hub.GaveUp("the index does not answer in order of registration: reading on could miss cases")
        time = met[-1].time
        given = sum(each.time == time for each in met) + (self.given if time == self.time else 0)
        return _Place(self.full, time, given, met[-1].digest)

    def position(self, seen: int) -> str:
        """Of the case after `seen` ones of a page, for a message."""
        since = "the beginning" if self.time is None else self.time.isoformat()
        return f"registered from {since}, case {self.given + seen + 1}"

    def end(self) -> _Place:
        """Where the next read begins: after all that was registered at `time`, if anything was."""
        return _Place(full=False, time=self.time + _TICK if self.time is not None and self.given else self.time)


@dataclass(frozen=True, slots=True)
class _Met:
    """A Sag of a page: when it was registered, and which it is."""

    time: datetime
    digest: str


class Index:
    """The service at `url`. `reads` is all that may be sent: the one address, by POST."""

    def __init__(self, url: str, settings: SofSettings) -> None:
        base, _, last = url.rpartition("/") if urlsplit(url).path.strip("/") else (url, "", "")
        self.reads: frozenset[tuple[str, str]] = frozenset({("POST", "/" + last)})
        self._url = url
        self._path = last
        self._page_size = settings.page_size
        self._overlap = timedelta(seconds=settings.overlap_seconds)
        self._settings = settings
        self._client = hub.ReadOnlyClient(base, self.reads, timeout_seconds=settings.timeout_seconds)

    def ask(self) -> None:
        """Ask how many cases there are, for none of them; raises TryAgain or GaveUp."""
        for _element in self._search(_Place(full=True), count=1, vis=()):
            pass

    def pages(self, since: str | None, take: Take, vis: tuple[str, ...]) -> Iterator[hub.Page]:
        """All Sager registered since the cursor, oldest registration first, as the index cuts them into pages.
        `vis` is what is asked for of each: `PRESENCE` or `CASE`."""
        place = self._start(since)
        moved: _Place | None = None
        while True:
            page = Filling()
            found = self._fill(page, place, take, vis)
            if found is None:
                if moved is not None and moved.time == place.time:
                    raise hub.TryAgain("the index gives other cases at the same place: reading on could miss some")
                moved = place
                place = _Place(place.full, place.time)
                continue
            place, last = found
            if last:
                yield page.page(place.end().cursor(), complete=place.full)
                return
            yield page.page(place.cursor())

    def _fill(self, page: Filling, place: _Place, take: Take, vis: tuple[str, ...]) -> tuple[_Place, bool] | None:
        """Fill a page from a place; give the place after it, and whether it is the last.

        The last case given is asked for again, as the first. None when another stands there: cases of its time have
        moved to the end since then, and others have slid over the edge between the pages, so all of that time must be
        read again."""
        again = place.given > 0
        met: list[_Met] = []
        total: int | None = None
        for element in self._search(place, self._page_size + again, vis):
            if element.tag != _FOUND:
                total = _total(element, total)
            elif again:
                if self._meet(element, place.time) != _Met(place.time or _BEGINNING, place.last):
                    return None
                again = False
            else:
                met.append(self._meet(element, met[-1].time if met else place.time))
                page.add(take(element, place.position(page.seen)))
        if again:
            return None
        # A short page may be the index's own limit: only its count, or an empty page, ends a read.
        counted = total is not None and place.given + len(met) >= total
        return place.after(met), not met or (counted and len(met) < self._page_size)

    def _start(self, since: str | None) -> _Place:
        state = read_cursor(_PLACE, since)
        if state is None:
            return _Place(full=True)
        time = None if state["time"] is None else datetime.fromisoformat(state["time"])
        place = _Place(bool(state["full"]), time, int(state["given"]), str(state["last"]))
        if time is None or place.full or place.given or not self._overlap:
            return place
        return _Place(full=False, time=time - self._overlap)

    def _meet(self, element: etree._Element, otherwise: datetime | None) -> _Met:
        """When a Sag was registered, and which it is. One that does not say stands where it came."""
        sag = Sag(element, self._settings)
        try:
            time, name = sag.registered, sag.uuid
        except hub.BadRecord:
            time, name = None, ""
        return _Met(time or otherwise or _BEGINNING, hashlib.blake2b(name.encode(), digest_size=6).hexdigest())

    def _search(self, place: _Place, count: int, vis: tuple[str, ...]) -> Iterator[etree._Element]:
        headers = {"Content-Type": f'application/soap+xml; charset=utf-8; action="{_ACTION}"'}
        body = _request(self._url, place, count, vis).encode()
        # A fault comes with 400 or 500, which the client turns into GaveUp or TryAgain; one with 200 is caught here.
        with self._client.stream("POST", self._path, content=body, headers=headers) as response:
            tags = (SD + "StandardRetur", SDI + "Antal", _FOUND, _SOAP + "Fault")
            answered = False
            for element in hub.xml_elements(hub.ByteStream(response), *tags):
                if element.tag == _SOAP + "Fault":
                    raise hub.TryAgain("the index answered with a SOAP fault")
                if element.tag == SD + "StandardRetur":
                    _check(element.findtext(SD + "StatusKode", "").strip())
                    answered = True
                else:
                    yield element
            if not answered:
                raise hub.TryAgain("the index answered with something else than a result of a search")


def _check(status: str) -> None:
    """Raise unless the index says that it searched. Its own text may hold what was asked for: it is not passed on."""
    if status == _OK:
        return
    said = f"the index answered StatusKode {status if status.isdigit() else '?'} to the search"
    raise hub.TryAgain(said) if status.startswith("5") else hub.GaveUp(said)


def _total(element: etree._Element, total: int | None) -> int | None:
    """The count of cases there are in all: an Antal within an Antal, after the Element it counts."""
    what = element.getprevious()
    if what is not None and what.tag == SDI + "Element" and what.text == "sager" and (element.text or "").isdigit():
        return int(element.text or "")
    return total


def _request(url: str, place: _Place, count: int, vis: tuple[str, ...]) -> str:
    """A search for all Sager changed from `place.time` on, in order of registration."""
    changed = ""
    if place.time is not None:
        changed = (
            "<g:LokalUdvidelseListe><i:SoegEgenskaberLokalUdvidelse><i:SenestAendretInterval>"
            f"<o:FraTidspunkt><d:TidsstempelDatoTid>{place.time.isoformat()}</d:TidsstempelDatoTid></o:FraTidspunkt>"
            "</i:SenestAendretInterval></i:SoegEgenskaberLokalUdvidelse></g:LokalUdvidelseListe>"
        )
    shown = "".join(f"<q:SagVis><q:Vis>{each}</q:Vis></q:SagVis>" for each in vis)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing"'
        ' xmlns:h="http://kombit.dk/xml/schemas/RequestHeader/1/" xmlns:q="urn:oio:sts:sagdok:sagdokumentindeks:6"'
        ' xmlns:s="urn:oio:sts:sagdok:sag:6" xmlns:i="urn:oio:sts:sagdok:sagindeks:6" xmlns:d="urn:oio:sagdok:3.0.0"'
        ' xmlns:g="urn:oio:sts:generelledefinitioner:6" xmlns:o="urn:oio:sts:generelleoperationer:6">'
        f"<e:Header><a:Action>{_ACTION}</a:Action><a:MessageID>urn:uuid:{uuid.uuid4()}</a:MessageID>"
        f"<a:To>{escape(url)}</a:To>"
        f"<h:RequestHeader><h:TransactionUUID>{uuid.uuid4()}</h:TransactionUUID></h:RequestHeader></e:Header>"
        "<e:Body><q:FremsoegSagDokumentIndeksInput><q:SoegUdtryk><q:SoegSag>"
        f"<d:FoersteResultatReference>{max(place.given - 1, 0)}</d:FoersteResultatReference>"
        f"<d:MaksimalAntalKvantitet>{count}</d:MaksimalAntalKvantitet>"
        f"<s:AttributListe>{changed}</s:AttributListe><s:TilstandListe/><s:RelationListe/>"
        f"</q:SoegSag></q:SoegUdtryk><q:Filter>{shown}</q:Filter>"
        "<q:Sortering><q:SagSortering><q:Element>StsRegistreringstidspunkt</q:Element><q:Retning>Stigende</q:Retning>"
        "<q:Prioritet>1</q:Prioritet></q:SagSortering></q:Sortering>"
        "</q:FremsoegSagDokumentIndeksInput></e:Body></e:Envelope>"
    )
