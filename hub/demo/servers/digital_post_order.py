"""In which order the elements of a message and of a print order stand, which of them must be there, and how often: the
town's own table, written from the formats' descriptions. MeMo 1.1 demands two elements that 1.2 leaves free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from lxml import etree


class OrderError(Exception):
    """What is wrong, in Digital Post's words."""


class _Child(NamedTuple):
    name: str
    required: bool
    many: bool


def _children(order: str) -> tuple[_Child, ...]:
    """`label` once, `reply?` at most once, `File+` at least once, `Action*` any number, in this order."""
    return tuple(_Child(word.rstrip("?+*"), word[-1] not in "?*", word[-1] in "+*") for word in order.split())


_ORDER = {
    name: _children(order)
    for name, order in {
        "Message": "MessageHeader MessageBody?",
        "MessageHeader": "messageType messageUUID messageID? messageCode? label notification? additionalNotification? "
        "reply? replyByDateTime? doNotDeliverUntilDate? mandatory? legalNotification? postType? Sender Recipient "
        "ContentData? ForwardData? ReplyData*",
        "Sender": "senderID idType idTypeLabel? label AttentionData? ContactPoint? Representative?",
        "Recipient": "recipientID idType idTypeLabel? label? AttentionData? ContactPoint?",
        "AttentionData": "AttentionPerson? ProductionUnit? GlobalLocationNumber? EMail? SEnumber? Telephone? EID? "
        "ContentResponsible? GeneratingSystem? SORdata? Address? UnstructuredAddress?",
        "AttentionPerson": "personID? label?",
        "EMail": "emailAddress relatedAgent?",
        "Telephone": "telephoneNumber relatedAgent?",
        "ContentResponsible": "contentResponsibleID? label?",
        "GeneratingSystem": "generatingSystemID label?",
        "MessageBody": "createdDateTime MainDocument AdditionalDocument* TechnicalDocument*",
        "MainDocument": "mainDocumentID? label? File+ Action*",
        "AdditionalDocument": "additionalDocumentID? label? File+ Action*",
        "TechnicalDocument": "technicalDocumentID? label? File+",
        "File": "encodingFormat filename language content",
        "Action": "label actionCode startDateTime? endDateTime? Reservation? EntryPoint?",
        "EntryPoint": "url",
        "ForsendelseISamling": "ForsendelseI",
        "ForsendelseModtager": "AfsendelseModtager? ModtagerAdresse?",
        "ModtagerAdresse": "PersonName CoNavn? StreetName StreetBuildingIdentifier FloorIdentifier? SuiteIdentifier? "
        "MailDeliverySublocationIdentifier? PostCodeIdentifier DistrictSubdivisionIdentifier? PostOfficeBoxIdentifier? "
        "CountryIdentificationCode",
        "ForsendelseI": "AfsendelseIdentifikator ForsendelseTypeIdentifikator? ForsendelseModtager? FilformatNavn "
        "MeddelelseIndholdData TransaktionsParametreI? DokumentParametre KanalUafhaengigeParametreI? PrintParametre? "
        "DigitalPostParametre? PostParametre? BilagSamling?",
    }.items()
}
MEMO_1_1 = _ORDER | {
    "MessageHeader": tuple(
        child._replace(required=True) if child.name in ("mandatory", "legalNotification") else child
        for child in _ORDER["MessageHeader"]
    ),
    "Sender": tuple(child for child in _ORDER["Sender"] if child.name != "Representative"),
}
MEMO_1_2 = _ORDER
PRINT = _ORDER
PRINT_LINES = _ORDER | {
    "ModtagerAdresse": _children(
        "PersonName PostalAddressFirstLineText PostalAddressSecondLineText? PostalAddressThirdLineText? "
        "PostalAddressFourthLineText? PostalAddressFifthLineText? PostalAddressSixthLineText? PostCodeIdentifier? "
        "CountryIdentificationCode"
    )
}
"""A print order with its address in lines."""

Table = Mapping[str, tuple[_Child, ...]]


def local(element: etree._Element) -> str:
    """The name of an element, without its namespace."""
    tag = str(element.tag)
    return tag[tag.rfind("}") + 1 :]


def check(element: etree._Element, table: Table) -> None:
    """Raises OrderError when an element below is out of order, missing, or there too often."""
    rules = table.get(local(element))
    if rules is None:
        return
    at = seen = 0
    for child in element.iterchildren(etree.Element):
        name = local(child)
        first = at + (seen > 0 and not rules[at].many)
        while at < len(rules):
            rule = rules[at]
            if rule.name == name and (seen == 0 or rule.many):
                seen += 1
                break
            if rule.required and seen == 0:
                at = len(rules)
            else:
                at, seen = at + 1, 0
        if at == len(rules):
            raise OrderError(f'tag name "{name}" is not allowed. Possible tag names are: {_possible(rules, first)}')
        check(child, table)
    missing = next((rule for rule in rules[at + (seen > 0) :] if rule.required), None)
    if missing:
        raise OrderError(f'tag "{local(element)}" ends where <{missing.name}> is wanted')


def _possible(rules: tuple[_Child, ...], at: int) -> str:
    names = []
    for rule in rules[at:]:
        names.append(f"<{rule.name}>")
        if rule.required:
            break
    return ",".join(names)
