"""One person's entry in an export (InstitutionPerson): what the hub needs of it."""

from __future__ import annotations

import hashlib

from lxml import etree

import hub
from tovholder_buf_case.wire import BPI, COMMON

_GROUP_ID, _LOCAL_ID = f"{{{BPI}}}GroupId", f"{{{BPI}}}LocalPersonId"


def _common(*names: str) -> set[str]:
    return {f"{{{COMMON}}}{name}" for name in names}


_OF_A_PUPIL = _common("UserId", "CivilRegistrationNumber", "CivilRegistrationNumberType")
_OF_AN_ENROLMENT = _common("Role", "StudentNumber", "Level", "MainGroupId") | {_GROUP_ID}
NUMBER_TYPES = {"", "CPR_VERIFIED", "CPR_UNVERIFIED", "CPR_REPLACEMENT_ID"}


def own(element: etree._Element, name: str) -> etree._Element | None:
    """What an InstitutionPerson has under this name in its own variant's namespace."""
    return element.find(element.tag.removesuffix("InstitutionPerson") + name)


def raw_of(element: etree._Element) -> bytes:
    """A pupil's entry for quarantine, with what the hub needs of it and nothing else: no name, no contact person, no
    address, no phone, nothing that a new version may add."""
    kept = {_LOCAL_ID: set[str]()}
    for name, below in (("Person", _OF_A_PUPIL), ("Student", _OF_AN_ENROLMENT)):
        kept[element.tag.removesuffix("InstitutionPerson") + name] = below
    for child in list(element):
        if child.tag not in kept:
            element.remove(child)
            continue
        for leaf in list(child):
            if leaf.tag not in kept[child.tag]:
                child.remove(leaf)
            for stray in list(leaf):
                leaf.remove(stray)
    return hub.raw(element)


def unreadable(person: etree._Element | None, source_id: str | None, cpr: str) -> str:
    """Why the hub cannot use this pupil, or nothing. A pupil whom nobody can match is not one to pass over."""
    if person is None:
        return "the pupil has no Person, and so no CPR number: correct it in the school's system"
    if source_id is None:
        return "the pupil has no UserId, so that the enrolment cannot be known again: correct it in the school's system"
    kind = text_of(person.find(f"{{{COMMON}}}CivilRegistrationNumberType"))
    if not cpr:
        return "the pupil has no CPR number and cannot be matched: look at cprFilter and the school's system"
    if kind not in NUMBER_TYPES:
        return "the source does not know what type of number the pupil has: correct it in the school's system"
    if kind == "CPR_REPLACEMENT_ID" and not (cpr.isdecimal() and len(cpr) == 10 and cpr[0] in "6789"):
        # A school may make up a number, and it may be somebody else's.
        return (
            "the pupil has a replacement number that no authority has given (its day is not 60 higher) and cannot be "
            "matched: enter the CPR number when there is one"
        )
    return ""


def user_id_of(person: etree._Element | None) -> str:
    return text_of(None if person is None else person.find(f"{{{COMMON}}}UserId"))


def source_id_of(institution: str, person: etree._Element | None, student: etree._Element) -> str | None:
    """The enrolment's own id: the institution, and who the pupil is there by UserId, else by StudentNumber. As a
    digest: a user id begins with letters of the name, which has no place in an id. What looks like a CPR number is
    none: its digest would be no better than the number."""
    own, number = user_id_of(person), text_of(student.find(f"{{{COMMON}}}StudentNumber"))
    if not own and number and not _like_a_number(number):
        own = f"StudentNumber {number}"
    if not own or _like_a_number(own):
        return None
    return f"{institution}:{hashlib.sha256(own.encode()).hexdigest()[:16]}"


def cpr_of(person: etree._Element | None) -> str:
    number = text_of(None if person is None else person.find(f"{{{COMMON}}}CivilRegistrationNumber"))
    return number.replace("-", "").replace(" ", "")


def group_ids_of(element: etree._Element) -> tuple[str, ...]:
    """The ids of a pupil's or employee's groups, the main group first."""
    main = element.find(f"{{{COMMON}}}MainGroupId")
    return tuple(dict.fromkeys(filter(None, map(text_of, (main, *element.iterfind(_GROUP_ID))))))


def titles_of(employee: etree._Element) -> list[str]:
    """Occupation first, then the roles."""
    occupation = employee.find(f"{{{COMMON}}}Occupation")
    return [text_of(found) for found in (occupation, *employee.iterfind(f"{{{COMMON}}}Role"))]


def staff_of(element: etree._Element, person: etree._Element, unit: str) -> hub.StaffRecord | None:
    """An employee whom a family can turn to; None for one without id or name. Only a work phone that is not protected
    is given."""
    user_id, name = user_id_of(person), _staff_name(person)
    if not user_id or not name:
        return None
    local = text_of(element.find(_LOCAL_ID))
    phone = person.find(f"{{{COMMON}}}WorkPhoneNumber")
    return hub.StaffRecord(
        # Some schools' systems use the CPR number as their own id of a person.
        source_id=local if local and not _like_a_number(local) else user_id,
        name=name,
        email=text_of(person.find(f"{{{COMMON}}}EmailAddress")) or None,
        phone=text_of(phone) or None if phone is not None and not _yes(phone.get("protected")) else None,
        unit=unit,
    )


def _staff_name(person: etree._Element) -> str:
    """The name an employee goes by: the alias where there is one (FullMyndighed only). Somebody whose name is
    protected is named by alias or not at all."""
    variant = person.tag.removesuffix("Person")
    first, last = text_of(person.find(f"{variant}AliasFirstName")), text_of(person.find(f"{variant}AliasFamilyName"))
    if not _yes(person.get("protected")):
        first = first or text_of(person.find(f"{{{COMMON}}}FirstName"))
        last = last or text_of(person.find(f"{{{COMMON}}}FamilyName"))
    return f"{first} {last}".strip()


def text_of(element: etree._Element | None) -> str:
    return "" if element is None else " ".join((element.text or "").split())


def _like_a_number(text: str) -> bool:
    digits = text.replace("-", "").replace(" ", "")
    return len(digits) == 10 and digits.isdigit()


def _yes(text: str | None) -> bool:
    return (text or "").strip() in ("true", "1")
