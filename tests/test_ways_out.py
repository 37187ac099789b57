"""Every way out of the hub, and what comes out of none: a case that an adviser has said must not be told, a kind of
case that is not on the source's list, and anything of a protected person's place.

The ways are counted from the program itself: its routes, commands, jobs, hooks and calls to plugins. One that is new
fails the test until it says here how it is tried, or why it cannot be.
"""

from __future__ import annotations

import base64
import inspect
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import pytest
import typer
from pypdf import PdfReader
from sqlalchemy import text
from starlette.routing import Route
from typer.testing import CliRunner

from hub import PersonRecord, StaffRecord, State, contract, hookspecs, jobs, rights
from hub.access import pace
from hub.access.log import Asker
from hub.api.tokens import issue, make_key
from hub.cases import reminders, transition
from hub.cases.sync import sync
from hub.cli import app as cli
from hub.clock import FileClock
from hub.letters.compose import compose_due
from hub.letters.delivery import deliver
from hub.letters.pointers import point
from hub.letters.preferences import Preferences, choose
from hub.letters.statuses import overdue, take_statuses
from hub.letters.templates import Templates
from hub.letters.words import product_folder
from hub.notices import hand_over
from hub.retention import forget as retention
from hub.settings import Api, Demo
from hub.signin.sessions import Sessions
from hub.store import tables
from hub.testing.fakes import FakeMailer, Texting
from hub.vault import Keys
from hub.web.app import build
from hub.web.pages import STYLE_PATH
from tests.oidc_provider import OidcProvider, provider
from tests.test_promises import owners_dump, readable
from tests.web.at_provider import HOME, browsing, guardian_claims, sanne, signin_settings
from tests.web.conftest import Browser

pytestmark = pytest.mark.slow

KARLA, MOTHER, FATHER, NOBODY = "0505104005", "0101804001", "0101804002", "0101804999"
"""Karla is 16: she reads and is written to herself."""
SOF = Asker("s-sof", "Sanne Toft", "staff", "SOF", "Handicap")
COORDINATOR = Asker("k0", "Koordinator 0", "coordinator", None, None)
LISTED = ("merudgifter", "Åse Rådgiver")
"""Of the case that may be told: found, so the search sees."""
SECRET = ("aflastning", "Hemmelig Adviser", "12349999", "hemmelig@", "Bekymring", "concern", "X-77", "Skjult")
"""Of the case that an adviser has said must not be told (it was told of before), and of a kind that is not listed."""
PLACE = ("Kystskolen", "Strandvej", "Skjulestedet")
"""Where the child or a protected guardian is: the units of advisers."""


@dataclass
class Out:
    """What has come out, by way."""

    said: dict[str, str]

    def where(self, word: str) -> set[str]:
        return {way for way, said in self.said.items() if word.casefold() in said.casefold()}


@dataclass
class Hub:
    world: Any
    browser: Browser
    bearer: str
    folder: Path
    signing: Any
    looks: list[Any]
    """What the municipality's own rules (`narrow_access`) were told."""
    signed_in: dict[str, list[Any]] = field(default_factory=dict)


def key_files(keys: Keys, folder: Path) -> None:
    """The keys of the test, as a command reads them."""
    folder.mkdir()
    plain = {version: base64.b64encode(key).decode() for version, key in keys.ring.versions.items()}
    ring = {"versions": plain, "reference": base64.b64encode(keys.reference).decode()}
    (folder / "ring.json").write_text(json.dumps(ring))
    assert keys.token is not None
    (folder / "token.key").write_text(base64.b64encode(keys.token).decode())


@pytest.fixture
def hub(world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Karla, under name and address protection as her father is, with one case that may be told, one whose adviser will
    say that it must not be, and one of a kind that is not listed, from a plugin that forgets its own list."""
    demo, signing = tmp_path / "demo", make_key()
    demo.mkdir()
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [signing.as_dict(private=False)]}))
    FileClock(demo / "clock").set(world.clock.now())
    api = Api(issuer="https://login.kommune.example", audience="tovholder", jwks=tmp_path / "jwks.json")
    settings = world.ctx.settings.model_copy(update={"demo": Demo(folder=demo), "api": api, "mailer": "email"})
    looks: list[Any] = []
    world.mailer, world.channel = FakeMailer(), Texting()
    own_rules = replace(
        world.ctx.plugins,
        narrowers={"own-rules": lambda look: bool(looks.append(look))},
        channels={world.channel.name: world.channel},
        mailers={world.mailer.name: world.mailer},
    )
    world.ctx = replace(world.ctx, settings=settings, plugins=own_rules)
    world.accepted(KARLA, guardians=(MOTHER, FATHER))
    world.cpr.put(PersonRecord(KARLA, KARLA, name="Karla Testbarn", protected=True))
    world.night()
    personas = {
        "staff": [
            {"id": one.id, "name": one.name, "role": one.role, "administration": one.administration, "unit": one.unit}
            for one in (SOF, COORDINATOR)
        ],
        "guardians": [{"guardian_id": str(world.guardian(who)), "label": who[-3:]} for who in (MOTHER, FATHER)],
        "young": [{"child_id": str(world.child(KARLA)), "label": "ung"}],
        "examples": [],
    }
    (demo / "personas.json").write_text(json.dumps(personas))
    near = date(2026, 11, 5)
    world.case(
        world.sof, "A-1", KARLA, State.APPLIED, deadline=near,
        adviser=StaffRecord("open", LISTED[1], "aase@example.dk", "12340009", "Kystskolen, Strandvej"),
    )  # fmt: skip
    sync(world.ctx)  # what was there at first is no news
    world.case(
        world.sof, "Skjult-1", KARLA, State.APPLIED, kind="relief", deadline=near,
        adviser=StaffRecord("hidden", "Hemmelig Adviser", "hemmelig@example.dk", "12349999", "Skjulestedet"),
    )  # fmt: skip
    world.sof.kinds = None
    world.case(world.sof, "X-77", KARLA, kind="concern", adviser=StaffRecord("c", "Bekymring Adviser"), deadline=near)
    sync(world.ctx)
    reminders.remind(world.ctx)
    transition.remind(world.ctx)
    (hidden,) = [row for row in world.rows(tables.Case) if row.reference == world.ctx.keys.refer("sof", "Skjult-1")]
    rights.ask(world.ctx, world.guardian(MOTHER), rights.WRONG, world.child(KARLA), "Det passer ikke.", hidden.id)
    rights.ask(world.ctx, world.guardian(FATHER), rights.OBJECTION, world.child(KARLA), "Ikke uden mig.")
    rights.ask_young(world.ctx, world.child(KARLA), rights.WRONG, "Det er ikke sådan.", hidden.id)
    choose(world.ctx, world.guardian(MOTHER), Preferences(email="vera@example.com", sms=True))
    compose(world)  # a letter that tells of it is ready, and has not left
    key_files(world.ctx.keys, tmp_path / "keys")
    database = world.ctx.database
    (tmp_path / "tovholder.toml").write_text(
        f"data = '{tmp_path / 'data'}'\nkeys = '{tmp_path / 'keys'}'\n[demo]\nfolder = '{demo}'\n"
        "[administrations.SOF]\nname = 'Socialforvaltningen'\n"
    )
    for name, value in {
        "TOVHOLDER_SETTINGS": str(tmp_path / "tovholder.toml"),
        "TOVHOLDER_DATABASE_URL": database.app_url.render_as_string(hide_password=False),
        "TOVHOLDER_OWNER_DATABASE_URL": owner_url(database),
    }.items():
        monkeypatch.setenv(name, value)
    with Browser(build(world.ctx)) as browser:
        bearer = issue(signing, api, world.ctx.clock, SOF)
        yield Hub(world, browser, bearer, tmp_path, signing, looks)


def owner_url(database: Any) -> str:
    with database.owner_engine() as engine:
        return str(engine.url.render_as_string(hide_password=False))


def compose(world: Any) -> None:
    with world.ctx.database.begin() as session:
        session.execute(text("UPDATE bundle SET due_at = '2000-01-01' WHERE composed_at IS NULL"))
    compose_due(world.ctx, Templates())


def must_not_be_told(hub: Hub) -> None:
    """The adviser says so in their own system, which takes the case away."""
    hub.world.sof.take_away("Skjult-1")
    sync(hub.world.ctx)


# The pages and the API: by route, the requests that try it as everybody who may be signed in.

Try = Callable[[Hub], list[Any]]
NOBODYS = "00000000-0000-4000-8000-000000000000"
GUARDIANS, STAFF = (MOTHER, FATHER), (SOF, COORDINATOR)


def as_guardians(act: Callable[[Browser], list[Any]]) -> Try:
    def tried(hub: Hub) -> list[Any]:
        found = []
        for who in GUARDIANS:
            hub.browser.sign_in(f"guardian:{hub.world.guardian(who)}")
            found += act(hub.browser)
        return found

    return tried


def as_young(act: Callable[[Browser], list[Any]]) -> Try:
    """As Karla herself. That nobody else comes in there is test_routes_and_roles.py's to say."""

    def tried(hub: Hub) -> list[Any]:
        hub.browser.sign_in(f"young:{hub.world.child(KARLA)}")
        return act(hub.browser)

    return tried


def as_staff(act: Callable[[Hub, Browser], list[Any]]) -> Try:
    def tried(hub: Hub) -> list[Any]:
        found = []
        for who in STAFF:
            hub.browser.sign_in(f"staff:{who.id}")
            found += act(hub, hub.browser)
        return found

    return tried


def letters_of(browser: Browser, end: str) -> list[Any]:
    found = re.findall(r'href="(/familie/(?:mig/)?breve/[0-9a-f-]{36})"', browser.get("/familie").text)
    paths = sorted(set(found))
    return [browser.get(path + end) for path in paths]


def open_tasks(hub: Hub) -> list[str]:
    return [str(row.id) for row in hub.world.rows(tables.Task, tables.Task.done_at.is_(None))]


def registering(hub: Hub, to: str) -> list[Any]:
    entry = re.search(r'name="lookup" value="([^"]+)"', hub.browser.look_up(KARLA).text)
    assert entry
    return [hub.browser.submit("/personale", to, lookup=entry[1])]


def lookup(hub: Hub) -> list[Any]:
    body = {"cpr": KARLA, "purpose": "case"}
    return [hub.browser.post("/api/v1/lookups", json=body, headers={"Authorization": f"Bearer {hub.bearer}"})]


def batch(hub: Hub) -> list[Any]:
    body = {"cprs": [KARLA, MOTHER, "0000000000"], "purpose": "case"}
    return [hub.browser.post("/api/v1/lookups/batch", json=body, headers={"Authorization": f"Bearer {hub.bearer}"})]


def worklist(hub: Hub, browser: Browser) -> list[Any]:
    fields = {"cprs": f"{KARLA}\n{MOTHER}", "purpose": "case", "reason": "Listen over dem, der skal have svar."}
    return [browser.submit("/personale/liste", "/personale/liste", **fields)]


def as_system(method: str, path: str, **body: Any) -> Try:
    """As SOF's own system, with the role `source`."""

    def tried(hub: Hub) -> list[Any]:
        system = Asker("sof-system", "SOF", "source", "SOF")
        token = issue(hub.signing, hub.world.ctx.settings.api, hub.world.ctx.clock, system)
        return [hub.browser.request(method, path, json=body or None, headers={"Authorization": f"Bearer {token}"})]

    return tried


BEGIN, BACK, LEFT = "GET /log-ind/{door}", "GET /log-ind/{door}/svar", "GET /logget-ud/{door}"
OWN_PAGE = "the page they come to"


def sign_ins(way: str) -> Try:
    """Outside the demo, at a provider over HTTP: Karla's mother, somebody of staff, and each door's nobody."""

    def tried(hub: Hub) -> list[Any]:
        if not hub.signed_in:
            with provider(hub.world.clock) as at:
                at.redirect_uris = {f"{HOME}/log-ind/{door}/svar" for door in ("personale", "familie")}
                sign_everybody_in(hub, at)
        return hub.signed_in[way]

    return tried


def sign_everybody_in(hub: Hub, at: OidcProvider) -> None:
    settings = hub.world.ctx.settings.model_copy(update={"demo": None, "signin": signin_settings(at)})
    with browsing(replace(hub.world.ctx, settings=settings)) as person:
        for door, claims in (
            ("familie", guardian_claims(MOTHER)),
            ("familie", guardian_claims(NOBODY)),
            ("personale", sanne()),
            ("personale", sanne("urn:another:program")),
        ):
            at.claims = claims
            begun = person.get(f"/log-ind/{door}?next=/{door}", follow_redirects=False)
            back = person.back(begun.headers["location"]).removeprefix(HOME)
            for way, answer in (
                (BEGIN, begun),
                (BACK, person.get(back, follow_redirects=False)),
                (OWN_PAGE, person.get(f"/{door}", follow_redirects=False)),
                (LEFT, person.get(f"/logget-ud/{door}")),
            ):
                hub.signed_in.setdefault(way, []).append(answer)


def get(path: str) -> Try:
    return lambda hub: [hub.browser.get(path)]


ROUTES: dict[str, Try] = {
    "GET /": get("/"),
    "GET /health": get("/health"),
    "GET /hub.css": lambda hub: [hub.browser.get(STYLE_PATH)],
    "GET /api/v1/openapi.json": get("/api/v1/openapi.json"),
    "POST /api/v1/lookups": lookup,
    "POST /api/v1/lookups/batch": batch,
    "GET /api/v1/notices": as_system("GET", "/api/v1/notices"),
    "GET /api/v1/journal": as_system("GET", "/api/v1/journal"),
    "POST /api/v1/journal/{part}/receipt": as_system("POST", f"/api/v1/journal/{NOBODYS}/receipt", document="D-1"),
    "POST /api/v1/journal/receipts": as_system(
        "POST", "/api/v1/journal/receipts", receipts=[{"part": NOBODYS, "document": "D-1"}]
    ),
    BEGIN: sign_ins(BEGIN),
    BACK: sign_ins(BACK),
    LEFT: sign_ins(LEFT),
    "GET /api/v1/templates": get("/api/v1/templates"),
    "POST /api/v1/templates": lambda hub: [hub.browser.post("/api/v1/templates", json={"name": "x", "text": "x"})],
    "GET /api/v1/templates/{version}": lambda hub: [hub.browser.get("/api/v1/templates/" + NOBODYS)],
    "POST /api/v1/templates/{version}/steps": lambda hub: [
        hub.browser.post("/api/v1/templates/" + NOBODYS + "/steps", json={"step": "approve"})
    ],
    "GET /demo/login": get("/demo/login"),
    "POST /demo/login": lambda hub: [hub.browser.submit("/demo/login", "/demo/login", who="nobody")],
    "POST /log-ud": lambda hub: [hub.browser.submit("/demo/login", "/log-ud")],
    "GET /familie": as_guardians(lambda browser: [browser.get("/familie?sprog=en"), browser.get("/familie?sprog=da")]),
    "POST /familie/valg": as_guardians(lambda browser: [browser.submit("/familie", "/familie/valg", choice="x")]),
    "GET /familie/mig": as_young(
        lambda browser: [browser.get("/familie/mig?sprog=en"), browser.get("/familie/mig?sprog=da")]
    ),
    "GET /familie/mig/breve/{letter_id:uuid}": as_young(
        lambda browser: [browser.get("/familie/mig/breve/" + NOBODYS), *letters_of(browser, "")]
    ),
    "GET /familie/mig/breve/{letter_id:uuid}/brev.pdf": as_young(
        lambda browser: [browser.get("/familie/mig/breve/" + NOBODYS + "/brev.pdf"), *letters_of(browser, "/brev.pdf")]
    ),
    "POST /familie/mig/svar": as_young(lambda browser: [browser.submit("/familie", "/familie/mig/svar", answer="ja")]),
    "POST /familie/mig/valg": as_young(lambda browser: [browser.submit("/familie", "/familie/mig/valg", choice="x")]),
    "GET /familie/mig/breve/valg": as_young(lambda browser: [browser.get("/familie/mig/breve/valg")]),
    "POST /familie/mig/breve/valg": as_young(
        lambda browser: [browser.submit("/familie/mig", "/familie/mig/breve/valg", large_print="ja")]
    ),
    "POST /familie/mig/spoerg": as_young(
        lambda browser: [
            browser.submit("/familie", "/familie/mig/spoerg", kind=kind, text="Ikke mig.")
            for kind in ("x", rights.OBJECTION)
        ]
    ),
    "POST /familie/svar": as_guardians(lambda browser: [browser.submit("/familie", "/familie/svar", answer="ja")]),
    "POST /familie/spoerg": as_guardians(lambda browser: [browser.submit("/familie", "/familie/spoerg", kind="x")]),
    "GET /familie/hoerer-til": as_guardians(lambda browser: [browser.get("/familie/hoerer-til")]),
    "POST /familie/hoerer-til": as_guardians(
        lambda browser: [browser.submit("/familie/hoerer-til", "/familie/hoerer-til", cpr=KARLA, text="Vi hører til.")]
    ),
    "GET /familie/breve/valg": as_guardians(lambda browser: [browser.get("/familie/breve/valg")]),
    "POST /familie/breve/valg": as_guardians(
        lambda browser: [
            browser.submit("/familie/breve/valg", "/familie/breve/valg", **answers)
            for answers in (
                {"by_email": "ja", "email": "no address"},
                {"by_email": "ja", "email": "vera@example.com", "sms": "ja", "interpreter": "arabisk"},
            )
        ]
    ),
    "GET /familie/breve/{letter_id:uuid}": as_guardians(lambda browser: letters_of(browser, "")),
    "GET /familie/breve/{letter_id:uuid}/brev.pdf": as_guardians(lambda browser: letters_of(browser, "/brev.pdf")),
    "GET /personale": as_staff(lambda hub, browser: [browser.get("/personale")]),
    "POST /personale": as_staff(lambda hub, browser: [browser.look_up(KARLA, reason="Jeg har fået en henvendelse.")]),
    "GET /personale/liste": as_staff(lambda hub, browser: [browser.get("/personale/liste")]),
    "POST /personale/liste": as_staff(worklist),
    "GET /personale/gennemgang": as_staff(lambda hub, browser: [browser.get("/personale/gennemgang")]),
    "POST /personale/gennemgang/{task_id:uuid}": as_staff(
        lambda hub, browser: [browser.submit("/personale", "/personale/gennemgang/" + NOBODYS, verdict="i-orden")]
    ),
    "GET /personale/sletning": as_staff(lambda hub, browser: [browser.get("/personale/sletning")]),
    "POST /personale/sletning": as_staff(
        lambda hub, browser: [browser.submit("/personale", "/personale/sletning", act="fortryd")]
    ),
    "GET /personale/breve": as_staff(lambda hub, browser: [browser.get("/personale/breve")]),
    "GET /personale/breve/{letter_id:uuid}": as_staff(
        lambda hub, browser: [browser.get(f"/personale/breve/{row.id}") for row in hub.world.rows(tables.Letter)]
    ),
    "POST /personale/breve/{letter_id:uuid}": as_staff(
        lambda hub, browser: [
            browser.submit("/personale", f"/personale/breve/{row.id}", said="kom")
            for row in hub.world.rows(tables.Letter)
        ]
    ),
    "GET /personale/opgaver": as_staff(lambda hub, browser: [browser.get("/personale/opgaver")]),
    "GET /personale/opgaver/{task_id:uuid}": as_staff(
        lambda hub, browser: [browser.get(f"/personale/opgaver/{one}") for one in open_tasks(hub)]
    ),
    "POST /personale/opgaver/{task_id:uuid}/svar": as_staff(
        lambda hub, browser: [
            browser.submit("/personale", f"/personale/opgaver/{one}/svar", text="") for one in open_tasks(hub)
        ]
    ),
    "POST /personale/opgaver/{task_id:uuid}/faerdig": as_staff(
        lambda hub, browser: [browser.submit("/personale", "/personale/opgaver/" + NOBODYS + "/faerdig")]
    ),
    "GET /personale/advis": as_staff(lambda hub, browser: [browser.get("/personale/advis")]),
    "POST /personale/advis": as_staff(lambda hub, browser: [browser.submit("/personale", "/personale/advis")]),
    "POST /personale/registrer": as_staff(lambda hub, browser: registering(hub, "/personale/registrer")),
    "POST /personale/registrer/fuldmagt": as_staff(
        lambda hub, browser: registering(hub, "/personale/registrer/fuldmagt")
    ),
    "POST /personale/registrer/fuldmagt/slut": as_staff(
        lambda hub, browser: registering(hub, "/personale/registrer/fuldmagt/slut")
    ),
    "POST /personale/registrer/gem": as_staff(lambda hub, browser: registering(hub, "/personale/registrer/gem")),
}


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


# The commands: their arguments, or why they are not tried here.

COMMANDS: dict[str, list[str] | str] = {
    "migrate": [],
    "serve": "the pages: each route is tried by itself",
    "worker": "the jobs: each is tried by itself",
    "match": ["--json"],
    "sync": ["--json"],
    "doctor": ["--json"],
    "lookup": ["--as", SOF.id, "--purpose", "case"],
    "token": ["--as", SOF.id],
    "demo": "a town of its own: TestTheTown in test_promises.py looks through all it holds",
    "backup": ["BACKUP"],
    "restore": ["--hold"],
    "plugins list": ["--json"],
    "coordinators import": ["COORDINATORS"],
    "coordinators away": ["k0", "--substitute", "k1"],
    "coordinators back": ["k0"],
    "coordinators hand-over": ["k1", "--to", "k0", "--child"],
    "coordinators goodbye": [],
    "forget": ["--json"],
    "letters stuck": ["--json"],
    "letters settle": [str(UUID(int=0)), "--arrived"],
    "notices dead": ["--json"],
    "notices replay": [],
    "quarantine list": ["--json"],
    "letters lint": "reads templates and writes made-up letters: there is no database in it",
    "letters preview": "writes a made-up letter, or one from a file of the operator's own: there is no database in it",
    "letters versions": ["--json"],
    "letters draft": ["TEMPLATE"],
    "letters diff": [NOBODYS],
    "letters approve": [NOBODYS],
    "letters publish": [NOBODYS],
    "letters rollback": ["receipt.da.md"],
    "quarantine show": "shows a record as it came, to an operator with a reason and an entry in the log: it may hold "
    "anything, since nobody could read it. Cases that can be read are never there",
    "quarantine retry": ["--source", "sof", "--json"],
}


def commands_of(group: Any, before: str = "") -> set[str]:
    found = set()
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= commands_of(command, f"{before}{name} ")
        else:
            found.add(before + name)
    return found


def run(hub: Hub, name: str, arguments: list[str]) -> str:
    places = {"BACKUP": hub.folder / "backups", "COORDINATORS": hub.folder / "coordinators.csv"}
    places["TEMPLATE"] = product_folder() / "receipt.da.md"
    (hub.folder / "backups").mkdir(exist_ok=True)
    places["COORDINATORS"].write_text("id,name\nk0,Koordinator 0\n", encoding="utf-8")
    given = [str(places.get(argument, argument)) for argument in arguments]
    done = CliRunner().invoke(cli, [*name.split(), *given], input=f"{KARLA}\n")
    return f"{done.stdout}\n{done.stderr}\n{done.exception!r}"


# The jobs, which send letters and talk to plugins; and what plugins are told.

JOBS: dict[str, Callable[[Any], object]] = {
    "compose": compose,
    "deliver": lambda world: [deliver(world.ctx, row.id) for row in world.rows(tables.Letter)],
    "statuses": lambda world: (take_statuses(world.ctx), overdue(world.ctx)),
    "remind": lambda world: (reminders.remind(world.ctx), transition.remind(world.ctx)),
    "match": lambda world: world.night(),
    "sync": lambda world: sync(world.ctx),
    "point": lambda world: [point(world.ctx, row.letter_id, row.way) for row in world.rows(tables.Pointer)],
    "forget": lambda world: (
        pace.purge(world.ctx.database, world.ctx.clock),
        Sessions(world.ctx.database, world.ctx.clock, world.ctx.settings.signin).purge(),
        hand_over.purge(world.ctx),
    ),
    "notices": lambda world: hand_over.hand_over_due(world.ctx),
    "retention": lambda world: retention.forget(world.ctx),
}
HOOKS = {"settings_model", "register_adapters", "register_channels", "register_mailers", "narrow_access"}
"""But for the last they are called at start with the plugin's own settings: before anything of a child is known. What
the last is told of each look is looked through."""
CALLS = {
    "Adapter": {"presence", "read", "health"},
    "KnowsPersons": {"persons"},
    "Channel": {"reaches", "send", "statuses", "health"},
    "Points": {"point"},
    "Mailer": {"send", "health"},
}
"""What the hub says to a source are a cursor and children's numbers; to a channel, a letter, or a text that there is
news; to a mailer, a mail."""


def hooks() -> set[str]:
    return {name for name, hook in vars(hookspecs).items() if hasattr(hook, f"{hookspecs.PROJECT}_spec")}


def calls() -> dict[str, set[str]]:
    protocols = [one for one in vars(contract).values() if inspect.isclass(one) and Protocol in one.__bases__]
    return {
        one.__name__: {name for name, call in vars(one).items() if inspect.isfunction(call) and name[0] != "_"}
        for one in protocols
    }


def test_every_way_out_is_known(hub: Hub) -> None:
    assert routes_of(hub.browser.app) == ROUTES.keys()
    assert commands_of(typer.main.get_command(cli)) == COMMANDS.keys()
    assert {name for name in jobs.build(hub.world.ctx).tasks if not name.startswith(("builtin", "procrastinate"))} == (
        JOBS.keys()
    )
    assert hooks() == HOOKS
    assert calls() == CALLS


def pages(hub: Hub) -> dict[str, str]:
    found = {}
    for way, tried in ROUTES.items():
        answers = tried(hub)
        assert all(answer.status_code < 500 for answer in answers), way
        found[way] = "\n".join(f"{answer.url} {answer.headers} {pdf_or_text(answer)}" for answer in answers)
    return found


def pdf_or_text(answer: Any) -> str:
    return pdf(answer.content) if answer.headers.get("content-type") == "application/pdf" else str(answer.text)


def everything(hub: Hub, capfd: pytest.CaptureFixture[str]) -> Out:
    """All that comes out by any way."""
    world, said = hub.world, {}
    for name, job in JOBS.items():
        job(world)
        said[f"job {name}"] = "".join(capfd.readouterr())
    for name in ("compose", "deliver", "point"):  # what was held back is told anew, as far as it may be
        JOBS[name](world)
    said |= {f"letter {n}": f"{one.title} {one.html} {one.actions} {one.contact}" for n, one in enumerate(sent(world))}
    said |= {f"mail {n}": repr(one) for n, one in enumerate(world.mailer.mails)}
    said |= {f"text message {n}": repr(one) for n, one in enumerate(world.channel.texts)}
    assert {"mail 0", "text message 0"} <= said.keys()
    said |= {f"PDF {n}": pdf(one.pdf) for n, one in enumerate(sent(world))}
    told = [world.sof.asked, world.buf.asked, world.suf.asked, world.cpr.asked, world.cpr.looked_up]
    said["what sources are told"] = repr(told)
    said |= pages(hub)
    assert hub.looks, "the municipality's own rules were asked"
    said["what narrow_access is told"] = repr(hub.looks)
    capfd.readouterr()
    for name, arguments in COMMANDS.items():
        if isinstance(arguments, list):
            said[f"tovholder {name}"] = run(hub, name, arguments)
    said["a dump"] = readable(owners_dump(world.ctx))
    return Out(said)


def sent(world: Any) -> list[Any]:
    return [letter for _key, letter in world.channel.tries]


def pdf(data: bytes) -> str:
    return " ".join(page.extract_text() for page in PdfReader(io.BytesIO(data)).pages)


def test_no_way_out_tells_what_must_not_be_told(hub: Hub, capfd: pytest.CaptureFixture[str]) -> None:
    before = Out(pages(hub))
    told = {"GET /familie", "GET /familie/mig", "GET /personale/opgaver/{task_id:uuid}"}
    assert told <= before.where("aflastning")
    must_not_be_told(hub)
    out = everything(hub, capfd)
    assert {word: out.where(word) for word in SECRET if out.where(word)} == {}
    # The search sees what may be told: on pages, in letters and their PDFs, in tasks.
    assert told <= out.where("merudgifter")
    assert {way.split()[0] for way in out.where("merudgifter")} >= {"letter", "PDF", "GET"}
    for read in ("GET /familie/breve/{letter_id:uuid}", "GET /familie/mig/breve/{letter_id:uuid}"):
        assert {read, f"{read}/brev.pdf"} <= out.where("merudgifter")
    assert out.where("Koordinator 0") >= {
        "POST /api/v1/lookups", "POST /api/v1/lookups/batch", "tovholder lookup", "POST /personale",
        "POST /personale/liste", "GET /api/v1/notices",
    }  # fmt: skip
    assert "GET /api/v1/journal" in out.where("merudgifter")
    commands = {f"tovholder {name}" for name, tried in COMMANDS.items() if isinstance(tried, list)}
    assert {way for way in commands if "Traceback" in out.said[way]} == set()


def test_no_way_out_tells_a_protected_persons_place(hub: Hub, capfd: pytest.CaptureFixture[str]) -> None:
    """Also while every case may be told. The unit is there to be found: it is kept, sealed, with the adviser."""
    out = everything(hub, capfd)
    assert {word: out.where(word) for word in PLACE if out.where(word)} == {}
    assert out.where("Hemmelig Adviser")


@pytest.mark.parametrize("word", [KARLA, MOTHER, NOBODY, "Karla", "Testvoksen", "merudgifter", "Koordinator 0"])
def test_signing_in_and_out_tells_nothing_of_anybody(hub: Hub, word: str) -> None:
    """Not in an address, a header, a page: neither to somebody known nor to somebody who is not."""
    said = {way: "\n".join(f"{a.url} {a.headers} {a.text}" for a in sign_ins(way)(hub)) for way in (BEGIN, BACK, LEFT)}
    assert Out(said).where(word) == set()
    codes = [answer.status_code for answer in hub.signed_in[BACK]]
    assert codes == [303, 403, 303, 403], "who is known comes in, and nobody else"
    assert "merudgifter" in hub.signed_in[OWN_PAGE][0].text


def test_the_municipalitys_own_rules_are_told_nothing_of_the_child(hub: Hub) -> None:
    for way in ("POST /api/v1/lookups", "POST /api/v1/lookups/batch", "POST /personale", "POST /personale/liste"):
        before = len(hub.looks)
        ROUTES[way](hub)
        assert len(hub.looks) > before, way
    assert not {word for word in (KARLA, "Karla", str(hub.world.child(KARLA))) if word in repr(hub.looks)}


def test_a_letter_that_was_ready_is_held_back(hub: Hub) -> None:
    ready = {row.id for row in hub.world.rows(tables.Letter, tables.Letter.state == "frozen")}
    must_not_be_told(hub)
    JOBS["deliver"](hub.world)
    states = {row.state for row in hub.world.rows(tables.Letter) if row.id in ready}
    assert ready
    assert states == {"withheld"}


def test_a_new_way_out_would_be_seen(hub: Hub) -> None:
    hub.browser.app.add_api_route("/personale/alt", lambda: {})
    assert routes_of(hub.browser.app) - ROUTES.keys() == {"GET /personale/alt"}
