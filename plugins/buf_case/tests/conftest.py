"""A small town made by hand, its server on 127.0.0.1, and adapters that read it; two exports made by hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from starlette.types import ASGIApp
from tovholder_buf_case import BufAdapter, BufSettings
from tovholder_buf_case.wire import BPI, COMMON, WSI

import hub
from hub.clock import SetClock
from hub.contract import State
from hub.demo.model import Custody, Institution, Person, Town, TownCase, Version, Worker
from hub.demo.servers import buf
from hub.testing import Front
from hub.testing.front import running

START = datetime(2026, 9, 1, 6, tzinfo=UTC)
EXAMPLES = Path(__file__).parent / "examples"
LISTS = Path(__file__).parent / "lists"
KINDS = {"101001": hub.Kind(name="Specialskole"), "101002": hub.Kind(name="Specialskole")}

ALMA, BO, CARL, DINA, ERIK = "0104149990", "0205139991", "0306129993", "6707159994", "0810119997"
FRIDA, GUSTAV = "0901159996", "1002159995"
MOTHER, FATHER, AUNT = "0202829988", "0303809987", "0404759986"
ELSE_, INGA = "5a3f3a44-1c52-4a53-9a15-7d3a52f0aa01", "9b1f0f37-6f0e-4b7e-8f5e-0c9b1d2e3f02"


def _case(number: int, kind: str, child: str, opened: date, *versions: Version) -> TownCase:
    return TownCase(f"00000000-0000-4000-8000-00000000000{number}", f"B-{number}", "BUF", kind, child, opened, versions)


@pytest.fixture(scope="session")
def town() -> Town:
    """Two special schools and an ordinary one. Alma stays with Else; Bo goes from Inga to Else after two days; Carl
    leaves after three; Dina (replacement number) has no adviser; Erik comes after four."""
    people = [
        *(Person(cpr, name, "Prøve & Søn", "Åvej 1", "2400", "København NV") for cpr, name in [(ALMA, "Alma")]),
        Person(BO, "Bo", "Prøve", "Åvej 2", "2400", "København NV", protected=True),
        Person(CARL, "Carl", "Prøve", "Åvej 3", "2400", "København NV"),
        Person(DINA, "Dina", "Prøve", "Åvej 4", "2400", "København NV"),
        Person(ERIK, "Erik", "Prøve", "Åvej 5", "2400", "København NV"),
        Person(FRIDA, "Frida", "Almindelig", "Åvej 6", "2400", "København NV"),
        Person(GUSTAV, "Gustav", "Almindelig", "Åvej 7", "2400", "København NV"),
        Person(MOTHER, "Mona", "Moder", "Åvej 1", "2400", "København NV", protected=True),
        Person(FATHER, "Frank", "Fader", "Engvej 9", "2700", "Brønshøj"),
        Person(AUNT, "Tanja", "Tante", "Engvej 11", "2700", "Brønshøj"),
    ]
    then = START - timedelta(days=300)

    def opened(adviser: str | None) -> Version:
        return Version(then, State.OPEN, adviser)

    cases = (
        _case(1, "101001", ALMA, date(2025, 8, 11), opened(ELSE_)),
        _case(
            2,
            "101001",
            BO,
            date(2024, 8, 12),
            opened(INGA),
            Version(START + timedelta(days=2), State.OPEN, ELSE_),
        ),
        _case(
            3,
            "101002",
            CARL,
            date(2025, 8, 11),
            opened(INGA),
            Version(START + timedelta(days=3), State.CLOSED, INGA, gone=True),
        ),
        _case(4, "101002", DINA, date(2025, 10, 1), opened(None)),
        _case(5, "101002", ERIK, date(2026, 9, 5), Version(START + timedelta(days=4), State.OPEN, ELSE_)),
    )
    since = date(2014, 4, 1)
    return Town(
        seed=1,
        start=START,
        people={person.cpr: person for person in people},
        custody={
            ALMA: (Custody(ALMA, MOTHER, "mor", since),),
            BO: (
                Custody(BO, FATHER, "far", since, until=date(2026, 9, 2)),
                Custody(BO, AUNT, "anden", date(2026, 9, 2)),
            ),
        },
        parents={ALMA: (MOTHER, FATHER), BO: (MOTHER, FATHER)},
        cases={"BUF": cases, "SOF": (), "SUF": ()},
        workers={
            ELSE_: Worker(ELSE_, "Else Marie Åkær", "else@example.dk", "33660011", "BUF", "Skolen ved Åen"),
            INGA: Worker(INGA, "Inga Bøgh", "inga@example.dk", "33660012", "BUF", "Birkeskolen"),
        },
        coordinators=(),
        institutions={
            "101001": Institution("101001", "Skolen ved Åen", special=True),
            "101002": Institution("101002", "Birkeskolen", special=True),
            "201001": Institution("201001", "Byskolen <midt i byen>", special=False),
        },
        ordinary_pupils={"201001": (FRIDA, GUSTAV)},
    )


@pytest.fixture
def clock() -> SetClock:
    return SetClock(START)


@pytest.fixture
def serve() -> Iterator[Callable[[ASGIApp], Front]]:
    """Serve ASGI applications on free ports of 127.0.0.1 until the test ends."""
    with ExitStack() as open_until_then:

        def start(app: ASGIApp) -> Front:
            front = open_until_then.enter_context(running())
            front.serve(app)
            return front

        yield start


@pytest.fixture
def server(serve: Callable[[ASGIApp], Front], town: Town, clock: SetClock) -> Front:
    return serve(buf.app(town, clock))


@pytest.fixture
def adapter(server: Front) -> Iterator[BufAdapter]:
    """Reads the town over HTTP, two records to a page."""
    made = BufAdapter(BufSettings(url=server.url, kinds=KINDS, page_size=2))  # a str is parsed
    yield made
    made.close()


@pytest.fixture
def from_folder() -> Callable[..., BufAdapter]:
    """An adapter that reads a folder; the kinds are those of the town unless given."""

    def make(folder: Path, page_size: int = 2, kinds: list[str] | None = None, **more: object) -> BufAdapter:
        chosen = KINDS if kinds is None else {key: hub.Kind(name="Specialtilbud") for key in kinds}
        return BufAdapter(BufSettings(folder=folder, kinds=chosen, page_size=page_size, **more))

    return make


def pupil(
    cpr: str | None,
    user_id: str | None = None,
    *,
    kind: str = "CPR_VERIFIED",
    role: str = "Elev",
    groups: tuple[str, ...] = ("H",),
    person: str = "",
    student: str = "",
    protected: bool = False,
) -> str:
    """An InstitutionPerson with a Student. `person` and `student` are put at the end of theirs; `e:` is the variant."""
    number = "" if cpr is None else f"<c:CivilRegistrationNumber>{cpr}</c:CivilRegistrationNumber>"
    more = "".join(f"<b:GroupId>{group}</b:GroupId>" for group in groups[1:])
    return (
        f'<e:InstitutionPerson source="x"><e:Person protected="{str(protected).lower()}">'
        "<c:FirstName>Fornavn</c:FirstName>"
        f"<c:FamilyName>Efternavnsen</c:FamilyName><c:UserId>{f'u{cpr}x' if user_id is None else user_id}</c:UserId>"
        f"{number}<c:CivilRegistrationNumberType>{kind}</c:CivilRegistrationNumberType>{person}</e:Person>"
        f"<e:Student><c:Role>{role}</c:Role><c:Level>3</c:Level><c:MainGroupId>{groups[0]}</c:MainGroupId>{more}{student}"
        "</e:Student></e:InstitutionPerson>"
    )


def export(number: str, *persons: str, variant: str = "fullmyndighed", groups: dict[str, str] | None = None) -> str:
    """An export. `groups`: name → GroupType; the name is the id, too."""
    name = {"fullmyndighed": "FullMyndighed", "full": "Full", "medium": "Medium", "small": "Small"}[variant]
    kinds = "".join(
        f"<c:Group><c:GroupId>{group}</c:GroupId><c:GroupType>{kind}</c:GroupType></c:Group>"
        for group, kind in (groups or {"H": "Hovedgruppe"}).items()
    )
    return (
        f'<e:UNILoginExport{name} xmlns:e="{WSI}/{variant}" xmlns:c="{COMMON}" xmlns:b="{BPI}" '
        'exportDateTime="2026-09-02T04:00:00Z" accessLevel="full"><e:Institution>'
        f"<c:InstitutionNumber>{number}</c:InstitutionNumber>{kinds}{''.join(persons)}</e:Institution>"
        f"</e:UNILoginExport{name}>"
    )


@pytest.fixture(scope="session")
def make_pupil() -> Callable[..., str]:
    return pupil


@pytest.fixture(scope="session")
def make_export() -> Callable[..., str]:
    return export


@pytest.fixture
def examples() -> Path:
    return EXAMPLES


@pytest.fixture
def lists() -> Path:
    """A folder with a case list made by hand."""
    return LISTS


@pytest.fixture(scope="session")
def fragments() -> str:
    """The schema's fragments, where they are to be had."""
    beside = Path(__file__).resolve().parents[4] / "shared" / "standards"
    path = Path(os.environ.get("TOVHOLDER_STANDARDS", beside)) / "school" / "stil-wsieksport7-schema-fragments.txt"
    if not path.is_file():
        pytest.skip(f"{path.name} is not here: set TOVHOLDER_STANDARDS to the folder with the standards")
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def cpr(town: Town) -> dict[str, str]:
    """The town's numbers by first name."""
    return {person.first: person.cpr for person in town.people.values()}
