"""What Danish lists of special education's cases call their columns, and what their words for a case's state mean."""

from __future__ import annotations

from collections.abc import Mapping

import hub
from tovholder_buf_case.settings import CaseListSettings, Column

REQUIRED = (Column.CASE, Column.CHILD, Column.KIND, Column.OPENED)
KNOWN: Mapping[Column, tuple[str, ...]] = {
    Column.CASE: ("Sagsnummer", "Sagsnr", "Sags-id", "Sag", "Journalnummer", "Journalnr"),
    Column.CHILD: ("CPR-nr", "CPR-nummer", "CPR", "Barnets CPR-nr", "Barnets CPR", "Elevens CPR-nr", "Personnummer"),
    Column.KIND: ("Sagstype", "Type", "Foranstaltning", "Foranstaltningstype", "Indsats", "Ydelse", "Tilbudstype"),
    Column.STATE: ("Status", "Sagsstatus", "Tilstand"),
    Column.OPENED: ("Oprettet", "Oprettelsesdato", "Oprettet dato", "Startdato", "Henvist", "Henvisningsdato",
                    "Indstillet", "Indstillingsdato", "Modtaget", "Modtagelsesdato"),
    Column.DECIDED: ("Afgjort", "Afgørelsesdato", "Bevillingsdato", "Visitationsdato"),
    Column.CLOSED: ("Afsluttet", "Afslutningsdato", "Slutdato", "Ophørsdato", "Lukket"),
    Column.DEADLINE: ("Frist", "Sagsbehandlingsfrist", "Svarfrist"),
    Column.FOLLOW_UP: ("Opfølgning", "Opfølgningsdato", "Næste opfølgning", "Revurdering", "Revurderingsdato",
                       "Revisitation", "Revisitationsdato"),
    Column.ADVISER: ("Sagsbehandler", "Primær sagsbehandler", "Kontaktperson", "PPR-konsulent", "PPR-psykolog",
                     "Psykolog", "Konsulent"),
    Column.ADVISER_ID: ("Sagsbehandler-id", "Sagsbehandlers id", "Initialer", "Sagsbehandlers initialer"),
    Column.ADVISER_EMAIL: ("Sagsbehandlers e-mail", "Sagsbehandler e-mail", "E-mail", "Mail"),
    Column.ADVISER_PHONE: ("Sagsbehandlers telefon", "Sagsbehandler telefon", "Telefon", "Tlf"),
    Column.UNIT: ("Enhed", "Afdeling", "Team", "PPR-team"),
}  # fmt: skip
"""What a column is called where the settings do not say; capitals, dots, dashes and spaces make no difference."""

_WORDS = {
    hub.State.APPLIED: "ny, ansøgt, ansøgning, henvist, indstillet, modtaget, visiteres, under visitation, "
    "til visitation, afventer visitation",
    hub.State.OPEN: "åben, aktiv, igangværende, i gang, iværksat, bevilget, under behandling, under udredning, "
    "under afklaring",
    hub.State.DECIDED: "afgjort, visiteret, besluttet, afslag, truffet afgørelse",
    hub.State.CLOSED: "lukket, afsluttet, ophørt, henlagt, annulleret, inaktiv, frafaldet",
}
STATES: Mapping[str, hub.State] = {word: state for state, words in _WORDS.items() for word in words.split(", ")}
"""What the words of the status column mean where the settings do not say; capitals make no difference."""


def columns_of(settings: CaseListSettings) -> Mapping[str, tuple[str, ...]]:
    """The headings of each column: the one the settings name, else the usual ones."""
    return {column: (settings.columns[column],) if column in settings.columns else KNOWN[column] for column in Column}


def needed_in(settings: CaseListSettings) -> set[str]:
    return {*REQUIRED, *settings.columns}


def states_of(settings: CaseListSettings) -> Mapping[str, hub.State]:
    return {**STATES, **{word.casefold(): state for word, state in settings.states.items()}}
