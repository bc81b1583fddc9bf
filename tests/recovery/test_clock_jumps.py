"""The wall clock is set back or forward while a run works: what it waits for comes in time all the same."""

from __future__ import annotations

from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import ModelError, Retry
from surefoot.core.values import Limits
from surefoot.testing.clock import ManualClock
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import opened

HOUR = 3_600_000_000


class WallClock(ManualClock):
    """A clock whose wall time can be set without time going by."""

    offset = 0

    def now(self) -> int:
        return super().now() + self.offset


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
@pytest.mark.parametrize("who", ["model", "tool"])
async def test_another_try_comes_in_time(store: str, jump: int, who: str) -> None:
    bodies: list[int] = []

    @tool(effect="read")
    async def look() -> str:
        bodies.append(1)
        if who == "tool" and len(bodies) == 1:
            raise Retry("busy", after=10)
        return "seen"

    script: list[Any] = [ModelError("overloaded", "busy", retry_after=10)] if who == "model" else []
    clock = WallClock()
    async with opened(store, clock=clock) as app:
        run = await app.start(Agent("a", model=ScriptedModel(*script, ("look", {}), "done"), tools=[look]), "go")
        async for record in app.follow(run, until="end"):
            if isinstance(record.event, ev.ModelFailed | ev.ToolFailed):
                clock.offset = jump
                if jump < 0:
                    await clock.until_sleeping(2)  # the worker's own loop, and the run
                clock.advance(11)
        assert (await app.get(run)).output == "done"
        assert clock.monotonic() < 60


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
async def test_a_clock_that_is_set_while_a_tool_runs_ends_no_run(store: str, jump: int) -> None:
    clock = WallClock()

    @tool(effect="read")
    async def look() -> str:
        clock.offset += jump
        return "seen"

    model = ScriptedModel(("look", {}), "done")
    async with opened(store, clock=clock) as app:
        run = await app.run(Agent("a", model=model, tools=[look]), "go", limits=Limits(seconds=2 * 3_600))
    assert run.output == "done"


@pytest.mark.parametrize("where", ["tool", "wait"])
async def test_a_clock_set_forward_is_no_working_time(store: str, where: str) -> None:
    clock = WallClock()
    bodies: list[int] = []

    @tool(effect="read")
    async def look() -> str:
        bodies.append(1)
        if where == "wait" and len(bodies) == 1:
            raise Retry("busy", after=10)
        clock.offset += HOUR if where == "tool" else 0
        return "seen"

    model = ScriptedModel(("look", {}), "done")
    async with opened(store, clock=clock) as app:
        run = await app.start(Agent("a", model=model, tools=[look]), "go", limits=Limits(seconds=300))
        async for record in app.follow(run, until="end"):
            if where == "wait" and isinstance(record.event, ev.ToolFailed):
                await clock.until_sleeping(2)  # the worker's own loop, and the run
                clock.offset += HOUR
                clock.advance(11)
        run = await app.get(run)
        assert run.output == "done", run.error
