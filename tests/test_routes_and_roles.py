"""Every route, as everybody: what happens when who asks for what is this table, and a route without a row fails.

One small world, seen through two applications: as a municipality runs it, where one signs in at a provider or brings a
token, and as the demo, where one chooses a person. Each cell is a request that would be a good one if whoever sends it
might send it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from joserfc.jwk import OKPKey
from sqlalchemy import text
from starlette.routing import Route

from hub import StaffRecord, State, rights
from hub.access import log
from hub.access.askers import asker_key, day_key
from hub.access.log import Asker
from hub.api.tokens import issue, make_key
from hub.cases.sync import sync
from hub.context import Context
from hub.coordination.staff import add_coordinator
from hub.identity import parse
from hub.letters import versions
from hub.letters.compose import compose_due
from hub.letters.delivery import deliver
from hub.letters.templates import Templates
from hub.letters.words import product_folder
from hub.mandates import Mandate, give
from hub.notices.kinds import KINDS
from hub.settings import Api, Demo, SignIn
from hub.store import tables
from hub.web.app import build
from hub.web.pages import STYLE_PATH
from tests.oidc_provider import CLIENT, SECRET, OidcProvider, provider
from tests.web.at_provider import HOME, Person
from tests.web.conftest import Browser

pytestmark = pytest.mark.slow

KARLA, OTTO, NORA = "0311164234", "0502174235", "0210104321"
"""Karla, whose family has said yes; a child of another family; a young person of 16."""
MOTHER, FATHER, FORMER, STRANGER = "0101804001", "0101804002", "0101804003", "0101804004"
COORDINATOR = "Mette Holm Østergård"
UNIT = "Handicap, team Nord"

# Who asks. Of staff: id, role, administration, unit.
STAFF: dict[str, tuple[str, str, str | None, str | None]] = {
    "staff with a case": ("7f3a1c52-0b0e-4d53-9e0e-2a51d35a9a01", "staff", "SOF", UNIT),
    "staff without a case": ("7f3a1c52-0b0e-4d53-9e0e-2a51d35a9a02", "staff", "SUF", None),
    "the coordinator": ("7f3a1c52-0b0e-4d53-9e0e-2a51d35a9a03", "coordinator", None, None),
    "another coordinator": ("7f3a1c52-0b0e-4d53-9e0e-2a51d35a9a04", "coordinator", None, None),
    "the leader": ("7f3a1c52-0b0e-4d53-9e0e-2a51d35a9a05", "leader", "BUF", UNIT),
    "another leader": ("7f3a1c52-0b0e-4d53-9e0e-2a51d35a9a06", "leader", "SUF", UNIT),
    "an auditor": ("7f3a1c52-0b0e-4d53-9e0e-2a51d35a9a07", "auditor", None, None),
    "an operator": ("7f3a1c52-0b0e-4d53-9e0e-2a51d35a9a08", "operator", None, None),
}
GUARDIANS = {
    "a guardian": MOTHER,
    "the other guardian": FATHER,
    "a guardian who lost custody": FORMER,
    "a guardian of another family": STRANGER,
}
TOKENS = {
    "staff with a token": ("staff", "SOF"),
    "a source with a token": ("source", "SOF"),
    "an operator with a token": ("operator", None),
    "an expired token": ("staff", "SOF"),
}
"""Who calls the API, and for which administration. A token opens no page."""
OTHERS = ("nobody", "a young person")
ROLES = (*STAFF, *GUARDIANS, *OTHERS, *TOKENS)

# What happens.
SHOWN, PAGE = "something of the family", "a form, a list or a page without anybody"
DONE, NOTHING, REFUSED = "done", "the one answer that shows nothing", "refused"
SIGN_IN, NOT_FOUND, AWAY, JSON = "sign in first", "not found", "sent on", "JSON without anybody"
SECRETS = (COORDINATOR, "Testvoksen 001", "Testvoksen 002", "merudgifter", KARLA)
"""Of Karla and her family. Every child in this world has the same name."""

Row = dict[str, str]


def everybody(what: str, **but: str) -> Row:
    """`what` for all, save those named: `staff`, `guardians`, or one by its name with _ for spaces."""
    groups = {"staff": tuple(STAFF), "guardians": tuple(GUARDIANS)}
    row = dict.fromkeys(ROLES, what)
    for who, happens in but.items():
        row |= dict.fromkeys(groups.get(who, (who.replace("_", " "),)), happens)
    assert row.keys() == set(ROLES)
    return row


WORKERS_OWN = {"staff": NOT_FOUND, "staff_with_a_case": SHOWN}
LETTER = everybody(SIGN_IN, guardians=NOT_FOUND, a_guardian=SHOWN)
LOOKED_UP = {"staff": NOTHING, "staff_with_a_case": SHOWN, "the_coordinator": SHOWN, "the_leader": SHOWN}
REVIEWERS = {"the_leader": PAGE, "another_leader": PAGE, "an_auditor": PAGE}
LOOKED_UP_BY_TOKEN = everybody(
    SIGN_IN, staff_with_a_token=SHOWN, a_source_with_a_token=NOTHING, an_operator_with_a_token=NOTHING
)
BY_TOKEN = dict.fromkeys(("staff_with_a_token", "a_source_with_a_token", "an_operator_with_a_token"), REFUSED)
OPERATORS = everybody(SIGN_IN, **BY_TOKEN | {"an_operator_with_a_token": JSON})
SOURCES = everybody(SIGN_IN, **BY_TOKEN | {"a_source_with_a_token": JSON})
REGISTERS = everybody(SIGN_IN, staff=REFUSED, staff_with_a_case=SHOWN, the_coordinator=SHOWN)

TABLE: dict[str, Row] = {
    "GET /": everybody(PAGE),
    "GET /health": everybody(JSON),
    "GET /hub.css": everybody(PAGE),
    "GET /api/v1/openapi.json": everybody(JSON),
    "POST /api/v1/lookups": LOOKED_UP_BY_TOKEN,
    "POST /api/v1/lookups/batch": LOOKED_UP_BY_TOKEN,
    "GET /api/v1/templates": OPERATORS,
    "POST /api/v1/templates": OPERATORS,
    "GET /api/v1/templates/{version}": OPERATORS,
    # Another person than who drafted it.
    "POST /api/v1/templates/{version}/steps": OPERATORS,
    # For an administration's own system; nobody is named in a receipt.
    "GET /api/v1/notices": SOURCES | {"a source with a token": SHOWN},
    "GET /api/v1/journal": SOURCES | {"a source with a token": SHOWN},
    "POST /api/v1/journal/{part}/receipt": SOURCES,
    "POST /api/v1/journal/receipts": SOURCES,
    # Nobody who asks is the adviser of a case.
    "GET /personale/advis": everybody(SIGN_IN, staff=PAGE),
    "POST /personale/advis": everybody(SIGN_IN, staff=REFUSED),
    "GET /personale": everybody(SIGN_IN, staff=PAGE),
    "POST /personale": everybody(SIGN_IN, **LOOKED_UP),
    "GET /personale/liste": everybody(SIGN_IN, staff=PAGE),
    "POST /personale/liste": everybody(SIGN_IN, **LOOKED_UP),
    "GET /personale/opgaver": everybody(SIGN_IN, staff=PAGE),
    "GET /personale/opgaver/{task_id:uuid}": everybody(SIGN_IN, **WORKERS_OWN),
    "GET /personale/opgaver/{task_id:uuid} (the coordinator's)": everybody(
        SIGN_IN, staff=NOT_FOUND, the_coordinator=SHOWN
    ),
    "POST /personale/opgaver/{task_id:uuid}/svar": everybody(SIGN_IN, **WORKERS_OWN),
    "POST /personale/opgaver/{task_id:uuid}/faerdig": everybody(SIGN_IN, staff=NOT_FOUND, staff_with_a_case=DONE),
    "GET /personale/breve": everybody(SIGN_IN, staff=PAGE),
    "GET /personale/breve/{letter_id:uuid}": everybody(SIGN_IN, staff=NOT_FOUND, the_coordinator=SHOWN),
    # Nothing is in doubt about this letter; who may say what became of one: tests/web/test_letters_way.py.
    "POST /personale/breve/{letter_id:uuid}": everybody(SIGN_IN, staff=NOT_FOUND),
    "POST /personale/registrer": REGISTERS,
    "POST /personale/registrer/gem": REGISTERS,
    "POST /personale/registrer/fuldmagt": REGISTERS,
    "POST /personale/registrer/fuldmagt/slut": everybody(
        SIGN_IN, staff=REFUSED, staff_with_a_case=DONE, the_coordinator=DONE
    ),
    "GET /personale/gennemgang": everybody(SIGN_IN, staff=REFUSED, **REVIEWERS),
    "POST /personale/gennemgang/{task_id:uuid}": everybody(
        SIGN_IN, staff=REFUSED, another_leader=DONE, an_auditor=DONE
    ),
    "GET /personale/sletning": everybody(SIGN_IN, staff=REFUSED, **REVIEWERS),
    "POST /personale/sletning": everybody(
        SIGN_IN, staff=REFUSED, the_leader=DONE, another_leader=DONE, an_auditor=DONE
    ),
    # A young person is sent on to their own page.
    "GET /familie": everybody(SIGN_IN, guardians=PAGE, a_guardian=SHOWN, the_other_guardian=SHOWN, a_young_person=DONE),
    "GET /familie/mig": everybody(SIGN_IN, a_young_person=PAGE),
    # She waits for an offer: nobody has custody of her.
    "POST /familie/mig/svar": everybody(SIGN_IN, a_young_person=REFUSED),
    "POST /familie/mig/valg": everybody(SIGN_IN, a_young_person=DONE),
    "POST /familie/mig/spoerg": everybody(SIGN_IN, a_young_person=DONE),
    "GET /familie/mig/breve/valg": everybody(SIGN_IN, a_young_person=PAGE),
    "POST /familie/mig/breve/valg": everybody(SIGN_IN, a_young_person=DONE),
    "GET /familie/mig/breve/{letter_id:uuid}": everybody(SIGN_IN, a_young_person=NOT_FOUND),
    "GET /familie/mig/breve/{letter_id:uuid}/brev.pdf": everybody(SIGN_IN, a_young_person=NOT_FOUND),
    "POST /familie/valg": everybody(SIGN_IN, guardians=REFUSED, a_guardian=DONE, the_other_guardian=DONE),
    "POST /familie/svar": everybody(SIGN_IN, guardians=REFUSED, a_guardian=DONE, the_other_guardian=DONE),
    "POST /familie/spoerg": everybody(SIGN_IN, guardians=REFUSED, a_guardian=DONE, the_other_guardian=DONE),
    "GET /familie/hoerer-til": everybody(SIGN_IN, guardians=PAGE),
    "POST /familie/hoerer-til": everybody(SIGN_IN, guardians=DONE),
    "GET /familie/breve/valg": everybody(SIGN_IN, guardians=PAGE),
    "POST /familie/breve/valg": everybody(SIGN_IN, guardians=DONE),
    "GET /familie/breve/{letter_id:uuid}": LETTER,
    "GET /familie/breve/{letter_id:uuid}/brev.pdf": LETTER,
    "GET /log-ind/{door}": everybody(AWAY),
    "GET /log-ind/{door}/svar": everybody(REFUSED),
    "POST /log-ud": everybody(REFUSED, staff=DONE, guardians=DONE, a_young_person=DONE),
    "GET /logget-ud/{door}": everybody(PAGE),
}
DEMO: dict[str, Row] = {
    "GET /log-ind/{door}": everybody(NOT_FOUND),
    "GET /log-ind/{door}/svar": everybody(NOT_FOUND),
    "GET /logget-ud/{door}": everybody(NOT_FOUND),
    "GET /demo/login": everybody(PAGE),
    "POST /demo/login": everybody(REFUSED),
    # Nobody is a young person in this one: whoever would be one is nobody, who has a form to sign out by all the same.
    "POST /log-ud": everybody(DONE),
    "GET /familie": TABLE["GET /familie"] | {"a young person": SIGN_IN},
    "GET /familie/mig": everybody(SIGN_IN),
    "POST /familie/mig/svar": everybody(SIGN_IN),
    "POST /familie/mig/valg": everybody(SIGN_IN),
    "POST /familie/mig/spoerg": everybody(SIGN_IN),
    "GET /familie/mig/breve/valg": everybody(SIGN_IN),
    "POST /familie/mig/breve/valg": everybody(SIGN_IN),
    "GET /familie/mig/breve/{letter_id:uuid}": everybody(SIGN_IN),
    "GET /familie/mig/breve/{letter_id:uuid}/brev.pdf": everybody(SIGN_IN),
}
"""Where the demo differs."""


def outcome(answer: Any) -> str:
    """What an answer is, by its status, where it leads and whether anything of the family stands in it."""
    status, to = answer.status_code, answer.headers.get("location", "")
    if status == 401 or (status == 303 and to.startswith(("/log-ind/", "/demo/login"))):
        return SIGN_IN
    if status == 303:
        return DONE if to.startswith("/") else AWAY
    seen = answer.content.startswith(b"%PDF") or any(word in answer.text for word in SECRETS)
    # What is asked for again shows as much as what is taken.
    if seen and status in (200, 422):
        return SHOWN
    assert not seen, f"{status} shows something of the family"
    if status in (403, 409, 422):
        return REFUSED
    if status == 404:
        return NOT_FOUND
    assert status == 200, f"{status} is none of what can happen"
    kind = answer.headers["content-type"].partition(";")[0]
    if "Vi kan ikke vise en koordinator" in answer.text or '"coordinator":null' in answer.text:
        return NOTHING
    if kind == "application/json":
        return JSON
    return PAGE


@dataclass
class Hub:
    """The world, and what is asked for in it."""

    world: Any
    child: UUID
    letter: UUID
    office_task: UUID
    own_task: UUID
    draft: UUID
    part: UUID
    signing: OKPKey

    @property
    def ctx(self) -> Context:
        ctx: Context = self.world.ctx
        return ctx


@dataclass
class Somebody:
    """One of those who ask, at one application."""

    hub: Hub
    browser: Browser
    csrf: str
    bearer: dict[str, str]

    def get(self, path: str) -> Any:
        return self.browser.get(path, headers=self.bearer, follow_redirects=False)

    def post(self, path: str, **fields: str) -> Any:
        headers = {"Origin": self.browser.origin} | self.bearer
        return self.browser.post(path, data={"csrf": self.csrf} | fields, headers=headers, follow_redirects=False)

    def call(self, path: str, **body: Any) -> Any:
        return self.browser.post(path, json=body, headers=self.bearer)

    def look(self) -> dict[str, str]:
        """The entry of an own lookup; an entry of nobody's for whoever can make none."""
        page = self.post("/personale", cpr=KARLA, purpose="case").text
        return {"lookup": page.partition('name="lookup" value="')[2].partition('"')[0] or str(uuid4())}

    def new_task(self) -> UUID:
        """One that is done by saying so, of SOF."""
        task = uuid4()
        with self.hub.ctx.database.begin() as session:
            values = {"kind": "letter", "administration": "SOF", "made_at": self.hub.ctx.clock.now()}
            session.add(tables.Task(id=task, once=task.bytes, **values))
        return task

    def mandate(self) -> UUID:
        """Of Karla's mother; made where there is none yet."""
        found = self.hub.world.rows(tables.Hears, tables.Hears.capacity == "representative")
        if not found:
            asker = Asker("s-9", "Sanne Toft", "staff", "SOF")
            given = Mandate(self.hub.world.guardian(MOTHER), parse("0101754100"), "Rita", False, False, None, "J-1")
            give(self.hub.ctx, self.hub.child, given, asker)
            return self.mandate()
        row: UUID = found[0].id
        return row

    def new_review(self) -> UUID:
        """A look with a reason by staff of SUF, whose leader is the other one."""
        ctx, task = self.hub.ctx, uuid4()
        id_, role, administration, unit = STAFF["staff without a case"]
        asker = Asker(id_, "Sara Friis", role, administration, unit)
        with ctx.database.begin() as session:
            look = log.seal_entry(
                at=ctx.clock.now(), kind="lookup", child_id=None, asker=asker,
                asker_key=asker_key(session, ctx.keys, asker),
                subject={"purpose": "case", "reason": "Skolen har ringet", "case": None},
                subject_key=day_key(session, ctx.keys, ctx.clock.now().date()),
            )  # fmt: skip
            values = {"kind": "review", "administration": administration, "entry_id": look.id, "made_at": look.at}
            session.add(tables.Task(id=task, once=task.bytes, **values))
            log.append(session, [look])
        return task


Try = Callable[[Somebody], Any]
LOOKUP = {"cpr": KARLA, "purpose": "case"}
RECEIPT = (product_folder() / "receipt.da.md").read_text(encoding="utf-8")
TRIES: dict[str, Try] = {
    "GET /hub.css": lambda who: who.get(STYLE_PATH),
    "POST /api/v1/lookups": lambda who: who.call("/api/v1/lookups", **LOOKUP),
    "POST /api/v1/lookups/batch": lambda who: who.call("/api/v1/lookups/batch", cprs=[KARLA], purpose="case"),
    "POST /api/v1/templates": lambda who: who.call("/api/v1/templates", name="receipt.da.md", text=RECEIPT),
    "GET /api/v1/templates/{version}": lambda who: who.get(f"/api/v1/templates/{who.hub.draft}"),
    "POST /api/v1/templates/{version}/steps": lambda who: who.call(
        f"/api/v1/templates/{who.hub.draft}/steps", step="approve"
    ),
    "POST /api/v1/journal/{part}/receipt": lambda who: who.call(
        f"/api/v1/journal/{who.hub.part}/receipt", document="D-1"
    ),
    "POST /api/v1/journal/receipts": lambda who: who.call(
        "/api/v1/journal/receipts", receipts=[{"part": str(who.hub.part), "document": "D-1"}]
    ),
    "POST /personale/advis": lambda who: who.post("/personale/advis", **dict.fromkeys(KINDS, "page")),
    "POST /personale": lambda who: who.post("/personale", **LOOKUP),
    "POST /personale/liste": lambda who: who.post("/personale/liste", cprs=KARLA, purpose="case"),
    "GET /personale/opgaver/{task_id:uuid}": lambda who: who.get(f"/personale/opgaver/{who.hub.office_task}"),
    "GET /personale/opgaver/{task_id:uuid} (the coordinator's)": lambda who: who.get(
        f"/personale/opgaver/{who.hub.own_task}"
    ),
    # Without a text it is asked for again, so that the task is there for the next who tries.
    "POST /personale/opgaver/{task_id:uuid}/svar": lambda who: who.post(
        f"/personale/opgaver/{who.hub.office_task}/svar", text=""
    ),
    "POST /personale/opgaver/{task_id:uuid}/faerdig": lambda who: who.post(
        f"/personale/opgaver/{who.new_task()}/faerdig"
    ),
    "POST /personale/registrer": lambda who: who.post("/personale/registrer", **who.look()),
    # Without where the proof is it is asked for again.
    "POST /personale/registrer/gem": lambda who: who.post(
        "/personale/registrer/gem",
        guardian=str(who.hub.world.guardian(MOTHER)), said="withdrawn", how="phone", evidence="", **who.look(),
    ),
    # Without a name it is asked for again.
    "POST /personale/registrer/fuldmagt": lambda who: who.post(
        "/personale/registrer/fuldmagt", principal=str(who.hub.world.guardian(MOTHER)), **who.look()
    ),
    # One that has been taken back is so already for the next who tries.
    "POST /personale/registrer/fuldmagt/slut": lambda who: who.post(
        "/personale/registrer/fuldmagt/slut", mandate=str(who.mandate()), **who.look()
    ),
    "POST /personale/gennemgang/{task_id:uuid}": lambda who: who.post(
        f"/personale/gennemgang/{who.new_review()}", verdict="i-orden"
    ),
    "POST /personale/sletning": lambda who: who.post("/personale/sletning", act="fortryd"),
    # What is open is opened again: nothing changes for the next who tries.
    "POST /familie/valg": lambda who: who.post(
        "/familie/valg", child=str(who.hub.child), choice="aabn", administration="SOF"
    ),
    "GET /familie/mig/breve/valg": lambda who: who.get("/familie/mig/breve/valg"),
    "POST /familie/mig/breve/valg": lambda who: who.post("/familie/mig/breve/valg", large_print="ja"),
    "POST /familie/mig/spoerg": lambda who: who.post("/familie/mig/spoerg", kind=rights.OBJECTION, text="Nej."),
    "POST /familie/mig/valg": lambda who: who.post("/familie/mig/valg", choice="aabn", administration="SOF"),
    # A guardian's letter about another child is nobody else's.
    "GET /familie/mig/breve/{letter_id:uuid}": lambda who: who.get(f"/familie/mig/breve/{who.hub.letter}"),
    "GET /familie/mig/breve/{letter_id:uuid}/brev.pdf": lambda who: who.get(
        f"/familie/mig/breve/{who.hub.letter}/brev.pdf"
    ),
    "POST /familie/mig/svar": lambda who: who.post("/familie/mig/svar", answer="ja"),
    "POST /familie/svar": lambda who: who.post("/familie/svar", child=str(who.hub.child), answer="ja"),
    "POST /familie/spoerg": lambda who: who.post(
        "/familie/spoerg", child=str(who.hub.child), kind=rights.OBJECTION, text="Ikke uden mig."
    ),
    "POST /familie/hoerer-til": lambda who: who.post("/familie/hoerer-til", cpr=KARLA, text="Vi hører til."),
    "GET /familie/breve/valg": lambda who: who.get("/familie/breve/valg"),
    "POST /familie/breve/valg": lambda who: who.post("/familie/breve/valg", large_print="ja"),
    "GET /personale/breve": lambda who: who.get("/personale/breve"),
    "GET /personale/breve/{letter_id:uuid}": lambda who: who.get(f"/personale/breve/{who.hub.letter}"),
    "POST /personale/breve/{letter_id:uuid}": lambda who: who.post(f"/personale/breve/{who.hub.letter}", said="kom"),
    "GET /familie/breve/{letter_id:uuid}": lambda who: who.get(f"/familie/breve/{who.hub.letter}"),
    "GET /familie/breve/{letter_id:uuid}/brev.pdf": lambda who: who.get(f"/familie/breve/{who.hub.letter}/brev.pdf"),
    "GET /log-ind/{door}": lambda who: who.get("/log-ind/familie"),
    "GET /log-ind/{door}/svar": lambda who: who.get("/log-ind/familie/svar?code=x&state=y"),
    "GET /logget-ud/{door}": lambda who: who.get("/logget-ud/familie"),
    "POST /demo/login": lambda who: who.post("/demo/login", who="staff:nobody"),
    "POST /log-ud": lambda who: who.post("/log-ud"),
}  # fmt: skip


def tried(route: str, who: Somebody) -> Any:
    method, _, path = route.partition(" ")
    if route in TRIES:
        return TRIES[route](who)
    assert method == "GET", f"{route}: say how it is tried"
    assert "{" not in path, f"{route}: say how it is tried"
    return who.get(path)


def routes_of(router: Any) -> set[str]:
    found = set()
    for route in router.routes:
        included = getattr(route, "original_router", None)
        if included is not None:
            found |= routes_of(included)
            continue
        assert isinstance(route, Route), f"{route} is no plain route: say here how it is tried"
        for method in (route.methods or set()) - {"HEAD"}:
            found.add(f"{method} {'/hub.css' if route.path.startswith('/hub-') else route.path}")
    return found


def rows(table: dict[str, Row]) -> set[str]:
    return {route.partition(" (")[0] for route in table}


@pytest.fixture
def at(clock: Any) -> Iterator[OidcProvider]:
    with provider(clock) as found:
        found.redirect_uris = {f"{HOME}/log-ind/{door}/svar" for door in ("personale", "familie")}
        yield found


@pytest.fixture
def hub(world: Any, at: OidcProvider, tmp_path: Path) -> Hub:
    """Karla, with a coordinator, a case in SOF, a letter to her mother and a request; and another family."""
    signing = make_key()
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [signing.as_dict(private=False)]}))
    common = {"issuer": at.issuer, "client_id": CLIENT, "client_secret": SECRET}
    how = {"privileges_are": "names", "claims": {"privileges": ["roles"]}}
    roles = {role: [role] for role in ("staff", "coordinator", "leader", "auditor", "operator")}
    signin = {"url": HOME, "staff": common | how | {"roles": roles}, "family": common}
    changes = {"api": Api(jwks=tmp_path / "jwks.json"), "signin": SignIn.model_validate(signin)}
    world.ctx = replace(world.ctx, settings=world.ctx.settings.model_copy(update=changes))
    with world.ctx.database.begin() as session:
        for who, name in (("the coordinator", COORDINATOR), ("another coordinator", "Kim Anden")):
            record = StaffRecord(STAFF[who][0], name, "k@kommune.example", "12340000", UNIT)
            add_coordinator(world.ctx, session, record, "BUF")
    world.present(KARLA)
    world.custody(KARLA, MOTHER, FATHER, FORMER)
    world.night()
    world.accept(KARLA, MOTHER)
    world.accepted(OTTO, guardians=(STRANGER,))
    world.present(NORA)
    world.night()
    with world.ctx.database.begin() as session:
        session.get_one(tables.Custody, (world.child(KARLA), world.guardian(FORMER))).until = world.clock.now().date()
    adviser = StaffRecord("r-1", "Rie Rask", "rie@kommune.example", None)
    world.case(world.sof, "A-1", KARLA, State.OPEN, opened=date(2026, 9, 1), adviser=adviser)
    sync(world.ctx)
    rights.ask(world.ctx, world.guardian(MOTHER), rights.OBJECTION, world.child(KARLA), "Ikke uden os.")
    (case,) = [row for row in world.rows(tables.Case) if row.child_id == world.child(KARLA)]
    rights.ask(world.ctx, world.guardian(MOTHER), rights.WRONG, world.child(KARLA), "Det passer ikke.", case.id)
    with world.ctx.database.begin() as session:
        session.execute(text("UPDATE bundle SET due_at = '2000-01-01' WHERE composed_at IS NULL"))
    compose_due(world.ctx, Templates())
    mine = [row for row in world.rows(tables.Letter) if row.guardian_id == world.guardian(MOTHER)]
    for letter in mine:
        deliver(world.ctx, letter.id)
    tasks = {row.kind: row.id for row in world.rows(tables.Task)}
    draft = versions.draft(world.ctx, Asker("o-1", "Kirsten Skriver", "operator"), "receipt.da.md", RECEIPT)
    part = next(row.id for row in world.rows(tables.LetterPart) if row.letter_id == mine[0].id)
    return Hub(
        world, world.child(KARLA), mine[0].id, tasks[rights.WRONG], tasks[rights.OBJECTION], draft, part, signing
    )


def bearer(hub: Hub, role: str) -> dict[str, str]:
    if role not in TOKENS:
        return {}
    life = timedelta(minutes=-1 if role == "an expired token" else 60)
    says, administration = TOKENS[role]
    asker = Asker(f"token-{says}", "Fagsystem", says, administration, UNIT)
    return {"Authorization": f"Bearer {issue(hub.signing, hub.ctx.settings.api, hub.ctx.clock, asker, life)}"}


def claims(role: str) -> dict[str, Any]:
    """What the provider says of somebody."""
    if role in STAFF:
        id_, privilege, administration, unit = STAFF[role]
        said = {"sub": id_, "name": "Sanne Toft", "roles": [privilege], "administration": administration, "unit": unit}
        return {name: value for name, value in said.items() if value is not None}
    return {"sub": "mitid", "name": "Anne Bæk", "dk.cpr": GUARDIANS.get(role, NORA)}


def in_the_municipality(hub: Hub, at: OidcProvider, role: str, browser: Person) -> None:
    if role in STAFF or role in GUARDIANS or role == "a young person":
        at.claims = claims(role)
        assert browser.come_in("personale" if role in STAFF else "familie").status_code == 303


def in_the_demo(hub: Hub, role: str, browser: Browser) -> None:
    if role in STAFF:
        assert browser.sign_in(f"staff:{STAFF[role][0]}").status_code == 200
    elif role in GUARDIANS:
        assert browser.sign_in(f"guardian:{hub.world.guardian(GUARDIANS[role])}").status_code == 200


def demo_of(hub: Hub, folder: Path) -> Context:
    folder.mkdir()
    staff = [
        {"id": id_, "name": "Sanne Toft", "role": role, "administration": administration, "unit": unit}
        for id_, role, administration, unit in STAFF.values()
    ]
    guardians = [{"guardian_id": str(hub.world.guardian(cpr)), "label": who} for who, cpr in GUARDIANS.items()]
    (folder / "personas.json").write_text(json.dumps({"staff": staff, "guardians": guardians, "examples": []}))
    return replace(
        hub.ctx, settings=hub.ctx.settings.model_copy(update={"demo": Demo(folder=folder), "signin": SignIn()})
    )


def differences(table: dict[str, Row], people: dict[str, Somebody]) -> str:
    """Where what happens is not what the table says, a line each. Signing out comes last."""
    found = ""
    for route in sorted(table, key=lambda each: each == "POST /log-ud"):
        for role, who in people.items():
            happened = outcome(tried(route, who))
            if happened != table[route][role]:
                found += f"{route} as {role}: {happened}, and not {table[route][role]}\n"
    return found


def form_token(browser: Browser) -> str:
    for path in ("/personale", "/familie", "/demo/login"):
        page = browser.get(path, follow_redirects=False)
        if 'name="csrf" value="' in page.text:
            return str(page.text.partition('name="csrf" value="')[2].partition('"')[0])
    return ""


def test_every_route_has_a_row(ctx: Context, tmp_path: Path) -> None:
    assert routes_of(build(ctx)) == rows(TABLE)
    demo = replace(ctx, settings=ctx.settings.model_copy(update={"demo": Demo(folder=tmp_path)}))
    app = build(demo)
    assert routes_of(app) == rows(TABLE | DEMO)
    app.add_api_route("/personale/alt", lambda: {})
    assert routes_of(app) - rows(TABLE | DEMO) == {"GET /personale/alt"}, "a new one is seen"


def test_every_route_answers_everybody_as_the_table_says(hub: Hub, at: OidcProvider) -> None:
    app = build(hub.ctx)
    with Person(app, base_url=HOME) as running:
        people = {}
        for role in ROLES:
            browser = Person(app, base_url=HOME)
            browser.portal = running.portal
            in_the_municipality(hub, at, role, browser)
            people[role] = Somebody(hub, browser, form_token(browser), bearer(hub, role))
        assert differences(TABLE, people) == ""


def test_every_route_of_the_demo_answers_everybody_as_the_table_says(hub: Hub, tmp_path: Path) -> None:
    app = build(demo_of(hub, tmp_path / "demo"))
    with Browser(app) as running:
        people = {}
        for role in ROLES:
            browser = Browser(app)
            browser.portal = running.portal
            in_the_demo(hub, role, browser)
            people[role] = Somebody(hub, browser, form_token(browser), bearer(hub, role))
        assert differences(TABLE | DEMO, people) == ""
