"""Pages that lead nowhere."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest

from hub import GaveUp, Page, TryAgain
from hub.cases import sources
from hub.reading import paging
from hub.reading.paging import onward


def pages(cursors: Iterable[str | None]) -> Iterable[Page]:
    return (Page((), cursor) for cursor in cursors)


@pytest.mark.parametrize(
    "cursors", [[], [None], ["a", "b", "c"], ["a", "b", None], ["a", "b", "b"], [None, None, None]]
)
def test_pages_that_lead_on_are_given_as_they_are(cursors: list[str | None]) -> None:
    assert [page.cursor for page in onward(pages(cursors))] == cursors


@pytest.mark.parametrize("cursors", [["a", "b", "a"], ["a", "a", "a"], ["a", None, "a"], ["a", "b", "c", "b"]])
def test_a_circle_is_seen_when_it_closes(cursors: list[str | None]) -> None:
    given: list[str | None] = []
    with pytest.raises(GaveUp, match="lead in a circle"):
        given.extend(page.cursor for page in onward(pages(itertools.cycle(cursors))))
    assert len(given) < 2 * len(cursors)


def test_pages_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "PAGES", 1000)
    assert len(list(onward(pages(map(str, range(1000)))))) == 1000
    with pytest.raises(GaveUp, match="more than 1000 pages"):
        list(onward(pages(map(str, itertools.count()))))


def test_every_plugin_is_read_so() -> None:
    with pytest.raises(GaveUp, match="lead in a circle"):
        list(sources.pages("toy", lambda: pages(itertools.cycle("ab"))))


def test_what_a_source_says_goes_through() -> None:
    def broken() -> Iterable[Page]:
        yield Page((), "a")
        raise TryAgain("no answer")

    with pytest.raises(TryAgain, match="no answer"):
        list(onward(broken()))
