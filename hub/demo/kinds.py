"""What the town's administrations work with: kinds of case on the list and not on it, and the institutions.

The LISTED tables are what the demo's settings write as `kinds`: code → what a family is told, and the published time
limit. The codes of SOF are KLE subjects, the names those of barnets lov. A place in an institution and a course of care
are no applications, so they have no limit; and the name of an institution would tell where a child is, so it is not
in the name of the kind.
"""

from __future__ import annotations

from typing import NamedTuple

from hub.demo.model import Institution


class Listed(NamedTuple):
    """`name` is plain Danish, `weeks` the time limit from the day the case was opened, None where there is none."""

    name: str
    weeks: int | None
    name_en: str


LISTED_SOF = {
    "32.18.04": Listed("dækning af merudgifter", 12, "cover of additional expenses"),
    "32.18.12": Listed("hjælp til tabt arbejdsfortjeneste", 12, "help with lost earnings"),
    "27.18.20": Listed("hjemmetræning", 16, "training at home"),
    "27.21.08": Listed("ledsagelse", 8, "a companion for young people"),
    "27.21.12": Listed("aflastning i hjemmet", 10, "relief at home"),
    "27.21.16": Listed("aflastning uden for hjemmet", 12, "relief away from home"),
    "27.21.20": Listed("personlig hjælp, pleje og træning", 8, "personal help, care and training"),
    "27.12.06": Listed("rådgivning af familien", 4, "advice for the family"),
}
UNLISTED_SOF = {
    "27.24.00": "underretning om bekymring",
    "27.24.03": "børnefaglig undersøgelse",
    "27.27.00": "støttende indsats eller anbringelse",
    "27.27.09": "familiebehandling",
}
"""Never told by the hub, with the names of the source: the worst letter would be one about 27.24.00."""

UNLISTED_PREFIX = "X-"
"""The numbers of all cases of an unlisted kind begin with this, so that a trace of one is found by a search."""

DAY_CARE, SCHOOL, CLUB = "plads i særligt dagtilbud", "plads på specialskole", "plads i særligt klubtilbud"

_NAMES = {
    DAY_CARE: "Knudepunktet Sejlgarnet Tovtrækkeren Muslingen Søstjernen Ankeret Fyrtårnet Strandskallen",
    SCHOOL: "Rebslagerskolen Tovskolen Fjordskolen Engskolen Højskovskolen Søkærskolen Mosebakken Åskolen Lærkeskolen "
    "Egeskolen Solbakken Kystskolen Viberedeskolen Hedeskolen Nørreskolen Ørneskolen",
    CLUB: "Masten Kahytten Styrhuset Kompasset Agterdækket Redningsbåden",
}
_FIRST = {DAY_CARE: "Specialbørnehaven ", SCHOOL: "", CLUB: "Specialklubben "}
_ENGLISH = {DAY_CARE: "a place in special day care", SCHOOL: "a place in a special school", CLUB: "a place in a club"}
_NUMBERS = {DAY_CARE: 101001, SCHOOL: 101011, CLUB: 101031}

PLACES = {
    kind: tuple(
        Institution(str(_NUMBERS[kind] + index), _FIRST[kind] + name, special=True)
        for index, name in enumerate(names.split())
    )
    for kind, names in _NAMES.items()
}
"""Kind of place → the institutions that have it."""
FAMILY_HOUSE = Institution("101901", "Familiehuset ved Moserne", special=True)
ORDINARY = tuple(Institution(str(101101 + index), f"{index + 1}. Skole i Tovby", special=False) for index in range(20))

LISTED_BUF = {
    institution.number: Listed(kind, None, _ENGLISH[kind])
    for kind, institutions in PLACES.items()
    for institution in institutions
}
UNLISTED_BUF = {FAMILY_HOUSE.number: "ophold med familien"}
LISTED_SUF = {"care": Listed("pleje, sygepleje eller genoptræning", None, "care, nursing or rehabilitation")}
