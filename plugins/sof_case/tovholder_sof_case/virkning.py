"""The times of a Sag: when it was registered, and from when until when a part of it holds (Virkning)."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from lxml import etree

import hub
from tovholder_sof_case.entry import DENMARK

SAG = "{urn:oio:sts:sagdok:sag:6}"
INDEX = "{urn:oio:sts:sagdok:sagindeks:6}"
SDI = "{urn:oio:sts:sagdok:sagdokumentindeks:6}"
GD = "{urn:oio:sts:generelledefinitioner:6}"
SD = "{urn:oio:sagdok:3.0.0}"

EARLIEST = datetime.min.replace(tzinfo=UTC)
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""What begins from here on never does: 9999-12-31 is how systems write for ever."""


def time(text: str | None) -> datetime | None:
    """An xs:dateTime in UTC; one without a zone is Danish."""
    return _time(text.strip()) if text and text.strip() else None


@lru_cache(maxsize=1024)  # the parts of a case mostly begin at one time
def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise hub.BadRecord("a time is not of the form YYYY-MM-DDThh:mm:ss.sss+hh:mm") from error
    try:
        return (found if found.tzinfo else found.replace(tzinfo=DENMARK)).astimezone(UTC)
    except OverflowError:
        return found.replace(tzinfo=UTC)  # 9999-12-31 and 0001-01-01 mean always


def registered(registration: etree._Element) -> datetime | None:
    return time(registration.findtext(GD + "StsTidspunkt")) or time(registration.findtext(SD + "Tidspunkt"))


def _virkning(element: etree._Element) -> etree._Element | None:
    found = element.find(GD + "Virkning")
    return element.find(SAG + "Virkning") if found is None else found


def since(element: etree._Element) -> datetime:
    virkning = _virkning(element)
    text = None if virkning is None else virkning.findtext(f"{SD}FraTidspunkt/{SD}TidsstempelDatoTid")
    return time(text) or EARLIEST


def until(element: etree._Element) -> datetime | None:
    """When it ends to hold; None for never."""
    virkning = _virkning(element)
    return time(None if virkning is None else virkning.findtext(f"{SD}TilTidspunkt/{SD}TidsstempelDatoTid"))
