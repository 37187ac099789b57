"""What each kind of task is called on the pages of staff, and what is to be done."""

from __future__ import annotations

from hub import rights
from hub.cases import owed, unsent
from hub.web.words import Text

TASKS: dict[str, tuple[Text, Text]] = {
    "no_guardian": (
        ("Vi kender ingen med forældremyndighed", "We know of nobody with custody"),
        (
            "Vi har spurgt CPR og kan ikke skrive til nogen om barnet. Find ud af, hvem der har forældremyndigheden. "
            "Opgaven forsvinder selv, når CPR viser det.",
            "We have asked CPR and can write to nobody about the child. Find out who has custody. The task goes away "
            "by itself when CPR shows it.",
        ),
    ),
    "deadline_near": (
        ("En frist er tæt på", "A deadline is near"),
        ("Familien skal have svar inden fristen.", "The family is to have an answer before the deadline."),
    ),
    "letter_failed": (
        ("Et brev er ikke kommet frem", "A letter has not arrived"),
        (
            "Ring til familien, og fortæl, hvad der står i brevet.",
            "Call the family and tell them what the letter says.",
        ),
    ),
    unsent.UNSENT: (
        ("Familien mangler besked om en sag", "The family has not been told about a case"),
        (
            "Vi kan ikke skrive til familien om det, der er sket i sagen. Giv familien besked fra jeres eget system.",
            "We cannot write to the family about what has happened in the case. Tell them from your own system.",
        ),
    ),
    unsent.OF_PLACE: (
        ("Fortæl familien, at ordningen er slut", "Tell the family that the scheme has ended"),
        (
            "Barnet er flyttet til en anden kommune, og nogen i familien har beskyttet adresse. Et brev kunne røbe, "
            "hvor de bor, så vi har ikke skrevet til nogen. Ring til hver af dem, der har forældremyndigheden, og "
            "fortæl, at du ikke længere er koordinator. Sig intet om flytningen eller den nye kommune.",
            "The child has moved to another municipality, and somebody in the family has a protected address. A letter "
            "could tell where they live, so we have written to nobody. Call each person who has custody and tell them "
            "that you are no longer the coordinator. Say nothing about the move or the new municipality.",
        ),
    ),
    owed.LETTER_OWED: (
        ("Et brev, som loven kræver, er ikke sendt", "A letter that the law requires has not been sent"),
        (
            "Vi skulle have fortalt familien, at en ansøgning er modtaget, eller at et svar ikke kommer til tiden. Det "
            "må vi ikke længere. Send brevet fra dit eget system.",
            "We were to tell the family that an application has been received, or that an answer will be late. "
            "We may no longer do so. Send the letter from your own system.",
        ),
    ),
    "letter_unwritable": (
        ("Et brev kunne ikke skrives", "A letter could not be written"),
        (
            "Noget mangler, eller skabelonen er forkert. Bed den driftsansvarlige se på det.",
            "Something is missing or the template is wrong. Ask the operator to look at it.",
        ),
    ),
    "letter_unsure": (
        ("Vi ved ikke, om et brev er kommet frem", "We do not know whether a letter arrived"),
        ("Spørg familien, om de har fået brevet.", "Ask the family whether they have the letter."),
    ),
    "not_journalised": (
        ("Et brev er ikke journaliseret", "A letter has not been journalised"),
        (
            "Jeres fagsystem har ikke kvitteret for jeres del af et brev til familien. Se efter i fagsystemet, eller "
            "bed den driftsansvarlige se på det. Opgaven forsvinder selv, når fagsystemet kvitterer.",
            "Your case system has not acknowledged your part of a letter to the family. Look there, or ask "
            "the operator. The task goes away by itself once the system acknowledges it.",
        ),
    ),
    "ask_what_was_told": (
        ("Spørg familien, hvad de har hørt", "Ask the family what they have heard"),
        (
            "Databasen er genskabt, og vi ved ikke, hvad familien har fået at vide.",
            "The database was restored, and we do not know what the family has been told.",
        ),
    ),
    "answer_lost": (
        ("Et svar fra en familie mangler", "A family’s answer is missing"),
        (
            "Databasen er genskabt, og et svar kunne ikke findes igen. Spørg familien.",
            "The database was restored, and an answer could not be found again. Ask the family.",
        ),
    ),
    "transition_begins": (
        ("Overgangen til voksenlivet begynder", "The transition to adult life begins"),
        (
            "Den unge er fyldt 16 år. Hør forvaltningerne, hvem der begynder på forberedelsen.",
            "The young person is 16. Ask the administrations who begins to prepare.",
        ),
    ),
    "transition_plan": (
        ("Et halvt år til 18 år", "Half a year until 18"),
        (
            "Hør forvaltningerne, om planen for overgangen er klar. Forældrenes adgang stopper på 18-årsdagen.",
            "Ask the administrations whether the plan is ready. The parents’ access ends on the 18th birthday.",
        ),
    ),
    rights.WRONG: (
        ("En familie skriver, at noget er forkert", "A family writes that something is wrong"),
        (
            "Ret det i dit eget system, hvis familien har ret. Svar familien.",
            "Put it right in your own system if the family is right. Answer the family.",
        ),
    ),
    rights.OBJECTION: (
        ("En familie gør indsigelse", "A family objects"),
        (
            "Tag stilling til indsigelsen, og svar familien. Får familien ret, så luk for forvaltningen her.",
            "Decide on the objection and answer the family. If the family is right, close for the administration here.",
        ),
    ),
    rights.BELONG: (
        ("En familie mener, at de hører til", "A family thinks that they belong"),
        (
            "Se på, om familien skal have et tilbud, og svar familien.",
            "Look at whether the family is to have an offer, and answer the family.",
        ),
    ),
}
"""Each kind of task: what it is called, and what is to be done."""
TASKS_ELSE: tuple[Text, Text] = (
    ("En opgave", "A task"),
    ("Spørg den driftsansvarlige, hvad der skal gøres.", "Ask the operator what is to be done."),
)
