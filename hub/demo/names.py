"""Names and addresses for the town's people: ordinary ones, put together at random. No list of real persons is behind
them, and the town, its streets and its postcodes do not exist."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Origin:
    """Names that go together. `share` is how many of a hundred families have them."""

    share: int
    female: tuple[str, ...]
    male: tuple[str, ...]
    last: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


DANISH = Origin(
    74,
    _words(
        "Anne Mette Kirsten Hanne Helle Susanne Lene Maria Marianne Charlotte Camilla Louise Ida Emma Sofie Freja "
        "Alma Clara Ella Agnes Åse Bodil Sørine Kærsti Ane-Mette Anna-Sofie Rikke Trine Signe Maja Laura Nanna "
        "Josefine Sigrid Asta Merle Vilma Gry Tove Karla"
    ),
    _words(
        "Peter Jens Lars Michael Henrik Thomas Søren Jan Niels Christian Martin Jørgen Anders Rasmus Mads Frederik "
        "Emil Oscar Noah Valdemar August Aksel Åge Bjørn Bo Kjær Hans-Henrik Karl-Emil Jeppe Mikkel Nikolaj Tobias "
        "Magnus Storm Villads Viggo Elias Theo Asger Ejnar"
    ),
    _words(
        "Jensen Nielsen Hansen Pedersen Andersen Christensen Larsen Sørensen Rasmussen Jørgensen Petersen Madsen "
        "Kristensen Olsen Thomsen Christiansen Poulsen Johansen Møller Mortensen Knudsen Jakobsen Mikkelsen Lund Holm "
        "Schmidt Eriksen Kjær Bach Dahl Friis Vestergaard Østergaard Søndergaard Nørgaard Ågård Bækgaard Skov Krogh "
        "Bruun Winther Toft Lauritsen Dam Hald Ravn Brandt Juhl Bang Holst Overgaard Kjærulff Bertelsen Hedegaard"
    ),
)
ORIGINS = (
    DANISH,
    Origin(
        5,
        _words("Ayşe Elif Zeynep Gülşen Şule Çiğdem"),
        _words("Mehmet Emre Ömer Uğur Şahin Çağlar"),
        _words("Yıldız Öztürk Şahin Çelik Kılıç Doğan Güneş Aydın"),
    ),
    Origin(
        6,
        _words("Fatima Amina Layla Noor Zahra Hodan Yasmin Hibo"),
        _words("Ahmed Ali Omar Yusuf Hassan Bilal Abdirahman Karim"),
        _words("Hussein Al-Khatib Abdi Mohamud Rahimi El-Masri Haddad Osman Nur Warsame"),
    ),
    Origin(
        4,
        _words("Agnieszka Małgorzata Żaneta Zofia Łucja"),
        _words("Paweł Łukasz Michał Wojciech Bartłomiej"),
        _words("Kowalska-Nowak Wiśniewski Dąbrowski Jabłoński Woźniak Król Gołąb"),
    ),
    Origin(
        3,
        _words("Thảo Hường Mỹ-Linh Ngọc Bích"),
        _words("Đức Dũng Hải Tuấn Quốc"),
        _words("Nguyễn Trần Phạm Huỳnh Võ Đặng Bùi"),
    ),
    Origin(
        2,
        _words("Réka Zoé Élodie Chloé Ilinca Anaïs"),
        _words("René François Ștefan Zoltán Gábor Loïc"),
        _words("D'Angelo O'Brien Lefèvre Szabó Popescu Müller-Groß Ionescu"),
    ),
    Origin(
        2,
        _words("Emina Lejla Snežana Đurđica"),
        _words("Edin Željko Saša Haris"),
        _words("Hadžić Kovačević Đorđević Begić Šarić"),
    ),
    Origin(
        2,
        _words("Priya Lakshmi Sana Aishwarya"),
        _words("Arjun Ravi Imran Suresh"),
        _words("Sivakumar Subramaniam Khan Malik Thirunavukkarasu"),
    ),
    Origin(
        2,
        _words("Guðrún Sigríður Þóra Naja Pipaluk"),
        _words("Þór Ragnar Aqqaluk Malik Jógvan"),
        _words("Sigurðardóttir Þórsson Petersen Kleist í-Dali Joensen"),
    ),
)

LONG_FIRST = (
    "Anne-Sophie Charlotte Wilhelmine Margrethe",
    "Maximilian Christoffer Alexander Ferdinand",
    "Kirstine Marie-Louise Elisabeth Dorothea",
)
LONG_LAST = (
    "Skovgaard-Vestergaard Bækkelund-Østergaard",
    "von Lindenkrone-Hjortespring Kjærgaard-Ravnsborg",
    "Thirunavukkarasu Subramaniam-Christoffersen",
)
"""First and last together are longer than most forms have room for (over 70 characters)."""

STREETS = _words(
    "Rebslagerløkken Tovværksgade Knobvej Ankerspilsvej Taljestræde Kabelgårdsvej Splejsevænget Løbeknudevej "
    "Halvstikket Pælestikvej Dobbeltstikket Overhåndsvej Sejlgarnsstien Hampeløkken Tjærekrogen Trosseallé "
    "Kvejlevænget Flagknudevej Ottetalsvej Råbåndsgade Skipperløkken Mærlegade Fenderstien Øjesplejsen"
)
CITIES = (("2991", "Tovby"), ("2992", "Tovby N"), ("2993", "Tovby S"), ("2994", "Rebsø"), ("2996", "Ånæs"))
"""Postcodes that no place in Denmark has."""


def endless(random: Random, values: list[T]) -> Iterator[T]:
    """`values` in random order, again and again: the share of each is kept in every stretch, so that a small town has
    the same mixture as a large one."""
    while True:
        random.shuffle(values)
        yield from tuple(values)


def address(random: Random) -> tuple[str, str, str]:
    """Street with number (and sometimes floor), postcode, city."""
    street = f"{random.choice(STREETS)} {random.randint(1, 180)}"
    if random.random() < 0.45:
        street += f", {random.randint(1, 5)}. {random.choice(('tv', 'mf', 'th'))}"
    return street, *random.choice(CITIES)
