"""Where the time goes: single steps of a lookup and of a letter, one after another (microseconds).

Steps that only reckon are counted in processor time, which a busy machine changes little; those that wait for the
database in time by the clock.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from itertools import cycle
from statistics import median
from typing import Any
from uuid import UUID

from bench import children, letter
from bench.ground import Ground
from bench.measure import Result
from hub.access import lookup
from hub.access.askers import KeyCache
from hub.access.deciding import INPUTS, Decider
from hub.access.log import Disclosure, seal_entry
from hub.access.lookup import BATCH, LookupQueue
from hub.api.app import LookupRequest, answer
from hub.api.tokens import Tokens, issue
from hub.clock import SystemClock
from hub.context import Context
from hub.identity import parse
from hub.letters import render as letters
from hub.letters.templates import Templates
from hub.letters.tree import parse as parse_tree
from hub.letters.tree import to_html, to_text

AT_A_TIME = (1, 32, BATCH)


def run(runs: int, tell: Callable[[str], None], *, tiny: bool = False) -> Result:
    """Each step as often as fits in a tenth of a second, `runs` times; the median."""
    seconds = 0.01 if tiny else 0.1
    result = Result("parts", "Where the time goes", "", {"children": 100 if tiny else 1000})
    tell("children and coordinators")
    with Ground() as ground:
        key, jwks = ground.signing_key()
        with ground.context(
            ground.settings(api={"jwks": jwks}, access={"children_an_hour": 1000}), SystemClock()
        ) as ctx:
            numbers = children.settle(ctx, result.sizes["children"])
            token = issue(key, ctx.settings.api, ctx.clock, children.askers(1)[0])
            with asyncio.Runner() as runner:
                for name, step in _lookup(ctx, numbers, token):
                    tell(name)
                    result.parts[f"lookup: {name}"] = _time(step, runs, seconds, time.process_time)
                for name, step in _batches(ctx, numbers, token, runner):
                    tell(name)
                    result.parts[f"lookup: {name}"] = _time(step, runs, seconds, time.perf_counter)
    for name, step in _letter():
        tell(name)
        result.parts[f"letter: {name}"] = _time(step, runs, seconds, time.process_time)
    return result


Step = Callable[[], int]
"""Does something and says how many times it did it."""


def _once(do: Callable[[], object]) -> Step:
    def step() -> int:
        do()
        return 1

    return step


def _time(step: Step, runs: int, seconds: float, now: Callable[[], float]) -> float:
    step()
    found = []
    for _ in range(runs):
        done, start = 0, now()
        while (spent := now() - start) < seconds or not done:
            done += step()
        found.append(spent / done * 1e6)
    return median(found)


def _lookup(ctx: Context, numbers: list[str], token: str) -> Iterator[tuple[str, Step]]:
    body = json.dumps({"cpr": numbers[0], "purpose": "case"})
    tokens = Tokens(ctx.settings.api, ctx.clock)
    cache = KeyCache(ctx.database, ctx.keys, ctx.clock)
    decider = Decider(ctx.keys, ctx.settings)
    asker = tokens.check(token)
    pair = cache.fetch(asker)
    now = ctx.clock.now()
    yield "body understood and checked", _once(lambda: LookupRequest.model_validate_json(body))
    yield "bearer token that is known already", _once(lambda: tokens.check(token))
    yield "bearer token seen for the first time", _once(lambda: _forget(tokens).check(token))
    yield "number checked, lookup token made", _once(lambda: ctx.keys.lookup_token(parse(numbers[0]).digits))
    wanted = ctx.keys.lookup_token(numbers[0])
    with ctx.database.engine.connect() as connection:
        child = connection.exec_driver_sql(INPUTS, {"tokens": [wanted], "now": now, "decoy": None}).one()
    one = lookup.Request(asker, wanted, "case")
    yield "decided, opened and sealed", _once(lambda: decider.decide(one, child, now, *pair))
    yield (
        "… of it: child's key opened",
        _once(lambda: ctx.keys.ring.unwrap(child.version, child.wrapped, str(child.key_id))),
    )
    yield "… of it: coordinator's record opened, and nobody's", _once(lambda: decider._card(child))
    yield "… of it: both parts of the entry sealed", _once(
        lambda: seal_entry(
            at=now, kind="lookup", child_id=child.id, asker=asker, asker_key=pair[0],
            subject={"purpose": "case", "reason": None, "case": None, "see": True, "basis": "case",
                     "shown": ["coordinator"]},
            subject_key=pair[1],
        )
    )  # fmt: skip
    shown = lookup.Answer(decider._card(child)[0], tuple(lookup.Source(name, "ok", now) for name in children.SOURCES))
    yield "answer's body made", _once(lambda: answer(Disclosure(shown, UUID(int=0)), "70 10 20 30").model_dump_json())


def _batches(ctx: Context, numbers: list[str], token: str, runner: asyncio.Runner) -> Iterator[tuple[str, Step]]:
    cache = KeyCache(ctx.database, ctx.keys, ctx.clock)
    queue = LookupQueue(ctx, cache)
    asker = Tokens(ctx.settings.api, ctx.clock).check(token)
    pair = cache.fetch(asker)
    for size in AT_A_TIME:
        wanted = [ctx.keys.lookup_token(numbers[n * 7 % len(numbers)]) for n in range(size)]
        requests = [lookup.Request(asker, one, "case") for one in wanted]
        looks = [queue._pace.looks(asker, [one], None) for one in wanted]
        # Nobody waits for the futures.
        batch = [lookup._Asked([one], *pair, each, Future(), [()]) for one, each in zip(requests, looks, strict=True)]  # type: ignore[arg-type]  # nobody waits for it here

        def write(batch: list[Any] = batch) -> int:
            runner.run(queue._write(batch))
            return len(batch)

        yield f"a batch of {size} read, decided, written, committed; for each", write
    runner.run(queue._disconnect())


def _forget(tokens: Tokens) -> Tokens:
    tokens._known.clear()
    return tokens


def _letter() -> Iterator[tuple[str, Step]]:
    """Over letters of all kinds in turn, enough that Typst has forgotten one when it comes again."""
    templates = Templates()
    contents = [letter.content(n) for n in range(60)]
    found = [templates.find(one.kind, one.language) for one in contents]
    written = [template.write(one) for template, one in zip(found, contents, strict=True)]
    trees = [parse_tree(*one) for one in written]
    pages = [letter.page(one, templates) for one in contents]
    made = [letters._compile(page) for page in pages]

    def over(things: list[Any], do: Callable[[Any], object]) -> Step:
        turn = cycle(things)
        return _once(lambda: do(next(turn)))

    pairs = list(zip(found, contents, strict=True))
    sheets = list(zip(contents, found, trees, strict=True))
    yield "template filled in (Jinja2)", over(pairs, lambda pair: pair[0].write(pair[1]))
    yield "Markdown to a tree", over(written, lambda one: parse_tree(*one))
    yield "tree to JSON for the page", over(sheets, lambda sheet: letters._page(*sheet, compact=False))
    yield "set by Typst", over(pages, letters._compile)
    yield "PDF checked for its marks and pages", over(made, lambda pdf: letters._checked(pdf, "da"))
    yield "tree to HTML and text", over(trees, lambda tree: (to_html(tree), to_text(tree)))
    yield "all of it", over(contents, lambda one: letters.render(one, templates))
