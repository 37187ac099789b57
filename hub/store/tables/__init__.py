"""The tables. Names are the words of the glossary; every table says what it may hold of a person.

Nothing here holds a CPR number or a name in the clear: `sealed` columns are sealed under the key of the person they are
about (hub.vault), `token` columns are lookup tokens, `reference` columns stand for a source's own ids. Times are UTC.
Ids are made by the program, since what is sealed is bound to its row's id.
"""

from hub.store.tables.base import Base
from hub.store.tables.letters import (
    Bundle,
    Delivery,
    DeliveryStatus,
    Event,
    Letter,
    LetterChild,
    Pointer,
    Preference,
    ReturnedMail,
    Template,
    TemplateStep,
    Told,
)
from hub.store.tables.log import LogEntry, LogHead
from hub.store.tables.notices import Handover, LetterPart, Notice, NoticeChoice
from hub.store.tables.people import Child, Custody, FormerNumber, Guardian, Hears, PersonKey, RotatingKey, Staff
from hub.store.tables.program import AskerHour, ProgramFit, Sender, SignedIn
from hub.store.tables.scheme import Acceptance, Act, Assignment, Block, Consent, Coordinator, Offer, Said
from hub.store.tables.sources import Case, ChildSource, Presence, Quarantine, SourceState
from hub.store.tables.work import Forgetting, RightsRequest, Task

__all__ = [
    "Acceptance",
    "Act",
    "AskerHour",
    "Assignment",
    "Base",
    "Block",
    "Bundle",
    "Case",
    "Child",
    "ChildSource",
    "Consent",
    "Coordinator",
    "Custody",
    "Delivery",
    "DeliveryStatus",
    "Event",
    "Forgetting",
    "FormerNumber",
    "Guardian",
    "Handover",
    "Hears",
    "Letter",
    "LetterChild",
    "LetterPart",
    "LogEntry",
    "LogHead",
    "Notice",
    "NoticeChoice",
    "Offer",
    "PersonKey",
    "Pointer",
    "Preference",
    "Presence",
    "ProgramFit",
    "Quarantine",
    "ReturnedMail",
    "RightsRequest",
    "RotatingKey",
    "Said",
    "Sender",
    "SignedIn",
    "SourceState",
    "Staff",
    "Task",
    "Template",
    "TemplateStep",
    "Told",
]
