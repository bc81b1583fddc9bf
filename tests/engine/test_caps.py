"""How many runs a process drives at once, in all and of one agent."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from surefoot.core.agent import Agent
from surefoot.core.model import ModelRequest
from surefoot.settings import Settings
from surefoot.testing.models import FunctionModel
from tests.flows.kit import QUICK, opened


class Crowd:
    """An agent that counts how many of its runs are inside at once; none leaves before so many have met."""

    def __init__(self, name: str = "a", *, meet: int = 1) -> None:
        self.inside, self.most, self.meet, self.met = 0, 0, meet, asyncio.Event()
        self.agent: Agent[Any, str] = Agent(name, model=FunctionModel(self.answer))

    async def answer(self, request: ModelRequest) -> str:
        self.inside += 1
        self.most = max(self.most, self.inside)
        if self.inside >= self.meet:
            self.met.set()
        await self.met.wait()
        await asyncio.sleep(0)
        self.inside -= 1
        return "done"


async def test_a_process_drives_no_more_runs_at_once_than_it_is_told(store: str) -> None:
    crowd = Crowd(meet=3)
    async with opened(store, settings=replace(QUICK, concurrency=3)) as app:
        runs = await asyncio.gather(*[app.run(crowd.agent, "go") for _ in range(20)])
    assert {run.output for run in runs} == {"done"}
    assert crowd.most == 3


async def test_many_runs_are_driven_at_once(store: str) -> None:
    crowd = Crowd(meet=20)
    async with opened(store) as app:
        await asyncio.gather(*[app.run(crowd.agent, "go") for _ in range(20)])
    assert crowd.most == 20


async def test_an_agents_cap_is_its_own(store: str) -> None:
    one, other = Crowd("one", meet=2), Crowd("other", meet=2)
    async with opened(store, settings=replace(QUICK, agent_concurrency=2)) as app:
        await asyncio.gather(*[app.run(crowd.agent, "go") for crowd in (one, other) for _ in range(10)])
    assert (one.most, other.most) == (2, 2)


async def test_runs_that_wait_for_their_agents_turn_take_no_others_place(store: str) -> None:
    hold = asyncio.Event()

    async def answer(request: ModelRequest) -> str:
        await hold.wait()
        return "done"

    slow, quick = Agent("slow", model=FunctionModel(answer)), Crowd("quick")
    async with opened(store, settings=replace(QUICK, concurrency=2, agent_concurrency=1)) as app:
        held = [await app.start(slow, "go") for _ in range(5)]
        assert (await app.run(quick.agent, "go")).output == "done"
        hold.set()
        assert [(await app.wait(run)).output for run in held] == ["done"] * 5


@pytest.mark.parametrize("settings", [replace(QUICK, concurrency=1), replace(QUICK, agent_concurrency=1)])
async def test_a_run_whose_deadline_passes_while_it_waits_for_a_place_ends_then(store: str, settings: Settings) -> None:
    crowd = Crowd(meet=2)
    async with opened(store, settings=settings) as app:
        served = await app.start(crowd.agent, "first")
        late = await app.run(crowd.agent, "second", deadline=0.05)
        assert late.error is not None
        assert (late.status, late.error.kind) == ("failed", "deadline_exceeded")
        assert (await app.get(served)).status == "running"
        crowd.met.set()
        assert (await app.wait(served)).output == "done"
