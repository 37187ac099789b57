"""A small family in a real database, and the pages on it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from hub import Health, Kind, Page, SourceSettings, StaffRecord
from hub.cases import events, kinds, sources
from hub.context import Context
from hub.coordination.staff import add_coordinator
from hub.plugins import Plugins
from hub.settings import Demo
from hub.store import tables
from hub.store.people import make_key, open_key
from hub.vault import seal_json, unseal_json
from hub.web.app import build

IDA, EMIL = "0311164234", "1405134321"
"""Fictitious numbers: born 3 November 2016 and 14 May 2013."""
MOTHER, FATHER = "1201881112", "0502861113"
STAFF = [
    {"id": "s-1", "name": "Sanne Toft", "role": "staff", "administration": "SOF", "unit": "Handicap, team Nord"},
    {"id": "s-2", "name": "Bo Falk", "role": "staff", "administration": "BUF", "unit": "Rebslagerskolen"},
    {"id": "s-3", "name": "Sara Friis", "role": "staff", "administration": "SUF", "unit": "Træning Syd"},
    {"id": "l-2", "name": "Lis Bro", "role": "leader", "administration": "BUF", "unit": "Rebslagerskolen"},
    {"id": "a-1", "name": "Eva Lund", "role": "auditor"},
]


class QuietSource:
    """An adapter that is only named: its cases are put into the database by the test."""

    def __init__(self, name: str, administration: str | None) -> None:
        self.name, self.administration, self.reads = name, administration, frozenset[tuple[str, str]]()

    def presence(self, since: str | None) -> Iterator[Page]:
        yield Page((), None, True)

    def read(self, since: str | None, children: Set[str]) -> Iterator[Page]:
        yield Page((), None, True)

    def health(self) -> Health:
        return Health(ok=True)


@dataclass
class Town:
    """Puts people and cases into the database as the hub itself would have."""

    ctx: Context

    def coordinator(self, name: str = "Mette Holm Østergård", phone: str = "12340001") -> UUID:
        with self.ctx.database.begin() as session:
            return add_coordinator(self.ctx, session, StaffRecord(name, name, "mette.holm@kommune.example", phone))

    def child(self, cpr: str, *, name: str | None = None) -> UUID:
        with self.ctx.database.begin() as session:
            key_id, key = make_key(session, self.ctx.keys)
            session.flush()
            child_id = uuid4()
            fields = {"cpr": cpr} | ({"name": name, "protected": False} if name else {})
            sealed = seal_json(key, fields, f"child:{child_id}")
            token = self.ctx.keys.lookup_token(cpr)
            session.add(tables.Child(id=child_id, token=token, key_id=key_id, sealed=sealed, eligible=True))
        return child_id

    def name(self, child_id: UUID, name: str) -> None:
        with self.ctx.database.begin() as session:
            row = session.get_one(tables.Child, child_id)
            key = open_key(session, self.ctx.keys, row.key_id)
            fields = unseal_json(key, row.sealed, f"child:{child_id}") | {"name": name, "protected": False}
            row.sealed = seal_json(key, fields, f"child:{child_id}")

    def guardian(self, cpr: str, name: str, *children: UUID, language: str = "da") -> UUID:
        with self.ctx.database.begin() as session:
            key_id, key = make_key(session, self.ctx.keys)
            session.flush()
            guardian_id = uuid4()
            fields = {"cpr": cpr, "name": name, "protected": False, "digital_post": True}
            sealed = seal_json(key, fields, f"guardian:{guardian_id}")
            token = self.ctx.keys.lookup_token(cpr)
            session.add(tables.Guardian(id=guardian_id, token=token, key_id=key_id, sealed=sealed, language=language))
            session.flush()
            for child in children:
                session.add(tables.Custody(child_id=child, guardian_id=guardian_id, seen_at=self.ctx.clock.now()))
        return guardian_id

    def end_custody(self, child: UUID, guardian: UUID) -> None:
        with self.ctx.database.begin() as session:
            session.get_one(tables.Custody, (child, guardian)).until = self.ctx.clock.now().date()

    def offer(self, child: UUID, coordinator: UUID) -> None:
        now = self.ctx.clock.now()
        with self.ctx.database.begin() as session:
            session.add(
                tables.Offer(
                    child_id=child,
                    coordinator_id=coordinator,
                    state="offered",
                    found_at=now,
                    offered_at=now,
                    answer_by=now.date() + timedelta(days=14),
                )
            )
            session.flush()
            events.record(self.ctx, session, [events.News(kinds.OFFERED, child, "offer")])

    def case(
        self,
        child: UUID,
        source: str,
        kind: str,
        state: str = "applied",
        *,
        adviser: str | None = None,
        deadline: date | None = None,
        follow_up: date | None = None,
    ) -> None:
        with self.ctx.database.begin() as session:
            key = open_key(session, self.ctx.keys, session.get_one(tables.Child, child).key_id)
            staff_id = self._adviser(session, source, adviser) if adviser else None
            case_id = uuid4()
            fields = {
                "kind": kind,
                "state": state,
                "opened": "2026-10-01",
                "closed": None,
                "follow_up": follow_up.isoformat() if follow_up else None,
                "deadline": deadline.isoformat() if deadline else None,
            }
            session.add(
                tables.Case(
                    id=case_id,
                    child_id=child,
                    source=source,
                    reference=self.ctx.keys.refer(source, str(case_id)),
                    administration=self.ctx.plugins.adapters[source].administration or "",
                    adviser_id=staff_id,
                    is_open=state != "closed",
                    deadline=deadline,
                    sealed=seal_json(key, fields, f"case:{case_id}"),
                    digest=b"",
                    seen_at=self.ctx.clock.now(),
                )
            )

    def _adviser(self, session: Session, source: str, name: str) -> UUID:
        key_id, key = make_key(session, self.ctx.keys)
        session.flush()
        row = tables.Staff(
            source=source,
            reference=self.ctx.keys.refer(source, name),
            key_id=key_id,
            sealed=seal_json(key, {"name": name, "phone": "12340077", "unit": "Kystskolen"}, f"staff:{key_id}"),
        )
        session.add(row)
        session.flush()
        return row.id

    def has_read(self, child: UUID, *names: str) -> None:
        with self.ctx.database.begin() as session:
            session.add_all(
                tables.ChildSource(child_id=child, source=name, read_at=self.ctx.clock.now()) for name in names
            )

    def answered(self, source: str) -> None:
        with self.ctx.database.begin() as session:
            sources.end(session, source, sources.CASES, self.ctx.clock.now())

    def failed(self, source: str) -> None:
        with self.ctx.database.begin() as session:
            sources.failed(session, source, sources.CASES, self.ctx.clock.now(), "no answer")


@pytest.fixture
def ctx(ctx: Context, tmp_path: Path) -> Context:
    """The shared context, in demo mode and with three sources that are named."""
    kinds = {
        "32.18.04": Kind(name="dækning af merudgifter", name_en="cover of additional expenses"),
        "27.21.16": Kind(name="aflastning uden for hjemmet", name_en="relief away from home"),
    }
    adapters = [
        QuietSource("sof_case", "SOF"),
        QuietSource("buf_case", "BUF"),
        QuietSource("suf_cura", "SUF"),
        QuietSource("cpr_custody", None),
    ]
    sections = {
        "sof_case": SourceSettings(folder=tmp_path, kinds=kinds),
        "buf_case": SourceSettings(folder=tmp_path, kinds={"101011": Kind(name="plads på specialskole")}),
        "suf_cura": SourceSettings(folder=tmp_path, kinds={"care": Kind(name="pleje og genoptræning")}),
    }
    folder = tmp_path / "demo"
    folder.mkdir()
    return replace(
        ctx,
        settings=ctx.settings.model_copy(update={"demo": Demo(folder=folder)}),
        plugins=Plugins((), {adapter.name: adapter for adapter in adapters}, {}, sections),
    )


@pytest.fixture
def town(ctx: Context) -> Town:
    return Town(ctx)


@pytest.fixture
def family(ctx: Context, town: Town) -> SimpleNamespace:
    """Ida, offered a coordinator; her mother and her father, who live apart; both can sign in, and two of staff."""
    coordinator = town.coordinator()
    ida = town.child(IDA)
    mother = town.guardian(MOTHER, "Anne Bæk Lund", ida)
    father = town.guardian(FATHER, "Jens Kær", ida)
    town.offer(ida, coordinator)
    write_personas(ctx, mother, father)
    return SimpleNamespace(coordinator=coordinator, ida=ida, mother=mother, father=father)


def write_personas(ctx: Context, *guardians: UUID, young: Sequence[UUID] = ()) -> None:
    assert ctx.settings.demo is not None
    known = [{"guardian_id": str(each), "label": f"Forælder {n}"} for n, each in enumerate(guardians, 1)]
    (ctx.settings.demo.folder / "personas.json").write_text(
        json.dumps(
            {
                "staff": STAFF,
                "guardians": known,
                "young": [{"child_id": str(each), "label": "En ung"} for each in young],
            }
        ),
        encoding="utf-8",
    )


class Browser(TestClient):
    """Fills forms as a browser does: with the page's token, and saying where the form comes from."""

    origin = "http://testserver"

    def token(self, path: str) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.get(path).text)
        assert found, f"no form on {path}"
        return found[1]

    def submit(self, page: str, to: str, **fields: str):
        data = {"csrf": self.token(page)} | fields
        return self.post(to, data=data, headers={"Origin": self.origin})

    def sign_in(self, who: str):
        return self.submit("/demo/login", "/demo/login", who=who)

    def look_up(self, cpr: str, purpose: str = "case", reason: str = ""):
        return self.submit("/personale", "/personale", cpr=cpr, purpose=purpose, reason=reason)


@pytest.fixture
def app(ctx: Context) -> FastAPI:
    return build(ctx)


@pytest.fixture
def browser(app: FastAPI) -> Iterator[Browser]:
    with Browser(app) as browser:
        yield browser


@pytest.fixture
def another(app: FastAPI, browser: Browser) -> Callable[[], Browser]:
    """Another person's browser at the same running application."""
    return lambda: Browser(app)
