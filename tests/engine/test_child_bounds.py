"""A child run keeps to its parent's limits and deadline, and is cancelled with it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

from surefoot.app import App
from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import Retry
from surefoot.core.model import ModelReply
from surefoot.core.run import Run
from surefoot.core.tool import ToolContext
from surefoot.core.values import Limits
from surefoot.testing.clock import ManualClock
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.engine.house import REFUND, House, children
from tests.flows.kit import QUICK, of_kind, opened


async def test_a_child_keeps_to_what_is_left_of_its_parents_limits(store: str) -> None:
    house = House(*[("refund", {"order": "1"})] * 9)
    async with opened(store, approve=lambda request: True) as app:
        run = await app.run(house.parent, "go", limits=Limits(steps=4))
        child = (await children(app, run))[0]
        assert child.error is not None
        assert (child.steps, child.error.kind) == (3, "limit_exceeded")
        assert run.error is not None
        assert (run.status, run.error.kind, run.steps) == ("failed", "limit_exceeded", 4)


async def test_a_childs_own_limits_hold_within_its_parents(store: str) -> None:
    house = House(*[("refund", {"order": "1"})] * 9)
    strict = Agent("child", model=house.child_model, tools=house.child.tools, limits=Limits(steps=2))
    house.child = strict
    async with opened(store, approve=lambda request: True) as app:
        run = await app.run(house.parent, "go", limits=Limits(steps=30))
        assert (await children(app, run))[0].steps == 2
    assert house.told == "limit_exceeded"


async def test_limits_given_to_a_child_are_over_its_agents_but_within_its_parents(store: str) -> None:
    house = House(*[("refund", {"order": "1"})] * 9, limits=Limits(steps=20, tool_calls=3))
    house.child = Agent("child", model=house.child_model, tools=house.child.tools, limits=Limits(steps=1))
    async with opened(store, approve=lambda request: True) as app:
        run = await app.run(house.parent, "go", limits=Limits(steps=30))
        assert (await children(app, run))[0].tool_calls == 3


async def test_a_child_may_wait_longer_than_its_parents_tool_may_take(store: str) -> None:
    house = House(*REFUND)
    async with opened(store, settings=replace(QUICK, tool_timeout=0.2)) as app:
        run = await app.run(house.parent, "go")
        started = (await of_kind(app, (await children(app, run))[0], ev.RunStarted))[0]
        assert started.deadline == 0


async def test_a_child_of_a_child_that_waits_for_a_time_is_worked_on_where_nobody_adopts(store: str) -> None:
    tries: list[int] = []

    @tool(effect="read")
    async def closed() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise Retry("closed until morning", after=3600)
        return "open"

    last = Agent("last", model=ScriptedModel(("closed", {}), "it is open"), tools=[closed])

    @tool(effect="idempotent")
    async def ask(context: ToolContext[Any]) -> str:
        return str((await context.run(last, "go")).output)

    house = House(("ask", {}), "the child's answer")
    house.child = Agent("child", model=house.child_model, tools=[ask])
    clock = ManualClock()
    async with opened(store, settings=replace(QUICK, adopt=False, poll=0.02), clock=clock) as app:
        run = await app.start(house.parent, "go")
        waiting = asyncio.create_task(app.wait(run))
        async for record in app.store.follow():
            if isinstance(record.event, ev.RunSuspended) and record.stream == run.id:
                break
        clock.advance(3601)
        assert (await waiting).output == "parent's answer"
    assert house.told == "the child's answer"


async def test_a_child_keeps_its_parents_deadline(store: str) -> None:
    house = House(deadline=timedelta(days=30))
    async with opened(store) as app:
        run = await app.run(house.parent, "go", deadline=timedelta(hours=1))
        parent = (await of_kind(app, run, ev.RunStarted))[0]
        child = (await of_kind(app, (await children(app, run))[0], ev.RunStarted))[0]
    assert child.deadline == parent.deadline


async def test_a_parent_and_its_child_are_cancelled_together(store: str) -> None:
    house = House(ModelReply.say("never"))
    house.child = Agent("child", model=ScriptedModel("never", delay=60))
    async with opened(store) as app:
        run = await app.start(house.parent, "go")
        await _until_child_asks(app, run)
        cancelled = await app.cancel(run, by="dana")
        assert cancelled.status == "cancelled"
        child = await app.wait((await children(app, run))[0])
        assert child.status == "cancelled"
        assert child.error is not None
        assert child.error.message == "its parent was cancelled"


async def _until_child_asks(app: App, run: Run[Any]) -> None:
    async for record in app.store.follow():
        if isinstance(record.event, ev.ModelRequested) and record.stream != run.id:
            return


async def test_a_child_that_waits_is_cancelled_with_its_parent(store: str) -> None:
    house = House(*REFUND)
    async with opened(store) as app:
        run = await app.run(house.parent, "go")
        run = await app.cancel(run)
        assert (run.status, run.waiting) == ("cancelled", ())
        assert (await app.wait((await children(app, run))[0])).status == "cancelled"


async def test_a_child_started_as_its_parent_is_cancelled_does_not_stay(store: str) -> None:
    child = Agent("child", model=ScriptedModel("never", delay=60))

    @tool(effect="read")
    async def ask(context: ToolContext[Any]) -> str:
        try:
            await app.send(context.run_id, "x")
            inside.set()
            await asyncio.Event().wait()
        finally:
            await context.run(child, "too late")
        return "never"

    inside = asyncio.Event()
    async with opened(store) as app:
        run = await app.start(Agent("parent", model=ScriptedModel(("ask", {})), tools=[ask]), "go")
        await inside.wait()
        assert (await app.cancel(run)).status == "cancelled"
        assert (await app.wait((await children(app, run))[0])).status == "cancelled"
