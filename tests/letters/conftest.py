"""Content that looks like what the town has to say, and the product's templates."""

from __future__ import annotations

from types import ModuleType

import pytest

from hub.letters import samples
from hub.letters.templates import Templates


@pytest.fixture(scope="session")
def town() -> ModuleType:
    return samples


@pytest.fixture(scope="session")
def templates() -> Templates:
    return Templates()
