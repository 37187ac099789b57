"""Asking an identity provider: one request, no redirects, small answers, and no waiting for what does not come."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx2 as httpx

from hub.errors import GaveUp, TryAgain
from hub.reading.body import Body

SILENCE, WHOLE = 5.0, 10.0
"""The longest silence, and the longest a whole answer may take (seconds): a person waits for it."""
MOST = 512 * 1024
"""The largest answer that is read (bytes)."""


_HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip"}


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates to trust, read once: it takes longer than a request."""
    return httpx.create_ssl_context()


def get(url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The JSON object at an address. Raises TryAgain (no answer, 5xx), GaveUp (anything else that is not one)."""
    return _ask("GET", url, headers=headers)


def post(url: str, form: Mapping[str, str], auth: tuple[str, str] | None = None) -> dict[str, Any]:
    """What an address answers to a form. Sent once only: a code is good for one try. Raises as `get`."""
    return _ask("POST", url, data=form, auth=auth)


def _ask(method: str, url: str, **request: Any) -> dict[str, Any]:
    host = httpx.URL(url).host
    try:
        with (
            httpx.Client(timeout=SILENCE, follow_redirects=False, headers=_HEADERS, verify=_trusted()) as client,
            client.stream(method, url, **{k: v for k, v in request.items() if v is not None}) as response,
        ):
            response.stream = Body(response, MOST, WHOLE)
            code, text = response.status_code, response.read()
    except httpx.HTTPError as error:
        raise TryAgain(f"no answer from {host}: {type(error).__name__}") from error
    if code >= 500 or code == 429:
        raise TryAgain(f"{host} answered {code}")
    if code != 200:
        raise GaveUp(f"{host} answered {code}")
    try:
        found = json.loads(text)
    except ValueError as error:
        raise GaveUp(f"{host} did not answer with JSON") from error
    if not isinstance(found, dict):
        raise GaveUp(f"{host} did not answer with a JSON object")
    return found
