"""Run the web application until stopped."""

from __future__ import annotations

import uvicorn

from hub.context import Context
from hub.web.app import build


def serve(ctx: Context, host: str, port: int) -> None:
    """Serve on an address. No access log: our own log says what matters, and never an address with a number in it."""
    uvicorn.run(build(ctx), host=host, port=port, access_log=False, log_level="warning", server_header=False)
