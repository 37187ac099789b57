"""The town's Digital Post as it is without KOMBIT: its own interface for sending systems (NgDP REST), below /apis/v1.

| request | answer |
|---|---|
| POST /apis/v1/memos/?memo-message-uuid=UUID, the message as XML; or a form, its part `file` named so | 201, receipt |
| GET /apis/v1/receipts-bulk/?page=N&size=N | {"currentPage", "totalPages", "totalElements", "receipts", …} |
| DELETE /apis/v1/receipts/{id} | 204; 404 |

A receipt: {"id", "transmissionId", "messageUUID", "messageId", "errorCode", "errorMessage", "timeStamp",
"receiptStatus"}; it stays until it is deleted. An error: {"code", "message"}. Without the right key: 401.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hub.demo.model import Person
from hub.demo.servers import digital_post_rules as rules
from hub.demo.servers.digital_post_receipts import transmission

PATH = "/apis/v1"
_SIZE_MOST = 1000


class Box(Protocol):
    """What the interface needs of the letters kept."""

    def take(self, sent: rules.Sent, people: Mapping[str, Person]) -> str: ...

    def count(self, event: str) -> None: ...

    def open_receipts(self) -> list[dict[str, str | None]]: ...

    def delete(self, receipt: str) -> bool: ...

    def now(self) -> str: ...


def routes(
    box: Box, people: Mapping[str, Person], api_key: str | None, body: Callable[[Request], Awaitable[bytes]]
) -> list[Route]:
    """The interface; `api_key` None takes any key."""

    def stranger(request: Request) -> Response | None:
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        if kind != "Basic" or not key or (api_key is not None and key != api_key):
            return _error(401, "unauthorized", "The system's key is missing or wrong")
        return None

    async def memos(request: Request) -> Response:
        if refused := stranger(request):
            return refused
        try:
            key, content = await _message(request, body)
            sent = rules.read_message(content, key)
            box.take(sent, people)
        except rules.RefusedError as error:
            box.count("refused")
            return _error(400, error.code, str(error))
        receipt = {
            "transmissionId": transmission(sent.key),
            "messageUUID": sent.key,
            "messageId": None,
            "errorCode": None,
            "errorMessage": None,
            "timeStamp": box.now(),
            "receiptStatus": "RECEIVED",
        }
        return JSONResponse(receipt, 201)

    async def bulk(request: Request) -> Response:
        if refused := stranger(request):
            return refused
        page, size = request.query_params.get("page", "0"), request.query_params.get("size", "100")
        if not page.isdecimal() or not size.isdecimal() or not 1 <= int(size) <= _SIZE_MOST:
            return _error(400, "request.invalid", f"page and size must be whole numbers, size at most {_SIZE_MOST}")
        found = box.open_receipts()
        first = int(page) * int(size)
        shown = found[first : first + int(size)]
        return JSONResponse(
            {
                "currentPage": int(page),
                "totalPages": -(-len(found) // int(size)),
                "elementsOnPage": len(shown),
                "totalElements": len(found),
                "receipts": shown,
            }
        )

    async def receipt(request: Request) -> Response:
        if refused := stranger(request):
            return refused
        if not box.delete(request.path_params["id"]):
            return _error(404, "resource.not.found", "The receipt is not there")
        return Response(status_code=204)

    return [
        Route(f"{PATH}/memos/", memos, methods=["POST"]),
        Route(f"{PATH}/receipts-bulk/", bulk),
        Route(f"{PATH}/receipts/{{id}}", receipt, methods=["DELETE"]),
    ]


async def _message(request: Request, body: Callable[[Request], Awaitable[bytes]]) -> tuple[str, bytes]:
    """The messageUUID that is said, and the message."""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        async with request.form(max_files=1, max_fields=0) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise rules.RefusedError("request.invalid", "The form has no part named file")
            return (file.filename or "").removesuffix(".xml"), await file.read()
    key = request.query_params.get("memo-message-uuid")
    if key is None:
        raise rules.RefusedError("request.invalid", "memo-message-uuid must be given")
    return key, await body(request)


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"code": code, "message": message}, status)
