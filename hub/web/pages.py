"""Pages: templates filled on the server, in the reader's language."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from uuid import UUID

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse

from hub.clock import today
from hub.context import Context
from hub.store import tables
from hub.store.viewer import Viewer
from hub.web import sessions, words
from hub.web.security import csrf_token

FOLDER = Path(__file__).parent
STYLE = (FOLDER / "static" / "hub.css").read_bytes()
STYLE_PATH = f"/hub-{hashlib.sha256(STYLE).hexdigest()[:12]}.css"
"""Named by what is in it, so that it can be kept for good."""

_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= {"phone": words.phone, "tel": words.tel, "capital": words.capital, "mail": words.mail}


def context(request: Request) -> Context:
    found: Context = request.app.state.ctx
    return found


def speak(request: Request) -> words.Words:
    """The reader's language: chosen by `?sprog=` and kept in the session, Danish at first."""
    chosen = request.query_params.get("sprog")
    if chosen in words.LANGUAGES and request.session.get("sprog") != chosen:
        request.session["sprog"] = chosen
    return words.Words(request.session.get("sprog", "da"), context(request).clock.now())


def page(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    here: str | None = None,
    **values: Any,
) -> HTMLResponse:
    """A page of a template. `here` is where the language switch leads, this very address when not given."""
    ctx = context(request)
    text = _environment.get_template(template).render(
        t=speak(request),
        csrf=lambda: csrf_token(request),
        style=STYLE_PATH,
        municipality=ctx.settings.municipality,
        demo=ctx.settings.demo is not None,
        here=here or request.url.path,
        signed_in=sessions.of(request).secret is not None,
        **({"missing": False} | values),
    )
    return HTMLResponse(text, status, headers)


def text_version(template: str) -> str:
    """Which text a family had before it, kept with what it answered."""
    return hashlib.sha256((FOLDER / "templates" / template).read_bytes()).hexdigest()[:16]


def message(
    request: Request,
    status: int,
    title: words.Text,
    text: words.Text,
    *,
    headers: dict[str, str] | None = None,
    back: str = "/",
    again: str | None = None,
) -> HTMLResponse:
    """A page that only says something, with the municipality's phone number and a way back; `again` is where to sign in
    once more."""
    values = {"title": title, "text": text, "back": back, "again": again}
    return page(request, "message.html", status=status, headers=headers, here="/", **values)


def speak_as(request: Request, guardian_id: UUID) -> None:
    """The guardian's own language, unless another has been chosen on the page."""
    if "sprog" not in request.session:
        ctx = context(request)
        with ctx.database.begin_as(Viewer(day=today(ctx.clock), guardian=guardian_id)) as session:
            row = session.get(tables.Guardian, guardian_id)
            if row is not None and row.language in words.LANGUAGES:
                request.session["sprog"] = row.language
