"""What cannot be read is kept, leaves by itself when it can be, and never brings an older version back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from hub import CaseRecord, Gone, NotAllowed, Page, Presence, State, Unreadable
from hub.access import records
from hub.access.log import Asker
from hub.access.lookup import LogUnavailable
from hub.cases import quarantine, retry
from hub.cases.match import match
from hub.cases.sync import sync
from hub.store import tables
from hub.store.people import open_key
from hub.vault import unseal_json

KARLA, EMIL = "0311164234", "1405134321"
MOTHER = "0101804001"
WEEK = timedelta(days=7)
OPERATOR = Asker("drift@hub", "drift", "operator")


def waiting(world) -> list[tables.Quarantine]:
    return list(world.rows(tables.Quarantine, tables.Quarantine.resolved_at.is_(None)))


def bad(source_id: str | None, raw: bytes = b"<sag", position: str = "line 7") -> Unreadable:
    return Unreadable(position, "no end tag", raw, source_id)


@pytest.fixture
def karla(world):
    world.accepted(KARLA, guardians=(MOTHER,))
    return world


class TestOneRecordIsOneRow:
    def test_night_after_night(self, world):
        world.sof.put(bad("s1"))
        for night in range(1, 4):
            (read, *_others) = match(world.ctx, ["sof"]).reads
            assert (read.quarantined, read.reasons, read.in_quarantine) == (1, {"no end tag": 1}, 1)
            (row,) = waiting(world)
            assert row.times == night
            world.clock.move(WEEK)
        assert row.first_seen < row.last_seen

    def test_by_its_id_however_it_is_broken_and_the_newest_is_kept(self, world):
        world.sof.put(bad("s1", b"<first", "line 7"))
        match(world.ctx)
        world.sof.put(Unreadable("line 9", "a bad date", b"<second", "s1"))
        match(world.ctx)
        (row,) = waiting(world)
        assert (row.position, row.reason, row.times) == ("line 9", "a bad date", 2)
        with world.session() as session:
            assert quarantine.open_raw(session, world.ctx.keys, row.id)[1] == b"<second"

    def test_without_an_id_by_its_content_wherever_it_stands(self, world):
        world.sof.put(bad(None, b"<sag", "line 7"))
        match(world.ctx)
        world.clock.move(WEEK)
        world.sof.put(bad(None, b"<other", "line 8"))
        world.sof._presences.changes[0] = ("moved down", bad(None, b"<sag", "line 9"))
        match(world.ctx)
        assert sorted((row.position, row.times) for row in waiting(world)) == [("line 8", 1), ("line 9", 2)]

    def test_every_read_of_a_source_has_its_own(self, karla):
        karla.sof.put(bad("s1"))
        match(karla.ctx)
        sync(karla.ctx)
        assert sorted(row.purpose for row in waiting(karla)) == ["cases", "presence"]

    def test_a_page_with_bad_records_commits_the_rest(self, karla):
        karla.sof.page_size = 50
        karla.sof.put(bad("x1"), bad(None))
        karla.case(karla.sof, "s1", KARLA)
        karla.sof.put(bad("x2"))
        karla.case(karla.sof, "s2", KARLA)
        (read, *_others) = sync(karla.ctx)
        assert (read.read, read.quarantined, read.failure) == (2, 3, None)
        assert len(karla.rows(tables.Case)) == 2


class TestItLeavesByItself:
    def test_when_the_record_can_be_read(self, karla):
        karla.case(karla.sof, "s1", KARLA)
        karla.sof.put(bad("s1"))
        assert sync(karla.ctx)[0].in_quarantine == 1
        karla.case(karla.sof, "s1", KARLA)
        (read, *_others) = sync(karla.ctx)
        assert (read.in_quarantine, read.clean) == (0, True)
        assert len(karla.rows(tables.Case)) == 1

    def test_when_the_source_says_it_is_gone(self, karla):
        karla.sof.put(bad("s1"))
        sync(karla.ctx)
        karla.sof.put(Gone("s1"))
        sync(karla.ctx)
        assert waiting(karla) == []

    def test_without_an_id_when_a_whole_read_no_longer_meets_it(self, karla):
        karla.sof.put(bad(None))
        sync(karla.ctx)
        karla.sof._records.changes.clear()
        sync(karla.ctx)
        assert len(waiting(karla)) == 1  # only what is new was read
        karla.clock.move(WEEK)
        sync(karla.ctx)
        assert waiting(karla) == []

    @pytest.mark.parametrize("read", [match, sync])
    def test_each_by_itself_while_others_keep_the_read_from_being_whole(self, karla, read):
        """As a folder of files does: one that cannot be read, and nothing in it is taken for gone."""
        files = [bad(None, b"<one", "file 1"), bad(None, b"<two", "file 2")]
        karla.sof.presence = lambda since: iter([Page(tuple(files), None)])
        karla.sof.read = lambda since, children: iter([Page(tuple(files), None)])
        read(karla.ctx)
        assert len(waiting(karla)) == 2
        del files[0]
        read(karla.ctx)
        assert [row.position for row in waiting(karla)] == ["file 2"]

    def test_not_while_the_source_is_held(self, world):
        for n in range(10):
            world.sof.put(Presence(f"p{n}", world.number(n), State.OPEN))
        world.sof.put(bad(None))
        match(world.ctx)
        world.sof._presences.changes.clear()
        world.clock.move(WEEK)
        assert match(world.ctx).reads[0].held is not None
        assert len(waiting(world)) == 1

    def test_broken_again_it_is_back_and_new(self, karla):
        for record in (bad("s1"), CaseRecord("s1", KARLA, "help", State.OPEN), bad("s1")):
            karla.clock.move(timedelta(hours=1))
            karla.sof.put(record)
            sync(karla.ctx)
        (row,) = waiting(karla)
        assert (row.first_seen, row.times) == (row.last_seen, 2)

    def test_it_is_deleted_with_its_key_after_a_month(self, karla):
        karla.sof.put(bad("s1"))
        sync(karla.ctx)
        (row,) = waiting(karla)
        karla.sof.put(Gone("s1"))
        sync(karla.ctx)
        karla.clock.move(quarantine.KEEP_RESOLVED)
        sync(karla.ctx)
        assert len(karla.rows(tables.Quarantine)) == 1
        karla.clock.move(timedelta(seconds=1))
        sync(karla.ctx)
        assert karla.rows(tables.Quarantine) == []
        assert karla.rows(tables.PersonKey, tables.PersonKey.id == row.key_id) == []

    def test_what_waits_is_kept_however_long(self, karla):
        karla.sof.put(bad("s1"))
        for _month in range(4):
            sync(karla.ctx)
            karla.clock.move(timedelta(days=31))
        assert len(waiting(karla)) == 1


class TestRetry:
    def again(self, world, source: str = "sof"):
        return retry.retry(world.ctx, retry.chosen(world.ctx, [], source))

    def test_asks_the_source_again_in_full_and_at_once(self, karla):
        """As after an update of the plugin: the source has nothing new to say."""
        karla.case(karla.sof, "s1", KARLA)
        read = type(karla.sof).read
        karla.sof.read = lambda since, children: iter([Page((bad("s1"),), "new/9", complete=since is None)])
        sync(karla.ctx)
        karla.sof.read = lambda since, children: read(karla.sof, since, children)
        assert sync(karla.ctx)[0].in_quarantine == 1
        _reads, after = self.again(karla)
        assert [record.resolved_at is None for record in after] == [False]
        assert len(karla.rows(tables.Case)) == 1

    def test_of_presences_reads_presences(self, world):
        world.sof.put(bad("p1"))
        match(world.ctx)
        world.sof._presences.changes[:] = [("p1", Presence("p1", KARLA, State.OPEN))]
        reads, after = self.again(world)
        assert ([read.read for read in reads], len(world.rows(tables.Presence))) == ([1], 1)
        assert after[0].resolved_at is not None

    def test_what_is_still_broken_stays(self, karla):
        karla.sof.put(bad("s1"))
        sync(karla.ctx)
        _reads, after = self.again(karla)
        assert [record.resolved_at for record in after] == [None]

    def test_also_a_source_that_has_just_failed(self, karla):
        karla.sof.put(bad("s1"))
        sync(karla.ctx)
        karla.sof.fail_at = 0
        sync(karla.ctx, ["sof"])
        karla.sof.fail_at = None
        karla.case(karla.sof, "s1", KARLA)
        assert self.again(karla)[1][0].resolved_at is not None

    def test_a_record_that_is_not_there_is_refused(self, world):
        with pytest.raises(NotAllowed, match="no record"):
            retry.chosen(world.ctx, ["1e9f2a52-6b9f-4a9b-8a4c-0a9a1f1e2d3c"], None)

    def test_a_channel_is_not_asked_again(self, world):
        with world.ctx.database.begin() as session:
            quarantine.keep(session, world.ctx.keys, "digital_post", bad(None), world.clock.now())
        with pytest.raises(NotAllowed, match="digital_post"):
            self.again(world, "digital_post")


class TestALook:
    def look(self, world, reason="vendor asks what is broken"):
        with world.session() as session:
            (row,) = quarantine.find(session)
        ctx = world.ctx
        return records.look(
            ctx.database,
            ctx.keys,
            ctx.clock,
            OPERATOR,
            reason,
            f"quarantine:{row.id}",
            lambda session: quarantine.open_raw(session, ctx.keys, row.id),
        )

    def test_shows_the_record_and_stands_in_the_log(self, world):
        world.sof.put(bad("s1", f"<sag>{KARLA}".encode()))
        match(world.ctx)
        disclosure = self.look(world)
        assert disclosure.value[1].decode() == f"<sag>{KARLA}"
        (entry,) = world.rows(tables.LogEntry)
        assert (entry.id, entry.kind, entry.child_id) == (disclosure.entry, "record", None)
        with world.session() as session:
            who = unseal_json(open_key(session, world.ctx.keys, entry.asker_key), entry.asker, f"log-asker:{entry.id}")
            what = unseal_json(
                open_key(session, world.ctx.keys, entry.subject_key), entry.subject, f"log-subject:{entry.id}"
            )
        assert (who["id"], who["role"]) == ("drift@hub", "operator")
        assert what["reason"] == "vendor asks what is broken"

    @pytest.mark.parametrize("reason", ["", "   ", "because"])
    def test_without_a_reason_nothing_is_shown_and_nothing_written(self, world, reason):
        world.sof.put(bad("s1"))
        match(world.ctx)
        with pytest.raises(NotAllowed):
            self.look(world, reason)
        assert world.rows(tables.LogEntry) == []

    def test_without_a_log_nothing_is_shown(self, world, admin):
        world.sof.put(bad("s1"))
        match(world.ctx)
        admin(f"ALTER DATABASE {world.ctx.database.app_url.database} SET default_transaction_read_only = on")
        world.ctx.database.engine.dispose()
        with pytest.raises(LogUnavailable):
            self.look(world)


T0 = datetime(2026, 10, 1, tzinfo=UTC)
VERSION = st.one_of(
    st.tuples(st.just("good"), st.integers(0, 5), st.sampled_from([State.APPLIED, State.OPEN, State.DECIDED])),
    st.tuples(st.just("bad"), st.integers(0, 5), st.just(State.OPEN)),
)


@pytest.mark.slow
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(versions=st.lists(VERSION, min_size=1, max_size=8), size=st.integers(1, 3), split=st.integers(0, 8))
@example(versions=[("good", 5, State.DECIDED), ("good", 1, State.APPLIED)], size=1, split=1)
@example(versions=[("good", 5, State.DECIDED), ("good", 1, State.APPLIED)], size=1, split=0)
@example(versions=[("good", 5, State.DECIDED), ("bad", 0, State.OPEN), ("good", 1, State.APPLIED)], size=2, split=2)
def test_an_older_version_never_overwrites_a_newer(world, versions, size, split):
    """Versions of one case, in whatever order they come, over pages and reads, readable or not: what is kept is the
    newest of those that could be read, the later one where times are the same; and it waits in quarantine only if the
    last word could not be read."""
    if not world.rows(tables.Assignment):
        world.accepted(KARLA, guardians=(MOTHER,))
    with world.ctx.database.begin() as session:
        for table in ("event", "bundle", "case_index", "quarantine", "source_state"):
            session.execute(text(f"DELETE FROM {table}"))

    def record(what: str, day: int, state: State):
        if what == "bad":
            return bad("s1")
        return CaseRecord("s1", KARLA, "help", state, changed=T0 + timedelta(days=day))

    told = [record(*version) for version in versions]
    for number, part in enumerate((told[:split], told[split:])):
        pages = [Page(tuple(part[n : n + size]), f"{number}/{n}") for n in range(0, len(part), size)]
        world.sof.read = lambda since, children, pages=pages: iter(pages)
        if pages:
            sync(world.ctx, ["sof"])
    newest = None
    for what, day, state in versions:
        if what == "good" and (newest is None or day >= newest[0]):
            newest = (day, state)
    kept = world.rows(tables.Case)
    if newest is None:
        assert kept == []
    else:
        (row,) = kept
        with world.session() as session:
            child = session.get_one(tables.Child, row.child_id)
            fields = unseal_json(open_key(session, world.ctx.keys, child.key_id), row.sealed, f"case:{row.id}")
        assert fields["state"] == newest[1].value
        assert row.changed == T0 + timedelta(days=newest[0])
    if all(what == "good" for what, _day, _state in versions):
        assert waiting(world) == []
    if versions[-1][0] == "bad":
        assert len(waiting(world)) == 1


def test_a_tombstone_newer_than_what_comes_after_it_stands(karla):
    """Two exports in one folder, and the older one is read last."""
    karla.sof.page_size = 1
    karla.sof.read = lambda since, children: iter(
        [
            Page((Gone("s1", T0 + timedelta(days=2)),), "1"),
            Page((CaseRecord("s1", KARLA, "help", State.OPEN, changed=T0),), "2", complete=True),
        ]
    )
    (read, *_others) = sync(karla.ctx, ["sof"])
    assert (read.older, karla.rows(tables.Case)) == (1, [])


def test_in_a_page_of_presences_too(world):
    refer = world.ctx.keys.refer("sof", "p1")
    old, new = (
        Presence("p1", KARLA, state, T0 + timedelta(days=n)) for n, state in enumerate((State.APPLIED, State.OPEN))
    )
    for records_ in ((old, new), (new, old)):
        world.sof.presence = lambda since, given=records_: iter([Page(tuple(given), None, complete=True)])
        match(world.ctx, ["sof"])
        assert [(row.reference, row.state) for row in world.rows(tables.Presence)] == [(refer, "open")]


def test_the_list_says_nothing_of_what_stands_in_a_record(world):
    world.sof.put(bad("s1", KARLA.encode()))
    match(world.ctx)
    with world.session() as session:
        assert KARLA not in repr(quarantine.find(session))
