"""The API for case systems: notices to their advisers, and the parts of letters they journalise.

For tokens with the role `source` and an administration; each gets its own administration's, and nothing else. A cursor
is where the last answer ended: the same cursor gives the same again, and what has come since.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response, Security
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from hub.access.log import Asker, Disclosure
from hub.api.answers import BEARER, Bounded, Problem, asked, problem, said
from hub.context import Context
from hub.errors import NotAllowed, TryAgain
from hub.letters import journalising
from hub.notices import feed

router = APIRouter(prefix="/api/v1", route_class=Bounded, dependencies=[Security(BEARER)])
T = TypeVar("T")
Cursor = Annotated[
    str | None,
    Query(
        pattern=r"^[0-9]{1,18}$",
        description="The `cursor` of the last answer; left out: from the first that is kept.",
    ),
]


class PersonAnswer(BaseModel):
    name: str
    phone: str | None
    email: str | None


class CaseAnswer(BaseModel):
    """`source` is the plugin that reads the system, `id` the case's own id there."""

    source: str
    id: str


class NoticeData(BaseModel):
    administration: str
    case: CaseAnswer
    coordinator: PersonAnswer
    since: datetime | None
    until: datetime | None
    substitute: PersonAnswer | None


class NoticeEvent(BaseModel):
    """A CloudEvent 1.0, as a webhook brings it. `id` is the notice's: take it once."""

    specversion: Literal["1.0"]
    id: UUID
    source: str
    type: str
    subject: str
    time: datetime
    datacontenttype: Literal["application/json"]
    data: NoticeData


class NoticesAnswer(BaseModel):
    """At most 100, oldest first. `entry` is the first entry of this look in the access log."""

    events: list[NoticeEvent]
    cursor: str
    more: bool
    entry: UUID


class JournalItem(BaseModel):
    """The administration's own part of a letter. `recipient` says to whom it went, by role; `text_sha256` is of `text`
    (UTF-8), `letter_sha256` of the whole letter's PDF as it left."""

    id: UUID
    letter: UUID
    letter_sha256: str
    kind: str
    state: str
    title: str
    date: date
    language: str
    recipient: str
    cases: list[CaseAnswer]
    text: str
    text_sha256: str
    journalised: bool


class JournalAnswer(BaseModel):
    """At most 100. `entry` is the first entry of this look in the access log."""

    items: list[JournalItem]
    cursor: str
    more: bool
    entry: UUID


class Receipt(BaseModel):
    """`document` is the document's own id in the case system."""

    model_config = ConfigDict(extra="forbid")
    document: str = Field(min_length=1, max_length=200, pattern=r"^[^\s\x00-\x1f\x7f]+$")


class PartReceipt(Receipt):
    """`part` is the item's id."""

    part: UUID


class ReceiptsRequest(BaseModel):
    """Up to 100 at once, each part once."""

    model_config = ConfigDict(extra="forbid")
    receipts: list[PartReceipt] = Field(min_length=1, max_length=journalising.AT_MOST)


class PartAnswer(BaseModel):
    """`taken`, also when it was said before; `other`: it was acknowledged as another document; `unknown`: there is no
    such part for this system. `letter_done` as for one receipt; null where it is unknown."""

    part: UUID
    result: journalising.Receipt
    letter_done: bool | None


class ReceiptsAnswer(BaseModel):
    """In the order asked."""

    receipts: list[PartAnswer]


class ReceiptAnswer(BaseModel):
    """Whether all administrations have journalised their parts of the letter."""

    letter_done: bool


_PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "No good bearer token."},
    403: {"model": Problem, "description": "The token is not an administration's own system's."},
    422: {"model": Problem, "description": "Something is wrong with what was asked; it is not repeated."},
    503: {"model": Problem, "description": "The access log cannot be written: try again."},
}
_BODY: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The body cannot be read."},
    411: {"model": Problem, "description": "The body's length is not said (Content-Length)."},
    413: {"model": Problem, "description": "The body is larger than any receipt."},
}
_RECEIPT: dict[int | str, dict[str, Any]] = _BODY | {
    404: {"model": Problem, "description": "There is no such part for this system."},
    409: {"model": Problem, "description": "It has been acknowledged as another document."},
}
_NOT_YOURS = "Her svarer vi kun forvaltningernes egne systemer."


@router.get("/notices", response_model=NoticesAnswer, responses=_PROBLEMS)
async def notices(request: Request, after: Cursor = None) -> Response:
    """The administration's notices after a cursor."""

    def say(disclosure: Disclosure[feed.Some]) -> BaseModel:
        some, cvr = disclosure.value, request.app.state.ctx.settings.municipality.cvr
        return NoticesAnswer(
            events=[NoticeEvent.model_validate(fact.event(cvr)) for fact in some.facts],
            cursor=str(some.cursor),
            more=some.more,
            entry=disclosure.entry,
        )

    return await _pulled(request, feed.pull, after, say)


@router.get("/journal", response_model=JournalAnswer, responses=_PROBLEMS)
async def journal(request: Request, after: Cursor = None) -> Response:
    """The administration's own parts of the letters that have left, after a cursor."""

    def say(disclosure: Disclosure[journalising.Items]) -> BaseModel:
        some = disclosure.value
        return JournalAnswer(
            items=[_item(one) for one in some.items],
            cursor=str(some.cursor),
            more=some.more,
            entry=disclosure.entry,
        )

    return await _pulled(request, journalising.pull, after, say)


@router.post("/journal/{part}/receipt", response_model=ReceiptAnswer, responses=_PROBLEMS | _RECEIPT)
async def receipt(part: UUID, body: Receipt, request: Request) -> Response:
    """A part has been journalised. Saying so again changes nothing."""
    asker = await asked(request)
    if isinstance(asker, Response):
        return asker
    try:
        feed.system_of(request.app.state.ctx, asker)
    except NotAllowed:
        return problem(403, _NOT_YOURS)
    try:
        done = await run_in_threadpool(journalising.acknowledge, request.app.state.ctx, asker, part, body.document)
    except journalising.OtherDocument:
        return problem(409, "Brevet er kvitteret for som et andet dokument.")
    except NotAllowed:
        return problem(404, "Der er ikke sådan et brev til jer.")
    return said(ReceiptAnswer(letter_done=done))


@router.post("/journal/receipts", response_model=ReceiptsAnswer, responses=_PROBLEMS | _BODY)
async def receipts(body: ReceiptsRequest, request: Request) -> Response:
    """Many parts have been journalised: each is a receipt of its own."""
    asker = await asked(request)
    if isinstance(asker, Response):
        return asker
    documents = {one.part: one.document for one in body.receipts}
    if len(documents) < len(body.receipts):
        return problem(422, "receipts: a part stands there twice")
    try:
        said_of, done = await run_in_threadpool(journalising.acknowledge_all, request.app.state.ctx, asker, documents)
    except NotAllowed:
        return problem(403, _NOT_YOURS)
    return said(
        ReceiptsAnswer(
            receipts=[PartAnswer(part=part, result=said_of[part], letter_done=done.get(part)) for part in documents]
        )
    )


async def _pulled(
    request: Request,
    pull: Callable[[Context, Asker, int], Disclosure[T]],
    after: str | None,
    say: Callable[[Disclosure[T]], BaseModel],
) -> Response:
    asker = await asked(request)
    if isinstance(asker, Response):
        return asker
    try:
        disclosure = await run_in_threadpool(pull, request.app.state.ctx, asker, int(after or 0))
    except NotAllowed:
        return problem(403, _NOT_YOURS)
    except TryAgain as error:
        return problem(503, str(error), {"Retry-After": "1"})
    return said(say(disclosure))


def _item(one: journalising.Item) -> JournalItem:
    part = one.part
    return JournalItem(
        id=one.id,
        letter=one.letter_id,
        letter_sha256=one.sha256.hex(),
        kind=one.kind,
        state=one.state,
        title=part.title,
        date=part.written,
        language=part.language,
        recipient=part.recipient,
        cases=[CaseAnswer(source=source, id=source_id) for source, source_id in part.cases],
        text=part.text,
        text_sha256=one.text_sha256.hex(),
        journalised=one.journalised,
    )
