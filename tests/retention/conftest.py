"""A family whose part has ended, and nights that pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hub.context import Context
from hub.retention.forget import forget
from hub.settings import Retention
from hub.store.people import open_key
from hub.vault import unseal_json
from tests.conftest import World

KARLA, ANNA = "0311164234", "0205144002"
MOTHER, FATHER = "0101804001", "0101804002"
Sleep = Callable[..., dict[str, int]]


@pytest.fixture
def ctx(ctx: Context) -> Context:
    kept = Retention(archive="Byrådets beslutning 2026-114")
    return replace(ctx, settings=ctx.settings.model_copy(update={"retention": kept}))


@pytest.fixture
def sleep(world: World) -> Sleep:
    """Days pass, and then the night's job runs. After a jump of the clock it waits a night; so it is asked twice."""

    def sleep(days: float = 0) -> dict[str, int]:
        world.clock.move(timedelta(days=days))
        return forget(world.ctx) or forget(world.ctx)

    return sleep


def sealed_of(world: World, row: Any, about: str) -> Any:
    with world.session() as session:
        return unseal_json(open_key(session, world.ctx.keys, row.key_id), row.sealed, f"{about}:{row.id}")
