"""The channel against the town's Digital Post over HTTP: what is sent, once, by the right route, and what it says when
something goes wrong."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import socket
import threading
import tracemalloc
import uuid
import zlib
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tovholder_digital_post import DigitalPost, platform, register_channels, settings_model
from tovholder_digital_post.channel import kombi_request
from tovholder_digital_post.settings import DigitalPostSettings

import hub
from hub import DeliveryStatus
from hub.clock import SetClock
from hub.demo.model import Person, Town
from hub.demo.servers import digital_post
from hub.demo.servers.digital_post_receipts import envelope, steps, unlucky

Serve = Callable[[Any], str]
PostAt = Callable[..., DigitalPost]
KOMBI = "/service/KombiPostAfsend_1/kombi"


def key() -> str:
    return str(uuid.uuid4())


def state(channel: DigitalPost) -> dict[str, int]:
    return json.loads(channel._platform.send("GET", "/state").content)


def all_statuses(channel: DigitalPost, since: str | None = None) -> list[tuple[str, str, str | None]]:
    found = []
    for page in channel.statuses(since):
        for one in page.statuses:
            assert isinstance(one, hub.Status)
            found.append((one.key, one.status.value, one.route))
    return found


def answers(code: int, body: bytes = b"", headers: dict[str, str] | None = None) -> Any:
    """An ASGI application that says everybody is registered, and answers this to a sending."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        ok = b'{"result": true}'
        status, content = (code, body) if scope["path"] == KOMBI else (200, ok)
        given = [(k.encode(), v.encode()) for k, v in (headers or {}).items()]
        await send({"type": "http.response.start", "status": status, "headers": given})
        await send({"type": "http.response.body", "body": content})

    return application


def test_plugin_gives_one_channel(settings: DigitalPostSettings) -> None:
    assert settings_model() is DigitalPostSettings
    (channel,) = register_channels(settings)
    assert isinstance(channel, hub.Channel)
    assert channel.name == "digital_post"


def test_a_registered_person_gets_digital_post(post: DigitalPost, letter: hub.Letter, folder: Path) -> None:
    sent = post.send(letter, k := key())
    assert isinstance(sent, hub.Sent)
    assert sent.route == "digital"
    assert b"memo:Message" in (folder / f"{k}.xml").read_bytes()


def test_an_exempt_person_gets_paper(post: DigitalPost, paper: hub.Letter, folder: Path) -> None:
    sent = post.send(paper, k := key())
    assert isinstance(sent, hub.Sent)
    assert sent.route == "print"
    assert b"ForsendelseI" in (folder / f"{k}.print.xml").read_bytes()


def test_anybody_with_a_number_is_reached(post: DigitalPost, letter: hub.Letter, paper: hub.Letter) -> None:
    assert post.reaches(letter.recipient)
    assert post.reaches(paper.recipient)
    for other in ("0000000000", "0703921VJ4", "", "०१०७७२९९९५"):
        recipient = hub.Recipient(other, "Bodil Prøvesen")
        assert not post.reaches(recipient)
        assert isinstance(post.send(replace(letter, recipient=recipient), key()), hub.Refused)


def test_a_known_uuid_counts_as_sent_and_is_one_letter(post: DigitalPost, letter: hub.Letter, folder: Path) -> None:
    first, second = post.send(letter, k := key()), post.send(letter, k)
    assert first == second
    assert isinstance(second, hub.Sent)
    assert [file.name for file in folder.glob("*.xml")] == [f"{k}.xml"]
    assert state(post) == {"received": 1, "duplicates": 1, "refused": 0}


def test_time_out_after_it_was_received_and_a_retry_make_one_letter(
    serve: Serve, post_at: PostAt, town: Town, clock: SetClock, folder: Path, letter: hub.Letter
) -> None:
    inner = digital_post.app(town, clock, folder)
    slow = [True]

    async def application(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        async def late(message: Any) -> None:
            if scope["path"] == KOMBI and slow[0] and message["type"] == "http.response.start":
                slow[0] = False
                await asyncio.sleep(0.6)
            await send(message)

        await inner(scope, receive, late)

    channel = post_at(serve(application), timeout_seconds=0.3)
    first = channel.send(letter, k := key())
    assert isinstance(first, hub.Unsure)
    assert (folder / f"{k}.xml").exists()
    assert isinstance(channel.send(letter, k), hub.Sent)
    assert state(channel) == {"received": 1, "duplicates": 1, "refused": 0}


@pytest.fixture
def breaks() -> Iterator[str]:
    """A platform that answers the enquiry, takes the letter and hangs up without an answer."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                got = connection.recv(65536)
                if got.startswith(b"GET"):
                    body = b'{"result": true}'
                    head = f"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
                    connection.sendall(head.encode() + body)
                elif not got:
                    return

    thread = threading.Thread(target=run)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    with socket.create_connection(listener.getsockname()):
        pass
    thread.join()
    listener.close()


def test_a_connection_that_breaks_after_sending_is_unsure(breaks: str, post_at: PostAt, letter: hub.Letter) -> None:
    assert isinstance(post_at(breaks).send(letter, key()), hub.Unsure)


def test_no_connection_is_later(post_at: PostAt, letter: hub.Letter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    channel = post_at(f"http://127.0.0.1:{free}")
    assert isinstance(channel.send(letter, key()), hub.Later)
    assert not channel.health().ok
    with pytest.raises(hub.TryAgain):
        next(channel.statuses(None))


RECEIPT = b"<kombi_response><Result>false</Result><X><FejlId>%b</FejlId><FejlTekst>0107729995 Bodil</FejlTekst></X>"
RECEIPT += b"</kombi_response>"
TAKEN = b"<kombi_response><Result>true</Result><TransmissionID>t-1</TransmissionID></kombi_response>"


@pytest.mark.parametrize(
    ("code", "body", "headers", "expected"),
    [
        (200, TAKEN, {}, hub.Sent("t-1", "digital")),
        (503, b"", {"retry-after": "120"}, hub.Later("the platform answered 503", 120)),
        (503, b"", {}, hub.Later("the platform answered 503", None)),
        (429, b"", {"retry-after": "7"}, hub.Later("the platform answered 429", 7)),
        (400, RECEIPT % b"memo.invalid", {}, hub.Refused("memo.invalid")),
        (503, b"", {"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, hub.Later("the platform answered 503", 0.0)),
        (429, b"", {"retry-after": "soon"}, hub.Later("the platform answered 429", None)),
        (429, b"", {"retry-after": "-1"}, hub.Later("the platform answered 429", None)),
        (400, b"Bodil", {}, hub.Refused("the platform refused the letter (400) and gave no error code")),
        (200, RECEIPT % b"memo.invalid", {}, hub.Refused("memo.invalid")),
        (500, b"", {}, hub.Unsure("the platform answered 500")),
        (502, b"", {}, hub.Unsure("the platform answered 502")),
        (200, TAKEN[:-9], {}, hub.Unsure("the platform answered 200 with something that is no answer to a sending")),
        (
            200,
            b"<!DOCTYPE a>" + TAKEN,
            {},
            hub.Unsure("the platform answered 200 with something that is no answer to a sending"),
        ),
        (200, b"<html>", {}, hub.Unsure("the platform answered 200 with something that is no answer to a sending")),
        (200, b"", {}, hub.Unsure("the platform answered 200 with something that is no answer to a sending")),
    ],
)
def test_what_the_platform_says_is_what_the_hub_gets(
    serve: Serve,
    post_at: PostAt,
    letter: hub.Letter,
    code: int,
    body: bytes,
    headers: dict[str, str],
    expected: hub.SendResult,
) -> None:
    assert post_at(serve(answers(code, body, headers))).send(letter, key()) == expected


SIGN_IN = b"<!DOCTYPE html><html><title>400 No required SSL certificate was sent</title></html>"


@pytest.mark.parametrize(
    ("code", "body"),
    [(302, b""), (400, SIGN_IN), (401, RECEIPT % b"token"), (403, b""), (404, b""), (407, b"")],
)
def test_wrong_access_is_no_fault_of_the_letter(
    serve: Serve, post_at: PostAt, letter: hub.Letter, code: int, body: bytes
) -> None:
    elsewhere = {"location": "http://127.0.0.1:1/"}
    assert isinstance(post_at(serve(answers(code, body, elsewhere))).send(letter, key()), hub.Later)


@pytest.mark.parametrize(("code", "body"), [(409, b""), (400, RECEIPT % b"duplicate.message")])
def test_already_there_counts_as_sent(
    serve: Serve, post_at: PostAt, letter: hub.Letter, code: int, body: bytes
) -> None:
    assert isinstance(post_at(serve(answers(code, body))).send(letter, key()), hub.Sent)


def test_an_unknown_recipient_is_refused_without_personal_data(post: DigitalPost, letter: hub.Letter) -> None:
    stranger = replace(letter, recipient=hub.Recipient("2404759996", "Fremmed Prøvesen"))
    assert post.send(stranger, key()) == hub.Refused("recipient.not.found")
    assert state(post)["refused"] == 1


def test_a_letter_that_breaks_a_rule_is_not_sent(post: DigitalPost, letter: hub.Letter) -> None:
    refused = post.send(replace(letter, title="Brev om 010772-9995"), key())
    assert isinstance(refused, hub.Refused)
    assert "9995" not in refused.reason
    assert state(post) == {"received": 0, "duplicates": 0, "refused": 0}


def test_enquiry_without_an_answer_sends_nothing(serve: Serve, post_at: PostAt, letter: hub.Letter) -> None:
    seen = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await send({"type": "http.response.start", "status": 503, "headers": [(b"retry-after", b"30")]})
        await send({"type": "http.response.body", "body": b"{}"})

    result = post_at(serve(application)).send(letter, key())
    assert result == hub.Later("PostForespoerg answered 503 without a result", 30)
    assert seen == ["/service/PostForespoerg_1/digitalpost"]


def test_delivery_is_told_when_it_has_happened(
    post: DigitalPost, letter: hub.Letter, paper: hub.Letter, clock: SetClock
) -> None:
    digital, printed = "8c2ea15d-61fb-4ba9-9366-000000000001", "8c2ea15d-61fb-4ba9-9366-000000000002"
    post.send(letter, digital)
    post.send(paper, printed)
    received = [(digital, "received", "digital"), (printed, "received", "print")]
    assert all_statuses(post) == received
    (page,) = post.statuses(None)
    assert all_statuses(post, page.cursor) == []
    clock.move(timedelta(hours=2))
    assert all_statuses(post, page.cursor) == [(digital, "delivered", "digital")]
    clock.move(timedelta(days=1))
    assert all_statuses(post, page.cursor)[1:] == [(printed, "received", "print"), (printed, "delivered", "print")]


def test_some_letters_fail_late_and_some_come_back(
    post: DigitalPost, letter: hub.Letter, town: Town, clock: SetClock
) -> None:
    digital, printed = "8c2ea15d-61fb-4ba9-9366-000000000000", "8c2ea15d-61fb-4ba9-9366-000000000190"
    closed, moved = [number for n in range(3000) if unlucky(number := f"010170{9000 - n:04}")][:2]
    for number, key in ((closed, digital), (moved, printed)):
        town.people[number] = Person(
            number, "Uno", "Uheld", "Prøvevej 3", "9999", "Prøveby", digital_post=key == digital
        )
        post.send(replace(letter, recipient=hub.Recipient(number, "Uno Uheld")), key)
    clock.move(timedelta(days=7))
    found = all_statuses(post)
    assert [status for k, status, _ in found if k == digital] == ["received", "failed"]
    assert [status for k, status, _ in found if k == printed] == ["received", "received", "delivered", "returned"]


def test_the_cursor_resumes_after_every_page(
    post: DigitalPost, post_at: PostAt, letter: hub.Letter, clock: SetClock
) -> None:
    small = post_at(str(post._settings.url), page_size=3)
    for _ in range(5):
        small.send(letter, key())
    clock.move(timedelta(days=1))
    whole = all_statuses(small)
    assert len(whole) == 10
    pages = list(small.statuses(None))
    assert [len(page.statuses) for page in pages] == [3, 3, 3, 1]
    for done, page in enumerate(pages, 1):
        assert all_statuses(small, page.cursor) == whole[done * 3 :]


def gateway(*pages: Any) -> Any:
    """Receipts as given, a page per request."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        after = dict(p.split("=") for p in scope["query_string"].decode().split("&")).get("after", "0")
        page = pages[int(after)] if int(after) < len(pages) else []
        answer = (
            page if isinstance(page, bytes) else json.dumps({"beskeder": page, "next": str(int(after) + 1)}).encode()
        )
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": answer})

    return application


def test_status_of_an_unknown_letter_is_passed_on_and_a_bad_one_stops_nobody(serve: Serve, post_at: PostAt) -> None:
    unknown = "8c2ea15d-61fb-4ba9-9366-000000000000"
    first_step, last_step = steps(unknown, "digital", datetime(2026, 3, 2, 8, 0, tzinfo=UTC), arrives=False)
    good, failed = envelope(unknown, "digital", first_step), envelope(unknown, "digital", last_step)
    channel = post_at(serve(gateway([good, good[:900], 17, "\ud800"], [failed])))
    first, second = channel.statuses(None)
    assert [type(one) for one in first.statuses] == [hub.Status, hub.Unreadable, hub.Unreadable, hub.Unreadable]
    assert first.statuses[0] == hub.Status(unknown, DeliveryStatus.RECEIVED, first_step.at, "digital")
    assert [one.position for one in first.statuses if isinstance(one, hub.Unreadable)] == [
        f"after the start, envelope {number}" for number in (2, 3, 4)
    ]
    assert second.statuses == (
        hub.Status(unknown, DeliveryStatus.FAILED, last_step.at, "digital", "recipient.mailbox.closed"),
    )


@pytest.mark.parametrize(
    "page",
    [
        b"[]",
        b'{"beskeder": 1, "next": "1"}',
        b'{"beskeder": [], "next": 1}',
        b'{"beskeder": ["x"], "next": "0"}',
    ],
)
def test_something_that_is_no_gateway_is_given_up(serve: Serve, post_at: PostAt, page: bytes) -> None:
    with pytest.raises(hub.GaveUp):
        list(post_at(serve(gateway(page))).statuses("0"))


@pytest.mark.parametrize("page", [b"<html>Log in</html>", b'{"beskeder": ["', b"", b"[" * 50_000])
def test_an_answer_that_is_cut_short_or_a_web_page_is_asked_for_again(
    serve: Serve, post_at: PostAt, page: bytes
) -> None:
    with pytest.raises(hub.TryAgain):
        list(post_at(serve(gateway(page))).statuses("0"))


def packed(body: bytes) -> Any:
    """Everything packed, unasked."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-encoding", b"gzip")]})
        await send({"type": "http.response.body", "body": body})

    return application


def test_an_answer_that_is_packed_unasked_is_unpacked(serve: Serve, post_at: PostAt, letter: hub.Letter) -> None:
    channel = post_at(serve(packed(gzip.compress(TAKEN))), choice="platform")
    assert channel.send(letter, key()) == hub.Sent("t-1", "digital")


# The ids say when gzip packed it, were they made of the bytes: then two processes would not collect the same tests.
@pytest.mark.parametrize(
    "body",
    [gzip.compress(TAKEN)[:-12], b"not gzip", gzip.compress(TAKEN)[:10] + b"\xff" * 20],
    ids=["cut short", "not gzip", "damaged"],
)
def test_a_damaged_packed_answer_is_unsure(serve: Serve, post_at: PostAt, letter: hub.Letter, body: bytes) -> None:
    assert isinstance(post_at(serve(packed(body)), choice="platform").send(letter, key()), hub.Unsure)


def test_a_bomb_is_not_unpacked(serve: Serve, post_at: PostAt, letter: hub.Letter) -> None:
    """256 MiB of noughts in a quarter: what is held stays below the limit and some."""
    part = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(part.compress(bytes(2**20)) for _ in range(256)) + part.flush()
    channel = post_at(serve(packed(bomb)), choice="platform")
    tracemalloc.start()
    result = channel.send(letter, key())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(result, hub.Unsure)
    assert "larger than" in result.reason
    assert peak < 3 * platform.ANSWER_LIMIT


def test_a_letter_that_is_too_large_is_refused_before_anybody_is_asked(post_at: PostAt, letter: hub.Letter) -> None:
    """Nobody answers at the address."""
    refused = post_at("http://127.0.0.1:1", max_bytes=60_000).send(letter, key())
    assert isinstance(refused, hub.Refused)
    assert refused.reason.endswith("and the limit is 60000: make it smaller")


def test_the_limit_is_on_the_message_not_on_message_and_print_together(
    serve: Serve, post_at: PostAt, letter: hub.Letter
) -> None:
    given = {"choice": "platform", "max_bytes": 80_000}
    assert len(kombi_request(letter, key(), "platform", post_at("http://127.0.0.1:1")._settings)) > 130_000
    assert isinstance(post_at(serve(answers(200, TAKEN)), **given).send(letter, key()), hub.Sent)
    larger = replace(letter, html="x" * 20_000)
    assert isinstance(post_at("http://127.0.0.1:1", **given).send(larger, key()), hub.Refused)


def test_health_asks_about_nobody(post: DigitalPost) -> None:
    assert post.health() == hub.Health(True, "PostForespoerg answered 400")


def test_no_number_or_name_reaches_a_log(
    post: DigitalPost, letter: hub.Letter, paper: hub.Letter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx2", "httpcore2", "uvicorn", "uvicorn.access", "uvicorn.error"):
        caplog.set_level(logging.DEBUG, logger=name)
    stranger = replace(letter, recipient=hub.Recipient("2404759996", "Fremmed Prøvesen"))
    reasons = [post.send(one, key()) for one in (letter, paper, stranger)]
    list(post.statuses(None))
    assert "httpcore2" in {record.name.split(".")[0] for record in caplog.records}
    assert "POST /service/KombiPostAfsend_1/kombi" in caplog.text
    said = caplog.text + repr(reasons)
    for one in (letter, paper, stranger):
        assert one.recipient.cpr not in said
        assert one.recipient.name not in said
    assert "QWtrZWRpdGl2ZXI=" not in said


def test_no_error_holds_the_address_of_the_enquiry(post_at: PostAt, letter: hub.Letter) -> None:
    """Not in its text, and not in a cause that a traceback would print."""
    channel = post_at("http://127.0.0.1:1")
    with pytest.raises(Exception, match="no connection") as caught:
        channel._platform.send("GET", "/x", query={"cprNumber": letter.recipient.cpr})
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_many_threads_share_a_channel(post: DigitalPost, letter: hub.Letter, folder: Path) -> None:
    keys = [key() for _ in range(60)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda k: post.send(letter, k), keys))
    assert all(isinstance(result, hub.Sent) for result in results)
    assert {file.name for file in folder.glob("*.xml")} == {f"{k}.xml" for k in keys}


def test_redirects_are_not_followed(serve: Serve, post_at: PostAt, letter: hub.Letter) -> None:
    seen: list[str] = []

    async def elsewhere(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'{"result": true}'})

    other = serve(elsewhere)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"location", f"{other}/?{scope['query_string'].decode()}".encode())]
        await send({"type": "http.response.start", "status": 307, "headers": headers})
        await send({"type": "http.response.body"})

    assert isinstance(post_at(serve(application)).send(letter, key()), hub.Later)
    assert seen == []


def test_headers_name_the_transaction(serve: Serve, post_at: PostAt, letter: hub.Letter) -> None:
    seen: list[httpx2.Headers] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(httpx2.Headers(scope["headers"]))
        await answers(200, b"<kombi_response><Result>true</Result></kombi_response>")(scope, receive, send)

    sent = post_at(serve(application)).send(letter, key())
    enquiry, sending = seen
    assert isinstance(sent, hub.Sent)
    assert sent.transmission == sending["x-transaktionsid"]  # print gives no TransmissionID of its own
    assert uuid.UUID(enquiry["x-transaktionsid"]) != uuid.UUID(sending["x-transaktionsid"])
    assert sending["x-transaktionstid"].endswith("Z")
    assert sending["content-type"] == "application/xml"
