"""The MeMo message: valid by the schema, and keeping the rules beyond it."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from lxml import etree
from pydantic import ValidationError
from tovholder_digital_post import DigitalPostSettings, memo
from tovholder_digital_post.channel import kombi_request

import hub

pytestmark = pytest.mark.slow

KEY = "8c2ea15d-61fb-4ba9-9366-42f8b194c114"
M = f"{{{memo.MEMO}}}"


@cache
def schema(path: Path) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(path))


@pytest.fixture(scope="session")
def memo_schema(standards: Path) -> etree.XMLSchema:
    return schema(standards / "memo/xsd-1.2/MeMo_core.xsd")


def sent_memo(letter: hub.Letter, settings: DigitalPostSettings) -> etree._Element:
    """The message as it goes over the wire."""
    found = etree.fromstring(kombi_request(letter, KEY, "digital", settings)).find(M + "Message")
    assert found is not None
    return found


def test_message_says_what_the_letter_says(letter: hub.Letter, settings: DigitalPostSettings) -> None:
    message = sent_memo(letter, settings)
    text = {e.tag.removeprefix(M): e.text for e in message.iter() if len(e) == 0}
    assert text["messageUUID"] == KEY
    assert text["recipientID"] == letter.recipient.cpr
    assert text["createdDateTime"] == "2026-03-02T08:00:00Z"
    assert message.findtext(f"{M}MessageHeader/{M}Sender/{M}label") == "Prøveby Kommune"
    assert message.findtext(f"{M}MessageHeader/{M}Sender/{M}senderID") == "12345678"
    attention = message.find(f"{M}MessageHeader/{M}Sender/{M}AttentionData")
    assert attention is not None
    assert [e.text for e in attention.iter() if len(e) == 0] == [
        *("8d0a1c2e", "Karen Koordinator"),
        *("karen@proeveby.example", "Karen Koordinator"),
        *("70 10 20 30", "Karen Koordinator"),
        *("12345678", "Prøveby Kommune"),
        *("TOVHOLDER-1", "Tovholder"),
    ]
    first = message.find(f".//{M}Action")
    assert first is not None
    assert [e.text for e in first.iter() if len(e) == 0] == [
        *("Frist", "INFORMATION", "2026-03-02T08:00:00Z", "2026-03-16T08:00:00Z"),
        "https://proeveby.example/breve?nr=1&x=æ",
    ]


@pytest.mark.parametrize(("reply", "text"), [(False, "false"), (True, "true")])
def test_the_recipient_can_answer_only_where_the_settings_say_so(
    letter: hub.Letter, settings: DigitalPostSettings, reply: bool, text: str
) -> None:
    message = sent_memo(letter, settings.model_copy(update={"reply": reply}))
    assert message.findtext(f"{M}MessageHeader/{M}reply") == text


def test_pdf_comes_first_and_every_byte_arrives(letter: hub.Letter, settings: DigitalPostSettings) -> None:
    files = sent_memo(letter, settings).findall(f".//{M}MainDocument/{M}File")
    assert [(f.findtext(M + "encodingFormat"), f.findtext(M + "filename")) for f in files] == [
        ("application/pdf", "brev.pdf"),
        ("text/html", "brev.html"),
    ]
    assert base64.b64decode(files[0].findtext(M + "content") or "") == letter.pdf
    assert base64.b64decode(files[1].findtext(M + "content") or "").decode() == letter.html


def test_only_the_literal_prefix_memo_is_used(letter: hub.Letter, settings: DigitalPostSettings) -> None:
    body = kombi_request(letter, KEY, "digital", settings)
    assert b"<memo:Message " in body
    assert not re.search(rb"<(?!/?memo:|\?xml|/?kombi_request|/?KombiValgKode)", body)


def test_nothing_outside_tells_of_the_child(letter: hub.Letter, settings: DigitalPostSettings) -> None:
    tags = {etree.QName(e).localname for e in sent_memo(letter, settings).iter()}
    assert tags.isdisjoint({"CPRdata", "KLEdata", "ContentData", "CaseID", "notification", "additionalNotification"})
    assert letter.recipient.name not in kombi_request(letter, KEY, "digital", settings).decode()


def test_message_is_valid_by_the_schema(
    letter: hub.Letter, settings: DigitalPostSettings, memo_schema: etree.XMLSchema
) -> None:
    for one in (letter, replace(letter, contact=None, html="", actions=(), language="en")):
        memo_schema.assertValid(sent_memo(one, settings))


PRINTABLE = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)
TEXT = st.one_of(
    PRINTABLE,
    st.text(max_size=30),
    st.text(st.characters(exclude_categories=["C"]), min_size=250, max_size=258),
    st.sampled_from(
        ["", " ", "\x00", "a\x0bb", "<b>fed</b>", "]]>&amp;", "Å" * 256, "😀" * 256, "\ud800", "\ufffe", "0107729995"]
    ),
)
NAME = st.one_of(
    TEXT.map(lambda name: name + ".pdf"), st.sampled_from(["a:b.pdf", "a\u00a0b.pdf", ".pdf", "b.PDF", "b"])
)
URL = st.one_of(
    TEXT, *(TEXT.map(start.__add__) for start in ("https://", "https://a.dk/", "https://a.dk/?æ=%20#", "a:"))
)
TIME = st.one_of(
    st.none(), st.datetimes(timezones=st.one_of(st.none(), st.just(UTC))), st.datetimes(timezones=st.timezones())
)
FIRST = datetime(2026, 3, 2, tzinfo=UTC)
ODD = {
    "title": TEXT.map(lambda text: {"title": text}),
    "file name": NAME.map(lambda text: {"file_name": text}),
    "html": TEXT.map(lambda text: {"html": text}),
    "language": st.one_of(st.sampled_from(["da", "en"]), TEXT).map(lambda text: {"language": text[:3]}),
    "contact's name": TEXT.map(lambda text: {"contact": hub.Contact("1", text, None, "")}),
    "contact's phone": TEXT.map(lambda text: {"contact": hub.Contact("1", "Karen", text, None)}),
    "contact's e-mail": TEXT.map(lambda text: {"contact": hub.Contact(text or "1", "Karen", None, text)}),
    "action": st.builds(hub.Action, TEXT, url=st.none()).map(lambda action: {"actions": (action,)}),
    "url": URL.map(lambda url: {"actions": (hub.Action("Frist", url=url),)}),
    "start": TIME.map(lambda time: {"actions": (hub.Action("Frist", starts=time),)}),
    "end": TIME.map(lambda time: {"actions": (hub.Action("Frist", starts=FIRST, ends=time),)}),
    "created": TIME.filter(bool).map(lambda time: {"created": time}),
}


@pytest.mark.parametrize("part", ODD)
def test_anything_gives_a_valid_message_or_a_clear_refusal(
    letter: hub.Letter, settings: DigitalPostSettings, memo_schema: etree.XMLSchema, part: str
) -> None:
    seen = {"valid": 0, "refused": 0}

    @hypothesis_settings(max_examples=80, deadline=None, database=None)
    @given(ODD[part])
    def holds(change: dict[str, Any]) -> None:
        try:
            message = sent_memo(replace(letter, **change), settings)
        except hub.BadRecord as error:
            seen["refused"] += 1
            said = str(error)
        else:
            seen["valid"] += 1
            assert_keeps_the_rules(message, memo_schema)
            assert message.findtext(f"{M}MessageHeader/{M}label") == change.get("title", letter.title)
            return
        # Long texts only: a short one may stand in our own sentence by chance.
        assert not any(len(str(text)) >= 12 and str(text) in said for text in change.values())

    holds()
    assert seen["valid"]
    assert seen["refused"] or part == "html"


def assert_keeps_the_rules(message: etree._Element, memo_schema: etree.XMLSchema) -> None:
    memo_schema.assertValid(message)
    for element in message.iter():
        name, text = etree.QName(element).localname, element.text or ""
        if name == "filename":
            assert not set(text) & set('<>:"/\\|?*\r\n\u00a0\u2000\u200a\u2028\u205f\u2060\u3000')
            assert len(text) <= 256
        if name == "url":
            assert text.startswith("https://")
        if name.endswith("DateTime"):
            assert text.endswith("Z")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"title": "x" * 257}, "label is 257 characters"),
        ({"title": "  "}, "title is empty"),
        ({"title": "Brev\x00"}, r"control character U\+0000 at position 5"),
        ({"title": "Om 010772-9995"}, "label holds what looks like a civil registration number"),
        ({"file_name": "0107729995.pdf"}, "filename holds what looks like a civil registration number"),
        ({"file_name": "brev.docx"}, "ends in .pdf"),
        ({"file_name": "a/b.pdf"}, r"file name has the character U\+002F at position 2"),
        ({"file_name": "a\u2009b.pdf"}, r"U\+2009"),
        ({"file_name": "x" * 252 + ".pdf"}, "filename is 257 characters"),  # with .html in place of .pdf
        ({"language": "dansk"}, "language must be two small letters"),
        ({"pdf": b""}, "no content as application/pdf"),
        ({"created": datetime(2026, 1, 1)}, "no time zone"),  # noqa: DTZ001 - a time without a zone is what is tested
        ({"actions": (hub.Action("Se her", url="http://a.dk/"),)}, "does not start with https://"),
        ({"actions": (hub.Action("Se her", url="javascript:alert(1)"),)}, "does not start with https://"),
        ({"actions": (hub.Action("Se her", url="https://user@a.dk/"),)}, "not a web address"),
        ({"actions": (hub.Action("Se her", url="https://a.dk/a b"),)}, "not a web address"),
        ({"actions": (hub.Action("Se her", url="https://a.dk/" + "x" * 250),)}, "url is 263 characters"),
        ({"actions": (hub.Action("Se her", code="KOM"),)}, "code is not one of AFTALE"),
        (
            {"actions": (hub.Action("Se", starts=datetime.now(UTC), ends=datetime.now(UTC) - timedelta(days=1)),)},
            "ends before it starts",
        ),
    ],
)
def test_what_digital_post_would_refuse_is_refused_before_sending(
    letter: hub.Letter, settings: DigitalPostSettings, change: dict[str, Any], why: str
) -> None:
    with pytest.raises(hub.BadRecord, match=why):
        memo.build(replace(letter, **change), KEY, settings)


@pytest.mark.parametrize("key", ["", "not-a-uuid", "8c2ea15d-61fb-1ba9-9366-42f8b194c114"])
def test_a_key_that_is_not_a_uuid_of_version_4_is_refused(
    letter: hub.Letter, settings: DigitalPostSettings, key: str
) -> None:
    with pytest.raises(hub.BadRecord):
        memo.build(letter, key, settings)


def test_long_notification_is_refused(letter: hub.Letter, settings: DigitalPostSettings) -> None:
    message = memo.build(letter, KEY, settings)
    label = message.find(f".//{M}label")
    assert label is not None
    notification = etree.Element(M + "notification")
    notification.text = "x" * 151
    label.addnext(notification)
    with pytest.raises(hub.BadRecord, match="notification is 151 characters; Digital Post takes 150"):
        memo.check(message)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"url": "http://platform.example/"}, "url must be https"),
        ({"cvr": "1234"}, "cvr"),
        ({"print_type": 0}, "print_type"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_settings_that_are_wrong_are_refused(settings: DigitalPostSettings, change: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        DigitalPostSettings.model_validate(settings.model_dump(mode="json") | change)
