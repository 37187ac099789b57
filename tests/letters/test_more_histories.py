"""The second thousand of the histories in `test_histories.py`."""

from __future__ import annotations

import pytest

from tests.letters.histories import tell

pytestmark = pytest.mark.slow


@pytest.mark.timeout(1800)
def test_every_event_of_another_thousand_histories_ends_in_one_letter_or_says_why_not(kept_town, monkeypatch):
    tell("Second", kept_town, monkeypatch, 1000, 12)
