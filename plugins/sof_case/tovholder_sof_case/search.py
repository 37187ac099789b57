"""The one request that goes to Sags- og Dokumentindekset: operation `fremsoeg` of SagDokumentIndeksService_6.wsdl.

The service's other operations (fjern, importer, opdater) are writes at the same address, told apart by action and body
only. So no other request is written anywhere.

What a search may be, by SagDokumentIndeksOperationer.xsd: one SoegSag, or several that `operation` OR joins. The
schema does not say what the paging of several means together, so an answer to several that does not hold everything
is never paged on: the reader asks for fewer at a time.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from xml.sax.saxutils import escape

ACTION = "http://kombit.dk/sts/sagdokumentindeks/fremsoeg"
PRESENCE = ("egenskaber", "fremdrift", "sagsklasse", "sagspart", "sikkerhedsprofil")
"""What of each Sag the index is asked to send: nothing of documents, journal notes, related cases or objects."""
CASE = (*PRESENCE, "sagsaktoer")
"""The same, and who works on it."""
TIME = ("fremdrift",)
"""Little, and nothing of a person: for when a Sag was registered."""


@dataclass(frozen=True, slots=True)
class Search:
    """Sager changed from `since` on, `count` from the `first` on, in order of registration (`newest`: the other way
    round). With `parts` (URNs), those alone in which one of them has the role `role`."""

    count: int
    vis: tuple[str, ...] = ()
    since: datetime | None = None
    first: int = 0
    newest: bool = False
    parts: tuple[str, ...] = ()
    role: str = ""

    def envelope(self, url: str) -> str:
        """The SOAP 1.2 request to the service at `url`. A number stands in it, never in the address."""
        shown = "".join(f"<q:SagVis><q:Vis>{each}</q:Vis></q:SagVis>" for each in self.vis)
        joined = "<q:operation>OR</q:operation>" if len(self.parts) > 1 else ""
        searches = "".join(self._one(part) for part in self.parts) if self.parts else self._one("")
        order = "Faldende" if self.newest else "Stigende"
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing"'
            ' xmlns:h="http://kombit.dk/xml/schemas/RequestHeader/1/" xmlns:q="urn:oio:sts:sagdok:sagdokumentindeks:6"'
            ' xmlns:s="urn:oio:sts:sagdok:sag:6"'
            ' xmlns:i="urn:oio:sts:sagdok:sagindeks:6" xmlns:d="urn:oio:sagdok:3.0.0"'
            ' xmlns:g="urn:oio:sts:generelledefinitioner:6" xmlns:o="urn:oio:sts:generelleoperationer:6">'
            f"<e:Header><a:Action>{ACTION}</a:Action><a:MessageID>urn:uuid:{uuid.uuid4()}</a:MessageID>"
            f"<a:To>{escape(url)}</a:To>"
            f"<h:RequestHeader><h:TransactionUUID>{uuid.uuid4()}</h:TransactionUUID></h:RequestHeader></e:Header>"
            f"<e:Body><q:FremsoegSagDokumentIndeksInput><q:SoegUdtryk>{joined}{searches}</q:SoegUdtryk>"
            f"<q:Filter>{shown}</q:Filter>"
            "<q:Sortering><q:SagSortering><q:Element>StsRegistreringstidspunkt</q:Element>"
            f"<q:Retning>{order}</q:Retning><q:Prioritet>1</q:Prioritet></q:SagSortering></q:Sortering>"
            "</q:FremsoegSagDokumentIndeksInput></e:Body></e:Envelope>"
        )

    def _one(self, part: str) -> str:
        changed = relation = ""
        if self.since is not None:
            changed = (
                "<g:LokalUdvidelseListe><i:SoegEgenskaberLokalUdvidelse><i:SenestAendretInterval>"
                f"<o:FraTidspunkt><d:TidsstempelDatoTid>{self.since.isoformat()}</d:TidsstempelDatoTid></o:FraTidspunkt>"
                "</i:SenestAendretInterval></i:SoegEgenskaberLokalUdvidelse></g:LokalUdvidelseListe>"
            )
        if part:
            relation = (
                f"<s:Sagspart><g:Rolle><d:UUIDIdentifikator>{escape(self.role)}</d:UUIDIdentifikator></g:Rolle>"
                f"<g:ReferenceID><d:URNIdentifikator>{escape(part)}</d:URNIdentifikator></g:ReferenceID></s:Sagspart>"
            )
        return (
            f"<q:SoegSag><d:FoersteResultatReference>{self.first}</d:FoersteResultatReference>"
            f"<d:MaksimalAntalKvantitet>{self.count}</d:MaksimalAntalKvantitet>"
            f"<s:AttributListe>{changed}</s:AttributListe><s:TilstandListe/>"
            f"<s:RelationListe>{relation}</s:RelationListe></q:SoegSag>"
        )
