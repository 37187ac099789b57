"""The journal: what is written is read again, what is cut short or changed is known, and without it nothing leaves."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import TryAgain, family, journal, vault
from hub.letters.compose import compose_due
from hub.letters.delivery import deliver
from hub.letters.templates import Templates
from hub.store import tables

KARLA, MOTHER = "0311164234", "0101804001"
ENTRIES = st.lists(st.dictionaries(st.sampled_from(["letter", "result", "said"]), st.text(), min_size=1), min_size=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "journal").mkdir()
    return tmp_path / "journal"


@pytest.fixture
def ctx(ctx, folder):
    return replace(ctx, settings=ctx.settings.model_copy(update={"journal": folder}))


def fields(ctx) -> list[dict]:
    return [entry.fields for entry in journal.read(ctx.settings.journal, ctx.keys.ring)]


def the_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


class TestWriting:
    def test_gives_back_what_was_written_with_its_time(self, ctx, clock):
        journal.write(ctx, {"begun": ["1", "2"]}, {"letter": "1", "result": "sent"})
        assert fields(ctx) == [{"begun": ["1", "2"]}, {"letter": "1", "result": "sent"}]
        assert {entry.at for entry in journal.read(ctx.settings.journal, ctx.keys.ring)} == {clock.now()}

    def test_shows_nothing_to_others(self, ctx, folder):
        journal.write(ctx, {"text": "introduction/da", "registered_by": {"name": "Åse Rådgiver"}})
        path = the_file(folder)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for word in (b"introduction", b"registered", "Åse".encode()):
            assert word not in path.read_bytes()

    def test_a_rotated_ring_reads_what_the_old_one_wrote(self, ctx):
        journal.write(ctx, {"letter": "1"})
        ring = vault.KeyRing(ctx.keys.ring.versions | {2: vault.new_key()})
        newer = replace(ctx, keys=replace(ctx.keys, ring=ring))
        journal.write(newer, {"letter": "2"})
        assert fields(newer) == [{"letter": "1"}, {"letter": "2"}]

    def test_nothing_is_written_where_none_is_named(self, ctx, folder):
        journal.write(replace(ctx, settings=ctx.settings.model_copy(update={"journal": None})), {"letter": "1"})
        assert list(folder.iterdir()) == []

    def test_a_folder_that_is_not_there_is_not_made(self, ctx, folder):
        folder.rmdir()
        with pytest.raises(TryAgain, match="Is its disk mounted"):
            journal.write(ctx, {"letter": "1"})
        assert not folder.exists()


class TestReading:
    @given(entries=ENTRIES, cut=st.integers(1, 400))
    def test_a_line_cut_short_takes_no_other_with_it(self, tmp_path_factory, keys, entries, cut):
        """A disk that was full, or a machine that died: what was whole stays, and what is written next is whole."""
        path = tmp_path_factory.mktemp("journal") / "one.journal"
        lines = [journal._line(keys.ring, {"at": "2026-11-02T07:00:00+00:00"} | entry) for entry in entries]
        cut = min(cut, len(lines[-1]) - 1)
        path.write_text("".join(lines)[:-cut] + journal._line(keys.ring, {"at": "2026-11-02T08:00:00+00:00", "x": 1}))
        found = [entry.fields for entry in journal.read(path.parent, keys.ring)]
        assert found == [*entries[:-1], {"x": 1}]

    def test_a_line_that_was_changed_is_named(self, ctx, folder):
        journal.write(ctx, {"letter": "1"}, {"letter": "2"})
        path = the_file(folder)
        content = bytearray(path.read_bytes())
        content[-10] = ord("A") if content[-10] != ord("A") else ord("B")
        path.write_bytes(content)
        with pytest.raises(journal.JournalBroken, match=f"{path}, line 3 does not open"):
            fields(ctx)

    def test_other_keys_are_said(self, ctx, tmp_path):
        journal.write(ctx, {"letter": "1"})
        vault.make_keys(tmp_path / "other")
        with pytest.raises(journal.JournalBroken, match="these keys are not those"):
            journal.read(ctx.settings.journal, vault.load_keys(tmp_path / "other", with_token=True).ring)

    def test_a_journal_that_is_not_there_is_said(self, ctx, folder):
        with pytest.raises(journal.JournalBroken, match="there is no journal"):
            journal.read(folder / "none", ctx.keys.ring)

    def test_files_of_several_machines_and_days_are_one_sequence(self, ctx, clock, folder):
        journal.write(ctx, {"letter": "1"})
        the_file(folder).rename(folder / "2026-11-02.zz.journal")
        clock.set(clock.now().replace(hour=8))
        journal.write(ctx, {"letter": "2"})
        assert [entry["letter"] for entry in fields(ctx)] == ["1", "2"]


class TestWithoutAPlaceToWrite:
    """What cannot be written down does not leave."""

    def test_no_letter_is_written(self, world, folder):
        ready(world)
        with unwritable(folder), pytest.raises(TryAgain, match="journal"):
            compose_due(world.ctx, Templates())
        assert world.rows(tables.Letter) == []
        assert compose_due(world.ctx, Templates()).letters == 1

    def test_none_is_sent(self, world, folder):
        ready(world)
        compose_due(world.ctx, Templates())
        (letter,) = world.rows(tables.Letter)
        with unwritable(folder), pytest.raises(TryAgain, match="journal"):
            deliver(world.ctx, letter.id)
        assert world.channel.tries == []
        assert world.rows(tables.Delivery) == []  # no attempt either: nobody need wonder whether it arrived
        assert deliver(world.ctx, letter.id) == "sent"

    def test_an_answer_is_kept_and_the_fault_is_said(self, world, folder):
        ready(world)
        with unwritable(folder), pytest.raises(TryAgain, match="journal"):
            family.accept(world.ctx, world.child(KARLA), world.by(MOTHER))
        (row,) = world.rows(tables.Offer)
        assert row.state == "accepted"


def test_an_answer_that_was_refused_is_not_in_the_journal(world):
    ready(world)
    world.accept(KARLA, MOTHER)
    family.withdraw(world.ctx, world.child(KARLA), world.by(MOTHER))
    with pytest.raises(family.NotAllowed):
        world.accept(KARLA, MOTHER)
    assert [entry["says"] for entry in fields(world.ctx) if "answer" in entry] == ["yes", "withdrawn"]


def ready(world) -> None:
    """One family has been offered a coordinator; the letter waits to be written."""
    world.coordinators()
    world.present(KARLA)
    world.custody(KARLA, MOTHER)
    world.night()


class unwritable:  # noqa: N801 - reads as the words it stands for
    """A folder that is gone, as of a disk that is no longer mounted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        self.folder.rename(self.folder.with_name("away"))

    def __exit__(self, *_: object) -> None:
        self.folder.with_name("away").rename(self.folder)
