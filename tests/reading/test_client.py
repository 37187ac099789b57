"""The client against sources that are slow, broken, confused or hostile, over real connections."""

from __future__ import annotations

import gzip
import itertools
import socket
import struct
import subprocess
import sys
import time
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from hub import ByteStream, GaveUp, NotAllowed, ReadOnlyClient, TovholderError, TryAgain, xml_elements
from hub.reading import client as module
from hub.reading.client import ATTEMPTS, FAILURES

from .conftest import READS, Source, http

GZIP = "Content-Encoding: gzip"
BOMB = gzip.compress(b"\0" * 50_000_000, 9, mtime=0)


def reset(connection: socket.socket) -> None:
    """Half an answer, and the connection is torn down."""
    connection.sendall(http(b"<half", length=500))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def silence(connection: socket.socket) -> None:
    connection.recv(1)  # returns when the other side has given up


def drip(connection: socket.socket) -> None:
    """A letter every little while, each in time, for ever."""
    connection.sendall(http(length=10_000_000))
    while True:
        connection.sendall(b" ")
        time.sleep(0.02)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\n<half\r\n"


# --- what is tried again ---


@pytest.mark.parametrize(
    "trouble",
    [
        http(status="503 Service Unavailable"),
        http(status="502 Bad Gateway"),
        http(status="504 Gateway Timeout"),
        http(status="429 Too Many Requests"),
        http(status="408 Request Timeout"),
        b"",
        b"not HTTP at all\r\n\r\n",
        http(b"<half", length=500),
        CHUNKED,
        reset,
    ],
)
def test_a_read_that_comes_to_nothing_is_sent_again(
    source: Source, client: ReadOnlyClient, at_once: None, trouble: Any
) -> None:
    source.answers = [trouble, http(b"<whole/>")]
    assert client.send("GET", "records").content == b"<whole/>"
    assert len(source.requests) == 2


@pytest.mark.parametrize("trouble", [http(status="503 Service Unavailable"), silence, reset, CHUNKED])
def test_a_source_that_stays_down_is_told_after_a_few_times(source: Source, at_once: None, trouble: Any) -> None:
    source.answers = [trouble]
    client = ReadOnlyClient(source.url, READS, timeout_seconds=0.2)
    with pytest.raises(TryAgain):
        client.send("GET", "records")
    assert len(source.requests) == ATTEMPTS


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found", "410 Gone"]
)
def test_a_refusal_is_not_asked_again(source: Source, client: ReadOnlyClient, status: str) -> None:
    source.answers = [http(status=status)]
    with pytest.raises(GaveUp, match=f"the source answered {status[:3]} to GET"):
        client.send("GET", "records")
    assert len(source.requests) == 1


@pytest.mark.parametrize("status", ["500 Internal Server Error", "501 Not Implemented", "507 Insufficient Storage"])
def test_a_fault_of_the_source_is_for_the_next_run(source: Source, client: ReadOnlyClient, status: str) -> None:
    source.answers = [http(status=status)]
    with pytest.raises(TryAgain):
        client.send("GET", "records")
    assert len(source.requests) == 1


def test_an_answer_that_breaks_off_in_a_stream_is_told(source: Source, client: ReadOnlyClient) -> None:
    for trouble in (http(b"<half", length=500), CHUNKED, reset):
        source.answers = [trouble]
        with pytest.raises(TryAgain), client.stream("GET", "records") as response:
            ByteStream(response).read()
        client = ReadOnlyClient(source.url, READS, timeout_seconds=2.0)


def test_it_waits_between_tries_and_longer_each_time(source: Source, client: ReadOnlyClient) -> None:
    times: list[float] = []

    def note(connection: socket.socket) -> None:
        times.append(time.monotonic())
        connection.sendall(http(status="503 Service Unavailable"))

    source.answers = [note]
    with pytest.raises(TryAgain):
        client.send("GET", "records")
    first, second = (later - earlier for earlier, later in itertools.pairwise(times))
    assert first >= 0.5
    assert second >= 1.0


def test_retry_after_is_waited_for(source: Source, client: ReadOnlyClient) -> None:
    times: list[float] = []

    def busy(connection: socket.socket) -> None:
        times.append(time.monotonic())
        connection.sendall(http(b"", "429 Too Many Requests", "Retry-After: 2"))

    source.answers = [busy, http(b"<whole/>")]
    client.send("GET", "records")
    assert time.monotonic() - times[0] >= 2.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("600", 600),
        ("999999999999", module.ASKED_AT_MOST),
        (format_datetime(datetime(2020, 1, 1, 12, 10, tzinfo=UTC), usegmt=True), 600),
        ("Wed, 01 Jan 2020 12:10:00", 600),
        ("Sun, 01 Jan 2090 00:00:00 GMT", module.ASKED_AT_MOST),
        ("-5", None),
        ("soon", None),
        ("", None),
    ],
)
def test_a_long_retry_after_is_handed_on(
    source: Source, client: ReadOnlyClient, at_once: None, header: str, seconds: float | None
) -> None:
    """The date is reckoned from the source's own."""
    date = "Date: Wed, 01 Jan 2020 12:00:00 GMT"
    source.answers = [http(b"", "429 Too Many Requests", f"Retry-After: {header}", date)]
    with pytest.raises(TryAgain) as told:
        client.send("GET", "records")
    assert told.value.after_seconds == seconds
    assert len(source.requests) == (ATTEMPTS if seconds is None else 1)


def test_a_date_without_the_sources_own_is_reckoned_from_now(source: Source, client: ReadOnlyClient) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    source.answers = [http(b"", "503 Service Unavailable", f"Retry-After: {until}")]
    with pytest.raises(TryAgain) as told:
        client.send("GET", "records")
    assert told.value.after_seconds is not None
    assert 3500 < told.value.after_seconds <= 3600


# --- the breaker ---


def test_a_dead_source_is_left_alone_and_asked_again_later(
    source: Source, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REST", 0.3)
    source.answers = [http(status="503 Service Unavailable")]
    client = ReadOnlyClient(source.url, READS)
    for _ in range(FAILURES):
        with pytest.raises(TryAgain, match="answered 503"):
            client.send("GET", "records")
    sent = len(source.requests)
    with pytest.raises(TryAgain, match="left alone") as told:
        client.send("GET", "records")
    assert told.value.after_seconds is not None
    assert len(source.requests) == sent
    source.answers.append(http(b"<whole/>"))
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            assert client.send("GET", "records").content == b"<whole/>"
            break
        except TryAgain:
            time.sleep(0.05)
    else:
        pytest.fail("never asked again")


def test_a_refusal_or_a_bad_answer_does_not_count_as_dead(source: Source, client: ReadOnlyClient) -> None:
    source.answers = [http(status="404 Not Found")] * (FAILURES + 1) + [http(b"<whole/>")]
    for _ in range(FAILURES + 1):
        with pytest.raises(GaveUp):
            client.send("GET", "records")
    assert client.send("GET", "records").content == b"<whole/>"


# --- tokens ---


def authorized(source: Source) -> list[str]:
    lines = [line for request in source.requests for line in request.decode().split("\r\n")]
    return [line.partition(": ")[2] for line in lines if line.lower().startswith("authorization:")]


def test_a_token_is_renewed_once_and_kept(source: Source) -> None:
    tokens = iter(["one", "two", "three"])
    client = ReadOnlyClient(source.url, READS, authorization=lambda: f"Bearer {next(tokens)}")
    source.answers = [http(b"<a/>"), http(status="401 Unauthorized"), http(b"<b/>"), http(b"<c/>")]
    assert [client.send("GET", "records").content for _ in range(3)] == [b"<a/>", b"<b/>", b"<c/>"]
    assert authorized(source) == ["Bearer one", "Bearer one", "Bearer two", "Bearer two"]


def test_a_new_token_that_is_refused_too_is_for_a_person(source: Source) -> None:
    tokens = itertools.count()
    client = ReadOnlyClient(source.url, READS, authorization=lambda: f"Bearer {next(tokens)}")
    source.answers = [http(status="401 Unauthorized")]
    with pytest.raises(GaveUp, match="also with a new token"):
        client.send("GET", "records")
    assert authorized(source) == ["Bearer 0", "Bearer 1"]


def test_what_the_token_service_says_is_told(source: Source) -> None:
    def ask() -> str:
        raise TryAgain("the token service does not answer")

    with pytest.raises(TryAgain, match="token service"):
        ReadOnlyClient(source.url, READS, authorization=ask).send("GET", "records")
    assert source.requests == []


# --- what is not the source's answer ---


@pytest.mark.parametrize(
    "page",
    [
        b"<!DOCTYPE html><html lang=da><title>Log ind</title>",
        b"\xef\xbb\xbf\r\n  <html><body>",
        b"<!-- proxy -->\n<HTML>",
        b'<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN"><html xmlns="x">',
        "<!doctype html><p>".encode("utf-16"),
    ],
)
@pytest.mark.parametrize("kind", ["text/html", "application/xml"])
def test_a_web_page_is_not_taken_for_data(source: Source, client: ReadOnlyClient, page: bytes, kind: str) -> None:
    source.answers = [http(page, "200 OK", f"Content-Type: {kind}")]
    with pytest.raises(TryAgain, match="perhaps a sign-in page or a proxy's error"):
        client.send("GET", "records")


@pytest.mark.parametrize("data", [b"<headers/>", b'{"html": "<html>"}', b"<?xml version='1.0'?><records/>", b"", b"[]"])
def test_data_is_not_taken_for_a_web_page(source: Source, client: ReadOnlyClient, data: bytes) -> None:
    source.answers = [http(data, "200 OK", "Content-Type: application/xml")]
    assert client.send("GET", "records").content == data


@pytest.mark.parametrize("to", ["/records/2", "http://127.0.0.2:9/records", "//example.org/records"])
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_a_redirect_is_never_followed(source: Source, client: ReadOnlyClient, to: str, status: str) -> None:
    source.answers = [http(b"", status, f"Location: {to}")]
    with pytest.raises(GaveUp, match="redirects are not followed"):
        client.send("GET", "records")
    assert len(source.requests) == 1


@pytest.mark.parametrize(
    "address", ["http://127.0.0.2:9/records", "https://{here}/records", "/write", "recordsx/../write"]
)
def test_only_declared_reads_of_the_source_are_sent(source: Source, client: ReadOnlyClient, address: str) -> None:
    with pytest.raises(NotAllowed):
        client.send("GET", address.format(here=source.url.removeprefix("http://")))
    with pytest.raises(NotAllowed):
        client.send("POST", "records")
    assert source.requests == []


# --- time ---


def test_an_answer_that_drips_is_given_up(source: Source) -> None:
    """Every piece comes in time, the whole never does."""
    source.answers = [drip]
    client = ReadOnlyClient(source.url, READS, timeout_seconds=0.05)
    with pytest.raises(TryAgain, match=r"not all there after 0\.5 seconds"):
        client.send("GET", "records")
    assert len(source.requests) == 1


def test_the_time_of_the_reader_is_not_the_sources(source: Source) -> None:
    source.answers = [http(b"x" * 200_000)]
    client = ReadOnlyClient(source.url, READS, timeout_seconds=0.2)
    with client.stream("GET", "records") as response:
        stream = ByteStream(response)
        begun = stream.read(10)
        time.sleep(2.5)  # more than the whole answer may take
        assert len(begun + stream.read()) == 200_000


# --- packed bodies ---


@pytest.mark.parametrize(
    "packed", [gzip.compress(b"<a/>", mtime=0), gzip.compress(b"<a", mtime=0) + gzip.compress(b"/>", mtime=0) + b"\0\0"]
)
def test_a_packed_answer_is_unpacked(source: Source, client: ReadOnlyClient, packed: bytes) -> None:
    source.answers = [http(packed, "200 OK", GZIP)]
    assert client.send("GET", "records").content == b"<a/>"
    assert b"accept-encoding: gzip\r\n" in source.requests[0].lower()


def test_a_packed_answer_is_a_stream_too(source: Source, client: ReadOnlyClient) -> None:
    source.answers = [http(gzip.compress(b"<all>" + b"<r>1</r>" * 100_000 + b"</all>", mtime=0), "200 OK", GZIP)]
    with client.stream("GET", "records") as response:
        assert sum(1 for _ in xml_elements(ByteStream(response), "r")) == 100_000


def test_a_zip_bomb_is_refused(source: Source, client: ReadOnlyClient) -> None:
    source.answers = [http(BOMB, "200 OK", GZIP)]
    with pytest.raises(GaveUp, match="zip bomb"):
        client.send("GET", "records")
    with pytest.raises(GaveUp, match="zip bomb"), client.stream("GET", "records") as response:
        ByteStream(response).read()


@pytest.mark.parametrize(
    "packed",
    [gzip.compress(b"<a/>" * 1000, mtime=0)[:-9], b"\x1f\x8b" + b"x" * 50, zlib.compress(b"<a/>"), b"<a/>"],
)
def test_damaged_gzip_is_told(source: Source, client: ReadOnlyClient, packed: bytes) -> None:
    source.answers = [http(packed, "200 OK", GZIP)]
    with pytest.raises(TryAgain, match="gzip"):
        client.send("GET", "records")


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "deflate", "zstd"])
def test_packed_in_a_way_not_asked_for_is_refused(source: Source, client: ReadOnlyClient, encoding: str) -> None:
    source.answers = [http(b"x", "200 OK", f"Content-Encoding: {encoding}")]
    with pytest.raises(GaveUp, match="did not ask for"):
        client.send("GET", "records")


def test_an_answer_has_a_largest_size(source: Source) -> None:
    source.answers = [http(gzip.compress(bytes(range(256)) * 100), "200 OK", GZIP)]
    client = ReadOnlyClient(source.url, READS, body_limit=25_599)
    with pytest.raises(GaveUp, match="larger than 25599 bytes"):
        client.send("GET", "records")
    assert len(ReadOnlyClient(source.url, READS, body_limit=25_600).send("GET", "records").content) == 25_600


def test_errors_hold_no_address(source: Source, at_once: None) -> None:
    """Where a source forces a number into the address, it stays there."""
    for trouble in (b"", silence, http(status="503 No"), http(status="404 No"), http(b"<html>"), reset):
        source.answers = [trouble]
        client = ReadOnlyClient(source.url, READS, timeout_seconds=0.2)
        with pytest.raises(TovholderError) as told:
            client.send("GET", "records", params={"cpr": "0101149990"})
        error: BaseException | None = told.value
        while error is not None:
            assert "0101149990" not in str(error)
            error = error.__cause__ or error.__context__


MEMORY = """
import gzip, resource, socket, sys, threading, zlib
from hub import ReadOnlyClient, GaveUp
pack = zlib.compressobj(9, wbits=31)
bomb = b"".join(pack.compress(bytes(1 << 20)) for _ in range(2048)) + pack.flush()
listener = socket.create_server(("127.0.0.1", 0))
def serve():
    connection, _ = listener.accept()
    connection.recv(65536)
    head = f"HTTP/1.1 200 OK\\r\\nContent-Encoding: gzip\\r\\nContent-Length: {len(bomb)}\\r\\n\\r\\n"
    try:
        connection.sendall(head.encode() + bomb)
    except OSError:
        pass
threading.Thread(target=serve, daemon=True).start()
client = ReadOnlyClient("http://127.0.0.1:%d" % listener.getsockname()[1], {("GET", "/x")})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    client.send("GET", "x")
except GaveUp as error:
    assert "zip bomb" in str(error)
else:
    sys.exit("was taken")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_a_bomb_of_two_gigabytes_takes_no_memory() -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 40 * 1024, "KiB more than before"
