"""HTTP that can only send the reads a source documents."""

from __future__ import annotations

import fnmatch
import ssl
import weakref
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from functools import cache
from typing import Any

import httpx2 as httpx

from hub.errors import GaveUp, NotAllowed, TryAgain


class ReadOnlyClient:
    """HTTP with the requests a source documents as reads, and no others.

    `reads` holds (method, path) pairs; a `*` in a path stands for anything. Anything else raises `NotAllowed` before a
    byte is sent: some sources read by POST, so "no POST" would not do."""

    def __init__(
        self,
        base_url: str,
        reads: Set[tuple[str, str]],
        *,
        timeout_seconds: float = 10.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._base = httpx.URL(base_url.rstrip("/") + "/")
        self._reads = reads
        self._client = httpx.Client(
            base_url=self._base, timeout=timeout_seconds, headers=dict(headers or {}), verify=_trusted()
        )
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

        Raises TryAgain (no answer, time-out, 429, 5xx), GaveUp (other errors), NotAllowed (not a declared read)."""
        url = self._base.join(path.lstrip("/") if not path.startswith(("http:", "https:")) else path)
        self._check(method, url)
        try:
            with self._client.stream(method, url, **request) as response:
                if response.status_code not in answers:
                    _raise_for_status(response, method)
                yield response
        except httpx.TimeoutException as error:
            raise TryAgain(f"no answer from {self._base.host} within the time limit") from error
        except httpx.HTTPError as error:
            raise TryAgain(f"no answer from {self._base.host}: {type(error).__name__}") from error

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """As `stream`, but the whole response at once."""
        with self.stream(method, path, **request) as response:
            response.read()
            return response

    def close(self) -> None:
        self._client.close()


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates to trust, read once: it takes longer than many a request."""
    return httpx.create_ssl_context()


def _raise_for_status(response: httpx.Response, method: str) -> None:
    code = response.status_code
    if code < 400:
        return
    # The path may hold personal data where a source forces it into the address: say only method and code.
    said = f"the source answered {code} to {method}"
    if code == 429 or code >= 500:
        after = response.headers.get("retry-after", "")
        raise TryAgain(said, after_seconds=float(after) if after.isdigit() else None)
    raise GaveUp(said)


class ByteStream:
    """A response's body as a file, read in pieces, for parsers that want `read(n)`."""

    def __init__(self, response: httpx.Response) -> None:
        self._pieces = response.iter_bytes(64 * 1024)
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        parts = [self._rest]
        have = len(self._rest)
        while size < 0 or have < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            parts.append(piece)
            have += len(piece)
        whole = b"".join(parts)
        cut = len(whole) if size < 0 else size
        self._rest = whole[cut:]
        return whole[:cut]
