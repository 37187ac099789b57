"""As tests/letters/test_histories.py, where a source goes on writing itself. A file of its own: two processes share the
work by files."""

from __future__ import annotations

import pytest

from tests.letters.histories import run


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_event_of_a_thousand_histories_ends_in_one_letter_or_says_why_not(kept_town, monkeypatch):
    run(kept_town, monkeypatch, 1000, 12, half=True)
