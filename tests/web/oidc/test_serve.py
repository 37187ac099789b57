"""Outside the demo, from nothing: `tovholder migrate`, `tovholder serve`, and somebody signs in."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest
import tomlkit

from hub.clock import SystemClock
from tests.oidc_provider import CLIENT, SECRET, provider
from tests.web.at_provider import STAFF, sanne

STARTS = 60.0


@contextmanager
def serving(settings: Path, port: int) -> Iterator[None]:
    environment = os.environ | {"TOVHOLDER_SETTINGS": str(settings)}
    command = [sys.executable, "-m", "hub.cli"]
    done = subprocess.run([*command, "migrate"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with subprocess.Popen([*command, "serve", "--port", str(port)], env=environment) as process:
        try:
            end = time.monotonic() + STARTS
            while True:
                try:
                    if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                        break
                except httpx.ConnectError:
                    assert process.poll() is None
                    assert time.monotonic() < end
                    time.sleep(0.1)
            yield
        finally:
            process.terminate()


@pytest.mark.slow
def test_a_fresh_hub_lets_staff_in() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = f"http://127.0.0.1:{port}"
    with provider(SystemClock()) as at, tempfile.TemporaryDirectory(prefix="ts-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        at.redirect_uris, at.claims = {f"{home}/log-ind/personale/svar"}, sanne()
        staff = {"issuer": at.issuer, "client_id": CLIENT, "client_secret": SECRET, "roles": {"staff": [STAFF]}}
        settings = folder / "tovholder.toml"
        values = {
            "data": str(folder / "data"),
            "municipality": {"name": "Eksempel Kommune", "cvr": "12345678", "phone": "70 10 20 30"},
            "signin": {"url": home, "staff": staff},
        }
        settings.write_text(tomlkit.dumps(values), encoding="utf-8")
        with serving(settings, port):
            cookies: dict[str, str] = {}

            def get(address: str) -> httpx.Response:
                sent = "; ".join(f"{key}={value}" for key, value in cookies.items())
                answer = httpx.get(address, headers={"Cookie": sent} if address.startswith(home) else {})
                for line in answer.headers.get_list("set-cookie"):
                    key, _, value = line.partition(";")[0].partition("=")
                    cookies[key] = value
                return answer

            address = f"{home}/personale"
            for _step in range(6):
                answer = get(address)
                if answer.status_code == 200:
                    break
                assert answer.status_code == 303, answer.text
                address = answer.headers["location"]
                address = home + address if address.startswith("/") else address
            assert answer.status_code == 200
            assert re.search("<h1>Find barnets koordinator</h1>", answer.text)
            assert get(f"{home}/familie").status_code == 401, "families have no provider here"
