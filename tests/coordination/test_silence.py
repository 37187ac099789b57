"""A family that does not answer gets one reminder; then what was written down about the offer is forgotten."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hub import family
from hub.coordination import silence
from hub.errors import NotAllowed
from hub.letters.compose import compose_due
from hub.letters.frozen import open_content
from hub.letters.templates import Templates
from hub.store import tables
from hub.store.people import open_key
from hub.vault import unseal_json

PARENT = "0101804001"


@pytest.fixture
def child(world) -> str:
    """A child with an offer whose letter has left."""
    world.coordinators()
    digits = world.number(1)
    world.present(digits)
    world.custody(digits, PARENT)
    world.night()
    compose_due(world.ctx, Templates())
    return digits


def offer(world) -> tables.Offer:
    (row,) = world.rows(tables.Offer)
    return row


def test_nobody_is_reminded_before_the_date_has_passed(world, child):
    world.clock.move(timedelta(days=14))  # the tenth working day itself
    assert silence.follow_up(world.ctx) == silence.Silence(0, 0)


def test_one_reminder_with_a_new_date_and_no_second_one(world, child):
    first = offer(world).answer_by
    world.clock.move(timedelta(days=15))
    assert silence.follow_up(world.ctx) == silence.Silence(1, 0)
    assert silence.follow_up(world.ctx) == silence.Silence(0, 0)
    assert offer(world).state == "offered"
    assert offer(world).answer_by > first
    compose_due(world.ctx, Templates())
    letters = world.rows(tables.Letter)
    assert [letter.kind for letter in letters] == ["introduction", "introduction"]
    with world.session() as session:
        texts = [open_content(session, world.ctx.keys, session.get(tables.Letter, row.id))["html"] for row in letters]
    assert sum("har skrevet til dig før" in text for text in texts) == 1


def test_after_the_reminder_the_place_is_free_and_the_number_forgotten(world, child):
    world.clock.move(timedelta(days=15))
    world.night()
    world.clock.move(timedelta(days=20))
    assert silence.follow_up(world.ctx) == silence.Silence(0, 1)
    assert (offer(world).state, offer(world).coordinator_id) == ("lapsed", None)
    assert world.rows(tables.Custody) == []
    (row,) = world.rows(tables.Child)
    with world.session() as session:
        assert unseal_json(open_key(session, world.ctx.keys, row.key_id), row.sealed, f"child:{row.id}") == {}
    with pytest.raises(NotAllowed):
        family.accept(world.ctx, row.id, world.by(PARENT))


def test_the_next_match_does_not_begin_anew(world, child):
    world.clock.move(timedelta(days=15))
    world.night()
    world.clock.move(timedelta(days=20))
    world.night()
    world.clock.move(timedelta(days=1))
    world.present(child)
    placed = world.night()
    assert (placed.offered, placed.waiting) == (0, 0)
    assert offer(world).state == "lapsed"
    assert world.rows(tables.Custody) == []


def test_a_yes_to_the_reminder_counts(world, child):
    world.clock.move(timedelta(days=15))
    world.night()
    world.accept(child, PARENT)
    world.clock.move(timedelta(days=30))
    assert silence.follow_up(world.ctx) == silence.Silence(0, 0)
    assert offer(world).state == "accepted"
