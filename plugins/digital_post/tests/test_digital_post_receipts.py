"""What became of a letter, read from Beskedfordeler's envelopes."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tovholder_digital_post import receipts
from tovholder_digital_post.answers import error_reason

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
    assert error_reason("0107729995", "") == "an error without a readable code"
    assert error_reason("Bodil Prøvesen", "") == "an error without a readable code"


@hypothesis_settings(deadline=None, database=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(max_size=60).map(lambda x: envelope(inner=x.encode(errors="replace").decode()).encode()),
    )
)
def test_nothing_that_comes_stops_the_reading(raw: bytes) -> None:
    assert isinstance(receipts.read(raw, "x"), hub.Unreadable)


ODD = st.sampled_from(
    [
        b"", b"\x00", b"\xff\xfe", b"<", b"</", b"&x;", b"<!DOCTYPE a>", b"<![CDATA[", b"-", b"9", b"+24:00", b"Z",
        b"T",
        b"0001-01-01T00:00:00+14:00", b"9999-12-31T23:59:59-14:00", b"\xc3\xa6", b"urn:oio:", b"=", b"<a/>" * 300,
    ]
)  # fmt: skip


@hypothesis_settings(deadline=None, database=None)
@given(st.integers(0, 3000), st.integers(0, 60), ODD | st.binary(max_size=12), st.booleans())
def test_a_receipt_changed_anywhere_is_a_status_or_told_or_about_something_else(
    place: int, gone: int, put: bytes, inside: bool
) -> None:
    if inside:
        inner = (
            f"<PKO_PostStatus><MessageUUID>{KEY}</MessageUUID><TransaktionsDatoTid>2026-03-02T09:00:00Z"
            "</TransaktionsDatoTid><TransaktionsStatusKode>Klar</TransaktionsStatusKode><FejlDetaljer><FejlKode>1"
            "</FejlKode><FejlTekst/></FejlDetaljer></PKO_PostStatus>"
        ).encode()
        at = place % len(inner)
        changed = base64.b64encode(inner[:at] + put + inner[at + gone :])
        raw = re.sub(rb'1.0">[\w+/=]+</Base64', b'1.0">' + changed + b"</Base64", envelope().encode())
    else:
        whole = envelope().encode()
        at = place % len(whole)
        raw = whole[:at] + put + whole[at + gone :]
    found = receipts.read(raw, "x")
    assert found is None or isinstance(found, hub.Status | hub.Unreadable)
    if isinstance(found, hub.Status):
        assert found.time.tzinfo is UTC
        assert re.fullmatch("[0-9a-f-]{36}", found.key)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_at_the_end_of_time_is_told(time: str) -> None:
    assert isinstance(read(envelope(time=time)), hub.Unreadable)


def test_all_that_becomes_of_a_letter_is_passed_on_in_any_order_and_as_often_as_it_is_said() -> None:
    """Each receipt says one thing by itself: a failure after delivery stays one, and what is said twice is the same."""
    late = [
        ("f7161a89-5068-4023-bc80-d7f4daad2a2e", "2026-03-02T09:10:00Z", DeliveryStatus.DELIVERED),
        ("e225a75c-4b63-46c4-9423-77f5c8762445", "2026-03-04T07:00:00Z", DeliveryStatus.FAILED),
        ("eb866ca2-b871-4387-b501-12cde577bd58", "2026-03-02T09:00:00Z", DeliveryStatus.RECEIVED),
        ("e225a75c-4b63-46c4-9423-77f5c8762445", "2026-03-04T07:00:00Z", DeliveryStatus.FAILED),
        ("f4e6eb11-0261-4198-8b5d-be92a9b1a35d", "2026-03-09T07:00:00Z", DeliveryStatus.RETURNED),
    ]
    found = [read(envelope(handling, time=time, words="")) for handling, time, _ in late]
    assert [one.status for one in found if isinstance(one, hub.Status)] == [status for _, _, status in late]
    assert found[1] == found[3]


def test_return_mail_is_returned_and_says_so() -> None:
    found = read(envelope("f4e6eb11-0261-4198-8b5d-be92a9b1a35d", words="x", channel="Fysisk Post"))
    assert isinstance(found, hub.Status)
    assert (found.status, found.route, found.reason) == (
        DeliveryStatus.RETURNED, "print", "Opdatering fra Post Danmark",
    )  # fmt: skip


def test_a_second_try_that_met_the_first_is_no_failure() -> None:
    inner = (
        f"<PKO_PostStatus><MessageUUID>{KEY}</MessageUUID><TransaktionsDatoTid>2026-03-02T09:00:00Z"
        "</TransaktionsDatoTid><TransaktionsStatusKode>Fejlet</TransaktionsStatusKode><FejlDetaljer>"
        "<FejlKode>message.uuid.duplicate</FejlKode></FejlDetaljer></PKO_PostStatus>"
    )
    found = read(envelope("e225a75c-4b63-46c4-9423-77f5c8762445", inner=inner))
    assert isinstance(found, hub.Status)
    assert (found.status, found.reason) == (DeliveryStatus.RECEIVED, "message.uuid.duplicate")


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))


@pytest.mark.parametrize(
    "doctype",
    [
        "<!DOCTYPE a>",
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd">',
        f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]>',
        f'<!DOCTYPE a [<!ENTITY q "{"q" * 50_000}">]>',
        '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x"> %p;]>',
    ],
)
@pytest.mark.parametrize("use", [KEY.upper(), "&l11;", "&q;" * 5000])
def test_a_doctype_is_refused_outside_and_inside(doctype: str, use: str) -> None:
    outside = envelope().replace("<a:Modtag", doctype + "<a:Modtag", 1).replace(KEY.upper(), use, 1)
    inner = f"{doctype}<PKO_PostStatus><MessageUUID>{use}</MessageUUID></PKO_PostStatus>"
    for text in (outside, envelope(inner=inner)):
        found = read(text)
        assert isinstance(found, hub.Unreadable)
        assert len(found.raw) <= hub.RAW_LIMIT


def test_deep_and_wide_xml_is_told() -> None:
    for text in ("<a>" * 100_000, "<a>" * 5000 + "</a>" * 5000, f"<a {'x' * 100_000}='1'/>"):
        assert isinstance(read(text), hub.Unreadable)


def test_entities_are_not_resolved(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hemmelig")
    text = envelope().replace("<a:Modtag", f'<!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]><a:Modtag', 1)
    found = read(text.replace(KEY.upper(), "&x;"))
    assert isinstance(found, hub.Unreadable)
    assert b"hemmelig" not in found.raw
