"""How adapters read: a client that can only send the reads its source documents, files from a folder, and XML in a
stream without entities or network.

Part of the public face `hub`, so that an author writes what is particular to a source and nothing else.
"""

from __future__ import annotations

import fnmatch
import ssl
import weakref
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any, Self

import httpx2 as httpx
from lxml import etree
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, model_validator

from hub.errors import GaveUp, NotAllowed, TryAgain

RAW_LIMIT = 64 * 1024
"""How many bytes of an unreadable record are kept (bytes)."""


class Kind(BaseModel):
    """A kind of case that a source may pass on, and how it is told to a family.

    `name` is Danish, in plain words; `name_en` English. `limit_weeks` or `limit_working_days` is the municipality's
    published time limit (retssikkerhedsloven § 3, stk. 2), reckoned from the day the case was opened."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    name_en: str | None = None
    limit_weeks: int | None = Field(default=None, ge=1, le=104)
    limit_working_days: int | None = Field(default=None, ge=1, le=520)


class SourceSettings(BaseModel):
    """What every source's section has: where it is (`url` or `folder`), and the kinds of case it may pass on. The list
    of kinds starts empty: what is not on it is never read further than the adapter."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    administration: str | None = None
    url: HttpUrl | None = None
    folder: Path | None = None
    kinds: dict[str, Kind] = {}
    timeout_seconds: float = Field(default=10.0, gt=0, le=300)
    page_size: int = Field(default=500, ge=1, le=10_000)

    @model_validator(mode="after")
    def one_place(self) -> Self:
        if (self.url is None) == (self.folder is None):
            raise ValueError("give either url or folder, and not both")
        return self


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


def files(folder: Path, *patterns: str) -> Iterator[Path]:
    """The files below `folder` whose name fits one of `patterns`, sorted by path, so that a position stays the same.

    Raises GaveUp when the folder is not there."""
    if not folder.is_dir():
        raise GaveUp(f"the folder {folder} does not exist or is not a folder")
    names = {path for pattern in patterns for path in folder.rglob(pattern) if path.is_file()}
    yield from sorted(names)


def xml_elements(stream: IO[bytes] | ByteStream, *tags: str) -> Iterator[etree._Element]:
    """The elements named `tags` (in `{namespace}name` form) in document order, each freed when the next is asked for.
    Memory stays flat however long the document is. Entities are not resolved and nothing is fetched.

    Raises TryAgain when the document is cut short or not well formed: what came before has been given."""
    parser = etree.iterparse(
        stream, events=("end",), tag=tags, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        for _event, element in parser:
            yield element
            element.clear(keep_tail=False)
            while element.getprevious() is not None:
                parent = element.getparent()
                if parent is None:
                    break
                del parent[0]
    except etree.XMLSyntaxError as error:
        raise TryAgain(f"not well-formed XML at line {error.lineno}") from error


def raw(element: etree._Element) -> bytes:
    """An element as bytes for quarantine, cut at `RAW_LIMIT`."""
    return bytes(etree.tostring(element))[:RAW_LIMIT]
