"""The API on a real database: a small application that runs the lookup queue, and tokens to call it with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from joserfc.jwk import OKPKey

from hub import StaffRecord, family
from hub.access.askers import KeyCache
from hub.access.log import Asker
from hub.access.lookup import LookupQueue
from hub.api.app import attach
from hub.api.tokens import issue, make_key
from hub.context import Context
from hub.coordination.staff import add_coordinator
from hub.settings import Api
from hub.store import tables
from hub.store.people import make_key as make_person_key
from hub.vault import seal_json

IDA = "0311164234"
"""Fictitious: has a coordinator, and an open case in SOF."""
SANNE = Asker("s-1", "Sanne Toft", "staff", "SOF", "Handicap, team Nord")


@pytest.fixture(scope="session")
def signing() -> OKPKey:
    """The municipality's issuer's key."""
    return make_key()


@pytest.fixture
def api(tmp_path: Path, signing: OKPKey) -> Api:
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [signing.as_dict(private=False)]}))
    return Api(issuer="https://login.kommune.example", audience="tovholder", jwks=jwks)


@pytest.fixture
def ctx(ctx: Context, api: Api) -> Context:
    return replace(ctx, settings=ctx.settings.model_copy(update={"api": api}))


@pytest.fixture
def ida(ctx: Context) -> UUID:
    """The row of Ida, whose mother has said yes."""
    now, guardian_id, child_id = ctx.clock.now(), uuid4(), uuid4()
    with ctx.database.begin() as session:
        record = StaffRecord("k-1", "Mette Holm Østergård", "mette@kommune.example", "12340001")
        coordinator = add_coordinator(ctx, session, record)
        child_key, key = make_person_key(session, ctx.keys)
        guardian_key, _ = make_person_key(session, ctx.keys)
        session.flush()
        token, sealed = ctx.keys.lookup_token(IDA), seal_json(key, {"cpr": IDA}, f"child:{child_id}")
        session.add(tables.Child(id=child_id, token=token, key_id=child_key, sealed=sealed, eligible=True))
        session.add(tables.Guardian(id=guardian_id, token=b"g", key_id=guardian_key, sealed=b""))
        session.flush()
        session.add(tables.Custody(child_id=child_id, guardian_id=guardian_id, seen_at=now))
        session.add(tables.Offer(child_id=child_id, coordinator_id=coordinator, state="offered", found_at=now))
        session.add(
            tables.Case(
                child_id=child_id,
                source="sof",
                reference=b"r",
                administration="SOF",
                is_open=True,
                sealed=b"",
                digest=b"",
                seen_at=now,
            )
        )
    family.accept(ctx, child_id, family.Answerer(guardian_id, "page", "intro-1"))
    return child_id


@pytest.fixture
def app(ctx: Context) -> FastAPI:
    queue = LookupQueue(ctx, KeyCache(ctx.database, ctx.keys, ctx.clock))

    @asynccontextmanager
    async def writing(_app: FastAPI) -> AsyncIterator[None]:
        writer = asyncio.create_task(queue.run())
        yield
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)

    app = FastAPI(lifespan=writing)
    app.state.lookups = queue
    attach(app, ctx)
    return app


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


@pytest.fixture
def bearer(ctx: Context, signing: OKPKey) -> Callable[..., dict[str, str]]:
    """The header of a member of staff with a good token."""

    def bearer(asker: Asker = SANNE) -> dict[str, str]:
        return {"Authorization": f"Bearer {issue(signing, ctx.settings.api, ctx.clock, asker)}"}

    return bearer
