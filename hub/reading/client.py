"""HTTP that can only send the reads a source documents, and that a slow, failing or hostile source cannot hold up."""

from __future__ import annotations

import fnmatch
import ssl
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import httpx2 as httpx
import stamina
import stamina.instrumentation
from circuitbreaker import CircuitBreaker

from hub.errors import GaveUp, NotAllowed, TryAgain
from hub.reading.body import Body

ATTEMPTS = 3
"""How often a read is sent before it counts as not answered."""
WAITED_AT_MOST = 30.0
"""The longest Retry-After (seconds) that is waited for on the spot; a longer one is handed on, for the next run."""
ASKED_AT_MOST = 24 * 3600.0
"""The longest Retry-After (seconds) that is believed."""
BODY_LIMIT = 4 * 1024**3
"""The largest answer that is read in a stream (bytes, unpacked)."""
WHOLE_LIMIT = 64 * 1024**2
"""The largest answer that is held in memory (bytes, unpacked)."""
FAILURES, REST = 3, 60
"""After so many requests in a row that came to nothing, the source is left alone for so long (seconds)."""
# A read that went well at last is no news; one that did not is told with the source's freshness. The library's own hook
# would print to standard output, where `--json` speaks.
stamina.instrumentation.set_on_retry_hooks(())
_CONNECT = 5.0
_SLOWEST = 10
"""A whole answer may take this many times `timeout_seconds`."""


class _NoAnswer(TryAgain):
    """Nothing came of a read, and the same read may be sent again at once."""


class ReadOnlyClient:
    """HTTP with the requests a source documents as reads, and no others.

    `reads` holds (method, path) pairs; a `*` in a path stands for anything. Anything else raises `NotAllowed` before a
    byte is sent: some sources read by POST, so "no POST" would not do.

    `timeout_seconds` is the longest silence of the source; connecting may take 5 seconds at most, a whole answer ten
    times the longest silence. `authorization` gives the Authorization header; it is asked at the first request, and
    once more when the source answers 401.

    A read that comes to nothing (no connection, time-out, broken off, 408, 429, 502, 503, 504) is sent up to ATTEMPTS
    times, at growing intervals with some chance in them, or when Retry-After says. After FAILURES such reads in a row
    nothing is sent for REST seconds. Redirects are never followed."""

    def __init__(
        self,
        base_url: str,
        reads: Set[tuple[str, str]],
        *,
        timeout_seconds: float = 10.0,
        headers: Mapping[str, str] | None = None,
        authorization: Callable[[], str] | None = None,
        body_limit: int = BODY_LIMIT,
    ) -> None:
        self._base = httpx.URL(base_url.rstrip("/") + "/")
        self._reads = reads
        self._seconds = timeout_seconds * _SLOWEST
        self._body_limit = body_limit
        self._client = httpx.Client(
            base_url=self._base,
            timeout=httpx.Timeout(timeout_seconds, connect=min(_CONNECT, timeout_seconds)),
            headers={**(headers or {}), "Accept-Encoding": "gzip"},
            verify=_trusted(),
            follow_redirects=False,
        )
        self._token = _Token(authorization) if authorization else None
        self._breaker = CircuitBreaker(FAILURES, REST, expected_exception=_NoAnswer, name=self._base.host)
        # An adapter need not have a `close`: its connections end with it.
        weakref.finalize(self, self._client.close)

    def _check(self, method: str, url: httpx.URL) -> None:
        if (url.scheme, url.host, url.port) != (self._base.scheme, self._base.host, self._base.port):
            raise NotAllowed(f"{method} to another host than the source's own ({self._base.host}) is not allowed")
        path = "/" + url.path.removeprefix(self._base.path)
        if not any(method == m and fnmatch.fnmatchcase(path, p) for m, p in self._reads):
            raise NotAllowed(f"{method} {path} is not among the reads this adapter declares")

    @contextmanager
    def stream(
        self, method: str, path: str, *, answers: Set[int] = frozenset(), **request: Any
    ) -> Iterator[httpx.Response]:
        """Send one declared read and give the response to be read in pieces. `path` is relative to the base address,
        or a whole address below it (a `next` link). `answers` are codes from 400 up that are to be read like any
        other answer: SOAP 1.1 sends its faults with 500.

        Raises TryAgain (no answer, time-out, 429, 5xx, a web page, an answer cut short), GaveUp (other errors, a
        redirect, an answer too large or a zip bomb), NotAllowed (not a declared read); also while the body is read."""
        url = self._url(method, path)
        with self._watched():
            response = self._retried(lambda: self._open(method, url, answers, self._body_limit, request))
            try:
                yield response
            finally:
                response.close()

    def send(self, method: str, path: str, *, answers: Set[int] = frozenset(), **request: Any) -> httpx.Response:
        """As `stream`, but the whole response at once, of WHOLE_LIMIT bytes at most; also sent again when it breaks off
        in the middle."""
        url = self._url(method, path)
        most = min(self._body_limit, WHOLE_LIMIT)

        def whole() -> httpx.Response:
            with _told(self._base.host):
                response = self._open(method, url, answers, most, request)
                try:
                    response.read()
                finally:
                    response.close()
                return response

        with self._watched():
            return self._retried(whole)

    def close(self) -> None:
        self._client.close()

    def _url(self, method: str, path: str) -> httpx.URL:
        url = self._base.join(path.lstrip("/") if not path.startswith(("http:", "https:")) else path)
        self._check(method, url)
        return url

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Nothing is sent while the source is left alone; what comes of the request is counted."""
        if self._breaker.opened:
            raise TryAgain(
                f"{self._base.host} did not answer {FAILURES} times in a row and is left alone for a while",
                after_seconds=max(0.0, self._breaker.open_remaining),
            )
        with self._breaker, _told(self._base.host):
            yield

    def _retried(self, ask: Callable[[], httpx.Response]) -> httpx.Response:
        for attempt in stamina.retry_context(
            on=_wait, attempts=ATTEMPTS, timeout=self._seconds, wait_initial=0.5, wait_max=8.0, wait_jitter=1.0
        ):
            with attempt:
                return ask()
        raise AssertionError("the last attempt returns or raises")

    def _open(
        self, method: str, url: httpx.URL, answers: Set[int], most: int, request: Mapping[str, Any]
    ) -> httpx.Response:
        """One answer, its body not yet read beyond the first piece."""
        with _told(self._base.host):
            response = self._ask(method, url, request)
            try:
                if response.status_code not in answers:
                    _raise_for_status(response, method)
                body = response.stream = Body(response, most, self._seconds)
                body.refuse_a_page(response.headers.get("content-type", ""))
            except BaseException:
                response.close()
                raise
            return response

    def _ask(self, method: str, url: httpx.URL, request: Mapping[str, Any]) -> httpx.Response:
        built = self._client.build_request(method, url, **request)
        if self._token is None:
            return self._client.send(built, stream=True)
        used = built.headers["Authorization"] = self._token.now()
        response = self._client.send(built, stream=True)
        if response.status_code != 401:
            return response
        response.close()
        built.headers["Authorization"] = self._token.renewed(used)
        response = self._client.send(built, stream=True)
        if response.status_code == 401:
            response.close()
            raise GaveUp("the source refuses our access (401), also with a new token: check the agreement and its keys")
        return response


class _Token:
    """The Authorization header, kept until the source refuses it."""

    def __init__(self, ask: Callable[[], str]) -> None:
        self._ask = ask
        self._held: str | None = None
        self._lock = threading.Lock()

    def now(self) -> str:
        with self._lock:
            if self._held is None:
                self._held = self._ask()
            return self._held

    def renewed(self, refused: str) -> str:
        """A new one, unless another thread has already got one since `refused` was used."""
        with self._lock:
            if self._held is None or self._held == refused:
                self._held = self._ask()
            return self._held


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates to trust, read once: it takes longer than many a request."""
    return httpx.create_ssl_context()


@contextmanager
def _told(host: str) -> Iterator[None]:
    """Errors of the connection in the hub's words. The library's hold the address, which may hold personal data."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise _NoAnswer(f"no answer from {host} within the time limit") from error
    except httpx.HTTPError as error:
        raise _NoAnswer(f"no answer from {host}: {type(error).__name__}") from error


def _wait(error: Exception) -> bool | float:
    """Whether to send the same read again, or after how many seconds."""
    if not isinstance(error, _NoAnswer):
        return False
    if error.after_seconds is None:
        return True
    return error.after_seconds if error.after_seconds <= WAITED_AT_MOST else False


def _raise_for_status(response: httpx.Response, method: str) -> None:
    code = response.status_code
    if code < 300:
        return
    # The path may hold personal data where a source forces it into the address: say only method and code.
    said = f"the source answered {code} to {method}"
    if code < 400:
        raise GaveUp(f"{said}: it sends us on to another address, and redirects are not followed; correct the url")
    after = _after_seconds(response)
    if code in (408, 429, 502, 503, 504):
        raise _NoAnswer(said, after_seconds=after)
    if code >= 500:
        raise TryAgain(said, after_seconds=after)
    raise GaveUp(said)


def _after_seconds(response: httpx.Response) -> float | None:
    """Retry-After (RFC 9110, section 10.2.3): seconds, or a date, which is reckoned from the source's own Date, since
    its clock need not go as ours. None where it says nothing that can be read."""
    said = response.headers.get("retry-after", "").strip()
    if said.isascii() and said.isdecimal():
        return min(float(said[:9]), ASKED_AT_MOST)
    until = _date(said)
    if until is None:
        return None
    now = _date(response.headers.get("date", "")) or datetime.now(UTC)
    return min(max(0.0, (until - now).total_seconds()), ASKED_AT_MOST)


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
