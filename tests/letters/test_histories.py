"""A thousand histories of a town, another thousand in `test_more_histories.py`: two files, so that two processes tell
them. Longer ones with the long tests."""

from __future__ import annotations

import pytest

from tests.letters.histories import tell

pytestmark = pytest.mark.slow


@pytest.mark.timeout(1800)
def test_every_event_of_a_thousand_histories_ends_in_one_letter_or_says_why_not(kept_town, monkeypatch):
    tell("First", kept_town, monkeypatch, 1000, 12)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_every_event_of_two_thousand_long_histories_ends_in_one_letter_or_says_why_not(kept_town, monkeypatch):
    tell("Long", kept_town, monkeypatch, 2000, 30)
