"""A run and all that it starts keep to its limits together, and what they used is counted once, however the run ends."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from surefoot.app import App
from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import Retry
from surefoot.core.messages import Usage
from surefoot.core.model import ModelRequest
from surefoot.core.run import Run
from surefoot.core.tool import ToolContext
from surefoot.core.values import Limits
from surefoot.testing.clock import ManualClock
from surefoot.testing.models import FunctionModel, ScriptedModel
from surefoot.tools.function import tool
from tests.engine.house import USAGE, children
from tests.flows.kit import of_kind, opened

_NOTHING = Usage()


class Team:
    """A boss whose tool ``ask`` lets a worker work, who calls ``look`` for ever; ``first`` is what a worker calls before."""

    def __init__(self, calls: int = 4, *, each: int = 1, first: str = "look", steps: int = 9) -> None:
        self.bodies = 0

        @tool(effect="read")
        async def look() -> str:
            self.bodies += 1
            await asyncio.sleep(0)
            return "seen"

        @tool
        def refund() -> str:
            return "refunded"

        def work(request: ModelRequest) -> Any:
            done = sum(message.role == "assistant" for message in request.messages)
            return ("look" if done else first, {}) if done < steps else "worked"

        self.worker: Agent[Any, str] = Agent("worker", model=Paid(work), tools=[look, refund])

        @tool(effect="idempotent")
        async def ask(context: ToolContext[Any], n: int) -> str:
            runs = [await context.run(self.worker, f"work {n} {number}") for number in range(each)]
            return ", ".join(str(run.output or (run.error and run.error.kind)) for run in runs)

        self.ask = ask
        self.boss = Agent("boss", model=Paid(lambda r: "all done" if len(r.messages) > 1 else self.calls(calls)), tools=[ask])

    def calls(self, count: int) -> Any:
        return [("ask", {"n": n}) for n in range(count)]


class Paid(FunctionModel):
    """A model whose replies use tokens."""

    async def request(self, request: ModelRequest, emit: Any) -> Any:
        reply = await super().request(request, emit)
        return type(reply)(reply.parts, reply.calls, USAGE)


async def tree(app: App, run: Run[Any]) -> list[Run[Any]]:
    """A run and everything below it."""
    found = [run]
    for child in await children(app, run):
        found += await tree(app, child)
    return found


async def used(app: App, run: Run[Any]) -> tuple[int, int, Usage]:
    """Steps, tool calls and tokens that the journals of a tree tell of."""
    steps, calls, usage = 0, 0, _NOTHING
    for one in await tree(app, run):
        replies = await of_kind(app, one, ev.ModelReplied)
        steps += len(replies)
        usage += sum((reply.usage for reply in replies), _NOTHING)
        calls += len({event.call for event in await of_kind(app, one, ev.ToolStarted)})
    return steps, calls, usage


async def check(app: App, run: Run[Any]) -> None:
    """Fail unless a run's totals are those of its tree."""
    assert (run.steps, run.tool_calls, run.usage) == await used(app, run)


@pytest.mark.parametrize(("calls", "each"), [(4, 1), (1, 4), (2, 2)])
@pytest.mark.parametrize("limits", [Limits(steps=10), Limits(tool_calls=12)])
async def test_children_do_not_pass_their_parents_limits_together(store: str, calls: int, each: int, limits: Limits) -> None:
    team = Team(calls, each=each)
    async with opened(store) as app:
        run = await app.run(team.boss, "go", limits=limits)
        await check(app, run)
        ended = [child.error.kind for child in await children(app, run) if child.error is not None]
    assert "limit_exceeded" in ended
    if limits.steps:
        assert run.error is not None
        assert (run.error.kind, run.steps) == ("limit_exceeded", 10)
    else:
        assert (run.output, run.tool_calls) == ("all done", 12)


async def test_children_that_stay_within_the_limits_are_not_stopped(store: str) -> None:
    team = Team(4, steps=3)
    async with opened(store) as app:
        run = await app.run(team.boss, "go", limits=Limits(steps=18, tool_calls=16))
        assert (run.output, run.steps, run.tool_calls) == ("all done", 18, 16)


async def test_tokens_of_children_are_counted_together(store: str) -> None:
    team = Team(4)
    async with opened(store) as app:
        run = await app.run(team.boss, "go", limits=Limits(tokens=5 * USAGE.total))
        await check(app, run)
    # What is in flight when the limit is reached comes on top, here as for a single run.
    assert 5 * USAGE.total <= run.usage.total <= 9 * USAGE.total


async def test_a_whole_tree_keeps_to_the_limits_at_its_top(store: str) -> None:
    team = Team(2)
    top = Agent("top", model=Paid(lambda r: "top done" if len(r.messages) > 1 else team.calls(3)), tools=[over(team)])
    async with opened(store) as app:
        run = await app.run(top, "go", limits=Limits(steps=15))
        assert len(await tree(app, run)) == 10
        assert run.steps == 15
        await check(app, run)


def over(team: Team) -> Any:
    """A tool that lets a boss let workers work."""

    @tool(effect="read", name="ask")
    async def boss(context: ToolContext[Any], n: int) -> str:
        return str((await context.run(team.boss, f"go {n}")).status)

    return boss


@pytest.mark.parametrize("restart", [False, True])
async def test_children_that_waited_keep_to_the_limits_together(store: str, restart: bool) -> None:
    team = Team(3, first="refund")
    async with opened(store) as app:
        run = await app.run(team.boss, "go", limits=Limits(steps=12))
        assert len(run.waiting) == 3
        assert run.steps == 4, "what is used so far counts while it waits"
        if not restart:
            run = await through(app, run)
        kept = app.store
    async with opened(kept, team.boss, team.worker) as app:
        run = await through(app, run)
        assert run.steps == 12
        await check(app, run)


async def through(app: App, run: Run[Any]) -> Run[Any]:
    """Approve everything, and wait until a run has ended."""
    while not run.ended:
        for request in run.waiting:
            await app.decide(request, approve=True)
        run = await app.wait(run)
    return run


async def test_children_cut_short_by_a_cancellation_are_counted(store: str) -> None:
    team, inside = Team(2), asyncio.Semaphore(0)

    @tool(effect="read", name="look")
    async def hang() -> str:
        inside.release()
        await asyncio.Event().wait()
        return "never"

    team.worker = Agent("worker", model=team.worker.model, tools=[hang])
    async with opened(store) as app:
        run = await app.start(team.boss, "go")
        for _ in range(2):
            await inside.acquire()
        run = await app.cancel(run)
        assert run.status == "cancelled"
        await check(app, run)
        assert run.steps == 3


async def test_children_that_wait_when_their_parent_ends_are_counted(store: str) -> None:
    team, clock = Team(2, first="refund"), ManualClock()
    async with opened(store, clock=clock) as app:
        run = await app.run(team.boss, "go", deadline=timedelta(hours=1))
        other = await app.run(team.boss, "go")
        assert (await app.cancel(other)).steps == 3
        late = Team(1, first="refund")
        late.boss.name, late.worker.name = "late boss", "late worker"
        waits = await app.run(late.boss, "go", deadline=timedelta(hours=1))
        clock.advance(3601)
        for ended in (await app.wait(run), await app.wait(waits)):
            assert ended.error is not None
            assert ended.error.kind == "deadline_exceeded"
            await check(app, ended)


async def test_what_an_attempt_that_failed_had_started_is_counted(store: str) -> None:
    tries: list[int] = []
    one, other = (Agent(name, model=ScriptedModel("answer", usage=USAGE)) for name in ("one", "other"))

    @tool(effect="read")
    async def ask(context: ToolContext[Any]) -> str:
        tries.append(1)
        run: Run[Any] = await context.run(one if len(tries) == 1 else other, "go", id=f"try {len(tries)}")
        if len(tries) == 1:
            raise Retry("the other one knows", after=0.0)
        return str(run.output)

    model = ScriptedModel(("ask", {}), "done", usage=USAGE)
    async with opened(store) as app:
        run = await app.run(Agent("boss", model=model, tools=[ask]), "go")
        assert (run.output, run.steps) == ("done", 4)
        await check(app, run)


async def test_a_child_goes_on_though_its_parent_was_deleted(store: str) -> None:
    team, clock = Team(1, steps=3), ManualClock()
    team.worker.limits = Limits(steps=1)
    async with opened(store, clock=clock) as app:
        run = await app.run(team.boss, "go")
        child = (await children(app, run))[0]
        assert (run.output, child.status) == ("all done", "failed")
        clock.advance(10)
        assert await app.prune(timedelta(seconds=1), status=["done"]) == [run.id]
        assert (await app.resume(child, limits=Limits(steps=9))).output == "worked"
