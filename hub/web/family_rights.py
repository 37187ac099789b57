"""What a guardian or a young person asks for on their page, and what became of it: only their own, nobody else's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from hub import rights
from hub.access.own import OwnChild
from hub.context import Context
from hub.errors import NotAllowed
from hub.identity import parse
from hub.store import tables
from hub.store.people import open_keys
from hub.vault import unseal_json
from hub.web import signin
from hub.web.pages import context, message, page
from hub.web.security import form
from hub.web.words import ROLES, Text, Words, capital, number_problem

router = APIRouter(include_in_schema=False)
NEWEST = 20
"""So many requests stand on the page."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """`child` is how the page calls the child, None where the hub knows of none; `who` answered, by role and
    administration; `closed` is what that closed for, by name."""

    kind: str
    child: str | None
    case: str | None
    text: str
    made: datetime
    due: date | None
    answer: str | None
    answered: datetime | None
    who: str | None
    closed: tuple[str, ...]


def read_requests(
    ctx: Context,
    t: Words,
    session: Session,
    guardian_id: UUID,
    children: Mapping[UUID, OwnChild],
    labels: Mapping[UUID, str],
) -> tuple[tuple[PageRequest, ...], set[UUID]]:
    """The newest requests of whoever reads, by the row that they are written to, and the children these are about. One
    about a child whom a guardian no longer has custody of is not shown."""
    former = dict(
        session.execute(select(tables.Child.id, tables.Child.same_as).where(tables.Child.same_as.in_(children)))
        .tuples()
        .all()
    )
    rows = session.execute(
        select(tables.RightsRequest, tables.Task)
        .join(tables.Task, tables.Task.id == tables.RightsRequest.task_id)
        .where(
            tables.RightsRequest.guardian_id == guardian_id,
            or_(
                tables.RightsRequest.child_id.is_(None),
                tables.RightsRequest.child_id.in_({*children, *former}),
            ),
        )
        .order_by(tables.Task.made_at.desc(), tables.Task.id)
        .limit(NEWEST)
    ).all()
    keys = open_keys(session, ctx.keys, (row.RightsRequest.key_id for row in rows))
    opened = {
        request.id: unseal_json(keys[request.key_id], request.sealed, f"rights:{request.id}")
        for request, _task in rows
        if request.key_id in keys  # else forgotten
    }
    kinds = _kinds(ctx, t, session, children, {UUID(said["case"]) for said in opened.values() if "case" in said})
    found, about = [], set()
    for request, task in rows:
        if request.id not in opened:
            continue
        said = opened[request.id]
        given = {}
        if request.answer is not None:
            given = unseal_json(keys[request.key_id], request.answer, f"answer:{request.id}")
        child = request.child_id
        if child is not None:
            child = former.get(child) or child
            about.add(child)
        found.append(
            PageRequest(
                kind=task.kind,
                child=labels.get(child) if child is not None else None,
                case=kinds.get(UUID(said["case"])) if "case" in said else None,
                text=said["text"],
                made=task.made_at,
                due=task.due,
                answer=given.get("text"),
                answered=request.answered_at,
                who=_who(ctx, t, given) if given else None,
                closed=tuple(ctx.settings.administration_name(code, t.language) for code in given.get("closed", ())),
            )
        )
    return tuple(found), about


def _kinds(
    ctx: Context, t: Words, session: Session, children: Mapping[UUID, OwnChild], cases: set[UUID]
) -> dict[UUID, str]:
    """What the cases are called that requests are about: only of those that are there still, since one that must not be
    told any more is not told here either."""
    found = {}
    for row in session.execute(
        select(tables.Case).where(tables.Case.id.in_(cases), tables.Case.child_id.in_(children))
    ).scalars():
        kind = unseal_json(children[row.child_id].key, row.sealed, f"case:{row.id}")["kind"]
        known = ctx.plugins.kind(row.source, kind)
        if known is not None:
            found[row.id] = capital(t(known.name, known.name_en or known.name))
    return found


def _who(ctx: Context, t: Words, given: Mapping[str, str | None]) -> str:
    role = t.of(ROLES.get(given["role"] or "", ROLES["staff"]))
    code = given["administration"]
    if code is None:
        return role
    return f"{role}, {ctx.settings.administration_name(code, t.language)}"


@router.post("/familie/spoerg")
async def ask(request: Request, guardian_id: signin.Guardian) -> Response:
    """What is wrong, or an objection, about an own child."""
    return await _ask(request, guardian_id, None)


@router.post("/familie/mig/spoerg")
async def ask_young(request: Request, young_id: signin.Young) -> Response:
    """The same, of a young person about themselves."""
    return await _ask(request, None, young_id)


async def _ask(request: Request, guardian_id: UUID | None, young_id: UUID | None) -> Response:
    fields = await form(request)
    kind, case, said = fields.get("kind", ""), fields.get("case", ""), fields.get("text", "")
    back = "/familie" if young_id is None else "/familie/mig"
    if kind not in rights.KINDS:
        return _not_taken(request, back)
    try:
        case_id = UUID(case) if case else None
        if young_id is not None:
            await run_in_threadpool(rights.ask_young, context(request), young_id, kind, said, case_id)
        elif guardian_id is not None:
            child_id = UUID(fields.get("child", ""))
            await run_in_threadpool(rights.ask, context(request), guardian_id, kind, child_id, said, case_id)
    except (NotAllowed, ValueError):
        return _not_taken(request, back)
    return _taken(request, back)


@router.get("/familie/hoerer-til")
def belong_page(request: Request, _guardian_id: signin.Guardian) -> Response:
    """Where a guardian says "we belong": also for whoever has been found nowhere."""
    return _belong(request, {}, None)


@router.post("/familie/hoerer-til")
async def belong(request: Request, guardian_id: signin.Guardian) -> Response:
    fields = await form(request)
    problem = number_problem(fields.get("cpr", ""))
    if problem is not None:
        return _belong(request, fields, problem)
    number = parse(fields["cpr"])
    try:
        await run_in_threadpool(rights.belong, context(request), guardian_id, number, fields.get("text", ""))
    except NotAllowed:
        return _not_taken(request)
    return _taken(request)


def _belong(request: Request, fields: Mapping[str, str], problem: Text | None) -> Response:
    return page(
        request,
        "belong.html",
        status=200 if problem is None else 422,
        fields=fields,
        problem=problem,
        text_at_most=rights.TEXT_AT_MOST,
    )


def _taken(request: Request, back: str = "/familie") -> Response:
    request.session["said"] = "spurgt"
    return RedirectResponse(back, 303)


def _not_taken(request: Request, back: str = "/familie") -> Response:
    return message(
        request,
        409,
        ("Det er ikke sendt", "It has not been sent"),
        (
            "Vi kunne ikke tage imod det her. Måske er teksten for lang, eller sagen er her ikke længere. Ring til "
            "kommunen, så hjælper vi dig.",
            "We could not take this. The text may be too long, or the case is no longer here. Call the municipality, "
            "and we will help you.",
        ),
        back=back,
    )
