"""The town has the people it promises, the same for the same seed, and none of them can be a real person."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from hub.clock import DENMARK
from hub.contract import State
from hub.demo.families import KINDS, deck
from hub.demo.kinds import UNLISTED_BUF, UNLISTED_PREFIX, UNLISTED_SOF
from hub.demo.model import Person, Town, TownCase
from hub.demo.names import ORIGINS
from hub.demo.people import LISTED_BUF, LISTED_SOF, LISTED_SUF, START, draw, expected
from hub.demo.story import SHARES, working_days
from hub.demo.town_file import load, save
from hub.identity import CprKind, parse

pytestmark = pytest.mark.slow

LISTED = {"SOF": LISTED_SOF, "BUF": LISTED_BUF, "SUF": LISTED_SUF}
TODAY = START.date()
END = datetime.fromisoformat("2026-11-16T07:00:00+00:00")
SIZES = (20, 21, 57, 300, 1000)


@pytest.fixture(scope="module")
def town() -> Town:
    return draw(1)


@pytest.fixture(scope="module")
def small() -> Town:
    return draw(7, 300)


def is_child(cpr: str, day: date) -> bool:
    return parse(cpr).age(day) < 18


def all_cases(town: Town) -> Iterator[TownCase]:
    for cases in town.cases.values():
        yield from cases


def listed(case: TownCase) -> bool:
    return case.kind in LISTED[case.administration]


def open_or_applied(state: State) -> bool:
    return state in (State.APPLIED, State.OPEN)


def not_closed(state: State) -> bool:
    return state is not State.CLOSED


def present(
    town: Town, now: datetime, counts: Callable[[State], bool] = open_or_applied, born: date = TODAY
) -> dict[str, set[str]]:
    """Child → administrations it has a listed case in, that `counts`, at a time. A child is under 18 on `born`."""
    found: dict[str, set[str]] = defaultdict(set)
    for case in all_cases(town):
        version = case.at(now)
        if version and not version.gone and counts(version.state) and listed(case) and is_child(case.child, born):
            found[case.child].add(case.administration)
    return found


def target(town: Town) -> set[str]:
    return {child for child, administrations in present(town, START).items() if len(administrations) > 1}


def assert_counts(town: Town, numbers: dict[str, int], counts: Callable[[State], bool] = open_or_applied) -> None:
    found = Counter("+".join(sorted(a, key=["SOF", "BUF", "SUF"].index)) for a in present(town, START, counts).values())
    assert found == {
        "SOF": numbers["SOF"] - numbers["eligible"],
        "SOF+BUF": numbers["SOF+BUF"],
        "SOF+SUF": numbers["SOF+SUF"],
        "BUF": numbers["BUF alone"],
        "SUF": numbers["SUF alone"],
    }


def test_full_town_has_the_children_of_the_case_for_it(town: Town) -> None:
    administrations = present(town, START)
    assert sum("SOF" in a for a in administrations.values()) == 6075
    assert sum(a >= {"SOF", "BUF"} for a in administrations.values()) == 1584
    assert sum(a >= {"SOF", "SUF"} for a in administrations.values()) == 83
    assert sum(len(a) > 1 for a in administrations.values()) == 1667
    assert not [a for a in administrations.values() if a == {"BUF", "SUF"} or len(a) == 3]
    assert len(town.coordinators) == 83
    assert_counts(town, expected(6075))


def test_counts_are_the_same_whether_a_decided_case_counts_or_not(town: Town) -> None:
    assert_counts(town, expected(), not_closed)


@pytest.mark.parametrize("size", SIZES)
def test_small_town_has_the_expected_counts(size: int) -> None:
    for seed in (1, 2):
        small, numbers = draw(seed, size), expected(size)
        assert_counts(small, numbers)
        assert len(small.coordinators) == numbers["coordinators"]
        assert (
            len({pupil for pupils in small.ordinary_pupils.values() for pupil in pupils})
            == (numbers["ordinary pupils"])
        )


@pytest.mark.parametrize("size", SIZES)
def test_coordinators_are_slightly_too_few(size: int) -> None:
    numbers = expected(size)
    assert numbers["coordinators"] == 1 or 0 < numbers["eligible"] - 20 * numbers["coordinators"] <= 20


@pytest.mark.parametrize("size", [19, 0, -1, 60_001])
def test_size_that_cannot_be_drawn_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="between 20 and 60000"):
        draw(1, size)


def test_another_seed_gives_another_town_with_the_same_counts(town: Town) -> None:
    other = draw(2)
    assert_counts(other, expected())
    # Dates and serials are few enough for some numbers to be in both by chance.
    assert len(other.people.keys() & town.people.keys()) < len(town.people) / 10


def test_same_seed_gives_the_same_town_in_another_process(tmp_path: Path, small: Town) -> None:
    assert draw(7, 300) == small
    mine = hashlib.sha256(save(small, tmp_path).read_bytes()).hexdigest()
    program = (
        "import sys, hashlib, pathlib; from hub.demo.people import draw; from hub.demo.town_file import save;"
        "print(hashlib.sha256(save(draw(7, 300), pathlib.Path(sys.argv[1])).read_bytes()).hexdigest())"
    )
    for hash_seed in ("1", "4711"):
        other = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / hash_seed)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert other.stdout.strip() == mine


def test_town_comes_back_from_its_file(tmp_path: Path, small: Town) -> None:
    folder = tmp_path / "data" / "town"
    path = save(small, folder)
    assert load(folder) == small
    assert (path.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    save(draw(8, 20), folder)
    assert load(folder) == draw(8, 20)


def test_no_number_can_be_an_ordinary_persons(town: Town) -> None:
    weights = (4, 3, 2, 7, 6, 5, 4, 3, 2, 1)
    for number, person in town.people.items():
        assert number == person.cpr
        assert number[6:8] == "99"
        assert sum(int(digit) * weight for digit, weight in zip(number, weights, strict=True)) % 11
        assert parse(number).matchable


def test_sex_of_a_number_fits_the_parent(town: Town) -> None:
    for held in town.custody.values():
        for one in held:
            if one.relation != "anden":
                assert int(one.guardian[9]) % 2 == (one.relation == "far")
    for parents in town.parents.values():
        assert [int(parent[9]) % 2 for parent in parents] in ([0], [0, 1])


def test_replacement_numbers_are_within_the_counts(town: Town) -> None:
    found = [cpr for cpr in present(town, START) if parse(cpr).kind is CprKind.REPLACEMENT]
    assert len(found) == expected()["replacement numbers"]
    assert len(set(found) & target(town)) == 3
    assert not [cpr for cpr in town.people if parse(cpr).kind is CprKind.REPLACEMENT and cpr not in found]


def test_six_children_of_the_target_group_turn_18(town: Town) -> None:
    def birthday(cpr: str) -> date:
        born = parse(cpr).born
        return born.replace(year=born.year + 18, day=min(born.day, 28) if born.month == 2 else born.day)

    turning = {cpr: birthday(cpr) for cpr in town.custody if TODAY < birthday(cpr) <= END.date()}
    assert turning.keys() <= target(town)
    assert sorted(day.day for day in turning.values()) == [3, 5, 8, 10, 12, 13]


def test_somebody_whose_18th_birthday_is_today_is_no_child(town: Town) -> None:
    eighteen = [cpr for cpr in town.custody if parse(cpr).born == date(2008, 11, 2)]
    assert eighteen
    for cpr in eighteen:
        assert {case.administration for case in all_cases(town) if case.child == cpr} == {"SOF", "BUF"}
        assert all(one.until is not None and one.until <= TODAY for one in town.custody[cpr])


def test_every_unlisted_case_bears_the_mark_and_no_other_does(town: Town) -> None:
    assert not (UNLISTED_SOF.keys() | UNLISTED_BUF.keys()) & (LISTED_SOF.keys() | LISTED_BUF.keys())
    for case in all_cases(town):
        assert case.number.startswith(UNLISTED_PREFIX) == (not listed(case)), case.kind
        assert listed(case) or case.kind in (UNLISTED_SOF | UNLISTED_BUF)


@pytest.mark.parametrize("which", ["town", "small"])
def test_children_of_the_target_group_have_unlisted_cases_too(which: str, request: pytest.FixtureRequest) -> None:
    town = request.getfixturevalue(which)
    hidden = [case for case in all_cases(town) if not listed(case)]
    chosen = target(town)
    assert {case.child for case in hidden} & chosen
    assert {case.child for case in hidden} - present(town, START).keys()
    # The worst of them comes while the hub is reading.
    assert [c for c in hidden if c.kind == "27.24.00" and c.child in chosen and c.versions[0].changed > START]


def test_sibling_of_a_child_in_the_target_group_may_have_only_what_must_not_be_told(town: Town) -> None:
    seen, chosen = present(town, START), target(town)
    mothers = {town.parents[child][0] for child in chosen}
    assert [cpr for cpr, parents in town.parents.items() if cpr not in seen and parents[0] in mothers]


def test_case_ids_and_numbers_are_unique(town: Town) -> None:
    cases = list(all_cases(town))
    assert len({case.uuid for case in cases}) == len(cases) == len({case.number for case in cases})


def holders(town: Town, child: str, day: date = TODAY) -> dict[str, str]:
    return {
        one.guardian: one.relation
        for one in town.custody[child]
        if one.since <= day and (one.until is None or day < one.until)
    }


def place(person: Person) -> tuple[str, str]:
    return person.street, person.postcode


def variants(town: Town) -> set[str]:
    """Which kinds of family there are in the target group."""
    found = set()
    for cpr in target(town):
        now, child = holders(town, cpr), town.people[cpr]
        others = [town.people[holder] for holder in now if place(town.people[holder]) != place(child)]
        if len(now) == 2:
            found.add("joint, two addresses" if others else "joint, one address")
            if child.protected and others and not others[0].protected:
                found.add("hidden from one guardian")
        elif len(now) == 1:
            found.add(f"only {next(iter(now.values()))}")
        if set(town.parents[cpr]) - {one.guardian for one in town.custody[cpr]}:
            found.add("parent never had custody")
        if len(town.parents[cpr]) == 1:
            found.add("one parent")
        if any(one.until and one.until <= TODAY for one in town.custody[cpr]):
            found.add("custody ended")
        if set(holders(town, cpr, END.date())) - set(now):
            found.add("gains custody in the story")
        if set(now) - set(holders(town, cpr, END.date())):
            found.add("loses custody in the story")
        if any(not town.people[holder].digital_post for holder in now):
            found.add("exempt from Digital Post")
    return found


@pytest.mark.parametrize("which", ["town", "small"])
def test_every_kind_of_family_is_in_the_target_group(which: str, request: pytest.FixtureRequest) -> None:
    assert variants(request.getfixturevalue(which)) == {
        "joint, two addresses",
        "joint, one address",
        "hidden from one guardian",
        "only mor",
        "only far",
        "only anden",
        "parent never had custody",
        "one parent",
        "custody ended",
        "gains custody in the story",
        "loses custody in the story",
        "exempt from Digital Post",
    }


def test_every_child_has_a_guardian_throughout_the_story(town: Town) -> None:
    for cpr in present(town, START):
        for day in (TODAY, END.date()):
            assert holders(town, cpr, day)


def share(found: int, of: int) -> float:
    return round(100 * found / of, 1)


def test_shares_are_those_of_a_real_municipality(town: Town) -> None:
    chosen = target(town)
    guardians = {holder for child in chosen for holder in holders(town, child)}
    brothers = Counter(town.parents[child][0] for child in chosen)
    assert share(sum(len(holders(town, child)) == 2 for child in chosen), len(chosen)) == pytest.approx(62, abs=2)
    assert share(sum(n for n in brothers.values() if n > 1), len(chosen)) == pytest.approx(12, abs=1)
    assert share(sum(town.people[c].protected for c in chosen), len(chosen)) == pytest.approx(2, abs=0.8)
    assert share(sum(town.people[g].protected for g in guardians), len(guardians)) == pytest.approx(2, abs=0.8)
    assert share(sum(not town.people[g].digital_post for g in guardians), len(guardians)) == pytest.approx(6, abs=1)


def test_names_are_of_many_kinds(town: Town) -> None:
    guardians = {town.people[one.guardian].name for child in target(town) for one in town.custody[child]}
    for letters in ("æ", "ø", "å", "é", "ł", "ş", "ễ", "'", "-", "Đ"):
        assert any(letters in name for name in guardians), letters
    assert max(map(len, guardians)) > 70
    assert len({first for origin in ORIGINS for first in origin.female + origin.male}) >= 120
    assert len({last for origin in ORIGINS for last in origin.last}) >= 100
    assert sum(origin.share for origin in ORIGINS) == 100


@pytest.mark.parametrize("which", ["town", "small"])
def test_siblings_fit_together(which: str, request: pytest.FixtureRequest) -> None:
    town = request.getfixturevalue(which)
    by_mother: dict[str, list[str]] = defaultdict(list)
    for child, parents in town.parents.items():
        by_mother[parents[0]].append(child)
    several = {mother: children for mother, children in by_mother.items() if len(children) > 1}
    assert several
    half = 0
    for mother, children in several.items():
        born = sorted(parse(child).born for child in children)
        assert all(later == earlier or (later - earlier).days >= 280 for earlier, later in pairwise(born))
        assert (born[0] - parse(mother).born).days > 17 * 365
        assert (born[-1] - parse(mother).born).days < 50 * 366
        assert len({place(town.people[child]) for child in children}) == 1
        assert len({town.people[child].protected for child in children}) == 1
        assert len({town.people[child].first for child in children}) == len(children)
        custody = defaultdict(set)
        for child in children:
            held = town.custody[child]
            custody[town.parents[child]].add(frozenset((one.guardian, one.relation, one.until) for one in held))
        assert all(len(same) == 1 for same in custody.values()), "full siblings have different guardians"
        half += len(custody) > 1
        twins = defaultdict(set)
        for child in children:
            twins[parse(child).born].add(town.parents[child])
        assert all(len(parents) == 1 for parents in twins.values())
    assert half or which == "small"


def test_ordinary_pupils_have_no_case_in_buf(town: Town) -> None:
    pupils = {pupil for pupils in town.ordinary_pupils.values() for pupil in pupils}
    administrations = present(town, START)
    assert not [pupil for pupil in pupils if "BUF" in administrations.get(pupil, ())]
    assert [pupil for pupil in pupils if administrations.get(pupil) == {"SOF"}]
    assert [pupil for pupil in pupils if administrations.get(pupil) == {"SOF", "SUF"}]
    assert [pupil for pupil in pupils if pupil not in administrations]


def test_some_guardians_are_themselves_in_suf(town: Town) -> None:
    citizens = {case.child for case in town.cases["SUF"]}
    assert citizens & {holder for child in target(town) for holder in holders(town, child)}
    adults = {cpr for cpr in citizens if not is_child(cpr, TODAY)}
    assert len(adults) == expected()["SUF adults"] + expected()["over 18"] // 2


def test_every_case_has_staff_of_its_own_place(town: Town) -> None:
    for case in all_cases(town):
        for version in case.versions:
            if version.adviser is None:
                assert case.administration == "SOF"
                continue
            worker = town.workers[version.adviser]
            assert worker.administration == case.administration
            if case.administration == "BUF":
                assert worker.unit == town.institutions[case.kind].name
    assert sum(worker.administration == "SOF" for worker in town.workers.values()) == 120
    assert sum(worker.administration == "BUF" for worker in town.workers.values()) == 90
    assert sum(worker.administration == "SUF" for worker in town.workers.values()) == 20


def test_staff_can_be_told_from_families(town: Town) -> None:
    staff = [*town.workers.values(), *town.coordinators]
    assert not {worker.name for worker in staff} & {person.name for person in town.people.values()}
    assert len({worker.email for worker in staff}) == len(staff) == len({worker.phone for worker in staff})
    assert all(worker.email.endswith("@kommune.example") and worker.email.isascii() for worker in staff)
    assert len({worker.uuid for worker in staff}) == len(staff)


def test_case_begins_after_its_childs_birth_and_goes_forward_in_time(town: Town) -> None:
    for case in all_cases(town):
        assert case.opened > parse(case.child).born
        times = [version.changed for version in case.versions]
        assert times == sorted(set(times))
        assert times[0].date() >= case.opened - timedelta(days=3)
        assert all(time.astimezone(DENMARK).weekday() < 5 for time in times)
        assert case.follow_up is None or (case.administration == "SUF" and case.follow_up > case.opened)
        assert not (case.at(START) and case.opened > TODAY)


def test_deadlines_come_near_for_a_realistic_share(town: Town) -> None:
    left = []
    for case in town.cases["SOF"]:
        version = case.at(START)
        if version and open_or_applied(version.state) and listed(case):
            weeks = LISTED_SOF[case.kind].weeks
            assert weeks is not None
            assert 4 <= weeks <= 16
            left.append((case.opened + timedelta(weeks=weeks) - TODAY).days)
    assert share(sum(0 <= days <= 21 for days in left), len(left)) == pytest.approx(15, abs=3)
    assert min(days for days in left if days >= 0) <= 3


def moves(town: Town, children: set[str]) -> Counter[str]:
    """What happens to the listed cases of the children in the story; a child counts once for each thing."""
    found = set()
    for case in all_cases(town):
        if case.child not in children or not listed(case):
            continue
        before = case.at(START)
        for version in case.versions:
            if version.changed <= START:
                continue
            if before is None:
                found.add(("opened", case.child))
            elif version.gone:
                found.add(("gone", case.child))
            elif version.state is State.CLOSED:
                found.add(("closed", case.child))
            elif version.state is not before.state:
                found.add(("decided", case.child))
            elif version.adviser != before.adviser:
                found.add(("adviser", case.child))
            before = version
    return Counter(thing for thing, _child in found)


def test_story_moves_the_promised_shares_of_the_target_group(town: Town) -> None:
    chosen = target(town)
    found = moves(town, chosen)
    for thing in ("decided", "opened", "closed", "gone"):
        assert found[thing] == pytest.approx(SHARES[thing] * len(chosen), abs=1), thing
    # Those whose new case gets its adviser later, and those with several new advisers, count here too.
    assert share(found["adviser"], len(chosen)) == pytest.approx(7, abs=1.5)


def test_story_happens_in_working_hours_of_ten_working_days(town: Town) -> None:
    later = [version.changed for case in all_cases(town) for version in case.versions if version.changed > START]
    times = [time.astimezone(DENMARK) for time in later]
    assert {time.date() for time in times} == set(working_days(TODAY))
    assert len(working_days(TODAY)) == 10
    assert all(8 <= time.hour < 16 for time in times)
    assert START < min(later) <= max(later) < END


def test_nobody_enters_the_target_group_in_the_story(town: Town) -> None:
    at_start = present(town, START, not_closed)
    for child, administrations in present(town, END, not_closed).items():
        assert administrations <= at_start[child]


@pytest.mark.parametrize("size", [1, 5, 9, 10, 37, 500])
def test_deck_has_every_kind_when_there_is_room(size: int) -> None:
    cards = deck(Random(1), KINDS, size)
    assert len(cards) == size
    assert len(set(cards)) == min(size, len(KINDS))
