"""The receipts of the town's Digital Post: when each comes, and how it reads (a PKO_PostStatus in Beskedfordeler's
envelope, urn:oio:besked:kuvert:1.0)."""

from __future__ import annotations

import base64
import hashlib
import uuid
from datetime import datetime, time, timedelta
from typing import NamedTuple

FAILS_ONE_IN = 400
"""The letters to one recipient in so many fail after they were received, or come back from the postal service: a closed
mailbox, a wrong address. The recipient's number says who, so that the same town has the same bad luck each time."""

_CVR = "55133018"
_TOWN = uuid.UUID("c0ffee00-0000-4000-8000-000000000001")
"""Ids that the platform would draw are made from this and the letter's, so that a restart gives the same ones."""
_DIGITAL_POST = "96514e13-afdd-44d6-95a8-adc2ca19b127"
_PRINTER = "afd21f3d-11c7-4f51-b2a6-f31d6480a9fb"


class Step(NamedTuple):
    """One thing that becomes of a letter, `at` a simulated time (UTC)."""

    at: datetime
    words: str
    status: str
    """The status's UUID at Beskedfordeler."""
    error: tuple[str, str] | None = None


def unlucky(recipient: str) -> bool:
    """Whether letters to this number do not arrive."""
    return int.from_bytes(hashlib.sha256(recipient.encode()).digest()[:4], "big") % FAILS_ONE_IN == 0


def steps(key: str, route: str, received: datetime, *, arrives: bool = True) -> tuple[Step, ...]:
    """All that becomes of a letter received at `received` (UTC), oldest first."""
    draw = int(key[-8:], 16)
    if route == "digital":
        first = Step(received, "Modtaget Digital Post", "eb866ca2-b871-4387-b501-12cde577bd58")
        later = received + timedelta(minutes=5 + draw // FAILS_ONE_IN % 60)
        if not arrives:
            fault = ("recipient.mailbox.closed", "The recipient's mailbox was closed")
            return first, Step(later, "Fejlet", "e225a75c-4b63-46c4-9423-77f5c8762445", fault)
        return first, Step(later, "Afleveret Digital Post", "f7161a89-5068-4023-bc80-d7f4daad2a2e")
    next_morning = datetime.combine(received.date() + timedelta(days=1), time(6), received.tzinfo)
    printed = (
        Step(received, "Modtaget Fjern-print", "dd98e71c-41ac-4305-a47b-8f86b00e639b"),
        Step(
            received + timedelta(hours=3), "Afleveret til print og kuvertering", "e3c0a021-2070-40d4-b7b7-754aeba762e9"
        ),
        Step(next_morning, "Modtaget Post Danmark", "e94a0a8b-60a0-42ad-8b83-52c9e15d0fb3"),
    )
    if arrives:
        return printed
    back = next_morning + timedelta(days=3)
    return *printed, Step(back, "Opdatering fra Post Danmark", "f4e6eb11-0261-4198-8b5d-be92a9b1a35d")


def transmission(key: str) -> str:
    """The platform's own id of a sending."""
    return str(uuid.uuid5(_TOWN, key))


def told(at: datetime) -> str:
    """A time as receipts write it."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def receipt_id(key: str, step: Step) -> str:
    return str(uuid.uuid5(_TOWN, f"{key}/{step.status}"))


_DIRECT = {"Modtaget Digital Post": "RECEIVED", "Afleveret Digital Post": "COMPLETED", "Fejlet": "INVALID"}


def receipt(key: str, step: Step) -> dict[str, str | None]:
    """One receipt of a digital letter as Digital Post itself gives it."""
    code, text = step.error or (None, None)
    return {
        "id": receipt_id(key, step),
        "transmissionId": transmission(key),
        "messageUUID": key,
        "messageId": None,
        "errorCode": code,
        "errorMessage": text,
        "timeStamp": told(step.at),
        "receiptStatus": _DIRECT[step.words],
    }


def envelope(key: str, route: str, step: Step) -> str:
    """One receipt as Beskedfordeler delivers it."""
    sending = transmission(key)
    at = told(step.at)
    fault = "<FejlDetaljer/>"
    if step.error:
        fault = (
            f"<FejlDetaljer><FejlKode>{step.error[0]}</FejlKode><FejlTekst>{step.error[1]}</FejlTekst></FejlDetaljer>"
        )
    channel = "Digital Post" if route == "digital" else "Fysisk Post"
    status = (
        '<PKO_PostStatus xmlns="http://serviceplatformen.dk/xml/print/PKO_PostStatus/1/types">'
        f"<TransmissionId>{sending}</TransmissionId><MessageUUID>{key}</MessageUUID><MessageId>{key}</MessageId>"
        f"<KanalKode>{channel}</KanalKode><TransaktionsDatoTid>{at}</TransaktionsDatoTid>"
        f"<TransaktionsStatusKode>{step.words}</TransaktionsStatusKode><CorrelationId>{sending}</CorrelationId>"
        f"{fault}</PKO_PostStatus>"
    )
    inside = base64.b64encode(status.encode()).decode("ascii")
    return _ENVELOPE.format(
        id=receipt_id(key, step),
        by=_DIGITAL_POST if route == "digital" else _PRINTER,
        cvr=_CVR,
        sending=sending,
        at=at,
        key=key,
        status=step.status,
        inside=inside,
    )


_ENVELOPE = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<sts:ModtagBeskedInput xmlns="urn:oio:sagdok:3.0.0" xmlns:b="urn:oio:besked:kuvert:1.0" xmlns:sts="urn:oio:sts:1.0.0">
<b:Haendelsesbesked>
<b:BeskedId><UUIDIdentifikator>{id}</UUIDIdentifikator></b:BeskedId>
<b:BeskedVersion>1.0</b:BeskedVersion>
<b:Beskedkuvert>
<b:Filtreringsdata>
<b:Beskedtype><UUIDIdentifikator>d2bed63c-4853-4008-b6e0-a74c15b15fbf</UUIDIdentifikator></b:Beskedtype>
<b:BeskedAnsvarligAktoer><UUIDIdentifikator>{by}</UUIDIdentifikator></b:BeskedAnsvarligAktoer>
<b:TilladtModtager><URNIdentifikator>urn:oio:cvr:{cvr}</URNIdentifikator></b:TilladtModtager>
<b:ObjektRegistrering>
<b:ObjektRegistreringId><UUIDIdentifikator>{sending}</UUIDIdentifikator></b:ObjektRegistreringId>
<b:Registreringstidspunkt><TidsstempelDatoTid>{at}</TidsstempelDatoTid></b:Registreringstidspunkt>
<b:ObjektAnsvarligMyndighed><URNIdentifikator>urn:oio:cvr:{cvr}</URNIdentifikator></b:ObjektAnsvarligMyndighed>
<b:ObjektId><UUIDIdentifikator>{key}</UUIDIdentifikator></b:ObjektId>
<b:ObjektHandling><UUIDIdentifikator>{status}</UUIDIdentifikator></b:ObjektHandling>
</b:ObjektRegistrering>
</b:Filtreringsdata>
<b:Leveranceinformation>
<b:Dannelsestidspunkt><TidsstempelDatoTid>{at}</TidsstempelDatoTid></b:Dannelsestidspunkt>
<b:TransaktionsId><UUIDIdentifikator>{id}</UUIDIdentifikator></b:TransaktionsId>
<b:KildesystemAkkreditiver>QWtrZWRpdGl2ZXI=</b:KildesystemAkkreditiver>
</b:Leveranceinformation>
</b:Beskedkuvert>
<b:Beskeddata>
<Base64 xmlns="urn:besked:kuvert:1.0" content-type="application/xml" encoding="UTF-8" file-type=".xml">{inside}</Base64>
</b:Beskeddata>
</b:Haendelsesbesked>
</sts:ModtagBeskedInput>
"""
