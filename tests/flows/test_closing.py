"""Closing an application that is in use: what is asked of it meanwhile, and a close that is itself cut short."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest

from surefoot.app import App
from surefoot.core.agent import Agent
from surefoot.core.tool import ToolContext
from surefoot.testing.models import FunctionModel, ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import BOUND, QUICK

PATIENT = replace(QUICK, grace=60.0)


class Slow:
    """An agent whose model is at work until it is let go on."""

    def __init__(self) -> None:
        self.began, self.go = asyncio.Event(), asyncio.Event()
        self.agent = Agent("slow", model=FunctionModel(self._answer))

    async def _answer(self, request: object) -> str:
        self.began.set()
        await self.go.wait()
        return "done"


async def test_what_is_asked_while_closing_waits_and_opens_again(store: str) -> None:
    slow, before = Slow(), asyncio.all_tasks()
    app = App(store, agents=[slow.agent], settings=PATIENT)
    async with asyncio.timeout(BOUND):
        run = await app.start(slow.agent, "go")
        await slow.began.wait()
        closing = asyncio.create_task(app.close())
        await asyncio.sleep(0)
        asked = [asyncio.create_task(app.get(run)) for _ in range(3)]
        again = asyncio.create_task(app.close())
        await asyncio.sleep(0)
        assert not any(task.done() for task in (closing, again, *asked))
        slow.go.set()
        await closing
        assert [(await task).status for task in asked] == ["done"] * 3
        await again
        await app.close()
        assert (await app.get(run)).output == "done"
        await app.close()
        assert asyncio.all_tasks() == before


async def test_a_tool_finishes_its_own_run_while_the_application_closes(store: str) -> None:
    began, go, before = asyncio.Event(), asyncio.Event(), asyncio.all_tasks()
    child = Agent("child", model=ScriptedModel("hi", "hi"))

    @tool(effect="idempotent")
    async def work(ctx: ToolContext) -> str:
        began.set()
        await go.wait()
        return str((await ctx.run(child, "go", id="child")).output)

    agent = Agent("a", model=ScriptedModel(("work", {}), "done", "done"), tools=[work])
    app = App(store, agents=[agent, child], settings=replace(QUICK, grace=0.3))
    async with asyncio.timeout(BOUND):
        run = await app.start(agent, "go")
        await began.wait()
        closing = asyncio.create_task(app.close())
        go.set()
        await closing
        assert asyncio.all_tasks() == before
        async with app:
            assert (await app.wait(run)).output == "done"


async def test_a_close_that_is_cut_short_leaves_nothing_behind(store: str) -> None:
    slow, before = Slow(), asyncio.all_tasks()
    app = App(store, agents=[slow.agent], settings=PATIENT)
    async with asyncio.timeout(BOUND):
        run = await app.start(slow.agent, "go")
        await slow.began.wait()
        threads = threading.active_count()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await app.close()
        await app.close()
        assert asyncio.all_tasks() == before
        assert threading.active_count() <= threads
        slow.go.set()
        async with app:
            assert (await app.wait(run)).output == "done"
        await app.close()
