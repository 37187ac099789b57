"""docs/notices.md keeps its word: its settings are settings, its code takes what the hub sends."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from hub import State
from hub.cases.sync import sync
from hub.cli.notices import app as commands
from hub.notices import hand_over
from hub.notices.kinds import KINDS, event_type
from hub.notices.webhook import TIMEOUT
from hub.settings import Notices, Settings
from tests.notices.conftest import KARLA, MOTHER, NEW, SANNE, calls, hooked, karla, receiver, with_notices
from tests.notices.test_journal import write

__all__ = ["calls", "hooked", "karla", "receiver", "with_notices"]  # fixtures
PAGE = (Path(__file__).parents[2] / "docs" / "notices.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- \w+: (\w+) -->\n```\w+\n(.*?)```", PAGE, re.S))


def test_the_settings_of_the_page_are_settings() -> None:
    said = Settings.model_validate(tomllib.loads(BLOCKS["settings"])).notices
    assert (said.keep_days, said.journal_working_days) == (Notices().keep_days, Notices().journal_working_days)


def test_every_setting_is_on_the_page() -> None:
    hook = Notices.model_fields["webhooks"].annotation
    assert hook is not None
    names = {*Notices.model_fields, *hook.__args__[1].model_fields} - {"webhooks"}
    missing = {name for name in names if not re.search(rf"^#? ?{name} = ", BLOCKS["settings"], re.M)}
    assert missing == set()


def test_every_kind_and_command_is_on_the_page() -> None:
    assert set(re.findall(r"^\| `(tovholder\.[a-z_.]+)` \|", PAGE, re.M)) == {event_type(kind) for kind in KINDS}
    assert {
        f"tovholder notices {one.callback.__name__}" for one in commands.registered_commands if one.callback
    } <= set(re.findall(r"`(tovholder notices \w+)", PAGE))


def test_the_waits_are_those_of_the_program() -> None:
    assert (5, 60, *(60 * n for n in (5, 30)), *(3600 * n for n in (2, 5, 10, 14, 20, 24))) == hand_over.WAITS
    assert f"within {TIMEOUT:.0f} seconds" in PAGE


def test_the_receiver_of_the_page_takes_what_the_hub_sends_once(world: Any, hooked: Any, karla: UUID) -> None:
    page: dict[str, Any] = {}
    exec(BLOCKS["receiver"], page)
    hooked.answers = [503]
    for _try in range(2):
        hand_over.hand_over_due(world.ctx)
        world.clock.set(world.clock.now().replace(hour=12))
    first, again = hooked.got
    now = int(first.headers["webhook-timestamp"])
    event = page["take"](first.headers, first.body, NEW, now)
    assert event | {"id": ""} == json.loads(BLOCKS["event"]) | {"id": ""}
    assert page["take"](again.headers, again.body, NEW, int(again.headers["webhook-timestamp"])) is None
    for headers, body, at in (
        (first.headers, first.body + b" ", now),
        (first.headers | {"webhook-id": "x"}, first.body, now),
        (first.headers | {"webhook-timestamp": str(now + 1)}, first.body, now),
        (first.headers, first.body, now + 301),
    ):
        with pytest.raises(ValueError, match=r"wrong|too old"):
            page["take"](headers, body, NEW, at)


def test_the_journal_of_the_page_takes_all_and_acknowledges(world: Any, calls: Any) -> None:
    page: dict[str, Any] = {}
    exec(BLOCKS["journal"], page)
    world.accepted(KARLA, guardians=(MOTHER,))
    world.case(world.sof, "A-1", KARLA, State.OPEN, adviser=SANNE)
    sync(world.ctx)
    write(world)
    system = calls()
    token = system.bearer("SOF", "source")["Authorization"].removeprefix("Bearer ")
    saved: list[str] = []

    def save(item: Any) -> str:
        saved.append(item["cases"][0]["id"])
        return f"D-{len(saved)}"

    cursor = page["journalise"](system.client, token, save)
    assert (saved, cursor) == (["A-1"], "1")
    assert page["journalise"](system.client, token, save, cursor) == "1"
    assert page["journalise"](system.client, token, save) == "1", "from the beginning: what is journalised is left"
    assert saved == ["A-1"]
