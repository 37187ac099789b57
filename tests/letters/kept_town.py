"""A database with a town in it that can be brought back to how it was, in a few milliseconds: for tests that tell many
histories of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

from sqlalchemy import text

from hub import State
from hub.cases.sync import sync
from hub.clock import SetClock
from hub.context import Context
from hub.letters.content import LetterContent
from hub.letters.render import Rendered
from hub.letters.templates import Templates
from tests.conftest import START, World
from tests.databases import Own

KARLA, EMIL, GROWING, OFFERED = "0311164234", "1405134321", "2311084005", "0703144444"
"""Karla has two parents with custody, Emil and Growing (18 on 23 November 2026) their mother alone; the last, who is
offered a coordinator, her father alone."""
MOTHER, FATHER, UNCLE = "0101804001", "0101804002", "0101804003"
DEADLINE = date(2026, 12, 1)


def light(content: LetterContent, templates: Templates) -> Rendered:
    """The letter as it is written, without the seconds that setting two thousand towns' letters takes."""
    template = templates.find(content.kind, content.language)
    written, values = template.write(content)
    about, said = template.about, "\n".join([written, *values])
    return Rendered(
        subject=about.subject,
        language=about.language,
        file_name=about.file_name,
        html=said,
        fragment=said,
        text=said,
        pdf=b"%PDF",
        pages=1,
        sha256="00" * 32,
        template_version=template.version,
        actions=(),
        words=template.words,
        blocks=(),
    )


class KeptTown:
    """A database with a town in it, brought back to how it was before each history."""

    def __init__(self, ctx: Context, own: Own, folder: Path) -> None:
        self.clock = SetClock(START)
        self.own = own
        ctx = replace(ctx, clock=self.clock, database=own.database)
        self.world = World(ctx, self.clock, folder)
        world = self.world
        world.coordinators(3)
        for child, guardians in (
            (KARLA, (MOTHER, FATHER)),
            (EMIL, (MOTHER,)),
            (GROWING, (MOTHER,)),
            (OFFERED, (FATHER,)),
        ):
            world.present(child)
            world.custody(child, *guardians)
        world.custody("0101154999", UNCLE)  # whom custody may pass to: known by a child of his own
        world.present("0101154999")
        world.night()
        for child in (KARLA, EMIL, GROWING):
            world.accept(child, MOTHER)
        world.night()
        for child in (KARLA, EMIL, GROWING):
            for source in (world.sof, world.buf):
                world.case(source, f"{source.name} {child}", child, State.APPLIED, deadline=DEADLINE)
        sync(world.ctx)
        self.ctx = world.ctx
        self._keep()

    def _keep(self) -> None:
        with self.own._connection() as connection:
            connection.execute(text("CREATE SCHEMA kept"))
            names = connection.execute(Own._TABLES).scalars().all()
            statements = ["SET session_replication_role = replica"]
            for name in names:
                connection.execute(text(f'CREATE TABLE kept."{name}" AS TABLE public."{name}"'))
                statements.append(f'DELETE FROM public."{name}"')
            for name in names:
                statements.append(f'INSERT INTO public."{name}" OVERRIDING SYSTEM VALUE SELECT * FROM kept."{name}"')
            connection.commit()
        self._back = ";".join([*statements, "RESET session_replication_role"])

    def back(self) -> None:
        with self.own._connection() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.execute(self._back)
            driver.commit()
        self.clock.set(START)
        self.world.channel.answers.clear()
