"""Texts of letters: one drafts, another approves, and from a moment on letters are written so; nothing is changed."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from hub.access.log import Asker
from hub.context import Context
from hub.errors import NotAllowed, SettingsError
from hub.letters import samples, versions
from hub.letters.content import LetterKind
from hub.letters.render import render
from hub.letters.words import product_folder
from hub.vault import unseal_json

pytestmark = pytest.mark.slow

KIRSTEN = Asker("o-1", "Kirsten Skriver", "operator")
JENS = Asker("o-2", "Jens Læser", "operator")
NAME = "goodbye.da.md"
SHIPPED = (product_folder() / NAME).read_text(encoding="utf-8")
DAY = timedelta(days=1)


def wording(words: str) -> str:
    """The shipped text with another heading."""
    assert "# Koordinatoren stopper" in SHIPPED
    return SHIPPED.replace("# Koordinatoren stopper", f"# {words}")


def published(ctx: Context, words: str, since=None):
    made = versions.draft(ctx, KIRSTEN, NAME, wording(words))
    versions.approve(ctx, JENS, made)
    versions.publish(ctx, KIRSTEN, made, since)
    return made


def heading(ctx: Context) -> str:
    letter = render(samples.letter("goodbye"), versions.Book(ctx).now())
    return letter.text.split("\n")[0]


def test_letters_are_written_with_a_text_that_two_people_have_seen(ctx: Context) -> None:
    made = versions.draft(ctx, KIRSTEN, NAME, wording("Tak og farvel"))
    assert heading(ctx) == "Koordinatoren stopper"
    with pytest.raises(NotAllowed, match="nobody has approved"):
        versions.publish(ctx, KIRSTEN, made)
    with pytest.raises(NotAllowed, match="another person"):
        versions.approve(ctx, KIRSTEN, made)
    versions.approve(ctx, JENS, made)
    assert heading(ctx) == "Koordinatoren stopper"
    versions.publish(ctx, KIRSTEN, made)
    assert heading(ctx) == "Tak og farvel"


def test_one_person_under_two_ids_is_one_person(ctx: Context) -> None:
    made = versions.draft(ctx, Asker("a", "K", "operator", person="p-1"), NAME, wording("Tak"))
    with pytest.raises(NotAllowed, match="another person"):
        versions.approve(ctx, Asker("b", "K", "operator", person="p-1"), made)


@pytest.mark.parametrize("role", ["staff", "coordinator", "leader", "auditor", "guardian"])
def test_nobody_but_an_operator_touches_a_text(role: str, ctx: Context) -> None:
    made = versions.draft(ctx, KIRSTEN, NAME, wording("Tak"))
    other = Asker("x", "X", role)
    for act in (
        lambda: versions.draft(ctx, other, NAME, wording("Andet")),
        lambda: versions.approve(ctx, other, made),
        lambda: versions.publish(ctx, other, made),
        lambda: versions.roll_back(ctx, other, NAME),
        lambda: versions.versions(ctx, other),
        lambda: versions.text_of(ctx, other, made),
        lambda: versions.diff(ctx, other, made),
    ):
        with pytest.raises(NotAllowed, match="only an operator"):
            act()


def test_a_text_that_is_not_plain_is_not_approved(ctx: Context) -> None:
    made = versions.draft(ctx, KIRSTEN, NAME, SHIPPED.replace("for at sige", "hermed for at sige"))
    with pytest.raises(versions.NotPlain, match=r"goodbye\.da\.md:\d+: officialese") as refused:
        versions.approve(ctx, JENS, made)
    assert [one.rule for one in refused.value.findings] == ["officialese"]
    with pytest.raises(NotAllowed, match="nobody has approved"):
        versions.publish(ctx, KIRSTEN, made)


@pytest.mark.parametrize(
    ("name", "words", "says"),
    [
        (NAME, "---\n", "front matter"),
        (NAME, SHIPPED.replace("{{ parts.ending() }}", "{{ parts.ending( }}"), "line"),
        ("farvel.da.md", SHIPPED, "is called like"),
        ("../goodbye.da.md", SHIPPED, "is called like"),
        ("words.da.toml", "months = []", "months"),
    ],
)
def test_a_text_that_cannot_be_read_is_not_even_kept(name: str, words: str, says: str, ctx: Context) -> None:
    with pytest.raises(SettingsError, match=says):
        versions.draft(ctx, KIRSTEN, name, words)
    assert versions.versions(ctx, KIRSTEN) == []


def test_a_text_is_published_from_a_moment_on_and_never_backwards(ctx: Context, clock) -> None:
    now = clock.now()
    published(ctx, "Senere", now + 2 * DAY)
    book = versions.Book(ctx)
    assert "Senere" not in render(samples.letter("goodbye"), book.now()).text
    clock.move(2 * DAY)
    assert "Senere" in render(samples.letter("goodbye"), book.now()).text
    made = versions.draft(ctx, KIRSTEN, NAME, wording("I går"))
    versions.approve(ctx, JENS, made)
    assert versions.publish(ctx, KIRSTEN, made, now) == clock.now()


def test_taking_back_brings_what_held_before_step_by_step(ctx: Context, clock) -> None:
    first = published(ctx, "Første")
    clock.move(DAY)
    published(ctx, "Anden")
    clock.move(DAY)
    assert versions.roll_back(ctx, KIRSTEN, NAME) == first
    assert heading(ctx) == "Første"
    clock.move(DAY)
    assert versions.roll_back(ctx, KIRSTEN, NAME) is None
    assert heading(ctx) == "Koordinatoren stopper"
    with pytest.raises(NotAllowed, match="nothing to take back"):
        versions.roll_back(ctx, KIRSTEN, NAME)
    clock.move(DAY)
    versions.publish(ctx, JENS, first)
    assert heading(ctx) == "Første"


def test_what_is_planned_can_be_taken_back_before_it_holds(ctx: Context, clock) -> None:
    soon = clock.now() + DAY
    published(ctx, "Planlagt", soon)
    assert versions.roll_back(ctx, KIRSTEN, NAME, soon) is None
    clock.move(2 * DAY)
    assert heading(ctx) == "Koordinatoren stopper"


def test_versions_say_where_each_stands(ctx: Context, clock) -> None:
    first = published(ctx, "Første")
    clock.move(DAY)
    second = versions.draft(ctx, JENS, NAME, wording("Anden"))
    newest, oldest = versions.versions(ctx, KIRSTEN, NAME)
    assert (newest.id, newest.approved_at, newest.since, newest.current) == (second, None, None, False)
    assert (oldest.id, oldest.current) == (first, True)
    assert oldest.since == oldest.approved_at == clock.now() - DAY
    assert (newest.drafted_by, newest.approved_by, newest.published_by) == ("Jens Læser", None, None)
    assert (oldest.drafted_by, oldest.approved_by, oldest.published_by) == (KIRSTEN.name, JENS.name, KIRSTEN.name)
    assert versions.versions(ctx, KIRSTEN, "receipt.da.md") == []


def test_the_same_text_again_is_the_same_version(ctx: Context) -> None:
    assert versions.draft(ctx, KIRSTEN, NAME, wording("X")) == versions.draft(ctx, JENS, NAME, wording("X"))


def test_a_diff_is_against_what_letters_are_written_with_or_another_version(ctx: Context) -> None:
    first = published(ctx, "Første")
    second = versions.draft(ctx, KIRSTEN, NAME, wording("Anden"))
    assert "-# Første\n+# Anden\n" in versions.diff(ctx, JENS, second)
    assert "-# Anden\n+# Første\n" in versions.diff(ctx, JENS, first, second)
    assert versions.diff(ctx, JENS, first) == ""


def test_a_version_that_is_not_there_is_said_to_be_so(ctx: Context) -> None:
    with pytest.raises(versions.NoSuchVersion):
        versions.diff(ctx, KIRSTEN, uuid4())
    with pytest.raises(versions.NoSuchVersion):
        versions.approve(ctx, KIRSTEN, uuid4())


def test_every_step_stands_in_the_log_with_who_took_it(ctx: Context) -> None:
    made = published(ctx, "Første")
    versions.roll_back(ctx, JENS, NAME)
    said = []
    with ctx.database.session() as session:
        rows = session.execute(
            text(
                "SELECT e.id, e.asker, e.subject, k.id, k.version, k.wrapped FROM log_entry e"
                " JOIN person_key k ON k.id = e.asker_key WHERE kind = 'template' ORDER BY seq"
            )
        ).all()
    for entry, asker, _subject, key, version, wrapped in rows:
        said.append(unseal_json(ctx.keys.ring.unwrap(version, wrapped, str(key)), asker, f"log-asker:{entry}")["name"])
    assert said == ["Kirsten Skriver", "Jens Læser", "Kirsten Skriver", "Jens Læser"]
    assert made


def test_the_database_itself_lets_nobody_change_a_text_or_a_step(ctx: Context) -> None:
    published(ctx, "Første")
    for statement in (
        "UPDATE template SET text = 'x'",
        "DELETE FROM template_step",
        "UPDATE template_step SET since = now()",
        "DELETE FROM template",
    ):
        with pytest.raises(DBAPIError, match="permission denied"), ctx.database.begin() as session:
            session.execute(text(statement))


def test_a_published_text_wins_over_the_municipalitys_own_folder(ctx: Context, tmp_path) -> None:
    (tmp_path / NAME).write_text(wording("Fra mappen"), encoding="utf-8")
    letters = ctx.settings.letters.model_copy(update={"folder": tmp_path})
    own = Context(ctx.settings.model_copy(update={"letters": letters}), ctx.clock, ctx.database, ctx.keys, ctx.plugins)
    assert heading(own) == "Fra mappen"
    published(own, "Udgivet")
    assert heading(own) == "Udgivet"


def test_what_is_not_published_again_is_not_read_again(ctx: Context) -> None:
    book = versions.Book(ctx)
    first = book.now()
    assert book.now() is first
    published(ctx, "Ny")
    second = book.now()
    assert second is not first
    changed = {kind for kind in LetterKind if second.find(kind, "da").version != first.find(kind, "da").version}
    assert changed == {LetterKind.GOODBYE}
