"""What the pages of staff call a letter, where it stands, and what came of an attempt."""

from __future__ import annotations

from hub.web.words import Text

KINDS: dict[str, Text] = {
    "introduction": ("Tilbud om en koordinator", "Offer of a coordinator"),
    "receipt": ("Kvittering for et svar", "Receipt for an answer"),
    "deadlines": ("Frister og nyt i sagerne", "Deadlines and news of the cases"),
    "overdue": ("Et svar, der ikke kommer til tiden", "An answer that will not come in time"),
    "coordinator": ("Ny koordinator eller vikar", "New coordinator or substitute"),
    "transition": ("På vej mod 18 år", "On the way to 18"),
    "withdrawn": ("Et ja eller et samtykke er ændret", "A yes or a consent has changed"),
    "goodbye": ("Ordningen slutter", "The scheme ends"),
}
KIND_ELSE: Text = ("Et brev", "A letter")
_STATES: dict[tuple[str, str | None], Text] = {
    ("sent", "print"): ("Sendt til print", "Sent to the printer"),
    ("delivered", "digital"): ("Leveret i Digital Post", "Delivered in Digital Post"),
    ("delivered", "print"): ("Afleveret til posten", "Handed to the postal service"),
    ("withheld", "trial"): ("Ikke sendt: kommunen prøver kun af", "Not sent: the municipality is only trying out"),
}
_STATES_ELSE: dict[str, Text] = {
    "frozen": ("Skrevet, men ikke sendt endnu", "Written, and not sent yet"),
    "unsure": ("Vi ved ikke, om det er kommet frem", "We do not know whether it arrived"),
    "sent": ("Sendt", "Sent"),
    "received": ("Undervejs", "On its way"),
    "delivered": ("Kommet frem", "Arrived"),
    "returned": ("Kom retur", "Came back"),
    "failed": ("Kom ikke frem", "Did not arrive"),
    "withheld": ("Holdt tilbage: det måtte ikke sendes længere", "Held back: it may no longer be sent"),
    "unknown": ("En besked, som systemet ikke kender", "A status that the system does not know"),
}
RESULTS: dict[str, Text] = {
    "begun": ("Afbrudt. Måske kom det frem", "Broken off. It may have arrived"),
    "sent": ("Taget imod", "Taken"),
    "refused": ("Afvist", "Refused"),
    "later": ("Ikke lige nu", "Not just now"),
    "unsure": ("Intet svar. Måske kom det frem", "No answer. It may have arrived"),
    "lost": ("Kom ikke frem", "Did not arrive"),
}
POINTERS: dict[str, Text] = {
    "email": ("Mail om, at der er nyt", "E-mail that there is news"),
    "sms": ("Sms om, at der er nyt", "Text message that there is news"),
}
POINTER_STATES: dict[str, Text] = {
    "waiting": ("venter", "waiting"),
    "begun": ("er ved at blive sendt", "being sent"),
    "sent": ("sendt", "sent"),
    "refused": ("kunne ikke sendes", "could not be sent"),
    "unsure": ("måske sendt", "perhaps sent"),
}


def kind(name: str) -> Text:
    return KINDS.get(name, KIND_ELSE)


def state(name: str, route: str | None, why: str | None = None) -> Text:
    """Where a letter stands; also what a channel has said of it."""
    return _STATES.get((name, why or route)) or _STATES_ELSE[name]
