"""A session of many turns: every prompt within its budget, no turn dearer than another, and nothing read in vain."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from surefoot.clock import SystemClock
from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.events import Record
from surefoot.core.messages import Message, Usage
from surefoot.core.model import ModelReply, ModelRequest
from surefoot.engine.context import estimate
from surefoot.journal import MemoryStore
from surefoot.testing.models import FunctionModel
from surefoot.tools.function import tool
from tests.flows.kit import QUICK, of_kind, opened, results

TURNS = 120
BUDGET = 2_000


class Counting(MemoryStore):
    """A store that counts the runs that are read."""

    reads = 0

    async def read(self, stream: str | None, after: int = 0, limit: int | None = None) -> list[Record]:
        self.reads += 1
        return await super().read(stream, after, limit)


@pytest.fixture
async def counting() -> Counting:
    return Counting(SystemClock())


async def test_a_long_session_stays_flat(counting: Counting) -> None:
    prompts: list[tuple[Message, ...]] = []

    def answer(request: ModelRequest) -> str:
        prompts.append(tuple(request.messages))
        return f"answer {len(prompts)} " + "x" * 100

    agent = Agent("a", model=FunctionModel(answer))
    reads, runs = [], []
    async with opened(counting, agent, settings=replace(QUICK, context_budget=BUDGET)) as app:
        for number in range(TURNS):
            before = counting.reads
            runs.append(await app.run(agent, f"question {number}", session="s"))
            reads.append(counting.reads - before)
        compacted = sum([len(await of_kind(app, run, ev.ContextCompacted)) for run in runs])
        whole = await app.sessions.show("s")
    assert all(sum(map(estimate, prompt)) <= BUDGET * 1.2 for prompt in prompts)
    assert max(reads[80:]) <= max(reads[40:80]), "what a turn reads does not grow with the session"
    assert 1 < compacted < TURNS / 8, "the beginning of a prompt stays for many turns"
    same = sum(prompt[: len(last)] == last for last, prompt in itertools.pairwise(prompts))
    assert same == TURNS - 1 - compacted, "each prompt goes on where the last ended, but for those that were made to fit"
    assert len(whole) == 2 * TURNS, "nothing is lost"


async def test_results_that_were_shortened_stay_so_in_the_next_run(store: str) -> None:
    @tool(effect="read")
    def read(size: int) -> str:
        """Read a long text."""
        return "x" * size

    prompts: list[ModelRequest] = []

    def answer(request: ModelRequest) -> Any:
        prompts.append(request)
        return "so" if request.messages[-1].role == "tool" else ("read", {"size": 2_000})

    agent = Agent("a", model=FunctionModel(answer), tools=[read])
    async with opened(store, agent, settings=replace(QUICK, context_budget=3_000)) as app:
        runs = [await app.run(agent, f"question {number}", session="s") for number in range(20)]
        how = [event.how for run in runs for event in await of_kind(app, run, ev.ContextCompacted)]
    assert "shortened" in how
    texts = [result.text for result in results(prompts[-1])]
    assert [len(text) < 600 for text in texts] == sorted([len(text) < 600 for text in texts], reverse=True)
    same = sum(
        tuple(later.messages[: len(earlier.messages)]) == tuple(earlier.messages)
        for earlier, later in itertools.pairwise(prompts)
    )
    assert same >= len(prompts) - 1 - len(how)


async def test_another_models_count_says_nothing(store: str) -> None:
    sizes: list[int] = []

    def answer(request: ModelRequest) -> ModelReply:
        sizes.append(sum(map(estimate, request.messages)))
        return ModelReply.say("y" * 1_000, usage=Usage(4 * sizes[-1], 10))

    one, two = (Agent(name, model=FunctionModel(answer, name=f"function:{name}")) for name in "ab")
    async with opened(store, settings=replace(QUICK, context_budget=4_000)) as app:
        for number in range(20):
            await app.run(one if number % 2 else two, f"question {number}", session="s")
    assert 3_000 < max(sizes) <= 4_000


async def test_a_session_whose_beginning_was_pruned_goes_on(store: str) -> None:
    agent = Agent("a", model=FunctionModel(lambda request: f"{len(request.messages)} " + "x" * 400))
    async with opened(store, agent, settings=replace(QUICK, context_budget=2_000)) as app:
        runs = [await app.run(agent, f"question {number}", session="s") for number in range(40)]
        cut = [run.id for run in runs if await of_kind(app, run, ev.ContextCompacted)]
        kept = [run.id for run in runs if run.id >= cut[-1]]  # the last prompt began in a run that is gone
        await app.store.erase([run.id for run in runs if run.id not in kept])
        run = await app.run(agent, "and now?", session="s")
    assert run.status == "done"
    assert str(run.output).split()[0] == str(2 * len(kept) + 1)
