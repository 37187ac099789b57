"""A process that sends is killed between any two steps, and another takes up its work: no letter twice, none lost, and
where nobody can know, a person is asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from tovholder_simulator import Simulator, SimulatorSettings

from hub.letters.compose import compose_due
from hub.letters.preferences import Preferences, choose
from hub.letters.templates import Templates
from hub.store import tables
from tests.test_ways_out import key_files

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
KARLA, MOTHER = "0311164234", "0101804001"

PROGRAM = """
import sys
from pathlib import Path
from uuid import UUID
from hub import vault
from hub.clock import SystemClock
from hub.context import Context
from hub.contract import Sent
from hub.letters.delivery import deliver
from hub.letters.pointers import point
from hub.plugins import Plugins
from hub.settings import Settings
from hub.store.database import Database
from hub.testing.fakes import FakeMailer
from tovholder_simulator import Simulator, SimulatorSettings

url, folder, knows_keys, act, letter = sys.argv[1:]
folder = Path(folder)

class Mailer(FakeMailer):
    def send(self, mail, key):
        with (folder / "mails").open("a") as file:
            file.write(key + "\\n")
        return Sent(key)

settings = Settings(database_url=url, data=folder, mailer="email", letters={"channels": ("simulator",)})
simulator = Simulator(SimulatorSettings(folder=folder / "simulator", knows_keys=knows_keys == "yes"))
ctx = Context(settings, SystemClock(), Database(settings), vault.load_keys(folder / "keys", with_token=False),
              Plugins((), {}, {"simulator": simulator}, {}, {}, {"email": Mailer()}))
print(deliver(ctx, UUID(letter)) if act == "deliver" else point(ctx, UUID(letter), "email"))
"""


class Sender:
    """Another process, on the world's database."""

    def __init__(self, world: Any, folder: Path, *, knows_keys: bool) -> None:
        self.world, self.folder, self.knows_keys = world, folder, knows_keys
        key_files(world.ctx.keys, folder / "keys")
        world.coordinators()
        world.present(KARLA)
        world.custody(KARLA, MOTHER)
        world.night()
        choose(world.ctx, world.guardian(MOTHER), Preferences(email="vera@example.com"))
        with world.ctx.database.begin() as session:
            session.execute(update(tables.Bundle).values(due_at=world.clock.now()))
        compose_due(world.ctx, Templates())
        self.letter: UUID = world.rows(tables.Letter)[0].id

    def run(self, act: str, crash: str | None = None) -> str | None:
        """What became of it; None when the process was killed at `crash`, which must be."""
        url = self.world.ctx.database.app_url.render_as_string(hide_password=False)
        knows = "yes" if self.knows_keys else "no"
        command = [sys.executable, "-c", PROGRAM, url, str(self.folder), knows, act, str(self.letter)]
        environment = os.environ | ({"TOVHOLDER_CRASH": crash} if crash else {})
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if crash:
            assert done.returncode == -signal.SIGKILL, done.stderr
            return None
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def there(self) -> list[str]:
        """The letters the other side has, twice where it has one twice."""
        return Simulator(SimulatorSettings(folder=self.folder / "simulator")).letters()

    def mails(self) -> int:
        file = self.folder / "mails"
        return len(file.read_text().splitlines()) if file.exists() else 0


@pytest.mark.parametrize("point", ["letters.begun", "letters.handed_over", "letters.sent"])
def test_a_channel_that_knows_keys_has_the_letter_once(world, tmp_path, point):
    sender = Sender(world, tmp_path, knows_keys=True)
    sender.run("deliver", point)
    assert [sender.run("deliver"), sender.run("deliver")] == ["sent", "sent"]
    assert sender.there() == [str(sender.letter)]


@pytest.mark.parametrize(
    ("point", "there", "state"),
    [("letters.begun", 0, "unsure"), ("letters.handed_over", 1, "unsure"), ("letters.sent", 1, "sent")],
)
def test_a_channel_that_does_not_is_never_asked_again_on_a_guess(world, tmp_path, point, there, state):
    """Whether it was killed before the sending or after it, only a status or a person can tell."""
    sender = Sender(world, tmp_path, knows_keys=False)
    sender.run("deliver", point)
    assert [sender.run("deliver"), sender.run("deliver")] == [state, state]
    assert len(sender.there()) == there


@pytest.mark.parametrize(
    ("point", "mails"), [("pointers.begun", 0), ("pointers.handed_over", 1)]
)  # fmt: skip
def test_that_there_is_news_is_said_at_most_once(world, tmp_path, point, mails):
    sender = Sender(world, tmp_path, knows_keys=True)
    assert sender.run("deliver") == "sent"
    sender.run("point", point)
    assert [sender.run("point"), sender.run("point")] == ["unsure", "unsure"]
    assert sender.mails() == mails
