"""What became of a letter, read from Beskedfordeler's envelopes."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tovholder_digital_post import receipts

import hub
from hub import DeliveryStatus

KEY = "8c2ea15d-61fb-4ba9-9366-42f8b194c114"
CREDENTIALS = "QWtrZWRpdGl2ZXI="
DELIVERED = "f7161a89-5068-4023-bc80-d7f4daad2a2e"


def envelope(
    handling: str = DELIVERED,
    *,
    inner: str | None = None,
    words: str = "Afleveret Digital Post",
    channel: str = "Digital Post",
    time: str = "2026-03-02T09:00:00Z",
    kind: str = receipts.POST_STATUS,
    about: str = KEY.upper(),
) -> str:
    inner = inner if inner is not None else (
        '<PKO_PostStatus xmlns="http://serviceplatformen.dk/xml/print/PKO_PostStatus/1/types">'
        f"<KanalKode>{channel}</KanalKode><TransaktionsDatoTid>{time}</TransaktionsDatoTid>"
        f"<TransaktionsStatusKode>{words}</TransaktionsStatusKode><FejlDetaljer/></PKO_PostStatus>"
    )  # fmt: skip
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<a:ModtagBeskedInput xmlns="urn:oio:sagdok:3.0.0" xmlns:k="urn:oio:besked:kuvert:1.0" xmlns:a="urn:oio:sts:1.0.0">
<k:Haendelsesbesked><k:Beskedkuvert><k:Filtreringsdata>
<k:Beskedtype><UUIDIdentifikator>{kind}</UUIDIdentifikator></k:Beskedtype>
<k:ObjektRegistrering><k:ObjektId><UUIDIdentifikator>{about}</UUIDIdentifikator></k:ObjektId>
<k:ObjektHandling><UUIDIdentifikator>{handling}</UUIDIdentifikator></k:ObjektHandling></k:ObjektRegistrering>
</k:Filtreringsdata><k:Leveranceinformation>
<k:KildesystemAkkreditiver>{CREDENTIALS}</k:KildesystemAkkreditiver></k:Leveranceinformation></k:Beskedkuvert>
<k:Beskeddata><Base64 xmlns="urn:besked:kuvert:1.0">{base64.b64encode(inner.encode()).decode()}</Base64></k:Beskeddata>
</k:Haendelsesbesked></a:ModtagBeskedInput>"""


def read(text: str) -> hub.Status | hub.Unreadable | None:
    return receipts.read(text.encode(), "test")


def test_the_real_receipt_of_a_delivery(standards: Path) -> None:
    raw = (standards / "sf1601/receipts/PostStatusBeskedModtag.success.xml").read_bytes()
    assert receipts.read(raw, "1") == hub.Status(
        key="8853363b-43ec-4d0a-a54d-65447f9447ed",
        status=DeliveryStatus.DELIVERED,
        time=datetime(2023, 2, 13, 11, 22, 5, 154000, UTC),
        route="digital",
    )


def test_the_real_receipt_of_a_failure(standards: Path) -> None:
    raw = (standards / "sf1601/receipts/PostStatusBeskedModtag.error.xml").read_bytes()
    assert receipts.read(raw, "1") == hub.Status(
        key="33ca98c5-d2ce-43e7-be3a-d5cfde9f6394",
        status=DeliveryStatus.FAILED,
        time=datetime(2023, 2, 13, 12, 4, 12, 845000, UTC),
        route="digital",
        reason="memo.invalid: element mandatory is not allowed where it stands",
    )


def test_another_systems_message_is_no_receipt(standards: Path) -> None:
    raw = (standards / "sf1601/beskedkuvert-xsd/example_messages/externTestBesked.xml").read_bytes()
    assert receipts.read(raw, "1") is None


@pytest.mark.parametrize(
    ("handling", "status", "route"),
    [
        ("e225a75c-4b63-46c4-9423-77f5c8762445", DeliveryStatus.FAILED, "digital"),  # Fejlet: by its KanalKode
        ("eb866ca2-b871-4387-b501-12cde577bd58", DeliveryStatus.RECEIVED, "digital"),  # can still fail
        ("f7161a89-5068-4023-bc80-d7f4daad2a2e", DeliveryStatus.DELIVERED, "digital"),
        ("db5a6025-caa3-45c3-8e02-4e6fa8142ade", DeliveryStatus.SENT, "print"),
        ("dd98e71c-41ac-4305-a47b-8f86b00e639b", DeliveryStatus.RECEIVED, "print"),
        ("e2b30d57-504a-4e2e-ae2d-a1394a9cb0b8", DeliveryStatus.RECEIVED, "print"),
        ("e3c0a021-2070-40d4-b7b7-754aeba762e9", DeliveryStatus.RECEIVED, "print"),
        ("e94a0a8b-60a0-42ad-8b83-52c9e15d0fb3", DeliveryStatus.DELIVERED, "print"),
        ("f03904aa-df6e-417f-bd74-6a01a61adbcf", DeliveryStatus.FAILED, "print"),
        ("f4e6eb11-0261-4198-8b5d-be92a9b1a35d", DeliveryStatus.RETURNED, "print"),
    ],
)
def test_every_known_status_has_its_meaning(handling: str, status: DeliveryStatus, route: str) -> None:
    found = read(envelope(handling, words="noget andet"))
    assert isinstance(found, hub.Status)
    assert (found.key, found.status, found.route) == (KEY, status, route)


def test_words_count_where_the_status_uuid_is_not_known() -> None:
    found = read(envelope("00000000-0000-4000-8000-000000000000", words="Modtaget Post Danmark", channel="Fjernprint"))
    assert isinstance(found, hub.Status)
    assert (found.status, found.route) == (DeliveryStatus.DELIVERED, "print")


def test_a_status_nobody_knows_is_kept_as_unknown() -> None:
    found = read(envelope("00000000-0000-4000-8000-000000000000", words="Sendt til Bodil Prøvesen"))
    assert isinstance(found, hub.Status)
    assert found.status is DeliveryStatus.UNKNOWN
    assert found.reason == "a status that is not known, UUID 00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-03-02T10:00:00.5+01:00", datetime(2026, 3, 2, 9, 0, 0, 500000, UTC)),
        ("2026-07-02T10:00:00", datetime(2026, 7, 2, 8, 0, tzinfo=UTC)),  # no zone: Danish time
    ],
)
def test_times_become_utc(text: str, utc: datetime) -> None:
    found = read(envelope(time=text))
    assert isinstance(found, hub.Status)
    assert found.time == utc


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<a><b></a>", "envelope is not well-formed XML"),
        ("", "envelope"),
        ("<a/>", "Haendelsesbesked with Filtreringsdata is missing"),
        (envelope(inner=""), "no PKO_PostStatus"),
        (envelope(inner="<PKO_PostStatus>"), "PKO_PostStatus is not well-formed"),
        (envelope(inner="<Other/>"), "not a PKO_PostStatus"),
        (envelope(time="i går"), "time is not a time"),
        (envelope(about="bodil"), "which letter"),
        (re.sub(r'1.0">[\w+/=]+</Base64', '1.0">æ</Base64', envelope()), "not base64"),
    ],
)
def test_an_unreadable_receipt_says_why(text: str, why: str) -> None:
    found = read(text)
    assert isinstance(found, hub.Unreadable)
    assert why in found.reason
    assert found.position == "test"


@pytest.mark.parametrize("cut", [0, 30, 300])
def test_credentials_are_never_kept(cut: int) -> None:
    text = envelope(time="i går")
    damaged = text[: text.index(CREDENTIALS) + len(CREDENTIALS) + cut] if cut else text
    found = read(damaged)
    assert isinstance(found, hub.Unreadable)
    assert found.raw
    assert CREDENTIALS.encode() not in found.raw


def test_what_the_error_text_repeats_of_the_letter_is_left_out() -> None:
    inner = (
        f"<PKO_PostStatus><MessageUUID>{KEY}</MessageUUID><TransaktionsDatoTid>2026-03-02T09:00:00Z"
        "</TransaktionsDatoTid><TransaktionsStatusKode>Fejlet</TransaktionsStatusKode><FejlDetaljer>"
        "<FejlKode>recipient.not.found</FejlKode><FejlTekst>0107729995 Bodil Prøvesen is not known</FejlTekst>"
        "</FejlDetaljer></PKO_PostStatus>"
    )
    found = read(envelope("e225a75c-4b63-46c4-9423-77f5c8762445", inner=inner))
    assert isinstance(found, hub.Status)
    assert found.reason == "recipient.not.found"


def test_an_error_code_that_is_no_code_is_left_out() -> None:
    assert receipts.error_reason("0107729995", "") == "an error without a readable code"
    assert receipts.error_reason("Bodil Prøvesen", "") == "an error without a readable code"


@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(max_size=60).map(lambda x: envelope(inner=x.encode(errors="replace").decode()).encode()),
    )
)
def test_nothing_that_comes_stops_the_reading(raw: bytes) -> None:
    assert isinstance(receipts.read(raw, "x"), hub.Unreadable)


def test_entities_are_not_resolved(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hemmelig")
    text = envelope().replace("<a:Modtag", f'<!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]><a:Modtag', 1)
    found = read(text.replace(KEY.upper(), "&x;"))
    assert isinstance(found, hub.Unreadable)
    assert b"hemmelig" not in found.raw
