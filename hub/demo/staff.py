"""Who works in the town's administrations, and the coordinators.

Telephone numbers begin with 1234: no subscriber's number in Denmark begins with 1. The domain `example` cannot exist
(RFC 2606). No member of staff has the full name of somebody in a family, so that a search for a family's names finds
only that family.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Set
from dataclasses import dataclass
from itertools import cycle, islice
from random import Random
from uuid import UUID

from hub.demo.kinds import FAMILY_HOUSE, PLACES
from hub.demo.model import Worker
from hub.demo.names import DANISH, ORIGINS, endless

_ASCII = str.maketrans({"æ": "ae", "ø": "oe", "å": "aa", "ł": "l", "đ": "d", "ı": "i", "ð": "d", "þ": "th", "ß": "ss"})


@dataclass(frozen=True, slots=True)
class Staff:
    advisers: tuple[Worker, ...]
    """SOF, for the kinds on the list."""
    concerns: tuple[Worker, ...]
    """SOF, for the kinds that are not: another unit, whose name alone would tell."""
    contacts: dict[str, tuple[Worker, ...]]
    """BUF, by institution number."""
    carers: tuple[Worker, ...]
    coordinators: tuple[Worker, ...]

    def workers(self) -> dict[str, Worker]:
        """Everybody but the coordinators, by uuid."""
        groups = (self.advisers, self.concerns, *self.contacts.values(), self.carers)
        return {worker.uuid: worker for group in groups for worker in group}


def uuid4(random: Random) -> str:
    """A UUID version 4 that is the same for the same seed."""
    return str(UUID(int=random.getrandbits(128), version=4))


def hire(random: Random, counts: dict[str, int], taken: Set[str]) -> Staff:
    """Staff for a town: `counts` has advisers, contacts, carers and coordinators; `taken` are the names of families."""
    origins = endless(random, [*[DANISH] * 7, *ORIGINS[1:4]])
    addresses: set[str] = set()

    def worker(administration: str, unit: str) -> Worker:
        origin = next(origins)
        while True:
            first, last = random.choice(random.choice((origin.female, origin.male))), random.choice(origin.last)
            if random.random() < 0.5:
                first += f" {random.choice('ABEHKLMRSV')}."
            if f"{first} {last}" not in taken:
                break
        mailbox = _mailbox(f"{first} {last}")
        number = 1
        while (address := f"{mailbox}{number if number > 1 else ''}@kommune.example") in addresses:
            number += 1
        addresses.add(address)
        phone = f"1234{len(addresses):04}"
        return Worker(uuid4(random), f"{first} {last}", address, phone, administration, unit)

    concerns = max(round(counts["advisers"] / 6), 1)
    teams = ("Handicap, team Nord", "Handicap, team Syd", "Handicap, team Ydelser", "Handicap, team Ung")
    institutions = [institution for places in PLACES.values() for institution in places] + [FAMILY_HOUSE]
    contacts: dict[str, list[Worker]] = {institution.number: [] for institution in institutions}
    for institution in islice(cycle(institutions), max(counts["contacts"], 2 * len(institutions))):
        contacts[institution.number].append(worker("BUF", institution.name))
    units = ("Træning og pleje for børn", "Hjemmesygeplejen")
    return Staff(
        advisers=tuple(worker("SOF", teams[i % len(teams)]) for i in range(max(counts["advisers"] - concerns, 2))),
        concerns=tuple(worker("SOF", "Modtagelsen for børn og unge") for _ in range(concerns)),
        contacts={number: tuple(workers) for number, workers in contacts.items()},
        carers=tuple(worker("SUF", units[i % len(units)]) for i in range(counts["carers"])),
        coordinators=tuple(worker("SOF", "Handicapkoordinatorerne") for _ in range(counts["coordinators"])),
    )


def _mailbox(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.casefold().translate(_ASCII)).encode("ascii", "ignore").decode()
    return ".".join("".join(c for c in part if c.isalnum()) for part in plain.split())
