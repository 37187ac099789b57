"""Signing in: a client certificate, tokens that are kept, renewed and bound to it, against the town over real TLS."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tovholder_digital_post import DigitalPost, DigitalPostSettings, access
from tovholder_digital_post.platform import NotSentError, Platform

import hub
from hub.clock import SetClock
from hub.demo.model import Town
from hub.demo.servers import digital_post
from hub.demo.servers.digital_post_access import ISSUE, POST, TOKEN, Access
from hub.demo.servers.digital_post_tls import Certificates

KEYS = [f"8c2ea15d-61fb-4ba9-9366-{number:012x}" for number in range(20)]
Serve = Callable[..., str]
PostAt = Callable[..., DigitalPost]


@pytest.fixture
def signing(clock: SetClock) -> Access:
    return Access(clock, "12345678")


@pytest.fixture
def secure(
    serve: Serve,
    post_at: PostAt,
    town: Town,
    clock: SetClock,
    folder: Path,
    signing: Access,
    certificates: Certificates,
) -> Callable[..., DigitalPost]:
    """The channel to a town that wants certificate and token."""
    url = serve(digital_post.app(town, clock, folder, signing), certificates)

    def make(**changes: Any) -> DigitalPost:
        given = {
            "sts_url": url + ISSUE,
            "receipts_url": url,
            "certificate": str(certificates.client),
            "authorities": str(certificates.authority),
        }
        return post_at(url, **given | changes)

    return make


def test_a_letter_goes_over_tls_with_a_certificate_and_a_token(
    secure: Callable[..., DigitalPost], letter: hub.Letter, paper: hub.Letter, folder: Path
) -> None:
    channel = secure()
    assert channel.health() == hub.Health(True, "PostForespoerg answered 400")
    for key, one in zip(KEYS, (letter, paper), strict=False):
        assert isinstance(channel.send(one, key), hub.Sent)
    assert {file.name for file in folder.glob("*.xml")} == {f"{KEYS[0]}.xml", f"{KEYS[1]}.print.xml"}
    assert [len(page.statuses) for page in channel.statuses(None)] == [2]


def test_a_token_is_kept_for_its_service(
    secure: Callable[..., DigitalPost], letter: hub.Letter, signing: Access
) -> None:
    channel = secure()
    for key in KEYS:
        assert isinstance(channel.send(letter, key), hub.Sent)
    assert signing.issued == 2  # one for PostForespoerg, one for KombiPostAfsend


def test_a_token_the_platform_no_longer_takes_is_renewed_once(
    secure: Callable[..., DigitalPost], letter: hub.Letter, signing: Access, clock: SetClock
) -> None:
    channel = secure()
    channel.send(letter, KEYS[0])
    clock.move(timedelta(hours=2))
    assert isinstance(channel.send(letter, KEYS[1]), hub.Sent)
    assert signing.issued == 4


def test_who_is_never_let_in_asks_twice_and_tries_later(
    serve: Serve, post_at: PostAt, certificates: Certificates, letter: hub.Letter
) -> None:
    seen: list[str] = []
    answers = {
        ISSUE: {"RequestedSecurityToken": {"Assertion": "c2FtbA=="}},
        TOKEN: {"access_token": "t", "token_type": "Holder-of-key", "expires_in": 3600},
    }

    async def application(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        seen.append(scope["path"])
        answer = answers.get(scope["path"])
        await send({"type": "http.response.start", "status": 200 if answer else 401, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    url = serve(application)
    channel = post_at(
        url, sts_url=url + ISSUE, receipts_url=url, certificate=str(certificates.client), choice="platform"
    )
    assert channel.send(letter, KEYS[0]) == hub.Later(
        "the platform answered 401: look at our certificate and our access"
    )
    kombi = "/service/KombiPostAfsend_1/kombi"
    assert seen == [ISSUE, TOKEN, kombi, ISSUE, TOKEN, kombi]


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        (ISSUE, 503, b""),
        (ISSUE, 403, b"{}"),
        (ISSUE, 200, b"<html>sign in</html>"),
        (ISSUE, 200, b'{"RequestedSecurityToken": {}}'),
        (ISSUE, 200, b'{"RequestedSecurityToken": {"Asser'),
        (ISSUE, 200, b"[" * 20_000),
        (TOKEN, 500, b""),
        (TOKEN, 200, b"{}"),
        (TOKEN, 200, b'{"access_token": "a b", "token_type": "Holder-of-key", "expires_in": 3600}'),
        (TOKEN, 200, b'{"access_token": "a\\r\\nX: y", "token_type": "Holder-of-key", "expires_in": 3600}'),
        (TOKEN, 200, b'{"access_token": "a", "token_type": "Bearer", "expires_in": 3600}'),
        (TOKEN, 200, b'{"access_token": "a", "token_type": "Holder-of-key", "expires_in": true}'),
        (TOKEN, 200, b'{"access_token": "a", "token_type": "Holder-of-key", "expires_in": -1}'),
        (TOKEN, 200, b'{"access_token": "a", "token_type": "Holder-of-key", "expires_in": NaN}'),
    ],
)
def test_without_a_token_nothing_is_sent(
    serve: Serve, post_at: PostAt, certificates: Certificates, letter: hub.Letter, path: str, status: int, body: bytes
) -> None:
    seen: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        seen.append(scope["path"])
        good = json.dumps({"RequestedSecurityToken": {"Assertion": "c2FtbA=="}}).encode()
        code, content = (status, body) if scope["path"] == path else (200, good)
        await send({"type": "http.response.start", "status": code, "headers": []})
        await send({"type": "http.response.body", "body": content})

    url = serve(application)
    channel = post_at(
        url, sts_url=url + ISSUE, receipts_url=url, certificate=str(certificates.client), choice="platform"
    )
    result = channel.send(letter, KEYS[0])
    assert isinstance(result, hub.Later)
    assert "token" in result.reason
    assert seen[-1] == path


def test_a_token_is_renewed_shortly_before_it_expires(secure: Callable[..., DigitalPost], signing: Access) -> None:
    settings = secure()._settings
    time = [1000.0]
    platform = Platform(str(settings.url), settings)
    tokens = access.Tokens(platform, settings, lambda: time[0])
    first = tokens.header(POST)
    time[0] += 3600 - 61
    assert tokens.header(POST) == first
    time[0] += 2
    assert tokens.header(POST) != first
    assert signing.issued == 2
    tokens.close()
    platform.close()


def test_another_certificate_cannot_use_the_token(
    secure: Callable[..., DigitalPost], letter: hub.Letter, certificates: Certificates
) -> None:
    """The town lets it in (it is from the same root), but the STS finds that it is not the one in UseKey, and what was
    given to the holder is of no use to it."""
    channel, thief = secure(), secure(certificate=str(certificates.stranger))
    assert isinstance(channel.send(letter, KEYS[0]), hub.Sent)
    assert channel._tokens is not None
    assert thief._tokens is not None
    stolen = {"Authorization": channel._tokens.header(POST)}
    assert thief._platform.send("POST", "/service/KombiPostAfsend_1/kombi", headers=stolen, body=b"").status_code == 401
    thief._tokens._certificate = channel._tokens._certificate
    with pytest.raises(NotSentError, match="no token: 403"):
        thief._tokens.header(POST)


def test_who_has_no_certificate_is_not_let_in(
    secure: Callable[..., DigitalPost], post_at: PostAt, certificates: Certificates, letter: hub.Letter, folder: Path
) -> None:
    """TLS 1.3 tells a client so only after it has begun to send: it looks like any connection that breaks."""
    url = str(secure()._settings.url)
    channel = post_at(url, authorities=str(certificates.authority), choice="platform")
    assert isinstance(channel.send(letter, KEYS[0]), hub.Unsure)
    assert list(folder.glob("*.xml")) == []


def test_a_platform_that_is_not_from_our_root_gets_nothing(
    secure: Callable[..., DigitalPost], letter: hub.Letter, folder: Path
) -> None:
    result = secure(authorities=None).send(letter, KEYS[0])
    assert isinstance(result, hub.Later)
    assert list(folder.glob("*.xml")) == []


def test_no_token_and_no_key_reaches_a_log(
    secure: Callable[..., DigitalPost], letter: hub.Letter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    channel = secure()
    channel.send(letter, KEYS[0])
    assert channel._tokens is not None
    assert channel._tokens.header(POST).split()[1] not in caplog.text


@pytest.mark.parametrize("content", ["", "no certificate", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----"])
def test_a_certificate_that_is_none_stops_the_program_at_start(post_at: PostAt, tmp_path: Path, content: str) -> None:
    file = tmp_path / "certificate.pem"
    file.write_text(content, encoding="ascii")
    given = {"sts_url": "https://sts.example/", "receipts_url": "https://receipts.example/"}
    with pytest.raises(hub.SettingsError, match="certificate"):
        post_at("https://platform.example", certificate=str(file), **given)
    with pytest.raises(hub.SettingsError, match="certificate"):
        post_at("https://platform.example", certificate=str(tmp_path / "missing.pem"), **given)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"sts_url": "https://sts.example/"}, "give certificate, receipts_url too"),
        ({"key": "/key.pem"}, "give certificate too"),
        ({"api_key": "/key"}, "leave out api_key"),
        ({"print_type": None}, "give print_type too"),
        ({"sts_url": "http://sts.example/"}, "sts_url must be https"),
        ({"receipts_url": "http://receipts.example/"}, "receipts_url must be https"),
        ({"cpr_url": "http://cpr.example/"}, "cpr_url must be https"),
        ({"transport": "direct", "print_type": None}, "give api_key too"),
        ({"transport": "direct", "api_key": "/key"}, "leave out print_type"),
        ({"transport": "direct", "api_key": "/key", "url": "https://post.example/"}, "give certificate too"),
        ({"memo_version": "1.0"}, "memo_version"),
        ({"max_bytes": 99_500_001}, "max_bytes"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    settings: DigitalPostSettings, change: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValidationError, match=why):
        DigitalPostSettings.model_validate(settings.model_dump(mode="json") | change)


def test_the_recipient_of_a_letter_is_told_to_the_services_alone(
    secure: Callable[..., DigitalPost], letter: hub.Letter
) -> None:
    """A letter to nobody asks for no token."""
    channel = secure()
    nobody = replace(letter, recipient=hub.Recipient("0000000000", "Ingen"))
    assert isinstance(channel.send(nobody, KEYS[0]), hub.Refused)
    assert channel._tokens is not None
    assert channel._tokens._kept == {}
