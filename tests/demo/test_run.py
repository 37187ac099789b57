"""The town's servers run as processes of their own, have trouble when told to, and never outlive who started them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from hub.clock import FileClock
from hub.demo.people import START, draw
from hub.demo.servers import run
from hub.demo.servers.trouble import READY, Troubled, make_trouble
from hub.demo.town_file import save
from hub.errors import GaveUp

WHOLE = "<answer>" + "0123456789" * 20 + "</answer>"


@pytest.fixture(scope="module")
def town_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("town")
    save(draw(3, 20), folder)
    FileClock(folder / "clock").set(START)
    return folder


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=5) as made:
        yield made


async def whole(_request: Request) -> Response:
    return PlainTextResponse(WHOLE)


async def pieces(_request: Request) -> Response:
    return StreamingResponse(iter(["", WHOLE, WHOLE, WHOLE]))


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server that answers properly, under the name `sof`, in a thread: its address, and the folder for trouble."""
    folder = tmp_path_factory.mktemp("trouble")
    app = Troubled(Starlette(routes=[Route("/whole", whole), Route("/pieces", pieces)]), "sof", folder)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", folder
        server.should_exit = True
        thread.join()


def test_server_without_trouble_answers_as_it_is(troubled: tuple[str, Path], client: httpx.Client) -> None:
    url, folder = troubled
    for trouble in ({}, {"buf": "down"}):
        make_trouble(folder, trouble)
        assert client.get(url + "/whole").text == WHOLE
        assert client.get(url + "/pieces").text == WHOLE * 3


def test_server_that_is_down_says_503_until_the_trouble_is_over(
    troubled: tuple[str, Path], client: httpx.Client
) -> None:
    url, folder = troubled
    for _ in range(3):
        make_trouble(folder, {"sof": "down"})
        assert client.get(url + "/whole").status_code == 503
        assert client.get(url + READY).status_code == 204
        make_trouble(folder, {})
        assert client.get(url + "/whole").status_code == 200
    make_trouble(folder, {"sof": "down"})
    (folder / "trouble.json").unlink()
    assert client.get(url + "/whole").status_code == 200


def test_slow_server_gives_the_right_answer_late(troubled: tuple[str, Path], client: httpx.Client) -> None:
    url, folder = troubled
    make_trouble(folder, {"sof": {"slow": 0.3}})
    began = time.monotonic()
    assert client.get(url + "/whole").text == WHOLE
    assert time.monotonic() - began >= 0.3
    make_trouble(folder, {"sof": "slow"})
    with pytest.raises(httpx.ReadTimeout):
        client.get(url + "/whole", timeout=0.2)


def test_wrong_server_gives_a_web_page(troubled: tuple[str, Path], client: httpx.Client) -> None:
    url, folder = troubled
    make_trouble(folder, {"sof": "wrong"})
    answer = client.get(url + "/whole")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<html" in answer.text


def test_cut_answer_is_a_beginning_of_the_right_one(troubled: tuple[str, Path], client: httpx.Client) -> None:
    url, folder = troubled
    make_trouble(folder, {"sof": "cut"})
    for path in ("/whole", "/pieces"):
        answer = client.get(url + path)
        assert answer.status_code == 200
        assert 0 < len(answer.text) < len(WHOLE)
        assert WHOLE.startswith(answer.text)


@pytest.mark.parametrize("kind", ["broken", {"slow": -1}, {"slow": "long"}, {"down": 1}, 3, None])
def test_trouble_that_means_nothing_is_refused(tmp_path: Path, kind: object) -> None:
    with pytest.raises(ValueError, match="trouble is one of down, slow, wrong, cut"):
        make_trouble(tmp_path, {"sof": kind})  # that is the test
    assert not list(tmp_path.iterdir())


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("name", run.NAMES)
def test_each_server_starts_has_trouble_and_stops(
    name: str, town_folder: Path, client: httpx.Client, capfd: pytest.CaptureFixture[str]
) -> None:
    server = run.start(name, town_folder)
    try:
        assert client.get(server.url + READY).status_code == 204
        assert client.get(server.url + "/no-such-path").status_code < 500
        make_trouble(town_folder, {name: "down"})
        assert client.get(server.url + "/no-such-path").status_code == 503
    finally:
        make_trouble(town_folder, {})
        server.stop()
    assert server.process.poll() is not None
    assert not is_open(server.port)
    server.stop()
    assert capfd.readouterr() == ("", "")
    assert server.log.read_text() == ""


def test_stopped_server_starts_again_on_its_port(town_folder: Path) -> None:
    first = run.start("cpr", town_folder)
    first.stop()
    again = run.start("cpr", town_folder, first.port)
    assert again.port == first.port
    with pytest.raises(OSError, match="in use"):
        run.start("cpr", town_folder, first.port)
    again.stop()


def test_number_asked_for_stays_out_of_the_servers_log(town_folder: Path, client: httpx.Client) -> None:
    server = run.start("digital_post", town_folder)
    client.get(server.url + "/service/PostForespoerg_1/digitalpost", params={"cprNumber": "0101019990"})
    client.post(server.url + "/service/KombiPostAfsend_1/kombi", content=b"0101019990")
    server.stop()
    assert "0101019990" not in server.log.read_text()


def test_server_that_cannot_start_is_reported_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(GaveUp, match=r"server cpr did not start; see .*cpr\.log"):
        run.start("cpr", tmp_path)
    assert "town.json" in (tmp_path / "cpr.log").read_text()


def test_unknown_server_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="choose one of sof, buf, suf, cpr, digital_post"):
        run.start("esdh", tmp_path)


def test_server_ends_when_its_starter_is_killed(town_folder: Path) -> None:
    program = (
        "import pathlib, sys, time; from hub.demo.servers import run;"
        "server = run.start('cpr', pathlib.Path(sys.argv[1]));"
        "print(server.process.pid, server.port, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(town_folder)], stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        pid, port = map(int, starter.stdout.readline().split())
        assert is_open(port)
        os.kill(starter.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while is_open(port) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_open(port)
    assert pid != starter.pid


def test_server_runs_from_the_command_line_on_a_given_port(town_folder: Path, client: httpx.Client) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", run.MODULE, "cpr", "--folder", str(town_folder), "--port", str(port)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        deadline = time.monotonic() + 10
        while not is_open(port) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert client.get(f"http://127.0.0.1:{port}{READY}").status_code == 204
        process.terminate()
        assert process.stdout is not None
        assert process.stdout.read() == b""
