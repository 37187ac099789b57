"""HTTP to the platform (KOMBIT's Serviceplatform), and to the gateway that keeps its receipts.

PostForespoerg takes the recipient's number in the address; nothing of an address may reach a log. httpx2's `Client`
logs every address at INFO, so the requests go to its transport directly: the same connection pool (kept alive, safe to
share between threads), without the line in the log. No error given from here names an address either.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

import httpx2 as httpx

_LIMITS = httpx.Limits(max_connections=64, max_keepalive_connections=32, keepalive_expiry=4.0)


class NotSentError(Exception):
    """No connection: the other side has seen nothing of the request."""


class PerhapsSentError(Exception):
    """The connection broke, or the time was up, after the request had begun: the other side may have it."""


class Platform:
    """`base` is the address below which the services stand, `timeout_seconds` the limit for each step of a request."""

    def __init__(self, base: str, timeout_seconds: float) -> None:
        self._base = base.rstrip("/")
        self._timeout = httpx.Timeout(timeout_seconds).as_dict()
        self._transport = httpx.HTTPTransport(limits=_LIMITS)

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        transaction: str | None = None,
    ) -> httpx.Response:
        """Send one request and give the whole response, whatever its status. `transaction` is the X-TransaktionsId, a
        new one where None is given. Redirects are not followed: they would carry the address elsewhere.

        Raises NotSentError, PerhapsSentError."""
        request = httpx.Request(
            method,
            self._base + path,
            params=query,
            content=body,
            headers={
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
                response.read()
            finally:
                response.close()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NotSentError(f"no connection to the platform ({type(error).__name__})") from None
        except httpx.TimeoutException:
            raise PerhapsSentError("no answer from the platform within the time limit") from None
        except httpx.RequestError as error:
            raise PerhapsSentError(f"the connection to the platform broke ({type(error).__name__})") from None
        return response

    def close(self) -> None:
        self._transport.close()


def retry_after(response: httpx.Response) -> float | None:
    """How long the other side asks us to wait (seconds), None when it does not say."""
    after: str = response.headers.get("retry-after", "")
    return float(after) if after.isdigit() else None
