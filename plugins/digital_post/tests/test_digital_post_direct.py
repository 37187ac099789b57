"""The direct way: a message by Digital Post's own interface, and its receipts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from lxml import etree
from tovholder_digital_post import DigitalPostSettings, DirectPost, direct, register_channels

import hub
from hub import DeliveryStatus
from hub.clock import SetClock
from hub.demo.model import Town
from hub.demo.servers import digital_post
from hub.demo.servers.digital_post_tls import Certificates

KEY = "8c2ea15d-61fb-4ba9-9366-42f8b194c114"
KEYS = [f"8c2ea15d-61fb-4ba9-9366-{number:012x}" for number in range(9)]
TIME = "2026-03-02T08:00:00.000Z"
Serve = Callable[..., str]
DirectAt = Callable[..., DirectPost]


@pytest.fixture
def url(serve: Serve, town: Town, clock: SetClock, folder: Path) -> str:
    return serve(digital_post.app(town, clock, folder, api_key="ZmljdGl0aW91czprZXk="))


@pytest.fixture
def post(url: str, direct_at: DirectAt) -> DirectPost:
    return direct_at(url)


def test_the_settings_choose_the_way(direct_settings: dict[str, Any]) -> None:
    (channel,) = register_channels(DigitalPostSettings.model_validate(direct_settings))
    assert isinstance(channel, DirectPost)
    assert isinstance(channel, hub.Channel)
    assert channel.name == "digital_post"


@pytest.mark.parametrize("upload", ["xml", "file"])
@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_a_message_goes_either_way_in_either_version(
    url: str, direct_at: DirectAt, letter: hub.Letter, folder: Path, upload: str, version: str
) -> None:
    sent = direct_at(url, upload=upload, memo_version=version).send(letter, KEY)
    assert isinstance(sent, hub.Sent)
    assert sent.route == "digital"
    kept = etree.parse(folder / f"{KEY}.xml").getroot()
    assert kept.get("memoVersion") == version


def test_what_goes_over_the_wire(serve: Serve, direct_at: DirectAt, letter: hub.Letter) -> None:
    seen: list[tuple[str, str, dict[bytes, bytes], bytes]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        body = b""
        more = True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body")
        seen.append((scope["path"], scope["query_string"].decode(), dict(scope["headers"]), body))
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(receipt()).encode()})

    address = serve(application)
    for upload in ("xml", "file"):
        assert direct_at(address, upload=upload).send(letter, KEY) == hub.Sent("t-1", "digital")
    (path, query, headers, body), (path2, query2, headers2, form) = seen
    assert path == path2 == "/apis/v1/memos/"
    assert query == f"memo-message-uuid={KEY}"
    assert query2 == ""
    assert headers[b"authorization"] == headers2[b"authorization"] == b"Basic ZmljdGl0aW91czprZXk="
    assert headers[b"content-type"] == b"application/xml"
    assert body.startswith(b"<?xml")
    assert headers2[b"content-type"].startswith(b"multipart/form-data; boundary=")
    assert f'name="file"; filename="{KEY}"'.encode() in form
    assert body in form


def test_over_tls_with_a_certificate(
    serve: Serve, direct_at: DirectAt, town: Town, clock: SetClock, folder: Path, certificates: Certificates,
    letter: hub.Letter,
) -> None:  # fmt: skip
    address = serve(digital_post.app(town, clock, folder), certificates)
    ours = {"certificate": str(certificates.client), "authorities": str(certificates.authority)}
    assert isinstance(direct_at(address, **ours).send(letter, KEY), hub.Sent)


def test_the_same_uuid_again_is_one_letter(post: DirectPost, letter: hub.Letter, folder: Path) -> None:
    assert post.send(letter, KEY) == post.send(letter, KEY)
    assert [file.name for file in folder.glob("*.xml")] == [f"{KEY}.xml"]


def test_a_wrong_key_is_no_fault_of_the_letter(
    url: str, direct_at: DirectAt, letter: hub.Letter, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text("d3Jvbmc=", encoding="ascii")
    stranger = direct_at(url, api_key=str(key))
    assert isinstance(stranger.send(letter, KEY), hub.Later)
    assert not stranger.health().ok
    with pytest.raises(hub.GaveUp):
        list(stranger.statuses(None))


@pytest.mark.parametrize("content", ["", "two words", "æ", "a\nb"])
def test_a_key_that_is_none_stops_the_program_at_start(direct_at: DirectAt, tmp_path: Path, content: str) -> None:
    file = tmp_path / "key"
    file.write_text(content, encoding="utf-8")
    for key in (file, tmp_path / "missing"):
        with pytest.raises(hub.SettingsError, match="api_key"):
            direct_at("http://127.0.0.1:1", api_key=str(key))


def test_who_is_exempt_is_refused(post: DirectPost, paper: hub.Letter) -> None:
    """Nobody prints a letter here: the coordinator has it as a task."""
    assert post.send(paper, KEY) == hub.Refused("recipient.not.registered")


@pytest.mark.parametrize(
    ("code", "body", "expected"),
    [
        (201, {"receiptStatus": "RECEIVED", "transmissionId": "t-1"}, hub.Sent("t-1", "digital")),
        (200, {"receiptStatus": "COMPLETED", "transmissionId": "t-1"}, hub.Sent("t-1", "digital")),
        (201, {"receiptStatus": "INVALID", "errorCode": "memo.invalid"}, hub.Refused("memo.invalid")),
        (201, {"receiptStatus": "NOT_ALLOWED"}, hub.Refused("an error without a readable code")),
        (400, {"code": "memo.invalid", "message": "Bodil"}, hub.Refused("memo.invalid")),
        (400, {}, hub.Refused("the platform refused the letter (400) and gave no error code")),
        (201, {}, hub.Unsure("the platform answered 201 with something that is no answer to a sending")),
        (201, [], hub.Unsure("the platform answered 201 with something that is no answer to a sending")),
        (500, {}, hub.Unsure("the platform answered 500")),
        (503, {}, hub.Later("the platform answered 503", 11)),
        (429, {}, hub.Later("the platform answered 429", 11)),
        (403, {"code": "forbidden"}, hub.Later("the platform answered 403: look at our certificate and our access")),
    ],
)
def test_what_digital_post_says_is_what_the_hub_gets(
    serve: Serve, direct_at: DirectAt, letter: hub.Letter, code: int, body: object, expected: hub.SendResult
) -> None:
    assert direct_at(serve(answers(code, json.dumps(body).encode()))).send(letter, KEY) == expected


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (409, b""),
        (400, b'{"code": "message.uuid.already.exists"}'),
        (201, b'{"receiptStatus": "INVALID", "errorCode": "duplicate.message"}'),
    ],
)
def test_already_there_counts_as_sent(
    serve: Serve, direct_at: DirectAt, letter: hub.Letter, code: int, body: bytes
) -> None:
    assert isinstance(direct_at(serve(answers(code, body))).send(letter, KEY), hub.Sent)


def answers(code: int, body: bytes) -> Any:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": code, "headers": [(b"retry-after", b"11")]})
        await send({"type": "http.response.body", "body": body})

    return application


def told(pages: list[hub.StatusPage]) -> list[tuple[str, str]]:
    return [(one.key, one.status.value) for page in pages for one in page.statuses if isinstance(one, hub.Status)]


def test_receipts_come_once_and_are_deleted_when_they_have_been_kept(
    url: str, direct_at: DirectAt, letter: hub.Letter, clock: SetClock
) -> None:
    post = direct_at(url, page_size=2)
    for key in KEYS[:3]:
        post.send(letter, key)
    pages = list(post.statuses(None))
    assert told(pages) == [(key, "received") for key in KEYS[:3]]
    assert told(list(post.statuses(pages[0].cursor))) == [(KEYS[2], "received")]  # killed after the first page
    clock.move(timedelta(hours=2))
    later = list(post.statuses(pages[-1].cursor))
    assert sorted(told(later)) == [(key, "delivered") for key in KEYS[:3]]
    assert told(list(post.statuses(later[-1].cursor))) == []
    assert told(list(post.statuses(None))) == []  # all have been deleted


class Receipts:
    """Receipts as given, in pages; keeps what is deleted. `ignores` answers the first page whatever is asked."""

    def __init__(self, receipts: list[Any], *, ignores: bool = False, delete: int = 204) -> None:
        self.receipts, self.ignores, self.delete = receipts, ignores, delete
        self.deleted: list[str] = []
        self.asked = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        status, body = 200, b""
        if scope["method"] == "DELETE":
            self.deleted.append(scope["path"].rpartition("/")[2])
            status = self.delete
        else:
            self.asked += 1
            given = dict(part.split("=") for part in scope["query_string"].decode().split("&"))
            first = 0 if self.ignores else int(given["page"]) * int(given["size"])
            body = json.dumps({"receipts": self.receipts[first : first + int(given["size"])]}).encode()
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})


def receipt(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"11111111-2222-4333-8444-{number:012x}", "transmissionId": "t-1", "messageUUID": KEY, "messageId": None,
        "errorCode": None, "errorMessage": None, "timeStamp": TIME, "receiptStatus": "RECEIVED",
    } | changes  # fmt: skip


def test_a_receipt_that_cannot_be_deleted_is_not_given_twice(serve: Serve, direct_at: DirectAt) -> None:
    there = Receipts([receipt(number) for number in range(5)], delete=403)
    post = direct_at(serve(there), page_size=2)
    pages = list(post.statuses(None))
    assert len(told(pages)) == 5
    again = list(post.statuses(pages[-1].cursor))
    assert again == []
    assert len(there.deleted) == 5


def test_a_side_that_gives_the_same_page_for_ever_ends(serve: Serve, direct_at: DirectAt) -> None:
    for receipts in ([receipt(1), receipt(2)], [receipt(1, id=None), {}]):
        there = Receipts(receipts, ignores=True)
        pages = list(direct_at(serve(there), page_size=500).statuses(None))
        assert there.asked <= direct.MOST // 500 + 1
        assert sum(len(page.statuses) for page in pages) >= 2


def test_one_bad_receipt_stops_nobody(serve: Serve, direct_at: DirectAt) -> None:
    bad = [17, None, {}, receipt(2, messageUUID="Bodil"), receipt(3, timeStamp="i går"), receipt(4, timeStamp=7)]
    (page,) = direct_at(serve(Receipts([*bad, receipt(1)]))).statuses(None)
    assert [type(one) for one in page.statuses] == [hub.Unreadable] * len(bad) + [hub.Status]
    assert all(one.reason for one in page.statuses if isinstance(one, hub.Unreadable))


@pytest.mark.parametrize(
    ("code", "body", "error"),
    [
        (200, b"<html>", hub.TryAgain),
        (200, b'{"receipts": [', hub.TryAgain),
        (200, b"[" * 50_000, hub.TryAgain),
        (200, b"[]", hub.GaveUp),
        (200, b'{"receipts": 1}', hub.GaveUp),
        (429, b"", hub.TryAgain),
        (502, b"", hub.TryAgain),
        (403, b"", hub.GaveUp),
        (302, b"", hub.GaveUp),
    ],
)
def test_no_receipts_are_told(
    serve: Serve, direct_at: DirectAt, code: int, body: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        list(direct_at(serve(answers(code, body))).statuses(None))
    if isinstance(caught.value, hub.TryAgain) and code == 429:
        assert caught.value.after_seconds == 11


@pytest.mark.parametrize(
    ("status", "code", "expected", "reason"),
    [
        ("RECEIVED", None, DeliveryStatus.RECEIVED, ""),
        ("COMPLETED", None, DeliveryStatus.DELIVERED, ""),
        ("INVALID", "memo.invalid", DeliveryStatus.FAILED, "memo.invalid"),
        ("INVALID", None, DeliveryStatus.FAILED, "INVALID"),
        ("INVALID", "duplicate.message", DeliveryStatus.RECEIVED, "duplicate.message"),
        ("NOT_ALLOWED", "recipient.exempt", DeliveryStatus.FAILED, "recipient.exempt"),
        ("POSTPONED", None, DeliveryStatus.UNKNOWN, "a status that is not known: POSTPONED"),
        ("Bodil Prøvesen", None, DeliveryStatus.UNKNOWN, "a status that is not known: none"),
    ],
)
def test_every_status_has_its_meaning(status: str, code: str | None, expected: DeliveryStatus, reason: str) -> None:
    found = direct.read(receipt(receiptStatus=status, errorCode=code, errorMessage="Om 0107729995"), "x")
    assert found == hub.Status(KEY, expected, datetime(2026, 3, 2, 8, tzinfo=UTC), "digital", reason)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@hypothesis_settings(deadline=None, database=None)
@given(
    JSON
    | st.dictionaries(st.sampled_from(list(receipt())), JSON | st.sampled_from([KEY, TIME, "RECEIVED", "INVALID"]))
    | st.dictionaries(st.sampled_from(list(receipt())), JSON, max_size=2).map(lambda some: receipt() | some)
)
def test_any_receipt_is_a_status_or_unreadable(some: object) -> None:
    found = direct.read(some, "x")
    assert isinstance(found, hub.Status | hub.Unreadable)
    assert len(found.raw if isinstance(found, hub.Unreadable) else b"") <= hub.RAW_LIMIT


def test_a_letter_that_breaks_a_rule_is_not_sent(post: DirectPost, letter: hub.Letter, folder: Path) -> None:
    assert isinstance(post.send(replace(letter, title="Brev om 010772-9995"), KEY), hub.Refused)
    assert list(folder.glob("*.xml")) == []


def test_a_letter_that_is_too_large_is_refused_before_it_is_sent(direct_at: DirectAt, letter: hub.Letter) -> None:
    """Nobody answers at the address: it was not asked."""
    for most in (1000, 70_000):
        refused = direct_at("http://127.0.0.1:1", max_bytes=most).send(letter, KEY)
        assert isinstance(refused, hub.Refused)
        assert f"the limit is {most}" in refused.reason
