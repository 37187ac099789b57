"""What a source would give, said without storing anything: for whoever sets one up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub import GuardianRecord, Kind, Page, Presence, SourceSettings, State, Unreadable
from hub.cases.dry_run import dry_run
from hub.cases.sync import sync
from hub.plugins import Plugins
from hub.testing.fakes import FakeSource

KARLA, EMIL = "0311164234", "1405134321"
MOTHER = "0101804001"


@pytest.fixture
def plugins(world) -> Plugins:
    return world.ctx.plugins


def test_cases_are_asked_of_every_child_there_is_and_counted_by_listed_kind(world, plugins):
    world.present(KARLA, world.sof)
    world.present(EMIL, world.sof)
    world.case(world.sof, "s1", KARLA, kind="help")
    world.case(world.sof, "s2", EMIL, State.DECIDED, kind="relief")
    world.case(world.sof, "s3", EMIL, kind="concern")
    (found,) = dry_run(plugins, ["sof"])
    assert found.clean
    assert found.presence is not None
    assert found.records is not None
    assert (found.children, found.presence.read, found.presence.states) == (2, 2, {"open": 2})
    assert (found.records.read, found.records.ignored) == (2, 1)
    assert found.records.kinds == {"help": 1, "relief": 1}
    assert "concern" not in repr(found)


def test_nothing_is_stored_and_no_database_is_there(world, plugins):
    """The plugins are all that it is given."""
    world.present(KARLA, world.sof)
    world.ctx.database.close()
    assert dry_run(plugins, ["sof"])[0].children == 1


def test_what_cannot_be_read_is_counted_by_reason_and_named_by_place(world, plugins):
    world.sof.page_size = 50
    world.present(KARLA, world.sof)
    world.sof.put(Presence("s9", "0000000000", State.OPEN), Unreadable("line 7", "no end tag", KARLA.encode()))
    (found,) = dry_run(plugins, ["sof"])
    assert not found.clean
    assert found.presence is not None
    assert found.presence.quarantined == 2
    assert found.presence.reasons["no end tag"] == 1
    assert [place["position"] for place in found.presence.places] == ["page 1, record 2", "line 7"]
    assert KARLA not in repr(found)
    assert "0000000000" not in repr(found)


def test_one_that_does_not_answer_hides_no_other(world, plugins):
    world.present(KARLA)
    world.sof.fail_at = 0
    found = {one.source: one for one in dry_run(plugins)}
    assert found["sof"].presence is not None
    assert found["sof"].presence.failure == "the source does not answer"
    assert found["buf"].presence is not None
    assert (found["buf"].presence.read, found["buf"].clean, found["sof"].clean) == (1, True, False)


def test_a_plugin_with_a_bug_says_no_more_than_its_kind(world, plugins):
    world.sof.fail_at, world.sof.error = 0, KeyError(KARLA)
    (found,) = dry_run(plugins, ["sof"])
    assert "KeyError" in repr(found)
    assert KARLA not in repr(found)


def test_custody_is_asked_about_the_children_of_all_others_and_about_those_given(world, plugins):
    world.present(KARLA)
    world.custody(KARLA, MOTHER)
    world.custody(EMIL, MOTHER)
    world.cpr.put(GuardianRecord("bad", KARLA, "0000000000"))
    found = {one.source: one for one in dry_run(plugins, children={EMIL})}["cpr"]
    assert found.presence is None
    assert found.records is not None
    assert (found.children, found.records.quarantined) == (2, 1)
    assert found.records.kinds["custody"] == 2


def test_records_about_nobody_asked_for_are_a_fault_of_the_adapter(world, plugins):
    world.present(KARLA, world.sof)
    world.sof.read = lambda since, children: iter([Page((Presence("x", EMIL, State.OPEN),), None, complete=True)])
    (found,) = dry_run(plugins, ["sof"])
    assert found.records is not None
    assert (found.records.not_asked, found.clean) == (1, False)


def test_a_read_that_never_says_it_is_whole_is_no_good(world, plugins):
    world.sof.presence = lambda since: iter([Page((), "new/1")])
    assert not dry_run(plugins, ["sof"])[0].clean


def test_it_is_the_same_that_a_real_read_takes(world, plugins, tmp_path):
    """Counts of a dry run are those of the first sync, when all families say yes."""
    source = FakeSource("sof", "SOF", kinds={"help"}, page_size=3)
    section = SourceSettings(folder=tmp_path, kinds={"help": Kind(name="x")})
    world.sof = source
    adapters = {**plugins.adapters, "sof": source}
    world.ctx = replace(world.ctx, plugins=replace(plugins, adapters=adapters, sections={"sof": section}))
    world.accepted(KARLA, EMIL, guardians=(MOTHER,))
    for n in range(7):
        world.case(source, f"s{n}", (KARLA, EMIL)[n % 2], kind="help" if n % 3 else "secret")
    source.put(Unreadable("line 7", "no end tag"))
    tried = dry_run(world.ctx.plugins, ["sof"])[0].records
    (read,) = sync(world.ctx, ["sof"])
    assert tried is not None
    assert (tried.read, tried.ignored, tried.quarantined, tried.reasons) == (
        read.read,
        read.ignored,
        read.quarantined,
        read.reasons,
    )
