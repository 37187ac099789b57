"""Every event of a history ends in one letter or says why not; the slow ones where the hub writes of everything."""

from __future__ import annotations

import pytest

from tests.letters.histories import run


def test_every_event_of_a_history_ends_in_one_letter_or_says_why_not(kept_town, monkeypatch):
    run(kept_town, monkeypatch, 12, 20)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_event_of_a_thousand_histories_ends_in_one_letter_or_says_why_not(kept_town, monkeypatch):
    run(kept_town, monkeypatch, 1000, 12, half=False)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_every_event_of_two_thousand_histories_ends_in_one_letter_or_says_why_not(kept_town, monkeypatch):
    run(kept_town, monkeypatch, 2000, 30)
