"""What will go wrong at this rate is said once, with figures and a forecast; nothing is stopped by it."""

from __future__ import annotations

from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import ModelError
from surefoot.core.messages import Usage
from surefoot.core.model import ModelReply, ModelRequest, ProposedCall
from surefoot.core.values import Limits
from surefoot.recovery.limits import Rules as BudgetRules
from surefoot.recovery.options import Recovery
from surefoot.settings import Settings
from surefoot.testing.clock import ManualClock
from surefoot.testing.models import FunctionModel
from surefoot.tools.function import tool
from tests.flows.kit import of_kind, opened

#: Retries as many as there are.
FREE = Recovery(budget=BudgetRules(floor=1_000))


@tool(effect="read")
async def look(n: int) -> str:
    """Look."""
    return f"saw {n}"


class Steps:
    """A model that calls ``look`` so often; each answer is the business of ``each``, called with its number."""

    name = "local:steps"

    def __init__(self, steps: int, each: Any = lambda at: None, usage: Any = lambda at: Usage(), window: int = 100_000) -> None:
        self.context_window = window
        self._steps, self._each, self._usage = steps, each, usage
        self._at = 0

    async def request(self, request: ModelRequest, emit: Any) -> ModelReply:
        at = self._at
        self._each(at)
        self._at += 1
        if at >= self._steps:
            return ModelReply.say("done", usage=self._usage(at))
        return ModelReply.call(ProposedCall("look", f'{{"n":{at}}}'), usage=self._usage(at))


async def warnings(model: Any, **options: Any) -> list[ev.RunWarned]:
    clock = options.pop("clock", None)
    recovery = options.pop("recovery", None)
    async with opened("memory:", clock=clock, recovery=recovery, settings=Settings(backoff=0, grace=0, model_tries=9)) as app:
        run = await app.run(Agent("a", model=model, tools=[look], **options), "go")
        assert run.output == "done", run.error
        return await of_kind(app, run, ev.RunWarned)


@pytest.mark.parametrize(
    ("limits", "name", "used", "left"),
    [
        (Limits(steps=10), "steps", 8, 2),
        (Limits(steps=50, tool_calls=10), "tool_calls", 8, 2),
        (Limits(steps=50, tokens=1_000), "tokens", 800, 2),
    ],
)
async def test_a_limit_that_will_be_reached_is_said_before(limits: Limits, name: str, used: float, left: int) -> None:
    [warned] = await warnings(Steps(9, usage=lambda at: Usage(input=90, output=10)), limits=limits)
    assert (warned.kind, warned.tell) == ("limit_near", "")
    assert warned.data == {"limit": name, "used": used, "of": warned.data["of"], "steps_left": left, "about": name}
    assert "in about 2 steps at this rate" in warned.message


async def test_cost_and_time_are_limits_too() -> None:
    clock = ManualClock()
    limits = Limits(steps=None, cost=1.0, seconds=10)
    found = await warnings(Steps(8, each=lambda at: clock.advance(1)), limits=limits, clock=clock)
    assert [(one.data["limit"], one.data["used"]) for one in found] == [("seconds", 8.0)], "what costs nothing uses up nothing"


async def test_a_context_that_fills_up_is_said_with_when_it_is_full() -> None:
    [warned] = await warnings(Steps(9, usage=lambda at: Usage(input=1_000 * (at + 1)), window=10_000))
    assert warned.kind == "context_fill"
    assert warned.data == {"input": 6_000, "window": 10_000, "share": 0.6, "steps_left": 4}
    assert "60% of the model's context; at this rate it is full in about 4 steps" in warned.message


async def test_a_context_that_is_full_and_does_not_grow_has_no_forecast() -> None:
    [warned] = await warnings(Steps(5, usage=lambda at: Usage(input=7_000), window=10_000))
    assert warned.data["steps_left"] is None


async def test_failures_that_become_more_are_said() -> None:
    asked: list[int] = []

    def reply(request: ModelRequest) -> Any:
        asked.append(1)
        at = sum(message.role == "assistant" for message in request.messages)
        if len(asked) > 12 and len(asked) % 4:
            return ModelError("malformed_output", "no")
        return ("look", {"n": at}) if at < 16 else "done"

    [warned] = await warnings(FunctionModel(reply), recovery=FREE)
    assert (warned.kind, warned.data["of"]) == ("error_rate", 10)
    assert warned.data["failed"] >= 5 > warned.data["before"]


async def test_failures_that_were_always_so_many_are_no_news() -> None:
    asked: list[int] = []

    def reply(request: ModelRequest) -> Any:
        asked.append(1)
        at = sum(message.role == "assistant" for message in request.messages)
        if len(asked) % 4:
            return ModelError("malformed_output", "no")
        return ("look", {"n": at}) if at < 16 else "done"

    assert await warnings(FunctionModel(reply), recovery=FREE) == []


async def test_answers_that_become_slow_are_said() -> None:
    clock = ManualClock()
    [warned] = await warnings(Steps(14, each=lambda at: clock.advance(1 if at < 8 else 20)), clock=clock)
    assert (warned.kind, warned.data["first"]) == ("latency_drift", 1.0)
    assert warned.data["lately"] > 5


async def test_a_steady_run_has_nothing_to_say_and_nobody_has_to_hear_it() -> None:
    assert await warnings(Steps(20)) == []
    assert await warnings(Steps(9), limits=Limits(steps=10), recovery=Recovery(predict=None)) == []
