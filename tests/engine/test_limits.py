"""Every limit ends a run with a clear status and what was said so far, and a higher one lets it go on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import ConfigurationError, UnknownPrice
from surefoot.core.messages import Text, Usage
from surefoot.core.model import ModelReply, ProposedCall
from surefoot.core.values import Limits
from surefoot.settings import Settings
from surefoot.testing.clock import ManualClock
from surefoot.testing.models import FunctionModel, ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import QUICK, of_kind, opened, tags

PRICED = "openai:gpt-4o-mini"


@tool(effect="read")
def look(n: int = 0) -> int:
    """Look something up."""
    return n


def step(n: int, calls: int = 1) -> ModelReply:
    """Say something and call a tool, for 60 tokens."""
    return ModelReply(
        (Text(f"Looking, {n}."),),
        tuple(ProposedCall("look", f'{{"n":{n}}}') for _ in range(calls)),
        Usage(input=50, output=10),
        "tool_calls",
    )


@pytest.mark.parametrize(
    ("low", "high", "name"),
    [
        (Limits(steps=2), Limits(steps=3), "steps"),
        (Limits(tool_calls=3), Limits(tool_calls=4), "tool calls"),
        (Limits(tokens=100), Limits(tokens=121), "tokens"),
    ],
)
@pytest.mark.parametrize("where", ["agent", "run"])
async def test_a_limit_ends_the_run_and_a_higher_one_goes_on(
    store: str, low: Limits, high: Limits, name: str, where: str
) -> None:
    model = ScriptedModel(step(1, 2), step(2, 2), "done")
    async with opened(store) as app:
        if where == "agent":
            run = await app.run(Agent("a", model=model, tools=[look], limits=low), "go")
        else:
            run = await app.run(Agent("a", model=model, tools=[look]), "go", limits=low)
        assert run.error is not None
        assert (run.status, run.error.kind, run.text) == ("failed", "limit_exceeded", "Looking, 2.")
        assert name in run.error.message
        assert "resume it with a higher limit" in run.error.hint
        assert run.error.data
        assert run.usage.total == 120, "what was spent is told"
        again = await app.resume(run, limits=high, by="dana")
        assert (again.status, again.output, again.error) == ("done", "done", None)
        assert (await of_kind(app, run, ev.RunResumed))[0].by == "dana"


async def test_a_run_that_is_not_given_more_fails_again(store: str) -> None:
    model = ScriptedModel(step(1), step(2), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[look]), "go", limits=Limits(steps=1))
        again = await app.resume(run)
        assert again.error is not None
        assert (again.status, again.error.kind) == ("failed", "limit_exceeded")
        assert (await app.resume(run, limits=Limits(steps=9))).output == "done"


async def test_a_runs_limits_are_over_its_agents_and_leave_the_others(store: str) -> None:
    model = ScriptedModel(*[step(n) for n in range(6)])
    agent = Agent("a", model=model, tools=[look], limits=Limits(steps=1, tool_calls=3))
    async with opened(store) as app:
        run = await app.run(agent, "go", limits=Limits(steps=5))
    assert run.error is not None
    assert "tool calls" in run.error.message
    assert (run.steps, run.tool_calls) == (4, 3)


async def test_an_agent_stops_after_fifty_steps_when_nothing_else_is_said(store: str) -> None:
    async with opened(store) as app:
        run = await app.run(Agent("a", model=FunctionModel(lambda request: step(len(request.messages))), tools=[look]), "go")
    assert run.error is not None
    assert (run.steps, run.error.kind) == (50, "limit_exceeded")


async def test_a_cost_limit_ends_the_run(store: str) -> None:
    model = ScriptedModel(step(1), "done", name=PRICED)
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[look]), "go", limits=Limits(cost=1e-6))
        assert run.error is not None
        assert run.cost is not None
        assert (run.status, run.error.kind) == ("failed", "limit_exceeded")
        assert run.cost > 1e-6
        assert (await app.resume(run, limits=Limits(cost=1.0))).output == "done"


async def test_a_cost_limit_without_a_price_does_not_start(store: str) -> None:
    agent = Agent("a", model=ScriptedModel("hi"))
    async with opened(store) as app:
        with pytest.raises(UnknownPrice, match="limit tokens instead"):
            await app.run(agent, "go", limits=Limits(cost=1.0))
        with pytest.raises(UnknownPrice):
            await app.run(Agent("b", model=ScriptedModel("hi"), limits=Limits(cost=1.0)), "go")
        assert await app.list() == []
        failed = await app.run(agent, "go", limits=Limits(steps=0))
        with pytest.raises(UnknownPrice):
            await app.resume(failed, limits=Limits(cost=1.0))
        assert (await app.get(failed)).status == "failed"


async def test_working_time_is_limited_and_the_body_cut_short(store: str) -> None:
    @tool(effect="read")
    async def hang() -> str:
        await asyncio.Event().wait()
        return "never"

    model = ScriptedModel(("hang", {}), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[hang]), "go", limits=Limits(seconds=0.1))
        assert run.error is not None
        assert (run.status, run.error.kind) == ("failed", "limit_exceeded")
        assert "0.1 seconds" in run.error.message


async def test_a_model_that_hangs_is_cut_short_when_time_is_up(store: str) -> None:
    model = ScriptedModel("never", "late", delay=60)
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model), "go", limits=Limits(seconds=0.1))
        assert run.error is not None
        assert (run.status, run.error.kind) == ("failed", "limit_exceeded")


async def test_waiting_for_a_human_is_no_work(store: str) -> None:
    @tool
    def refund() -> str:
        return "refunded"

    clock = ManualClock()
    model = ScriptedModel(("refund", {}), "done")
    async with opened(store, clock=clock) as app:
        run = await app.run(Agent("a", model=model, tools=[refund]), "go", limits=Limits(seconds=60))
        clock.advance(7 * 24 * 3600)
        await app.decide(run.waiting[0], approve=True)
        run = await app.wait(run)
    assert run.output == "done"


async def test_the_time_in_which_nobody_works_is_no_work(store: str) -> None:
    reached = asyncio.Event()

    @tool(effect="read")
    async def look_long(context: Any = None) -> str:
        if not reached.is_set():
            reached.set()
            await asyncio.Event().wait()
        return "looked"

    clock = ManualClock()
    model = ScriptedModel(("look_long", {}), "done")
    agent = Agent("a", model=model, tools=[look_long], limits=Limits(seconds=60))
    async with opened(store, clock=clock) as app:
        run = await app.start(agent, "go")
        await reached.wait()
        kept = app.store
    clock.advance(3600)
    async with opened(kept, agent, clock=clock, settings=Settings(adopt=False, grace=0)) as app:
        await app.send(run, "still there?")
        clock.advance(3600)
        again = await app.wait(run)
    assert (again.status, again.output) == ("done", "done")


@pytest.mark.parametrize(
    "deadline",
    [0.0, -5, timedelta(seconds=-1), datetime(2020, 1, 1, tzinfo=UTC)],
)
async def test_a_deadline_that_has_passed_ends_the_run_before_it_begins(store: str, deadline: Any) -> None:
    model = ScriptedModel("done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model), "go", deadline=deadline)
        assert run.error is not None
        assert (run.status, run.error.kind) == ("failed", "deadline_exceeded")
        assert await tags(app, run) == ["run.started", "run.failed"]
        assert (await app.resume(run, deadline=timedelta(hours=1))).output == "done"


async def test_a_deadline_cuts_short_what_runs(store: str) -> None:
    @tool(effect="read")
    async def hang() -> str:
        await asyncio.Event().wait()
        return "never"

    model = ScriptedModel(step(1), ("hang", {}), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[hang, look]), "go", deadline=0.3)
        assert run.error is not None
        assert (run.status, run.error.kind, run.text) == ("failed", "deadline_exceeded", "Looking, 1.")


async def test_a_deadline_ends_a_run_that_waits_for_a_human(store: str) -> None:
    @tool
    def refund() -> str:
        return "refunded"

    agent = Agent("a", model=ScriptedModel(("refund", {}), "done"), tools=[refund])
    async with opened(store) as app:
        run = await app.run(agent, "go", deadline=0.3)
        assert run.status == "waiting"
        async for _ in app.follow(run, until="end"):
            pass
        run = await app.wait(run)
        assert run.error is not None
        assert (run.status, run.error.kind) == ("failed", "deadline_exceeded")
        assert run.waiting == (), "there is nothing left to decide"


async def test_the_end_of_working_time_ends_a_wait_for_another_try(store: str) -> None:
    from surefoot.core.errors import Retry

    @tool(effect="read")
    def busy() -> str:
        raise Retry(after=20)

    async with opened(store) as app:
        run = await app.run(Agent("a", model=ScriptedModel(("busy", {})), tools=[busy]), "go", limits=Limits(seconds=0.2))
        assert run.error is not None
        assert run.error.kind == "limit_exceeded"


async def test_a_deadline_needs_a_zone(store: str) -> None:
    async with opened(store, settings=QUICK) as app:
        with pytest.raises(ConfigurationError, match="zone"):
            await app.run(Agent("a", model=ScriptedModel("x")), "go", deadline=datetime(2030, 1, 1))  # noqa: DTZ001  what is refused
