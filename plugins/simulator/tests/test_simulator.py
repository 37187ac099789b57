"""The simulator does what its table says, and remembers nobody."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tovholder_simulator import Outcome, Simulator, SimulatorSettings
from tovholder_simulator.channel import BY_ENDING

import hub

NAME = "Vera Testvoksen"


def letter(ending: str, *, paper: bool = True) -> hub.Letter:
    return hub.Letter(
        title="Brev fra kommunen",
        language="da",
        pdf=b"%PDF-1.7",
        html="<p>Hej</p>",
        file_name="brev.pdf",
        recipient=hub.Recipient(f"01018040{ending}", NAME),
        created=datetime(2026, 3, 2, 8, 0, tzinfo=UTC),
        paper=paper,
    )


@pytest.fixture
def simulator(tmp_path: Path) -> Simulator:
    return Simulator(SimulatorSettings(folder=tmp_path, hang_seconds=0))


SENT, LATER, UNSURE, REFUSED = hub.Sent, hub.Later, hub.Unsure, hub.Refused
TABLE = {
    "01": (SENT, "digital", ["received", "delivered"]),
    "90": (SENT, "print", ["received", "delivered"]),
    "91": (REFUSED, None, []),
    "92": (SENT, "digital", ["received", "failed"]),
    "93": (SENT, "print", ["received", "delivered", "returned"]),
    "94": (LATER, None, []),
    "95": (UNSURE, None, ["received", "delivered"]),
    "96": (UNSURE, None, []),
    "97": (UNSURE, None, []),
    "98": (SENT, "digital", []),
    "99": (REFUSED, None, []),
}


@pytest.mark.parametrize("ending", TABLE)
def test_what_becomes_of_a_letter_is_chosen_by_the_number(simulator: Simulator, ending: str) -> None:
    kind, route, said = TABLE[ending]
    key = str(uuid.uuid4())
    result = simulator.send(letter(ending), key)
    assert type(result) is kind
    assert getattr(result, "route", None) == route
    told = [one for page in simulator.statuses(None) for one in page.statuses if isinstance(one, hub.Status)]
    assert [one.status.value for one in told] == said
    assert {one.key for one in told} <= {key}
    assert simulator.reaches(letter(ending).recipient) is (ending != "99")


def test_every_outcome_is_in_the_table() -> None:
    assert {*BY_ENDING.values(), Outcome.DELIVERED} == set(Outcome)
    assert BY_ENDING.keys() <= TABLE.keys()


def test_is_a_channel_that_points(simulator: Simulator) -> None:
    assert isinstance(simulator, hub.Channel)
    assert isinstance(simulator, hub.Points)


def test_the_same_key_twice_is_one_letter(simulator: Simulator) -> None:
    key = str(uuid.uuid4())
    assert [type(simulator.send(letter("95"), key)) for _ in range(3)] == [UNSURE, SENT, SENT]
    assert simulator.letters() == [key]


def test_one_that_knows_no_keys_takes_it_twice(tmp_path: Path) -> None:
    forgetful = Simulator(SimulatorSettings(folder=tmp_path, knows_keys=False))
    key = str(uuid.uuid4())
    for _ in range(2):
        forgetful.send(letter("01"), key)
    assert forgetful.letters() == [key, key]


def test_what_may_not_go_on_paper_does_not(simulator: Simulator) -> None:
    assert type(simulator.send(letter("90", paper=False), str(uuid.uuid4()))) is REFUSED
    assert simulator.letters() == []


def test_goes_on_where_it_was_in_a_new_process(simulator: Simulator, tmp_path: Path) -> None:
    simulator.send(letter("01"), str(uuid.uuid4()))
    (page,) = simulator.statuses(None)
    again = Simulator(SimulatorSettings(folder=tmp_path))
    assert list(again.statuses(page.cursor)) == []
    key = str(uuid.uuid4())
    again.send(letter("01"), key)
    (following,) = again.statuses(page.cursor)
    assert {one.key for one in following.statuses if isinstance(one, hub.Status)} == {key}


def test_remembers_neither_number_nor_name(simulator: Simulator, tmp_path: Path) -> None:
    for ending in TABLE:
        simulator.send(letter(ending), str(uuid.uuid4()))
    kept = "".join(file.read_text() for file in tmp_path.iterdir())
    assert kept
    assert "01018040" not in kept
    assert NAME not in kept
