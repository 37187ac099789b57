"""Content that looks like what the town has to say, and the product's templates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from hub.clock import SetClock
from hub.context import Context
from hub.letters import samples
from hub.letters.templates import Templates
from hub.plugins import Plugins
from hub.settings import Settings
from hub.store import embedded
from hub.vault import Keys
from tests.conftest import START
from tests.databases import Own
from tests.letters.kept_town import KeptTown


@pytest.fixture(scope="session")
def town() -> ModuleType:
    return samples


@pytest.fixture(scope="session")
def templates() -> Templates:
    return Templates()


@pytest.fixture(scope="module")
def kept_town(
    cluster: embedded.Embedded,
    admin: Callable[[str], None],
    template: str,
    settings: Settings,
    keys: Keys,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[KeptTown]:
    """A town on a database of its own, which each history finds as it was."""
    own = Own.made(cluster, admin, template)
    ctx = Context(settings, SetClock(START), own.database, keys, Plugins((), {}, {}, {}))
    yield KeptTown(ctx, own, tmp_path_factory.mktemp("kept"))
    own.database.close()
    admin(f"DROP DATABASE {own.name} WITH (FORCE)")
