"""What surrounds the demo's ten days: how families answer, what is counted, and that nothing real is ever touched.

The run itself is tested by tests/test_promises.py."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from hub import State, family
from hub.access.log import Asker
from hub.api.tokens import make_key
from hub.clock import DENMARK
from hub.demo import numbers, people, personas, setup
from hub.demo.answers import answer_of
from hub.demo.model import Custody
from hub.errors import NotAllowed
from hub.letters.compose import compose_due
from hub.letters.delivery import deliver
from hub.letters.templates import Templates
from hub.plugins import load
from hub.settings import Settings
from hub.store import tables
from hub.store.database import Database

TODAY = people.START.astimezone(DENMARK).date()


@pytest.fixture(scope="module")
def town():
    return people.draw(4, 600)


class TestAnswers:
    def test_are_eight_yes_one_no_and_one_silence_of_ten(self):
        town = people.draw(1, 3000)
        answers = [answer_of(town, child, TODAY) for child in town.custody]
        counts = {word: sum(a is not None and a.answer == word for a in answers) for word in ("yes", "no", "silent")}
        share = {word: count / sum(counts.values()) for word, count in counts.items()}
        assert share == pytest.approx({"yes": 0.8, "no": 0.1, "silent": 0.1}, abs=0.03)

    def test_are_the_same_in_another_process(self, town):
        child = min(town.custody)
        code = (
            "from datetime import date; from hub.demo import people; from hub.demo.answers import answer_of; "
            f"print(answer_of(people.draw(4, 600), {child!r}, date{(TODAY.year, TODAY.month, TODAY.day)}))"
        )
        environment = os.environ | {"PYTHONHASHSEED": "17"}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
        assert done.stdout.strip() == str(answer_of(town, child, TODAY))

    def test_siblings_with_the_same_guardians_answer_alike(self, town):
        by_guardians: dict[frozenset[str], set[str]] = {}
        for child in town.custody:
            given = answer_of(town, child, TODAY)
            if given is not None:
                mine = frozenset(_with_custody(town, child, TODAY))
                by_guardians.setdefault(mine, set()).add(given.answer)
        assert any(len(children) > 1 for children in _families(town).values())  # there are siblings to see it by
        assert {len(answers) for answers in by_guardians.values()} == {1}

    def test_come_from_somebody_with_custody_that_day_after_one_to_three_days(self, town):
        for child in town.custody:
            given = answer_of(town, child, TODAY)
            if given is not None:
                assert given.guardian in _with_custody(town, child, TODAY)
                assert 1 <= given.after <= 3

    def test_nobody_answers_for_a_child_nobody_has_custody_of(self, town):
        child, (first, *rest) = next(iter(town.custody.items()))
        ended = [Custody(c.child, c.guardian, c.relation, c.since, TODAY) for c in (first, *rest)]
        nobodys = replace(town, custody={child: tuple(ended)})
        assert answer_of(nobodys, child, TODAY) is None
        assert answer_of(nobodys, child, TODAY - timedelta(days=1)) is not None


def _with_custody(town, child: str, on: date) -> set[str]:
    return {c.guardian for c in town.custody[child] if c.since <= on and (c.until is None or c.until > on)}


def _families(town) -> dict[frozenset[str], list[str]]:
    found: dict[frozenset[str], list[str]] = {}
    for child in town.custody:
        found.setdefault(frozenset(_with_custody(town, child, TODAY)), []).append(child)
    return found


class TestNumbers:
    def test_children_are_counted_in_each_administration_and_each_two(self, world):
        world.present(world.number(1), world.sof, world.buf)
        world.present(world.number(2), world.sof, world.suf)
        world.present(world.number(3), world.sof, world.buf, world.suf)
        world.present(world.number(4), world.buf)
        world.night()
        with world.session() as session:
            assert numbers.children(session) == {
                "SOF": 3, "BUF": 3, "SUF": 2, "SOF+BUF": 2, "SOF+SUF": 2, "BUF+SUF": 1,
            }  # fmt: skip

    def test_nothing_is_counted_in_an_empty_town(self, world):
        with world.session() as session:
            found = numbers.story(session)
        assert set(found.values()) == {0}

    def test_the_story_is_counted_as_it_went(self, world):
        """Four offers: a yes, a yes that is taken back, a no, and silence; one more child waits."""
        world.coordinators()
        children = [world.number(n) for n in range(5)]
        for n, child in enumerate(children[:4]):
            world.present(child)
            world.custody(child, f"010180{4100 + n}")
        world.night()
        world.present(children[4])
        world.night()  # nobody knows a guardian: it waits
        for n in range(2):
            world.accept(children[n], f"010180{4100 + n}")
        family.withdraw(world.ctx, world.child(children[1]), world.by("0101804101"))
        family.decline(world.ctx, world.child(children[2]), world.by("0101804102"))
        with world.ctx.database.begin() as session:
            session.execute(text("UPDATE bundle SET due_at = '2026-01-01'"))
        compose_due(world.ctx, Templates())
        for letter in world.rows(tables.Letter):
            deliver(world.ctx, letter.id)
        with world.session() as session:
            found = numbers.story(session)
        told = ("offered", "accepted", "declined", "silent", "waiting", "letters", "on_the_way", "delivered", "failed")
        assert {name: found[name] for name in told} == {
            "offered": 4, "accepted": 2, "declined": 1, "silent": 1, "waiting": 1,
            "letters": 3, "on_the_way": 3, "delivered": 0, "failed": 0,
        }  # fmt: skip
        assert found["log_entries"] == 4
        assert found["events_waiting"] == 0
        assert found["events_per_letter"] == 1.0
        assert found["fragments_avoided"] == 0
        with world.ctx.database.begin() as session:  # two more pieces of news, one of them folded
            bundle = session.execute(text("SELECT bundle_id FROM letter LIMIT 1")).scalar_one()
            for number, end in enumerate(("bundle_id, NULL", "NULL, 'folded into case_closed'")):
                session.execute(
                    text(
                        "INSERT INTO event (id, guardian_id, child_id, kind, once, at, bundle_id, why_not) SELECT "
                        f"gen_random_uuid(), guardian_id, child_id, kind, decode('0{number}', 'hex'), at, {end} "
                        "FROM event WHERE bundle_id = :bundle LIMIT 1"
                    ),
                    {"bundle": bundle},
                )
        with world.session() as session:
            found = numbers.story(session)
        assert found["events_per_letter"] == 1.33
        assert found["fragments_avoided"] == 2

    def test_memory_is_that_of_the_largest_process(self):
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
            assert process.pid in numbers.here()
            assert numbers.peak_mb([process.pid]) < numbers.peak_mb([process.pid, os.getpid()])
            process.communicate(b"\n")
        assert numbers.peak_mb([process.pid]) == 0  # it is gone


class TestSetup:
    def test_the_folder_is_made_anew_and_closed_to_others(self, tmp_path):
        folder = setup.fresh_folder(Settings(data=tmp_path))
        (folder / "digital_post" / "old.xml").touch()
        again = setup.fresh_folder(Settings(data=tmp_path))
        assert again == folder
        assert list((again / "digital_post").iterdir()) == []
        assert stat.S_IMODE(again.stat().st_mode) == 0o700

    def test_nothing_beside_it_is_touched(self, tmp_path):
        """The real keys and the real database live in the same data folder."""
        (tmp_path / "keys").mkdir()
        (tmp_path / "keys" / "ring.json").write_text("real")
        (tmp_path / "postgres").mkdir()
        setup.fresh_folder(Settings(data=tmp_path))
        assert (tmp_path / "keys" / "ring.json").read_text() == "real"
        assert (tmp_path / "postgres").exists()

    def test_a_folder_that_is_somewhere_else_is_not_emptied(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "real" / "letters.txt").touch()
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "town").symlink_to(tmp_path / "real")
        with pytest.raises(NotAllowed, match="town"):
            setup.fresh_folder(Settings(data=tmp_path / "data"))
        assert (tmp_path / "real" / "letters.txt").exists()

    def test_settings_are_such_that_every_plugin_takes_them_and_closed_to_others(self, tmp_path, town):
        settings = self.written(tmp_path, town)
        loaded = load(settings)
        assert {plugin.name for plugin in loaded.loaded if plugin.configured} == {
            "sof_case", "buf_case", "suf_cura", "cpr_custody", "digital_post",
        }  # fmt: skip
        assert settings.demo is not None
        assert settings.letters.channel in loaded.channels
        assert settings.clock.now() == town.start
        for name in ("tovholder.toml", "signing.json", "keys/ring.json", "keys/token.key"):
            assert stat.S_IMODE((settings.demo.folder / name).stat().st_mode) == 0o600

    def test_each_run_has_keys_of_its_own(self, tmp_path, town):
        first = self.written(tmp_path / "a", town)
        second = self.written(tmp_path / "b", town)
        assert first.demo is not None
        assert second.demo is not None
        for name in ("signing.json", "keys/ring.json", "keys/token.key"):
            assert (first.demo.folder / name).read_text() != (second.demo.folder / name).read_text()
        assert setup.signing_key(first.demo.folder).as_dict(private=True) != make_key().as_dict(private=True)

    def written(self, data: Path, town) -> Settings:
        data.mkdir(exist_ok=True)
        settings = Settings(data=data)
        folder = setup.fresh_folder(settings)
        urls = dict.fromkeys(("sof", "buf", "suf", "cpr", "digital_post"), "http://127.0.0.1:9")
        return setup.write_settings(folder, settings, town, urls)

    def test_a_database_somebody_uses_is_refused_and_left_alone(self, world):
        world.present(world.number(1))
        world.night()
        url = world.ctx.database.app_url.render_as_string(hide_password=False)
        with world.ctx.database.owner_engine() as engine:
            owner = engine.url.render_as_string(hide_password=False)
        named = Settings(database_url=url, owner_database_url=owner)
        with pytest.raises(NotAllowed, match="empty"):
            setup.fresh_database(named)
        assert len(world.rows(tables.Presence)) == 2

    def test_an_empty_database_that_is_named_is_used(self, cluster, admin):
        admin("CREATE DATABASE for_the_demo")
        url = cluster.url("tovholder_admin", "for_the_demo")
        database: Database = setup.fresh_database(Settings(database_url=url, owner_database_url=url))
        try:
            database.check()
        finally:
            database.close()
            admin("DROP DATABASE for_the_demo WITH (FORCE)")

    def test_who_can_sign_in_is_written_whole_or_not_at_all(self, tmp_path):
        asker = Asker("u-1", "Sanne Toft", "staff", "SOF", "Handicap")
        personas.write(tmp_path, [asker], [{"guardian_id": "g", "label": "Anne (1 barn)"}], [], [])
        assert personas.staff(tmp_path) == {"u-1": asker}
        assert not list(tmp_path.glob("*.new"))
        assert stat.S_IMODE((tmp_path / "personas.json").stat().st_mode) == 0o600
        json.loads((tmp_path / "personas.json").read_text())

    def test_kinds_of_case_with_a_limit_have_it_in_the_settings(self, tmp_path, town):
        settings = self.written(tmp_path, town)
        kinds = settings.plugins["sof_case"]["kinds"]
        assert kinds["27.12.06"] == {
            "name": "rådgivning af familien",
            "name_en": "advice for the family",
            "limit_weeks": 4,
        }
        assert not [code for code in kinds if re.match(r"27\.2[47]", code)]  # nothing that must not be told

    def test_a_time_of_day_is_that_of_the_day(self):
        assert setup.at(datetime(2026, 11, 2, 7, 0, tzinfo=UTC), 20) == datetime(2026, 11, 2, 20, 0, tzinfo=UTC)


def test_the_state_words_of_the_town_are_those_of_the_contract(town):
    states = {version.state for cases in town.cases.values() for case in cases for version in case.versions}
    assert states <= set(State)


def test_the_young_person_of_the_demo_is_the_youngest_from_15_and_there_may_be_none(ctx):
    ids = {cpr: uuid4() for cpr in ("0311164234", "0210104321", "0211114003", "0212074003")}  # 10, 16, 15, 18
    assert personas.young(ctx, ids) == [{"child_id": str(ids["0211114003"]), "label": "15 år"}]
    assert personas.young(ctx, {"0311164234": uuid4()}) == []
