"""A tool behind a breaker: what ends its body early, what its probe is asked, and that one made anew keeps its breaker."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from surefoot.core.errors import ToolFailed
from surefoot.core.messages import Usage
from surefoot.core.pace import Pace
from surefoot.core.state import State
from surefoot.core.tool import Done, NotDone, ToolContext, ToolOutput, ToolSpec
from surefoot.core.values import Limits
from surefoot.journal import MemoryStore
from surefoot.recovery.breaker import GuardedTool, Rules
from surefoot.recovery.limits import Budget
from surefoot.recovery.limits import Rules as BudgetRules
from surefoot.recovery.options import Recovery
from surefoot.recovery.predict import Predictor
from surefoot.recovery.stack import Stack
from surefoot.testing.clock import ManualClock
from tests.recovery.kit import Bench

NOBODY: Any = None


class Body:
    """A tool whose body does what it is told."""

    name = "look"
    spec = ToolSpec("look", effect="reconcilable", timeout=5.0, breaker=True)

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error

    def validate(self, arguments: str) -> str:
        return arguments

    async def call(self, arguments: str, context: ToolContext[Any]) -> ToolOutput:
        if self.error is not None:
            raise self.error
        await asyncio.Event().wait()
        return ToolOutput("never")

    async def probe(self, key: str) -> Done | NotDone:
        return Done(key)


@pytest.mark.parametrize(("seconds", "states"), [(5, ["open"]), (1, [])])
async def test_a_body_that_is_cut_short_failed_only_when_its_time_was_up(seconds: float, states: list[str]) -> None:
    bench = Bench(Rules(least=1))
    guarded = GuardedTool(Body(), bench.breaker, bench.taxonomy, bench.clock)
    task = asyncio.create_task(guarded.call("{}", NOBODY))
    await asyncio.sleep(0)
    bench.clock.advance(seconds)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.states == states
    assert (guarded.validate("{}"), await guarded.probe("k")) == ("{}", Done("k"))


async def test_what_is_no_failure_says_nothing() -> None:
    bench = Bench(Rules(least=1))
    with pytest.raises(SystemExit):
        await GuardedTool(Body(SystemExit(1)), bench.breaker, bench.taxonomy, bench.clock).call("{}", NOBODY)
    assert bench.states == []


async def test_a_tool_that_is_made_anew_keeps_its_breaker() -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    await store.open()
    stack = Stack(Recovery(breaker=Rules(least=1)), clock, store)
    with pytest.raises(ConnectionError):
        await stack.guarded_tool(Body(ConnectionError("no")), "a").call("{}", NOBODY)
    with pytest.raises(ToolFailed):
        await stack.guarded_tool(Body(), "a").call("{}", NOBODY)
    with pytest.raises(ValueError, match="mine"):
        await stack.guarded_tool(Body(ValueError("mine")), "b").call("{}", NOBODY)
    await stack.notes.told()
    await store.close()


def test_many_requests_allow_more_retries_than_the_floor() -> None:
    budget = Budget(BudgetRules(floor=1))
    for _ in range(100):
        budget.spend(0.0, retry=False)
    assert [budget.spend(0.0, retry=True) for _ in range(20)] == [0.0] * 20
    assert [budget.spend(0.0, retry=True) > 0 for _ in range(10)][-1]


def test_money_is_a_limit_too() -> None:
    state = State(steps=8, cost=900_000, usage=Usage(), pace=Pace())
    [found] = Predictor(Limits(cost=1.0), 1_000).check(state, 0)
    assert (found.data["limit"], found.data["used"]) == ("cost", 0.9)
