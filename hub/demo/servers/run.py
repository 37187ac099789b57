"""Runs the town's servers, each as a process of its own on 127.0.0.1.

`python -m hub.demo.servers.run NAME --folder DIR --port N` runs one until it is stopped; `start` does so for a program,
and stops it when the program ends, however it ends. DIR holds what the servers share: `town.json`, `clock`,
`trouble.json`, and for Digital Post the folder `digital_post` with what it has received.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import httpx2 as httpx
import uvicorn
from starlette.types import ASGIApp

from hub.clock import FileClock
from hub.demo.servers.advis import Receiving
from hub.demo.servers.trouble import READY, Troubled
from hub.demo.town_file import load
from hub.errors import GaveUp

NAMES = ("sof", "buf", "suf", "cpr", "digital_post")
HOOKED = ("suf",)
"""Those that take webhooks."""
MODULE = "hub.demo.servers.run"
HOST = "127.0.0.1"
_START_SECONDS = 60.0
_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers. `log` is what it has had to say; requests are not in it."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def stop(self) -> None:
        """Ends the server and waits for it; does nothing when it has ended already."""
        self.process.terminate()
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        cast(IO[bytes], self.process.stdin).close()


def launch(name: str, folder: Path, port: int = 0) -> Running:
    """Starts a server and does not wait: so that all five can load the town at once. `port` 0 takes a free one; give
    an ended server's port to start it again where it was. See `wait`."""
    if name not in NAMES:
        raise ValueError(f"there is no server {name!r} in the town: choose one of {', '.join(NAMES)}")
    log = folder / f"{name}.log"
    with socket.socket() as listener, log.open("ab") as output:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Bound and listening here and handed over: nobody else can take the port in between.
        listener.bind((HOST, port))
        listener.listen(128)
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module, a name from the list above
            [sys.executable, "-m", MODULE, name, "--folder", str(folder), "--fd", str(listener.fileno())],
            stdin=subprocess.PIPE,  # held open until this process ends: see `_end_with_parent`
            stdout=output,
            stderr=output,
            pass_fds=[listener.fileno()],
            start_new_session=True,  # Ctrl-C is for the program that started it, which then stops it in order
        )
        return Running(name, process, listener.getsockname()[1], log)


def wait(server: Running, seconds: float = _START_SECONDS) -> Running:
    """Waits until a launched server answers. Raises GaveUp when it ends before, or does not answer in time."""
    deadline = time.monotonic() + seconds
    with httpx.Client(trust_env=False, timeout=1.0) as client:
        while server.process.poll() is None and time.monotonic() < deadline:
            try:
                if client.get(server.url + READY).status_code == 204:
                    return server
            except httpx.TransportError:
                time.sleep(0.02)  # not there yet, or gone: the loop's condition tells which
    server.stop()
    raise GaveUp(f"the town's server {server.name} did not start; see {server.log}")


def start(name: str, folder: Path, port: int = 0) -> Running:
    """Starts a server of the town saved in `folder` and waits until it answers. Prints nothing.

    Raises GaveUp when it does not start, OSError when `port` is taken."""
    return wait(launch(name, folder, port))


def application(name: str, folder: Path) -> ASGIApp:
    """The server's ASGI application, with trouble. Imports that server and no other."""
    module = importlib.import_module(f"hub.demo.servers.{name}")
    more = {"folder": folder / name} if name == "digital_post" else {}
    inner = module.app(load(folder), FileClock(folder / "clock"), **more)
    return Troubled(Receiving(inner, name, folder) if name in HOOKED else inner, name, folder)


def main() -> None:
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description="Run one server of the town.")
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--folder", type=Path, required=True, help="where the town is: town.json and clock")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--port", type=int, help="on 127.0.0.1")
    place.add_argument("--fd", type=int, help="a listening socket that a parent hands over; ends when the parent does")
    given = parser.parse_args()
    if given.fd is not None:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    app = application(given.name, given.folder)
    gc.freeze()  # the town stays for good: do not look through it again and again
    config = uvicorn.Config(
        app, host=HOST, port=given.port or 0, access_log=False, log_level="warning", timeout_graceful_shutdown=2
    )
    uvicorn.Server(config).run(sockets=None if given.fd is None else [socket.socket(fileno=given.fd)])


def _end_with_parent() -> None:
    """Standard input is a pipe that only the parent holds: it ends when the parent does, be it by kill -9. (Linux has
    a signal for that, PR_SET_PDEATHSIG, but it also comes when only the thread that started us ends.)"""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_STOP_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
