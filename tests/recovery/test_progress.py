"""Runs that go nowhere are nudged, then stopped; those that poll, or get somewhere, are left alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.model import ModelRequest
from surefoot.core.pace import Finding
from surefoot.core.state import State
from surefoot.recovery.options import Recovery
from surefoot.recovery.progress import Rules
from surefoot.testing.models import FunctionModel, ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import of_kind, opened


@tool(effect="read")
async def look(n: int) -> str:
    """Look."""
    return f"saw {n}"


@tool(effect="read")
async def again(n: int) -> str:
    """Look again."""
    return "the same"


@tool(effect="read", polling=True)
async def poll(n: int) -> str:
    """Ask whether it is done."""
    return "not yet"


def calls(*script: Any, heed: bool = False) -> FunctionModel:
    """Make a model that repeats these calls for ever, or until it is told to stop when it is to ``heed`` that."""
    at = iter(range(10_000))

    def reply(request: ModelRequest) -> Any:
        if heed and "Do something else" in request.messages[-1].text:
            return "I gave up."
        return script[next(at) % len(script)]

    return FunctionModel(reply)


SAME: list[Any] = [("look", {"n": 1})]
TURNS: list[Any] = [("look", {"n": 1}), ("again", {"n": 1})]


@pytest.mark.parametrize(("script", "nudged", "stopped"), [(SAME, 3, 6), (TURNS, 6, 12), ([[*SAME, *SAME, *SAME, *SAME]], 4, 8)])
async def test_a_run_that_goes_nowhere_is_nudged_and_then_stopped(store: str, script: Any, nudged: int, stopped: int) -> None:
    model = calls(*script)
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[look, again]), "go")
        assert len(await of_kind(app, run, ev.RunWarned)) == 1
        records = await app.events(run)
    before = records[: next(at for at, record in enumerate(records) if isinstance(record.event, ev.RunWarned))]
    assert sum(isinstance(record.event, ev.ToolReturned) for record in before) == nudged
    assert run.error is not None
    assert (run.status, run.error.kind, run.tool_calls) == ("failed", "no_progress", stopped)
    assert "polling=True" in run.error.hint
    told = [request.messages[-1].text for request in model.requests if request.messages[-1].role == "user"]
    assert [("same arguments" in text, "look" in text) for text in told[1:]] == [(True, False)]


async def test_a_model_that_heeds_the_nudge_goes_on(store: str) -> None:
    async with opened(store) as app:
        run = await app.run(Agent("a", model=calls(*SAME, heed=True), tools=[look]), "go")
    assert (run.status, run.output, run.tool_calls) == ("done", "I gave up.", 3)


async def test_going_nowhere_again_later_is_nudged_again(store: str) -> None:
    model = ScriptedModel(*SAME * 3, ("look", {"n": 2}), *SAME * 3, "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[look]), "go")
        assert len(await of_kind(app, run, ev.RunWarned)) == 2
    assert run.output == "done"


@pytest.mark.parametrize(
    "script",
    [
        [("poll", {"n": 1})],
        [("poll", {"n": 1}), ("look", {"n": 1})],
        [("look", {"n": n}) for n in range(20)],
        [("look", {"n": 1}), ("look", {"n": 2}), ("look", {"n": 3})],
    ],
    ids=["polling", "polling in turn", "other arguments", "three in turn"],
)
async def test_what_is_no_pattern_is_let_alone(store: str, script: Any) -> None:
    model = ScriptedModel(*(script * 20)[:20], "done")
    async with opened(store, recovery=Recovery(predict=None)) as app:
        run = await app.run(Agent("a", model=model, tools=[look, poll]), "go")
        assert await of_kind(app, run, ev.RunWarned) == []
    assert run.output == "done"


async def test_another_result_is_progress(store: str) -> None:
    seen = iter(range(100))

    @tool(effect="read")
    async def count() -> int:
        return next(seen)

    model = ScriptedModel(*[("count", {})] * 10, "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[count]), "go")
        assert await of_kind(app, run, ev.RunWarned) == []
    assert run.output == "done"


async def test_a_run_that_was_stopped_begins_anew_when_it_is_resumed(store: str) -> None:
    model = ScriptedModel(*SAME * 6, *SAME * 2, "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[look]), "go")
        assert run.status == "failed"
        assert (await app.resume(run)).output == "done"


async def test_wrong_arguments_have_a_budget_of_their_own(store: str) -> None:
    at = iter(range(100))
    model = FunctionModel(lambda request: ("look", {"n": f"no number {next(at)}"}))
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[look]), "go")
    assert run.error is not None
    assert (run.error.kind, run.error.data, run.tool_calls) == ("invalid_arguments", {"times": 8}, 0)


async def test_a_call_that_works_is_worth_the_budget_again(store: str) -> None:
    wrong = [("look", {"n": f"no number {n}"}) for n in range(7)]
    model = ScriptedModel(*wrong, ("look", {"n": 1}), *wrong, "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[look]), "go")
    assert run.output == "done"


@pytest.mark.parametrize(("recovery", "tools"), [(Recovery(progress=None), 9), (Recovery(progress=Rules(2, 4)), 4)])
async def test_how_patient_it_is_can_be_set(store: str, recovery: Recovery, tools: int) -> None:
    model = ScriptedModel(*SAME * 9, "done")
    async with opened(store, recovery=recovery) as app:
        run = await app.run(Agent("a", model=model, tools=[look]), "go")
    assert run.tool_calls == tools


class Watch:
    """A guard that says the same thing always, or breaks."""

    def __init__(self, *, breaks: bool = False) -> None:
        self.breaks = breaks

    def check(self, state: State, now: int) -> Sequence[Finding]:
        if self.breaks:
            raise RuntimeError("no")
        return [Finding("watched", f"step {state.step}", tell="Mind the gap.")]


async def test_guards_of_ones_own_are_asked_too_and_heard_once(store: str) -> None:
    model = ScriptedModel(("look", {"n": 1}), "done")
    async with opened(store, recovery=Recovery(guards=[Watch(breaks=True), Watch()])) as app:
        run = await app.run(Agent("a", model=model, tools=[look]), "go")
        [warned] = await of_kind(app, run, ev.RunWarned)
    assert (run.output, warned.message, model.requests[0].messages[-1].text) == ("done", "step 0", "Mind the gap.")
