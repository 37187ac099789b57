"""The town's Digital Post: refuses what the real one refuses, keeps what it takes, and remembers through a restart."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from lxml import etree
from tovholder_digital_post import DigitalPost, DigitalPostSettings
from tovholder_digital_post.channel import kombi_request

import hub
from hub.clock import SetClock
from hub.demo.model import Town
from hub.demo.servers import digital_post
from hub.demo.servers import digital_post_receipts as receipts
from hub.demo.servers import digital_post_rules as rules

KEY = "8c2ea15d-61fb-4ba9-9366-42f8b194c114"
OTHER = "8c2ea15d-61fb-4ba9-9366-42f8b194c115"
M = f"{{{rules.MEMO}}}"
START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
TRANSACTION = {"X-TransaktionsId": KEY, "X-TransaktionsTid": "2026-03-02T08:00:00Z"}


@pytest.fixture(scope="session")
def body(letter: hub.Letter, settings: DigitalPostSettings) -> bytes:
    return kombi_request(letter, KEY, "digital", settings)


@pytest.fixture(scope="session")
def print_body(paper: hub.Letter, settings: DigitalPostSettings) -> bytes:
    return kombi_request(paper, KEY, "print", settings)


def verdict(body: bytes, town: Town) -> str:
    """`taken`, or the code of the refusal."""
    try:
        sent = rules.read(body)
        rules.check(sent, town.people)
    except rules.RefusedError as error:
        return error.code
    return "taken"


def test_good_letters_are_taken(body: bytes, print_body: bytes, town: Town) -> None:
    assert verdict(body, town) == "taken"
    assert verdict(print_body, town) == "taken"


@pytest.mark.parametrize(
    ("pattern", "put", "code"),
    [
        (r"</memo:label>", "", "xml.invalid"),
        (r"kombi_request", "other", "kombi.invalid"),
        (r"Digital Post", "NemSMS", "kombi.invalid"),
        (r"Digital Post", "Fysisk Post", "kombi.invalid"),  # says print, sends none
        (r"<memo:label>Brev.*?</memo:label>", "", "memo.invalid"),
        (r"<memo:label>Brev.*?<", "<memo:label> <", "memo.invalid"),
        (r"<memo:label>Brev", "<memo:label>" + "x" * 256, "memo.invalid"),
        (r"(<memo:mandatory>.*?</memo:mandatory>)(<memo:legal.*?</memo:legalNotification>)", r"\2\1", "memo.invalid"),
        (r"memo:", "m:", "memo.invalid"),
        (r'memoVersion="1.2"', 'memoVersion="3"', "memo.invalid"),
        (r'memoVersion="1.2"', 'memoVersion="1.2" memoSchVersion="1.1.0"', "memo.invalid"),
        (r'memoVersion="1.2"', 'memoVersion="1.1"', "memo.invalid"),
        (KEY, KEY.replace("-4ba9-", "-1ba9-"), "memo.invalid"),
        (r"(<memo:createdDateTime>.*?)Z<", r"\1+01:00<", "memo.invalid"),
        (r"(<memo:createdDateTime>).*?Z<", r"\1i gårZ<", "memo.invalid"),
        (r"<memo:MessageBody>.*</memo:MessageBody>", "", "memo.invalid"),
        (r"<memo:language>da", "<memo:language>dan", "memo.invalid"),
        (r"<memo:filename>brev.pdf", "<memo:filename>br:ev.pdf", "file.name.not.allowed"),
        (r"<memo:filename>brev.pdf", "<memo:filename>br\u2003ev.pdf", "file.name.not.allowed"),
        (r"<memo:filename>brev.pdf", "<memo:filename>brev.exe", "file.extension.not.allowed"),
        (r"<memo:url>https", "<memo:url>http", "action.url.not.allowed"),
        (r"<memo:content>[\w+/=]*", "<memo:content>", "file.empty.not.allowed"),
        (r"<memo:content>", "<memo:content>æ", "memo.invalid"),
        (r"<memo:content>[\w+/=]*", "<memo:content>PGh0bWw+", "file.invalid"),
        (r"0107729995", "2404759996", "recipient.not.found"),
        (r"0107729995", "1502689998", "recipient.not.registered"),
    ],
)
def test_what_the_real_one_refuses_is_refused(body: bytes, town: Town, pattern: str, put: str, code: str) -> None:
    everywhere = put in ("other", "m:")
    text, times = re.subn(pattern, put, body.decode(), count=0 if everywhere else 1)
    assert times
    text = text.replace("xmlns:memo", "xmlns:m") if put == "m:" else text
    assert verdict(text.encode(), town) == code


@pytest.mark.parametrize(
    ("pattern", "put", "code"),
    [
        (r">PDF<", ">DOCX<", "print.invalid"),
        (r"<DokumentParametre>.*?</DokumentParametre>", "", "memo.invalid"),
        (r"<AfsendelseIdentifikator>[^<]*", "<AfsendelseIdentifikator>1", "memo.invalid"),
        (r"1502689998", "2404759996", "recipient.not.found"),
        (r"<dkal:MeddelelseIndholdData>[\w+/=]*", "<dkal:MeddelelseIndholdData>PGh0bWw+", "file.invalid"),
    ],
)
def test_what_cannot_be_printed_is_refused(print_body: bytes, town: Town, pattern: str, put: str, code: str) -> None:
    text, times = re.subn(pattern, put, print_body.decode(), count=1)
    assert times
    assert verdict(text.encode(), town) == code


def test_a_missing_label_is_told_as_in_the_real_receipt(body: bytes) -> None:
    text = re.sub(r"<memo:label>Brev.*?</memo:label>", "", body.decode(), count=1)
    with pytest.raises(rules.RefusedError) as caught:
        rules.check(rules.read(text.encode()), {})
    assert str(caught.value) == (
        'tag name "reply" is not allowed. Possible tag names are: <messageID>,<messageCode>,<label>'
    )


def test_a_message_that_is_too_large_is_refused(
    letter: hub.Letter, paper: hub.Letter, settings: DigitalPostSettings, town: Town
) -> None:
    for one, route in ((letter, "digital"), (paper, "print")):
        sent = rules.read(kombi_request(replace(one, pdf=b"%PDF-1.7" + bytes(9000)), KEY, route, settings))
        rules.check(sent, town.people, limit=13_000)
        with pytest.raises(rules.RefusedError, match="larger than 11000 bytes") as caught:
            rules.check(sent, town.people, limit=11_000)
        assert caught.value.code == "file.too.large"


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_order_is_judged_as_the_schema_judges_it(
    letter: hub.Letter, settings: DigitalPostSettings, town: Town, standards: Path, version: str
) -> None:
    """Elements taken out, doubled or moved: the town refuses just what the schema finds invalid."""
    schema = etree.XMLSchema(etree.parse(standards / f"memo/xsd-{version}/MeMo_core.xsd"))
    ours = settings.model_copy(update={"memo_version": version})
    root = etree.fromstring(kombi_request(letter, KEY, "digital", ours))
    count = sum(1 for _ in root[1].iter())
    seen = {True: 0, False: 0}

    @hypothesis_settings(max_examples=300, deadline=None, database=None)
    @given(st.integers(1, count - 1), st.sampled_from(["remove", "double", "swap"]))
    def holds(which: int, how: str) -> None:
        changed = deepcopy(root)
        element = list(changed[1].iter())[which]
        parent = element.getparent()
        if etree.QName(element).localname == "MessageBody" and how == "remove":
            return  # valid by the schema, which serves NemSMS too; a letter must have one
        if how == "remove":
            parent.remove(element)
        elif how == "double":
            element.addnext(deepcopy(element))
        elif element.getnext() is not None:
            element.getnext().addnext(element)
        valid = schema.validate(changed[1])
        seen[valid] += 1
        assert (verdict(etree.tostring(changed), town) == "taken") is valid

    holds()
    assert all(seen.values())


def test_what_is_kept_is_valid_and_whole(post: DigitalPost, letter: hub.Letter, folder: Path, standards: Path) -> None:
    post.send(letter, KEY)
    kept = etree.parse(folder / f"{KEY}.xml")
    etree.XMLSchema(etree.parse(standards / "memo/xsd-1.2/MeMo_core.xsd")).assertValid(kept)
    assert base64.b64decode(kept.findtext(f".//{M}content") or "") == letter.pdf


def test_receipts_are_valid_envelopes(
    serve: Callable[[Any], str],
    post_at: Callable[..., DigitalPost],
    town: Town,
    clock: SetClock,
    folder: Path,
    letter: hub.Letter,
    paper: hub.Letter,
    standards: Path,
) -> None:
    url = serve(digital_post.app(town, clock, folder))
    channel = post_at(url)
    start = "8c2ea15d-61fb-4ba9-9366-00000000"
    for end, one in (("0001", letter), ("0002", paper)):
        channel.send(one, start + end)
    clock.move(timedelta(days=7))
    folder_xsd = standards / "sf1601/beskedkuvert-xsd/beskedfordeler/xsd"
    schema = etree.XMLSchema(etree.parse(folder_xsd / "AnvendersystemOperationer.xsd"))
    found = httpx2.get(url + "/beskeder", params={"max": "100"}).json()["beskeder"]
    assert len(found) == 2 + 3
    for route in ("digital", "print"):
        bad = receipts.steps(start + "0003", route, clock.now(), arrives=False)
        found += [receipts.envelope(start + "0003", route, step) for step in bad]
    assert len(found) == 2 + 3 + 2 + 4
    for envelope in found:
        schema.assertValid(etree.fromstring(envelope.encode()))


def test_it_remembers_through_a_restart(body: bytes, print_body: bytes, clock: SetClock, folder: Path) -> None:
    first = digital_post.Box(folder, clock)
    first.keep(rules.read(body))
    clock.move(timedelta(minutes=30))
    before = first.receipts(0, 100)
    first.keep(rules.read(print_body.replace(KEY.encode(), OTHER.encode())))
    first.count("duplicates")
    first.count("refused")
    clock.move(timedelta(days=2))
    second = digital_post.Box(folder, clock)
    assert second.counts == first.counts == {"received": 2, "duplicates": 1, "refused": 1}
    assert second.knows(KEY)
    assert second.knows(OTHER)
    assert second.receipts(0, 100) == first.receipts(0, 100)
    assert second.receipts(0, 100)[: len(before)] == before


def test_a_kill_between_letter_and_log_loses_and_doubles_nothing(body: bytes, clock: SetClock, folder: Path) -> None:
    digital_post.Box(folder, clock).keep(rules.read(body))
    log = folder / "received.jsonl"
    log.write_bytes(log.read_bytes()[:20])
    (folder / f"{OTHER}.xml.new").write_bytes(b"<half")
    again = digital_post.Box(folder, clock)
    assert again.knows(KEY)
    assert not again.knows(OTHER)
    assert again.counts["received"] == 1
    assert digital_post.Box(folder, clock).counts["received"] == 1


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 900)), max_size=12))
def test_a_receipts_number_never_changes(acts: list[tuple[bool, int]]) -> None:
    """Whenever it is asked and however time passes, what was told first stays first."""
    clock = SetClock(START)
    with TemporaryDirectory() as folder:
        box = digital_post.Box(Path(folder), clock)
        told: list[str] = []
        for number, (ask, minutes) in enumerate(acts):
            key = f"8c2ea15d-61fb-4ba9-9366-{number * 123457:012x}"
            box.keep(rules.Sent(key, "print" if number % 3 else "digital", etree.Element("x")))
            if ask:
                now = box.receipts(0, 1000)
                assert now[: len(told)] == told
                told = now
            clock.move(timedelta(minutes=minutes))
        clock.move(timedelta(days=9))
        whole = box.receipts(0, 1000)
        assert whole[: len(told)] == told
        assert digital_post.Box(Path(folder), clock).receipts(0, 1000) == whole


def test_a_known_uuid_by_the_other_route_is_no_second_letter(
    serve: Callable[[Any], str], town: Town, clock: SetClock, folder: Path, body: bytes, print_body: bytes
) -> None:
    """Who becomes exempt between two tries must not get the letter twice."""
    url = serve(digital_post.app(town, clock, folder))
    for one in (body, print_body):
        answer = httpx2.post(url + "/service/KombiPostAfsend_1/kombi", content=one, headers=TRANSACTION)
        assert answer.status_code == 200
        assert "<Result>true</Result>" in answer.text
    assert [file.name for file in folder.glob("*.xml")] == [f"{KEY}.xml"]


def test_http_answers(serve: Callable[[Any], str], town: Town, clock: SetClock, folder: Path, body: bytes) -> None:
    url = serve(digital_post.app(town, clock, folder, limit=100_000))
    with httpx2.Client(base_url=url) as client:
        ask = "/service/PostForespoerg_1/digitalpost"
        for number, registered in (("0107729995", True), ("1502689998", False), ("2404759996", False)):
            answer = client.get(ask, params={"cprNumber": number}, headers=TRANSACTION)
            assert answer.json() == {"result": registered}
        assert client.get(ask, params={"cprNumber": "12"}, headers=TRANSACTION).status_code == 400
        assert client.get(ask, params={"cprNumber": "0107729995"}).status_code == 400
        kombi = "/service/KombiPostAfsend_1/kombi"
        no_header = client.post(kombi, content=body)
        assert no_header.status_code == 400
        assert "<FejlId>header.missing</FejlId>" in no_header.text
        large = client.post(kombi, content=bytes(1024 * 1024 + 200_001), headers=TRANSACTION)
        assert "<FejlId>file.too.large</FejlId>" in large.text
        assert client.get("/beskeder", params={"after": "x"}).status_code == 400
        assert client.get("/beskeder", params={"after": "99"}).json() == {"beskeder": [], "next": "99"}
        assert client.get("/state").json() == {"received": 0, "duplicates": 0, "refused": 2}
    assert list(folder.glob("*.xml")) == []
