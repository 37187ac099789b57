"""One notice by webhook: a CloudEvent 1.0 in structured JSON, signed as Standard Webhooks has it.

CloudEvents 1.0.2, HTTP binding 3.2 (structured mode). Standard Webhooks (standardwebhooks.com, spec 1.0.0): headers
`webhook-id`, `webhook-timestamp` (seconds since 1970) and `webhook-signature`, which holds a signature for each secret
in use, with spaces between: `v1,` and the base64 of HMAC-SHA-256 over `id.timestamp.body`. A secret is `whsec_` and the
base64 of 24 to 64 bytes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2 as httpx

from hub.contract import Later, SendResult, Sent, Unsure
from hub.settings import Webhook

TIMEOUT = 10.0
"""So long a receiver has to answer (seconds)."""
_CONNECT = 5.0
TYPE = "application/cloudevents+json; charset=utf-8"


def body_of(event: Mapping[str, Any]) -> bytes:
    """The bytes that are signed and sent: always the same for the same event."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def signature(secrets: Sequence[str], key: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`, with one signature for each secret."""
    signed = f"{key}.{timestamp}.".encode() + body
    found = []
    for secret in secrets:
        digest = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
        found.append("v1," + base64.b64encode(digest).decode("ascii"))
    return " ".join(found)


def client() -> httpx.Client:
    """What webhooks go by: no redirects, no proxies or passwords from the environment."""
    return httpx.Client(follow_redirects=False, trust_env=False, timeout=httpx.Timeout(TIMEOUT, connect=_CONNECT))


def send(http: httpx.Client, to: Webhook, event: Mapping[str, Any], timestamp: int) -> SendResult:
    """Hand it over; 2xx counts as received, whatever stands in the answer."""
    body, key = body_of(event), str(event["id"])
    headers = {
        "Content-Type": TYPE,
        "User-Agent": "Tovholder",
        "webhook-id": key,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature([secret.get_secret_value() for secret in to.secrets], key, timestamp, body),
    }
    try:
        # The body of the answer is not read: a receiver can neither fill the memory nor say anything.
        with http.stream("POST", to.url, content=body, headers=headers) as answer:
            status, after = answer.status_code, answer.headers.get("retry-after", "").strip()
    except httpx.TimeoutException:
        return Unsure("no answer within the time limit")
    except httpx.HTTPError as error:
        return Unsure(f"no answer: {type(error).__name__}")
    if 200 <= status < 300:
        return Sent(key)
    seconds = float(after[:6]) if after.isascii() and after.isdecimal() else None
    if 300 <= status < 400:
        return Later(f"answered {status}: redirects are not followed; correct the url", seconds)
    return Later(f"answered {status}", seconds)
