"""Words of the pages: two languages, times and states as a person says them, and what is wrong with a number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from markupsafe import Markup, escape

from hub import rights
from hub.access.policy import PURPOSES
from hub.clock import DENMARK
from hub.contract import State
from hub.coordination import caseload
from hub.errors import BadRecord
from hub.identity import parse
from hub.letters.words import long_date, weekday

LANGUAGES = ("da", "en")
Text = tuple[str, str]
"""The same in Danish and in English."""

STATES: dict[State, Text] = {
    State.APPLIED: ("I har søgt og venter på svar", "You have applied and wait for an answer"),
    State.OPEN: ("Sagen er i gang", "The case is under way"),
    State.DECIDED: ("Der er truffet en afgørelse", "A decision has been made"),
    State.CLOSED: ("Sagen er slut", "The case is closed"),
}

RIGHTS: dict[str, Text] = {
    rights.WRONG: ("Det her er forkert", "This is wrong"),
    rights.OBJECTION: ("Jeg gør indsigelse", "I object"),
    rights.BELONG: ("Vi mener, vi hører til", "We think we belong"),
}

ROLES: dict[str, Text] = {
    "staff": ("En medarbejder", "A member of staff"),
    "coordinator": ("En koordinator", "A coordinator"),
    "leader": ("En leder", "A leader"),
}
"""How families read who answered or looked: by role, never by name."""

ANSWERS: dict[str, Text] = {
    "yes": ("Ja tak til en koordinator", "Yes to a coordinator"),
    "no": ("Nej tak til en koordinator", "No to a coordinator"),
    "withdrawn": ("Vil ikke have en koordinator længere", "No longer wants a coordinator"),
    "objection": ("Gør indsigelse (et menneske svarer)", "Objects (a person answers)"),
}
CHOICES: dict[str, Text] = {
    "close": ("Luk for", "Close for"),
    "open": ("Åbn igen for", "Open again for"),
    "consent": ("Ja til, at vi læser om sager hos", "Yes to our reading about cases at"),
    "no_consent": ("Nej til, at vi læser om sager hos", "No to our reading about cases at"),
}
"""What is chosen of an administration, before its name."""
HOW: dict[str, Text] = {
    "phone": ("På telefon", "By phone"),
    "paper": ("På papir", "On paper"),
    "meeting": ("I et møde", "In a meeting"),
}

PURPOSES_EN = {
    "coordination": "Coordinate the help for the child",
    "case": "Work on the child's case",
    "contact": "Get in touch with the coordinator",
}
"""`hub.access.policy.PURPOSES` in English."""

WAITS: dict[str, Text] = {
    caseload.NO_PLACE: (
        "Alle koordinatorer har lige nu så mange børn, som de kan følge. I får besked, når der er plads.",
        "All coordinators have as many children as they can follow at the moment. You will hear when there is room.",
    ),
    caseload.SIBLING_FULL: (
        "Søskende får den samme koordinator, og der er ikke plads til flere hos koordinatoren lige nu.",
        "Siblings have the same coordinator, and that coordinator has no room for more at the moment.",
    ),
}
WAITS_ELSE: Text = (
    "Vi er ved at finde ud af, om vi kan tilbyde en koordinator. I får besked.",
    "We are finding out whether we can offer a coordinator. You will hear from us.",
)

MANY: Text = (
    "Du har slået flere børn op den sidste time, end de fleste gør. Skriv hvorfor. Logkontrollanten får besked.",
    "You have looked up more children in the last hour than most do. Write why. The auditor is told.",
)
"""More children than the setting, and no reason."""
TOO_MANY: tuple[Text, Text] = (
    ("Du har slået for mange børn op", "You have looked up too many children"),
    (
        "Du har slået så mange børn op den sidste time, at der ikke kan slås flere op lige nu. Logkontrollanten har "
        "fået besked. Prøv igen om en time, eller ring, hvis det haster.",
        "You have looked up so many children in the last hour that no more can be looked up right now. The auditor has "
        "been told. Try again in an hour, or call if it is urgent.",
    ),
)

_DELIVERY: dict[tuple[str, str | None], Text] = {
    ("sent", "digital"): ("Sendt til Digital Post", "Sent to Digital Post"),
    ("sent", "print"): ("Sendt til udskrivning på papir", "Sent to be printed on paper"),
    ("received", "digital"): ("På vej til din Digital Post", "On its way to your Digital Post"),
    ("received", "print"): ("På vej med posten", "On its way by mail"),
    ("delivered", "digital"): ("Leveret i din Digital Post", "Delivered to your Digital Post"),
    ("delivered", "print"): ("Afleveret til posten", "Handed to the postal service"),
}
_DELIVERY_ELSE: dict[str, Text] = {
    "sent": ("Sendt", "Sent"),
    "received": ("På vej til dig", "On its way to you"),
    "delivered": ("Leveret", "Delivered"),
    "returned": ("Kom retur. Kommunen ser på det.", "Came back. The municipality is looking into it."),
    "failed": (
        "Kunne ikke leveres. Kommunen ser på det.",
        "Could not be delivered. The municipality is looking into it.",
    ),
}
LETTER_STATES = frozenset(_DELIVERY_ELSE)
"""States of a letter that has left: before that it may still be held back, so it is not shown."""


@dataclass(frozen=True, slots=True)
class Words:
    """How one page speaks: a language, and the time now (UTC)."""

    language: str
    now: datetime

    def __call__(self, danish: str, english: str) -> str:
        return english if self.language == "en" else danish

    def of(self, text: Text) -> str:
        return self(*text)

    @property
    def purposes(self) -> dict[str, str]:
        """What a lookup may be for, by code."""
        return PURPOSES_EN if self.language == "en" else PURPOSES

    def day(self, day: date) -> str:
        """3. november 2026"""
        return long_date(day, self.language)

    def weekday(self, day: date) -> str:
        """tirsdag den 3. november 2026"""
        return self(f"{weekday(day, 'da')} den {self.day(day)}", f"{weekday(day, 'en')} {self.day(day)}")

    def time(self, time: datetime) -> str:
        """kl. 09.40"""
        local = time.astimezone(DENMARK)
        return self(f"kl. {local:%H.%M}", f"at {local:%H:%M}")

    def at(self, time: datetime) -> str:
        """i dag kl. 09.40 · i går kl. 09.40 · den 3. november 2026 kl. 09.40"""
        day, now = time.astimezone(DENMARK).date(), self.now.astimezone(DENMARK).date()
        if day == now:
            return f"{self('i dag', 'today')} {self.time(time)}"
        if day == now - timedelta(days=1):
            return f"{self('i går', 'yesterday')} {self.time(time)}"
        return f"{self('den', 'on')} {self.day(day)} {self.time(time)}"

    def since(self, time: datetime) -> str:
        """kl. 09.40 i dag · kl. 09.40 den 3. november 2026"""
        day, now = time.astimezone(DENMARK).date(), self.now.astimezone(DENMARK).date()
        local = time.astimezone(DENMARK)
        clock = self(f"kl. {local:%H.%M}", f"{local:%H:%M}")
        if day == now:
            return f"{clock} {self('i dag', 'today')}"
        return f"{clock} {self('den', 'on')} {self.day(day)}"

    def fresh(self, state: str, as_of: datetime | None) -> str:
        """What a source's state (ok, no answer, never) means, after its name."""
        if as_of is None:
            return self("har ikke svaret endnu", "has not answered yet")
        if state == "ok":
            return f"{self('svarede', 'answered')} {self.at(as_of)}"
        return f"{self('har ikke svaret siden', 'has not answered since')} {self.since(as_of)}"

    def state(self, state: State) -> str:
        return self.of(STATES[state])

    def waits(self, why: str | None) -> str:
        return self.of(WAITS.get(why or "", WAITS_ELSE))

    def right(self, kind: str) -> str:
        return self.of(RIGHTS[kind])

    def delivery(self, state: str, route: str | None) -> str:
        return self.of(_DELIVERY.get((state, route)) or _DELIVERY_ELSE[state])


def phone(number: str) -> str:
    """A Danish number in pairs, which are easier to read and dial; any other as it is."""
    digits = number.replace(" ", "")
    if len(digits) == 8 and digits.isascii() and digits.isdigit():
        return " ".join(digits[i : i + 2] for i in range(0, 8, 2))
    return number


def tel(number: str) -> str:
    """What a tel: link dials."""
    return re.sub(r"[^+0-9]", "", number)


def mail(address: str) -> Markup:
    """A mail address that may break after the @ on a narrow screen, and nowhere else if it can be helped."""
    local, at, domain = address.rpartition("@")
    return escape(local) + (Markup("@<wbr>") if at else "") + escape(domain)


def capital(text: str) -> str:
    """With a capital letter first, and the rest as it is."""
    return text[:1].upper() + text[1:]


_NUMBER_PROBLEMS: dict[str, Text] = {
    "all zeros": (
        "Nummeret er lutter nuller, og det betyder, at CPR-nummeret ikke kendes.",
        "The number is all zeros, which means that the CPR number is not known.",
    ),
    "is digits": (
        "Et CPR-nummer består af tal. Der er et tegn, som ikke kan stå der.",
        "A CPR number is made of digits. There is a character that cannot be there.",
    ),
    "electronic number": (
        "Der er bogstaver i nummeret, men det er ikke et gyldigt erstatningsnummer (eCPR).",
        "There are letters in the number, but it is not a valid replacement number (eCPR).",
    ),
    "no date": (
        "De første seks cifre er ikke en dato. Skriv dag, måned og år, for eksempel 031116.",
        "The first six digits are no date. Write day, month and year, for example 031116.",
    ),
}


def day_problem(text: str, first: date) -> Text | None:
    """What is wrong with a last day that need not be given; None where nothing is."""
    try:
        if not text or date.fromisoformat(text) >= first:
            return None
    except ValueError:
        pass
    return ("Vælg en dag, der ikke er gået.", "Choose a day that has not passed.")


def number_problem(text: str) -> Text | None:
    """Why this cannot be a CPR number, in plain words; None when it can."""
    if not text.strip():
        return "Skriv barnets CPR-nummer.", "Write the child's CPR number."
    try:
        parse(text)
    except BadRecord as error:
        said = str(error)
    else:
        return None
    for part, problem in _NUMBER_PROBLEMS.items():
        if part in said:
            return problem
    count = len(re.sub(r"[-\s]", "", text))
    return (
        f"Et CPR-nummer har 10 cifre. Du har skrevet {count}.",
        f"A CPR number has 10 digits. You have written {count}.",
    )
