"""Settings of sign-in that cannot be right are refused, with the key; keys that cannot be read stop the start."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey
from pydantic import ValidationError

from hub.clock import SystemClock
from hub.errors import SettingsError
from hub.settings import Api, Provider, Settings, explain
from hub.signin.oidc import OpenId

GOOD = {"issuer": "https://login.kommune.example", "client_id": "tovholder", "client_secret": "x"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"issuer": "http://login.kommune.example"}, "signin.staff.issuer: must be an https address"),
        ({"issuer": "https://"}, "signin.staff.issuer: must be an address without"),
        ({"issuer": "https://me:secret@login.example"}, "signin.staff.issuer: must be an address without"),
        ({"issuer": "https://login.example/?a=b"}, "signin.staff.issuer: must be an address without"),
        ({"issuer": "https://login.example/\r\nx: y"}, "signin.staff.issuer: must be an address of ASCII"),
        ({"client_secret": None}, "signin.staff: give either client_secret or client_key"),
        ({"client_key": "k.json"}, "signin.staff: give either client_secret or client_key"),
        ({"scopes": ["profile"]}, "signin.staff: scopes must hold openid"),
        ({"roles": {"boss": ["x"]}}, "signin.staff.roles.boss"),
        ({"constraints": {"urn:x": "colour"}}, "signin.staff.constraints.urn:x"),
        ({"secret": "x"}, "signin.staff.secret: there is no such key"),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_key(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"signin": {"url": "https://hub.example", "staff": GOOD | change}})
    assert said in explain(caught.value, None, "")


def test_the_secret_is_not_shown() -> None:
    settings = Settings.model_validate(
        {"signin": {"url": "https://hub.example", "staff": GOOD | {"client_secret": "hush"}}}
    )
    assert "hush" not in repr(settings)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost", "https://x.example:8443/base"])
def test_this_machine_itself_may_be_without_https(url: str) -> None:
    Settings.model_validate({"signin": {"url": url, "staff": GOOD}})
    assert Api(jwks=url).jwks == url


def test_keys_of_an_issuer_come_by_https_alone() -> None:
    with pytest.raises(ValidationError, match="https"):
        Api(jwks="http://login.kommune.example/keys")


CONTENTS: dict[str, Callable[[], str] | None] = {
    "no file": None,
    "nothing": lambda: "",
    "words": lambda: "hello",
    "half a JWK": lambda: "{",
    "a public JWK": lambda: json.dumps(ECKey.generate_key("P-256").as_dict(private=False)),
    "a shared secret": lambda: json.dumps(OctKey.generate_key(256).as_dict()),
    "a public PEM": lambda: ECKey.generate_key("P-256").as_pem(private=False).decode(),
}


@pytest.mark.parametrize("content", CONTENTS)
def test_a_key_of_ours_that_is_none_stops_the_start(tmp_path: Path, content: str) -> None:
    file, make = tmp_path / "client.key", CONTENTS[content]
    if make is not None:
        file.write_text(make())
    settings = Provider.model_validate(GOOD | {"client_secret": None, "client_key": file})
    with pytest.raises(SettingsError, match=r"client\.key") as caught:
        OpenId(settings, "https://hub.example/x", SystemClock())
    assert "hello" not in str(caught.value)
