"""A small town with one registered and one exempt person, its Digital Post on 127.0.0.1, and letters to send."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from tovholder_digital_post import DigitalPost, DigitalPostSettings, DirectPost

import hub
from hub.clock import SetClock
from hub.demo.model import Person, Town
from hub.demo.servers import digital_post
from hub.demo.servers import digital_post_tls as tls

REGISTERED = "0107729995"
EXEMPT = "1502689998"
STRANGER = "2404759996"
START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def standards() -> Path:
    """The folder of public samples and schemas, which is no part of this repository."""
    beside = Path(__file__).resolve().parents[4] / "shared" / "standards"
    folder = Path(os.environ.get("TOVHOLDER_STANDARDS", beside))
    if not folder.is_dir():
        pytest.skip("the public samples are not here: set TOVHOLDER_STANDARDS to their folder")
    return folder


@pytest.fixture(scope="session")
def town() -> Town:
    people = {
        REGISTERED: Person(REGISTERED, "Bodil", "Prøvesen", "Prøvevej 1", "9999", "Prøveby"),
        EXEMPT: Person(EXEMPT, "Åge", "Prøvesen", "Prøvevej 2", "9999", "Prøveby", digital_post=False),
    }
    return Town(1, START, people, {}, {}, {}, {}, (), {})


@pytest.fixture(scope="session")
def settings() -> DigitalPostSettings:
    return DigitalPostSettings.model_validate(
        {
            "url": "http://127.0.0.1:1/",
            "cvr": "12345678",
            "sender_name": "Prøveby Kommune",
            "system_id": "TOVHOLDER-1",
            "print_type": 265,
        }
    )


@pytest.fixture(scope="session")
def letter() -> hub.Letter:
    return hub.Letter(
        title="Brev fra Prøveby Kommune",
        language="da",
        pdf=b"%PDF-1.7\n" + bytes(range(256)) * 200,
        html="<!doctype html><html lang='da'><title>Brev</title><p>Kære Bodil</p></html>",
        file_name="brev.pdf",
        recipient=hub.Recipient(REGISTERED, "Bodil Prøvesen"),
        created=START,
        contact=hub.Contact("8d0a1c2e", "Karen Koordinator", "70 10 20 30", "karen@proeveby.example"),
        actions=(
            hub.Action(
                "Frist", starts=START, ends=START + timedelta(days=14), url="https://proeveby.example/breve?nr=1&x=æ"
            ),
            hub.Action("Husk"),
        ),
    )


@pytest.fixture(scope="session")
def paper(letter: hub.Letter) -> hub.Letter:
    return replace(letter, recipient=hub.Recipient(EXEMPT, "Åge Prøvesen"))


@pytest.fixture
def clock() -> SetClock:
    return SetClock(START)


@pytest.fixture(scope="session")
def stopping() -> Iterator[list[threading.Thread]]:
    """The threads of servers told to stop: waiting for all at the end is quicker than for each after its test."""
    threads: list[threading.Thread] = []
    yield threads
    for thread in threads:
        thread.join()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tls.Certificates:
    return tls.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def serve(stopping: list[threading.Thread]) -> Iterator[Callable[..., str]]:
    """Serve an ASGI application from a thread, with its log of requests on; gives its address. With certificates it
    speaks TLS, and to clients with one of them only."""
    running: list[uvicorn.Server] = []

    def start(application: Any, certificates: tls.Certificates | None = None) -> str:
        more: dict[str, Any] = {"port": 0, "log_config": None, "access_log": True, "lifespan": "off"}
        config = tls.config(application, certificates, **more) if certificates else None
        server = uvicorn.Server(config or uvicorn.Config(application, **more))
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append(server)
        stopping.append(thread)
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        scheme = "https" if certificates else "http"
        return f"{scheme}://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"

    yield start
    for server in running:
        server.should_exit = server.force_exit = True


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "digital_post"


@pytest.fixture
def post_at(settings: DigitalPostSettings) -> Iterator[Callable[..., DigitalPost]]:
    """The channel, for a platform at an address."""
    made: list[DigitalPost] = []

    def make(url: str, **changes: Any) -> DigitalPost:
        changed = settings.model_dump(mode="json") | {"url": url} | changes
        made.append(DigitalPost(DigitalPostSettings.model_validate(changed)))
        return made[-1]

    yield make
    for channel in made:
        channel.close()


API_KEY = "ZmljdGl0aW91czprZXk="


@pytest.fixture(scope="session")
def direct_settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    key = tmp_path_factory.mktemp("key") / "api_key"
    key.write_text(API_KEY + "\n", encoding="ascii")
    return {
        "transport": "direct",
        "url": "http://127.0.0.1:1/apis/v1",
        "cvr": "12345678",
        "sender_name": "Prøveby Kommune",
        "system_id": "TOVHOLDER-1",
        "api_key": str(key),
    }


@pytest.fixture
def direct_at(direct_settings: dict[str, Any]) -> Iterator[Callable[..., DirectPost]]:
    """The direct channel, for a Digital Post at an address."""
    made: list[DirectPost] = []

    def make(url: str, **changes: Any) -> DirectPost:
        changed = direct_settings | {"url": url + "/apis/v1"} | changes
        made.append(DirectPost(DigitalPostSettings.model_validate(changed)))
        return made[-1]

    yield make
    for channel in made:
        channel.close()


@pytest.fixture
def post(
    serve: Callable[[Any], str], town: Town, clock: SetClock, folder: Path, post_at: Callable[..., DigitalPost]
) -> DigitalPost:
    """The channel, talking to the town."""
    return post_at(serve(digital_post.app(town, clock, folder)))
