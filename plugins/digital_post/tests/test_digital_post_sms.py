"""NemSMS: a text message that names nobody, and the contact point where an answer goes."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from lxml import etree
from pydantic import ValidationError
from tovholder_digital_post import DigitalPost, DigitalPostSettings, memo
from tovholder_digital_post.channel import kombi_request

import hub
from hub.letters.pointers import SMS_AT_MOST, key_of, texts

KEY = "8c2ea15d-61fb-4ba9-9366-42f8b194c114"
M = f"{{{memo.MEMO}}}"
TEXT = "Der er nyt til dig fra Prøveby Kommune. Se din side eller Digital Post."
SCHEMAS = {"1.1": ["memo/xsd-1.1/MeMo_core.xsd"], "1.2": ["memo/xsd-1.2/MeMo_core.xsd"]}


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_is_valid_by_the_official_schemas(
    standards: Path, settings: DigitalPostSettings, letter: hub.Letter, version: str
) -> None:
    ours = settings.model_copy(update={"memo_version": version})
    message = memo.build_sms(letter.recipient, TEXT, KEY, ours)
    again = etree.fromstring(etree.tostring(message))
    for name in SCHEMAS[version]:
        if (standards / name).is_file():
            etree.XMLSchema(etree.parse(standards / name)).assertValid(again)


def test_says_its_text_and_nothing_of_whom_or_what(settings: DigitalPostSettings, letter: hub.Letter) -> None:
    message = memo.build_sms(letter.recipient, TEXT, KEY, settings)
    assert message.find(M + "MessageBody") is None
    found = {etree.QName(e).localname: e.text for e in message.iter() if len(e) == 0}
    assert (found["messageType"], found["notification"], found["label"]) == ("NEMSMS", TEXT, "Prøveby Kommune")
    assert letter.recipient.name not in etree.tostring(message, encoding="unicode")
    assert letter.recipient.cpr == found["recipientID"]


def test_goes_to_the_towns_digital_post(post: DigitalPost, folder: Path, letter: hub.Letter) -> None:
    assert isinstance(post, hub.Points)
    assert type(post.point(letter.recipient, TEXT, KEY)) is hub.Sent
    assert [file.name for file in folder.iterdir()] == [f"{KEY}.sms"]
    assert list(post.statuses(None)) == [], "it is no letter, and nothing is told of it"


@pytest.mark.parametrize("cpr", ["2404759996", "0000000000"])
def test_to_somebody_who_has_given_no_number_it_is_refused(post: DigitalPost, cpr: str) -> None:
    result = post.point(hub.Recipient(cpr, ""), TEXT, KEY)
    assert type(result) is hub.Refused
    assert cpr not in result.reason


@pytest.mark.parametrize("text", ["", "x" * 151, "Om 010180-4001", "to\nlinjer"])
def test_a_text_that_may_not_be_one_is_refused_unseen(post: DigitalPost, letter: hub.Letter, text: str) -> None:
    assert type(post.point(letter.recipient, text, KEY)) is hub.Refused


@pytest.mark.parametrize("language", ["da", "en", "pl"])
@pytest.mark.parametrize("name", ["Prøveby Kommune", "Å" * 200])
def test_what_the_hub_says_fits(post: DigitalPost, letter: hub.Letter, language: str, name: str) -> None:
    *_mail, sms = texts(language, name)
    assert len(sms) <= SMS_AT_MOST
    assert type(post.point(letter.recipient, sms, str(key_of(uuid.uuid4())))) is hub.Sent


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_an_answer_goes_to_the_contact_point(
    standards: Path, settings: DigitalPostSettings, letter: hub.Letter, version: str
) -> None:
    changes = {"reply": True, "contact_point": uuid.UUID(int=5), "memo_version": version}
    ours = settings.model_copy(update=changes)
    message = etree.fromstring(kombi_request(letter, KEY, "digital", ours)).find(M + "Message")
    assert message is not None
    assert message.findtext(f"{M}MessageHeader/{M}Sender/{M}ContactPoint/{M}contactPointID") == str(uuid.UUID(int=5))
    etree.XMLSchema(etree.parse(standards / SCHEMAS[version][0])).assertValid(message)


def test_a_contact_point_nobody_can_answer_to_is_refused(settings: DigitalPostSettings) -> None:
    with pytest.raises(ValidationError, match="needs reply"):
        DigitalPostSettings.model_validate(settings.model_dump(mode="json") | {"contact_point": str(uuid.UUID(int=5))})
