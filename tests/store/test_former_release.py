"""A release is put in while the one before it still runs: programs of both work on the new schema at once, and the town
ends as with one program alone.

`tests/former` holds the release before as it was shipped (`make former` keeps the one that is checked out).
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

import pytest
from sqlalchemy import text

from hub.store import schema
from hub.store.database import Database
from tests.chaos.check import Outcome, compare
from tests.chaos.crew import Crew, said_by

FORMER = Path(__file__).parents[1] / "former"
CHILDREN, DAYS = 80, 2

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release before, in a folder; what runs from there is that program and its plugins."""
    (shipped,) = FORMER.glob("*.zip")
    folder = tmp_path_factory.mktemp("former")
    zipfile.ZipFile(shipped).extractall(folder)
    # Plugins that it did not have are installed here all the same: for it they are there, and do nothing.
    for plugin in (FORMER.parents[1] / "plugins").glob("*/tovholder_*"):
        if not (folder / "plugins" / plugin.parent.name).exists():
            (folder / plugin.name).mkdir()
            (folder / plugin.name / "__init__.py").touch()
    files = "import hub, tovholder_sof_case as plugin; print(hub.__file__, plugin.__file__, sep='\\n')"
    assert all(line.startswith(f"{folder}/") for line in said_by(folder, files).splitlines())
    return folder


def lived(elsewhere: dict[str, Path]) -> Outcome:
    with (
        tempfile.TemporaryDirectory(prefix="tov-") as folder,
        Crew(Path(folder), CHILDREN, 2, None, elsewhere=elsewhere) as crew,
    ):
        crew.live(DAYS)
        return crew.outcome()


@pytest.fixture(scope="module")
def alone() -> Outcome:
    """The town with this program alone."""
    return lived({})


# No worker: it does not know the events of answers that staff write down, and docs/operations.md has it go first.
@pytest.mark.parametrize("name", ["serve", "match", "sync"])
def test_former_and_new_programs_work_side_by_side(alone: Outcome, former: Path, name: str) -> None:
    found = lived({name: former})
    assert compare(alone, found) == []
    assert found.lookups


def test_the_former_program_is_another_than_this_one(former: Path, database: Database) -> None:
    """Else this shows nothing: it was made for an earlier schema, which the new one still fits."""
    said = said_by(former, "from hub.store import schema; print(schema.newest())")
    assert said < schema.newest()
    with database.engine.connect() as connection:
        assert said in connection.execute(text("SELECT revision FROM program_fit")).scalars().all()
