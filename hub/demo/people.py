"""Draws the town: a municipality of the size of a large Danish one, from a seed, the same every time.

How many (with 6,075 children; `expected` gives the numbers for other sizes): 6,075 children have a listed case in SOF
that is open or applied for. 1,584 of them also have one in BUF, and 83 of them in SUF; these 83 have none in BUF, so
1,667 children are in two administrations or more, and nobody is in BUF and SUF alone. The source of the numbers
says "af disse" (of these), which may also mean that the 83 are among the 1,584. We read the two groups as apart, since
only then 1,584 + 83 = 1,667 children are in two or more, the number that the scheme is made for.

Around them is what a real municipality has and what must not be matched: children of BUF and SUF alone, pupils without
any case (some of them with a case in SOF), children with nothing but cases of unlisted kinds, closed cases, persons
over 18, elderly people in SUF (some of them guardians of children in the target group). Children who turn 18 in the
ten days, and the few with a replacement number, are within the numbers.

Time begins on Monday 2 November 2026 at 08:00 in Denmark. `until` in a Custody is the first day without.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random

from hub.demo.cases import Cases
from hub.demo.families import Child, Place, Register, deck, grown_up, make
from hub.demo.kinds import FAMILY_HOUSE, LISTED_BUF, LISTED_SOF, LISTED_SUF, ORDINARY, PLACES
from hub.demo.model import Town
from hub.demo.names import address
from hub.demo.staff import hire
from hub.demo.story import tell

__all__ = ["LISTED_BUF", "LISTED_SOF", "LISTED_SUF", "START", "draw", "expected"]

START = datetime(2026, 11, 2, 7, 0, tzinfo=UTC)
FULL = 6075
SMALLEST, LARGEST = 20, 60_000
_BIRTHDAYS = (3, 5, 8, 10, 12, 13)
"""Days of November 2026 on which a child of the target group turns 18; the 8th is a Sunday."""
_FULL_COUNTS = {  # with 6,075 children, and the fewest in a small town
    "SOF+BUF": (1584, 4),
    "SOF+SUF": (83, 2),
    "BUF alone": (900, 4),
    "SUF alone": (150, 3),
    "SUF adults": (300, 5),
    "ordinary pupils": (600, 6),
    "unlisted alone": (250, 3),
    "over 18": (12, 2),
    "turning 18": (6, 1),
    "replacement numbers": (8, 2),
    "advisers": (120, 6),
    "contacts": (90, 2),
    "carers": (20, 2),
}


def expected(children: int = FULL) -> dict[str, int]:
    """How many there are of what in a town with `children` children in SOF.

    Every number is the one of the full town × children / 6075, rounded (a half to the even number), and at least a
    few. "SOF", "BUF" and "SUF" count children under 18 with a listed case there; "eligible" those in two or more. The
    coordinators are slightly too few: one for each whole 20 below the number of eligible children.
    Raises ValueError for a size that cannot be drawn."""
    if not SMALLEST <= children <= LARGEST:
        raise ValueError(f"a town has between {SMALLEST} and {LARGEST} children in SOF, not {children}")
    counts = {name: max(round(full * children / FULL), fewest) for name, (full, fewest) in _FULL_COUNTS.items()}
    counts["turning 18"] = min(counts["turning 18"], len(_BIRTHDAYS))
    eligible = counts["SOF+BUF"] + counts["SOF+SUF"]
    return {
        "SOF": children,
        "BUF": counts["SOF+BUF"] + counts["BUF alone"],
        "SUF": counts["SOF+SUF"] + counts["SUF alone"],
        "eligible": eligible,
        "coordinators": max((eligible - 1) // 20, 1),
        **counts,
    }


def draw(seed: int = 1, children: int = FULL, fortnights: int = 1) -> Town:
    """The town of this seed: equal for the same arguments, whatever the process. In each of the fortnights as much
    happens in its cases as in the demo's. Raises ValueError as `expected`."""
    counts = expected(children)
    random = Random(f"tovby:{seed}:{children}")  # a string: seeded by its digest, not by hash()
    register = Register(random, START)
    target, others, grown = _families(random, counts)
    born = [*make(register, target), *make(register, others)]
    adults = list(make(register, grown))
    for child in adults:
        grown_up(register, child)
    elderly = _elderly(register, counts, born)
    staff = hire(random, counts, {person.name for person in register.people.values()})
    cases = Cases(random, staff, START)
    for child in (*born, *adults):
        cases.begin(child)
    for citizen in elderly:
        cases.care(citizen)
    eligible = [child for child in born if len(child.place.group) > 1]
    for fortnight in range(fortnights):
        cases.today = START.date() + timedelta(weeks=2 * fortnight)
        tell(cases, eligible)
        tell(cases, [child for child in born if len(child.place.group) == 1])
    return Town(
        seed=seed,
        start=START,
        people=dict(sorted(register.people.items())),
        custody=dict(sorted(register.custody.items())),
        parents=dict(sorted(register.parents.items())),
        cases=cases.finished(),
        workers=staff.workers(),
        coordinators=staff.coordinators,
        institutions={place.number: place for place in (*sum(PLACES.values(), ()), FAMILY_HOUSE, *ORDINARY)},
        ordinary_pupils=_pupils(random, born),
    )


Family = list[Place]


def _families(random: Random, counts: dict[str, int]) -> tuple[list[Family], list[Family], list[Family]]:
    """The children to be made as families: those with a child in the target group, the others, and those whose child
    is over 18."""
    fixed = [date(2026, 11, day) for day in _BIRTHDAYS[: counts["turning 18"]]]
    replaced = max(counts["replacement numbers"] * 3 // 8, 1)
    target = [
        *_places(random, ("SOF", "BUF"), counts["SOF+BUF"], unlisted=0.09),
        *_places(random, ("SOF", "SUF"), counts["SOF+SUF"], unlisted=0.09, pupils=0.1),
    ]
    random.shuffle(target)
    alone = counts["SOF"] - len(target)
    pupils = counts["ordinary pupils"] // 3 - sum(place.pupil for place in target)
    sof = _places(random, ("SOF",), alone, unlisted=0.06, pupils=max(pupils, 1) / alone)
    unlisted = [Place((), unlisted=True)] * counts["unlisted alone"]
    plain = [Place((), pupil=True)] * (counts["ordinary pupils"] - sum(place.pupil for place in (*target, *sof)))
    target = [*_marked(target[: len(fixed)], fixed), *_replacements(target[len(fixed) :], replaced)]
    sof = _replacements(sof, counts["replacement numbers"] - replaced)

    # About 12 of 100 children in the target group have a sibling there, as pairs and sets of three.
    families = [[place] for place in target[: len(fixed)]]
    rest = iter(target[len(fixed) :])
    triples, pairs = round(0.004 * len(target)), max(round(0.054 * len(target)), 1)
    families += [[next(rest) for _ in range(3)] for _ in range(triples)]
    families += [[next(rest), next(rest)] for _ in range(pairs)]
    # Some of the others have a brother or sister whose case is none of the hub's business.
    siblings = iter([*_take(sof, round(0.12 * len(target))), *_take(unlisted, len(unlisted) // 5)])
    families += [[place, sibling] for sibling, place in zip(siblings, rest, strict=False)]
    families += [[place] for place in rest]
    families += [[place] for place in siblings]
    others = _pairs(sof, 0.1)
    others += [[place] for place in (*unlisted, *plain)]
    others += _pairs(_places(random, ("BUF",), counts["BUF alone"], unlisted=0.05), 0.1)
    others += [[place] for place in _places(random, ("SUF",), counts["SUF alone"], unlisted=0.05)]
    for group in (families, others):
        random.shuffle(group)
    return families, others, [[place] for place in _over_18(random, counts["over 18"])]


def _places(random: Random, group: tuple[str, ...], size: int, *, unlisted: float, pupils: float = 0.0) -> list[Place]:
    hidden = deck(random, {False: 1 - unlisted, True: unlisted}, size)
    ordinary = deck(random, {False: 1 - pupils, True: pupils}, size) if pupils else [False] * size
    return [Place(group, unlisted=u, pupil=p) for u, p in zip(hidden, ordinary, strict=True)]


def _marked(places: list[Place], birthdays: list[date]) -> Iterator[Place]:
    for place, day in zip(places, birthdays, strict=True):
        yield Place(place.group, place.unlisted, place.pupil, eighteenth=day)


def _replacements(places: list[Place], count: int) -> list[Place]:
    changed = [Place(place.group, place.unlisted, replacement=True) for place in places[:count]]
    return changed + places[count:]


def _take(places: list[Place], count: int) -> list[Place]:
    """Takes `count` from the end, away from the replacement numbers at the beginning."""
    taken = places[len(places) - count :]
    del places[len(places) - count :]
    return taken


def _pairs(places: list[Place], share: float) -> list[Family]:
    together = int(len(places) * share) // 2 * 2
    paired = [list(pair) for pair in zip(places[:together:2], places[1:together:2], strict=True)]
    return paired + [[place] for place in places[together:]]


def _over_18(random: Random, count: int) -> Iterator[Place]:
    """Young people with cases in two administrations who are not children: the first has the birthday on the very
    first day, some between 18 and 21."""
    for index in range(count):
        day = START.date() - timedelta(days=index and random.randint(1, 1200))
        yield Place(("SOF", ("BUF", "SUF")[index % 2]), eighteenth=day)


def _elderly(register: Register, counts: dict[str, int], born: list[Child]) -> list[str]:
    """Adults with a course of care in SUF; one of twenty is a guardian of a child in the target group."""
    guardians = [
        one.guardian for child in born if len(child.place.group) > 1 for one in register.custody[child.cpr][:1]
    ]
    count = counts["SUF adults"]
    found = sorted(set(register.random.sample(guardians, max(count // 20, 1))))
    while len(found) < count:
        birthday = register.between(date(1937, 1, 1), date(1990, 12, 31))
        names = register.family_names()
        home = address(register.random)
        found.append(register.person(birthday, female=register.random.random() < 0.6, names=names, home=home).cpr)
    return found


def _pupils(random: Random, born: list[Child]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {place.number: [] for place in ORDINARY}
    for child in born:
        if child.place.pupil:
            found[random.choice(ORDINARY).number].append(child.cpr)
    return {number: tuple(pupils) for number, pupils in found.items()}
