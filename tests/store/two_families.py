"""Two families with cases in three administrations, made by the hub's own acts, and names for what came of it.

Karla and Anna are the mother's; the father has custody of Karla with her, the aunt of Anna. The mother lost Anna after
they had written to her about both. Emil and Ole are the stranger's, and the yes for Ole was taken back. Karla's
coordinator is away, the others' is not; each has a substitute."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from hub import Later, StaffRecord, State, TryAgain, consents, family, jobs, mandates, rights
from hub.access import log, marked
from hub.access.askers import LOGIN, asker_key, day_key
from hub.access.log import Asker
from hub.cases.sync import sync
from hub.clock import today
from hub.identity import parse
from hub.letters import compose, delivery
from hub.letters.preferences import Preferences, choose
from hub.letters.templates import Templates
from hub.store import tables, tasks
from hub.store.people import open_key
from hub.store.viewer import Viewer

CHILDREN = {"Karla": "0311164234", "Anna": "0205144002", "Emil": "1405134321", "Ole": "2003154444"}
GUARDIANS = {"mother": "0101804001", "father": "0101804002", "aunt": "0101804003", "stranger": "0101804004"}
CUSTODY = {"Karla": ("mother", "father"), "Anna": ("mother", "aunt"), "Emil": ("stranger",), "Ole": ("stranger",)}
ADVISERS = {name: StaffRecord(name, name) for name in ("Sanne of SOF", "Sofus of SOF", "Bo of BUF", "Su of SUF")}
UNCLES = {"Karla": "0101704005", "Emil": "0101704006"}
"""Who has a mandate of her mother's, and of the stranger's."""
CLERKS = {
    "clerk of SOF": Asker("u-1", "Sanne Toft", "staff", "SOF", "Nord"),
    "clerk of BUF": Asker("u-2", "Bo", "staff", "BUF", "Kystskolen"),
}
LOOKED_UP = {"clerk of SOF": "Emil", "clerk of BUF": "Karla"}
"""Whom they have looked up, with a reason; each waits for a review."""


class TwoFamilies:
    def __init__(self, world) -> None:
        self.world, self.ctx, self.clock = world, world.ctx, world.clock
        coordinators = world.coordinators(4)
        for child, digits in CHILDREN.items():
            world.present(digits, *((world.buf, world.suf) if child in ("Emil", "Ole") else (world.sof, world.buf)))
            world.custody(digits, *(GUARDIANS[each] for each in CUSTODY[child]))
        self._days_pass()
        for child in CHILDREN:
            world.accept(CHILDREN[child], GUARDIANS[CUSTODY[child][0]])
        family.withdraw(self.ctx, world.child(CHILDREN["Ole"]), world.by(GUARDIANS["stranger"]))
        choose(self.ctx, world.guardian(GUARDIANS["mother"]), Preferences(large_print=True))
        choose(self.ctx, world.guardian(GUARDIANS["father"]), Preferences(interpreter="arabisk"))
        for source, case, child, adviser in (
            (world.sof, "s1", "Karla", "Sanne of SOF"),
            (world.buf, "b1", "Karla", "Bo of BUF"),
            (world.sof, "s2", "Anna", "Sofus of SOF"),
            (world.buf, "b2", "Emil", "Bo of BUF"),
            (world.suf, "c1", "Emil", "Su of SUF"),
        ):
            world.case(source, case, CHILDREN[child], State.APPLIED, adviser=ADVISERS[adviser])
        self._days_pass()
        anna, mother = world.child(CHILDREN["Anna"]), world.guardian(GUARDIANS["mother"])
        with self.ctx.database.begin() as session:
            session.get_one(tables.Custody, (anna, mother)).until = today(self.clock)
        world.case(world.sof, "s1", CHILDREN["Karla"], State.OPEN, adviser=ADVISERS["Sanne of SOF"])
        world.case(world.sof, "s2", CHILDREN["Anna"], State.CLOSED, adviser=ADVISERS["Sofus of SOF"])
        self._days_pass()
        world.case(world.buf, "b1", CHILDREN["Karla"], State.CLOSED, adviser=ADVISERS["Bo of BUF"])
        world.case(world.sof, "s3", CHILDREN["Karla"], State.APPLIED, adviser=ADVISERS["Sanne of SOF"])
        world.case(world.buf, "b3", CHILDREN["Karla"], State.APPLIED, adviser=ADVISERS["Bo of BUF"])
        self._days_pass(Later("busy"), Later("busy"))
        self._name(coordinators)
        self._put_tasks()
        self._look()
        self._say()

    def _days_pass(self, *answers: object) -> None:
        """Match, sync, letters; and entries that are about no child, on each day."""
        ctx = self.ctx
        self.clock.move(timedelta(days=1))
        jobs.find_and_offer(ctx)
        sync(ctx)
        with ctx.database.begin() as session:
            session.execute(update(tables.Bundle).values(due_at=self.clock.now()))
            day_key(session, ctx.keys, today(self.clock))
            for clerk in CLERKS.values():
                asker_key(session, ctx.keys, clerk)
        compose.compose_due(ctx, Templates())
        self.world.channel.answers.extend(answers)
        waiting = self.world.rows(tables.Letter, tables.Letter.state == "frozen")
        with suppress(TryAgain):
            delivery.deliver_all(ctx, [letter.id for letter in waiting])

    def _name(self, coordinators: list[UUID]) -> None:
        """What each row and key is called, and who is away."""
        world, keys = self.world, self.ctx.keys
        self.ids = {name: world.child(digits) for name, digits in CHILDREN.items()}
        self.ids |= {name: world.guardian(digits) for name, digits in GUARDIANS.items()}
        offers = {row.child_id: row.coordinator_id for row in world.rows(tables.Offer)}
        karlas, emils = offers[self.ids["Karla"]], offers[self.ids["Emil"]]
        assert karlas is not None
        assert emils not in (None, karlas)
        assert offers[self.ids["Anna"]] == karlas, "siblings have the same coordinator"
        free = [each for each in coordinators if each not in (karlas, emils)]
        self.ids |= {"Karla's coordinator": karlas, "Emil's coordinator": emils}
        self.ids |= {"her substitute": free[0], "his substitute": free[1]}
        with self.ctx.database.begin() as session:
            karla, emil = (session.get_one(tables.Coordinator, each) for each in (karlas, emils))
            karla.away, karla.substitute_id, emil.substitute_id = True, free[0], free[1]
            called = {keys.refer(LOGIN, clerk.id): name for name, clerk in CLERKS.items()}
            for code in ("sof", "buf", "suf"):
                called |= {keys.refer(code, record.source_id): name for name, record in ADVISERS.items()}
            known = [row for row in session.execute(select(tables.Staff)).scalars() if row.reference in called]
            self.ids |= {called[row.reference]: row.id for row in known}
            self.key_of = {called[row.reference]: row.key_id for row in known}
        self.names = {row_id: name for name, row_id in self.ids.items()}
        self.by_token = {row.token: self.names.get(row.id) for row in world.rows(tables.Child)}
        for table in (tables.Child, tables.Guardian, tables.Staff):
            self.names |= {row.key_id: self.names[row.id] for row in world.rows(table) if row.id in self.names}
        self.today = today(self.clock)
        self.names |= {row.key_id: self.day(row) for row in world.rows(tables.RotatingKey)}
        about: dict[UUID, list[str]] = {}
        for row in world.rows(tables.LetterChild):
            about.setdefault(row.letter_id, []).append(self.names[row.child_id])
        for letter in world.rows(tables.Letter):
            left = "waits" if letter.state == "frozen" else "left"
            self.names[letter.id] = f"{self.names[letter.guardian_id]}: {'+'.join(sorted(about[letter.id]))} {left}"

    def day(self, row: tables.RotatingKey) -> str:
        return "today" if row.day == self.today else "before"

    def _put_tasks(self) -> None:
        karla = self.ids["Karla"]
        about = {
            "adviser": {"staff_id": self.ids["Sanne of SOF"], "administration": "SOF", "child_id": karla},
            "administration": {"administration": "BUF", "child_id": karla},
            "coordinator": {"staff_id": self.ids["Karla's coordinator"], "child_id": karla},
            "nobody": {},
        }
        with self.ctx.database.begin() as session:
            for kind, columns in about.items():
                tasks.put(session, self.ctx.keys, self.clock.now(), kind, {kind: columns})

    def _look(self) -> None:
        ctx, entries = self.ctx, []
        with ctx.database.begin() as session:
            for name, about in LOOKED_UP.items():
                child = session.get_one(tables.Child, self.ids[about])
                made = log.seal_entry(
                    at=self.clock.now(),
                    kind="lookup",
                    child_id=child.id,
                    asker=CLERKS[name],
                    asker_key=asker_key(session, ctx.keys, CLERKS[name]),
                    subject={},
                    subject_key=(child.key_id, open_key(session, ctx.keys, child.key_id)),
                )
                self.ids[f"look by {name}"] = made.id
                self.names[made.id] = f"look by {name}"
                session.add(tables.Task(**marked.row(ctx.keys, made, CLERKS[name])._asdict()))
                entries.append(made)
            log.append(session, entries)

    def _say(self) -> None:
        """Each family closes for an administration, and two ask for something."""
        for guardian, child in (("mother", "Karla"), ("stranger", "Emil"), ("aunt", "Anna")):
            speaker = consents.Speaker("guardian", "page", "t1", "da", self.ids[guardian])
            consents.close(self.ctx, self.ids[child], "SUF", speaker)
            if guardian == "aunt":
                continue
            rights.ask(self.ctx, self.ids[guardian], "wrong", self.ids[child], "Adressen er en anden nu.")
            given = mandates.Mandate(self.ids[guardian], parse(UNCLES[child]), "Onkel", False, False, None, "J-1")
            mandates.give(self.ctx, self.ids[child], given, CLERKS["clerk of SOF"])
        for child, digits in UNCLES.items():
            uncle = self.world.guardian(digits)
            (row,) = self.world.rows(tables.Guardian, tables.Guardian.id == uncle)
            self.names |= {uncle: f"{child}'s uncle", row.key_id: f"{child}'s uncle"}
        self.names |= {row.id: self.names[row.person_id] for row in self.world.rows(tables.Hears)}

    def viewers(self) -> dict[str, Viewer]:
        day, ids = self.today, self.ids
        return {
            **{name: Viewer(day=day, guardian=ids[name]) for name in GUARDIANS},
            "Karla herself": Viewer(day=day, child=ids["Karla"]),
            "SOF": self._clerk("clerk of SOF"),
            "SOF after a look": self._clerk("clerk of SOF", entry=ids["look by clerk of SOF"]),
            "SOF after another's look": self._clerk("clerk of SOF", entry=ids["look by clerk of BUF"]),
            "SOF's adviser": self._clerk("clerk of SOF", advises=frozenset({ids["Sanne of SOF"]})),
            "another administration's adviser": self._clerk("clerk of BUF", advises=frozenset({ids["Sanne of SOF"]})),
            "BUF": self._clerk("clerk of BUF"),
            "coordinator": Viewer(day=day, staff=ids["Karla's coordinator"], roles=frozenset({"coordinator"})),
            "substitute": Viewer(day=day, staff=ids["her substitute"], roles=frozenset({"coordinator"})),
            "leader": self._clerk("clerk of BUF", roles=frozenset({"leader"})),
            "leader of another unit": self._clerk("clerk of BUF", roles=frozenset({"leader"}), team=b"another"),
            "auditor": Viewer(day=day, roles=frozenset({"auditor"})),
            "operator": Viewer(day=day, administration="SOF", roles=frozenset({"operator"})),
            "nobody": Viewer(day=day),
        }

    def _clerk(self, name: str, **more: Any) -> Viewer:
        who = CLERKS[name]
        said = {
            "administration": who.administration,
            "team": marked.team(self.ctx.keys, who.administration, who.unit),
            "roles": who.roles,
            "key": self.key_of[name],
        } | more
        return Viewer(day=self.today, **said)
