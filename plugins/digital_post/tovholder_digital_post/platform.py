"""HTTP to the platform (KOMBIT's Serviceplatform, or Digital Post itself), to the gateway that keeps receipts, and to
who issues tokens.

PostForespoerg takes the recipient's number in the address; nothing of an address may reach a log. httpx2's `Client`
logs every address at INFO, so the requests go to its transport directly: the same connection pool (kept alive, safe to
share between threads), without the line in the log. No error given from here names an address either.
"""

from __future__ import annotations

import ssl
import time
import uuid
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path

import httpx2 as httpx

from hub import SettingsError
from tovholder_digital_post.settings import DigitalPostSettings

_LIMITS = httpx.Limits(max_connections=64, max_keepalive_connections=32, keepalive_expiry=4.0)
ANSWER_LIMIT = 64 * 1024**2
"""The largest answer that is read (bytes, unpacked); a page of 1,000 receipts has some 4 MB."""
_SLOWEST = 10
"""A whole answer may take this many times `timeout_seconds`."""


class NotSentError(Exception):
    """No connection, or no access: the other side has seen nothing of the letter."""


class PerhapsSentError(Exception):
    """The connection broke, or the time was up, after the request had begun: the other side may have it."""


class Platform:
    """`base` is the address below which the services stand."""

    def __init__(self, base: str, settings: DigitalPostSettings) -> None:
        self._base = base.rstrip("/")
        self._timeout = httpx.Timeout(settings.timeout_seconds).as_dict()
        self._seconds = settings.timeout_seconds * _SLOWEST
        trust = _trust(settings.authorities, settings.certificate, settings.key)
        self._transport = httpx.HTTPTransport(limits=_LIMITS, verify=trust)

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        file: tuple[str, bytes, str] | None = None,
        headers: Mapping[str, str] | None = None,
        transaction: str | None = None,
    ) -> httpx.Response:
        """Send one request and give the whole response, whatever its status. `file` is sent as a form with one part
        named `file` (file name, content, type). `transaction` is the X-TransaktionsId, a new one where None is given.
        Redirects are not followed: they would carry the address elsewhere.

        Raises NotSentError, PerhapsSentError."""
        request = httpx.Request(
            method,
            self._base + path,
            params=query,
            content=body,
            files=None if file is None else {"file": file},
            headers={
                "Accept-Encoding": "identity",
                "X-TransaktionsId": transaction or str(uuid.uuid4()),
                "X-TransaktionsTid": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                **(headers or {}),
            },
            extensions={"timeout": self._timeout},
        )
        # `from None`: the cause holds the request, and with it the address.
        try:
            response = self._transport.handle_request(request)
            try:
                content = self._content(response)
            finally:
                response.close()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NotSentError(f"no connection to the platform ({type(error).__name__})") from None
        except httpx.TimeoutException:
            raise PerhapsSentError("no answer from the platform within the time limit") from None
        except httpx.RequestError as error:
            raise PerhapsSentError(f"the connection to the platform broke ({type(error).__name__})") from None
        return httpx.Response(response.status_code, headers=_plain(response.headers), content=content)

    def _content(self, response: httpx.Response) -> bytes:
        """The body, unpacked where it came packed unasked; never more than ANSWER_LIMIT bytes in memory, nor longer
        underway than the limit."""
        packed = response.headers.get("content-encoding", "identity").strip().casefold() in ("gzip", "x-gzip")
        unpack = zlib.decompressobj(16 + zlib.MAX_WBITS) if packed else None
        parts, size, end = [], 0, time.monotonic() + self._seconds
        for raw in response.iter_raw():
            try:
                part = unpack.decompress(raw, ANSWER_LIMIT + 1 - size) if unpack else raw
            except zlib.error:
                raise PerhapsSentError("the platform's answer is damaged: it is not the gzip it says it is") from None
            size += len(part)
            if size > ANSWER_LIMIT:
                raise PerhapsSentError(f"the platform's answer is larger than {ANSWER_LIMIT} bytes")
            if time.monotonic() > end:
                raise PerhapsSentError(f"the platform's answer was not all there after {self._seconds:g} seconds")
            parts.append(part)
        return b"".join(parts)

    def close(self) -> None:
        self._transport.close()


def _plain(headers: httpx.Headers) -> httpx.Headers:
    """The headers of an answer that is unpacked and whole."""
    kept = headers.copy()
    for name in ("content-encoding", "content-length", "transfer-encoding"):
        kept.pop(name, None)
    return kept


@cache
def _trust(authorities: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """Whom to trust, and our own certificate. Raises SettingsError when a file cannot be read."""
    try:
        context = ssl.create_default_context(cafile=authorities)
        if certificate is not None:
            context.load_cert_chain(certificate, key, password="")  # no question on a terminal
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"certificate, key or authorities cannot be used: give PEM files, the key without a password "
            f"({type(error).__name__})"
        ) from error
    return context


def read_text(file: Path, what: str) -> str:
    """A small file of the municipality's. Raises SettingsError when it cannot be read or is empty."""
    try:
        text = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{what} cannot be read from its file ({type(error).__name__})") from error
    if not text:
        raise SettingsError(f"the file of {what} is empty")
    return text


def retry_after(response: httpx.Response) -> float | None:
    """How long the other side asks us to wait (seconds), in seconds or by a date; None when it does not say."""
    after: str = response.headers.get("retry-after", "").strip()
    if after.isascii() and after.isdigit():
        return float(after[:9])
    try:
        until = parsedate_to_datetime(after)
    except (ValueError, TypeError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
