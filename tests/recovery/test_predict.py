"""What will go wrong at this rate is said once, with figures and a forecast; nothing is stopped by it."""

from __future__ import annotations

from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import MayNotDecide, ModelError
from surefoot.core.messages import ToolResult, Usage
from surefoot.core.model import ModelReply, ModelRequest, ProposedCall
from surefoot.core.pace import Pace
from surefoot.core.values import Limits
from surefoot.recovery.limits import Rules as BudgetRules
from surefoot.recovery.options import Recovery
from surefoot.recovery.predict import History, Rules
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


def results_of(message: Any) -> list[Any]:
    return [part for part in message.parts if isinstance(part, ToolResult)]


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
    assert (warned.kind, warned.data["usual"]) == ("latency_drift", 1.0)
    assert warned.data["lately"] > 5


async def test_answers_slower_than_in_the_agents_runs_before_are_said() -> None:
    clock, slow = ManualClock(), [1]
    model = Steps(5, each=lambda at: clock.advance(slow[0]))
    agent = Agent("a", model=model, tools=[look])
    async with opened("memory:", clock=clock, settings=Settings(backoff=0, grace=0)) as app:
        for _ in range(5):
            model._at = 0
            run = await app.run(agent, "go")
            assert await of_kind(app, run, ev.RunWarned) == []
        slow[0], model._at = 20, 0
        run = await app.run(agent, "go")
        [warned] = await of_kind(app, run, ev.RunWarned)
    assert (warned.kind, warned.data) == ("latency_drift", {"lately": 20.0, "usual": 1.0})
    assert "in this agent's runs before" in warned.message


async def test_a_prompt_that_fills_its_context_is_made_shorter_early() -> None:
    @tool(effect="read")
    async def long(n: int) -> str:
        return f"{n} " * 6_000

    def reply(request: ModelRequest) -> Any:
        at = sum(message.role == "assistant" for message in request.messages)
        tokens = sum(len(part.text) for message in request.messages for part in results_of(message)) // 3
        calls = ModelReply.call(ProposedCall("long", f'{{"n":{at}}}'), usage=Usage(input=tokens))
        return calls if at < 12 else ModelReply.say("done")

    recovery = Recovery(predict=Rules(acts={"context_fill": "compact"}))
    async with opened("memory:", recovery=recovery) as app:
        model = FunctionModel(reply, context_window=40_000)
        run = await app.run(Agent("a", model=model, tools=[long]), "go")
        assert run.output == "done", run.error
        found = [record.event for record in await app.events(run)]
        warned = next(place for place, event in enumerate(found) if isinstance(event, ev.RunWarned))
        compacted = next(place for place, event in enumerate(found) if isinstance(event, ev.ContextCompacted))
    assert compacted == warned + 1
    event = found[compacted]
    assert isinstance(event, ev.ContextCompacted)
    assert event.before < 30_000, "three quarters, at which it would have been made shorter anyway"
    assert event.after <= 0.7 * event.before


async def test_a_model_that_is_slow_or_failing_is_asked_last() -> None:
    clock = ManualClock()
    first = Steps(14, each=lambda at: clock.advance(1 if at < 8 else 20))

    def second(request: ModelRequest) -> Any:
        at = sum(message.role == "assistant" for message in request.messages)
        return ("look", {"n": at}) if at < 16 else "done"

    agent = Agent("a", model=[first, FunctionModel(second, name="scripted:second")], tools=[look])
    recovery = Recovery(predict=Rules(acts={"latency_drift": "fall_back"}))
    async with opened("memory:", clock=clock, recovery=recovery, settings=Settings(backoff=0, grace=0)) as app:
        run = await app.run(agent, "go")
        assert run.output == "done", run.error
        warned = await of_kind(app, run, ev.RunWarned)
        assert [one.kind for one in warned[:2]] == ["latency_drift", "fell_back"]
        assert {one.data["answered"] for one in warned[1:]} == {"scripted:second"}
        replies = await of_kind(app, run, ev.ModelReplied)
        assert [reply.model for reply in replies[-3:]] == ["scripted:second"] * 3
        assert replies[0].model == ""


async def asked_early(decision: bool) -> tuple[Any, list[Any]]:
    recovery = Recovery(predict=Rules(acts={"limit_near": "ask"}))
    async with opened("memory:", recovery=recovery) as app:
        run = await app.run(Agent("a", model=Steps(9), tools=[look], limits=Limits(steps=10)), "go")
        [question] = run.waiting
        assert (run.status, question.kind, question.tool) == ("waiting", "warning", "limit_near")
        assert str(question).endswith("Go on?")
        assert "about 2 steps" in str(question)
        with pytest.raises(MayNotDecide, match="approve or deny"):
            await app.decide(question, answer="perhaps")
        await app.decide(question, approve=decision, by="dana", reason="enough")
        run = await app.wait(run)
        return run, await of_kind(app, run, ev.ApprovalRequested)


async def test_somebody_says_whether_a_run_goes_on() -> None:
    run, asked = await asked_early(decision=True)
    assert (run.status, run.output, len(asked)) == ("done", "done", 1)


async def test_a_run_that_somebody_does_not_let_go_on_is_cancelled() -> None:
    run, _ = await asked_early(decision=False)
    assert (run.status, run.error.kind, run.error.message) == ("cancelled", "cancelled", "enough")


async def test_a_steady_run_has_nothing_to_say_and_nobody_has_to_hear_it() -> None:
    assert await warnings(Steps(20)) == []
    assert await warnings(Steps(9), limits=Limits(steps=10), recovery=Recovery(predict=None)) == []


def test_an_agents_history_is_bounded() -> None:
    history, pace = History(), Pace()
    assert history.usual() is None
    for number in range(500):
        pace.replied(1, 1_000_000 if number < 250 else 3_000_000)
        pace.replies = 1
        pace.lately = 1_000_000.0 if number < 250 else 3_000_000.0
        history.add(f"run {number}", pace)
        history.add(f"run {number}", pace)
    assert history.usual() == 3_000_000.0
    assert len(history._seen) == len(history._took) == 200
