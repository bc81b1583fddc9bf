"""Prompts that grow too long: results are shortened first, then turns are left out, and nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.messages import File, Image, Message, Part, Reasoning, Text, ToolCall, ToolResult
from surefoot.core.state import State
from surefoot.engine.context import Past, estimate, fit, view
from surefoot.settings import Settings
from surefoot.testing.models import FunctionModel, ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import QUICK, of_kind, opened, results, said, tags


@tool(effect="read", polling=True)
def read(size: int) -> str:
    """Read a long text."""
    return "x" * size


def small(budget: int) -> Settings:
    return replace(QUICK, context_budget=budget)


async def test_old_results_are_shortened_first_and_kept_whole_in_the_journal(store: str) -> None:
    model = ScriptedModel(*[("read", {"size": 3_000}) for _ in range(6)], "done")
    async with opened(store, settings=small(3_500)) as app:
        run = await app.run(Agent("a", model=model, tools=[read]), "go")
        compacted = await of_kind(app, run, ev.ContextCompacted)
        returned = await of_kind(app, run, ev.ToolReturned)
    assert run.output == "done"
    assert compacted
    assert compacted[0].how == "shortened"
    assert all(event.before > 3_500 >= event.after for event in compacted)
    assert [len(event.result) for event in returned] == [3_000] * 6
    last = [result.text for result in results(model.requests[-1])]
    assert last[0] == "x" * 400 + f"\n[cut: 3000 characters; the whole result has the handle {run.id}:0.0]"
    assert len(last[-1]) == 3_000, "the newest is whole"


async def test_whole_turns_are_left_out_when_shortening_is_not_enough(store: str) -> None:
    model = FunctionModel(lambda request: "y" * 1_000)
    agent = Agent("a", model=model)
    async with opened(store) as app:
        for number in range(6):
            run = await app.run(agent, f"question {number}", session="s")
        kept = app.store
    async with opened(kept, settings=small(1_200)) as app:
        run = await app.run(agent, "question 6", session="s")
        compacted = await of_kind(app, run, ev.ContextCompacted)
    assert [event.how for event in compacted] == ["dropped"]
    prompt = said(model.requests[-1])
    assert prompt[0][0] == "user"
    assert prompt[-1] == ("user", "question 6")
    assert sum(map(estimate, model.requests[-1].messages)) <= 1_200


async def test_a_prompt_that_fits_is_left_alone(store: str) -> None:
    model = ScriptedModel(("read", {"size": 3_000}), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[read]), "go")
        assert "context.compacted" not in await tags(app, run)


async def test_the_budget_is_three_quarters_of_the_models_window(store: str) -> None:
    model = ScriptedModel(*[("read", {"size": 3_000}) for _ in range(6)], "done", context_window=4_000)
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[read]), "go")
        assert "context.compacted" in await tags(app, run)
    assert all(sum(map(estimate, request.messages)) <= 3_000 for request in model.requests)


async def test_a_prompt_that_nothing_makes_fit_is_asked_all_the_same(store: str) -> None:
    model = ScriptedModel("done")
    async with opened(store, settings=small(100)) as app:
        run = await app.run(Agent("a", model=model), "z" * 5_000)
        assert (run.output, "context.compacted" in await tags(app, run)) == ("done", False)
    assert said(model.requests[0]) == [("user", "z" * 5_000)]


async def test_what_was_left_out_stays_out_after_a_restart(store: str) -> None:
    @tool
    def refund() -> str:
        return "refunded"

    calls = [("read", {"size": 3_000}) for _ in range(5)]
    model = ScriptedModel(*calls, ("refund", {}), "done")
    agent = Agent("a", model=model, tools=[read, refund])
    async with opened(store, agent, settings=small(3_000)) as app:
        run = await app.run(agent, "go")
        before = await of_kind(app, run, ev.ContextCompacted)
        kept = app.store
    async with opened(kept, agent, settings=small(3_000)) as app:
        await app.decide(run.waiting[0], approve=True)
        assert (await app.wait(run)).output == "done"
        assert (await of_kind(app, run, ev.ContextCompacted))[: len(before)] == before
    shown = model.requests[-2].messages
    assert tuple(model.requests[-1].messages[: len(shown) - 4]) == tuple(shown[:-4]), "a stable prefix"


async def test_a_long_run_is_compacted_now_and_then_not_at_every_step(store: str) -> None:
    model = ScriptedModel(*[("read", {"size": 700}) for _ in range(45)], "done")
    async with opened(store, settings=small(3_000)) as app:
        run = await app.run(Agent("a", model=model, tools=[read]), "the task")
        compacted = await of_kind(app, run, ev.ContextCompacted)
    assert run.output == "done"
    assert 1 <= len(compacted) <= 15
    assert all(sum(map(estimate, request.messages)) <= 3_000 for request in model.requests)
    assert said(model.requests[-1])[0] == ("user", "the task\n[earlier steps were left out]"), "the task is never lost"


texts = st.text(max_size=3_000)
parts: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, texts), st.builds(Reasoning, texts), st.just(Image(url="u")), st.just(File(url="u"))
)


@st.composite
def conversations(draw: Any) -> list[Message]:
    messages = [Message("user", (Text(draw(texts)),))]
    for number in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from(["user", "assistant", "step"]))
        if kind == "step":
            ids = [f"{number}.{index}" for index in range(draw(st.integers(1, 3)))]
            messages.append(Message("assistant", tuple(ToolCall(name, "t", draw(texts)) for name in ids)))
            messages.append(Message("tool", tuple(ToolResult(name, "t", draw(texts)) for name in ids)))
        else:
            messages.append(Message(kind, (draw(parts),)))
    return messages


@given(conversations(), conversations(), st.integers(50, 5_000))
def test_no_call_is_parted_from_its_result_and_the_last_turn_stays(
    history: list[Message], messages: list[Message], budget: int
) -> None:
    state = State(messages=messages, id="r" * 32)
    past = Past(history, [f"{'p' * 32}:{at}" for at in range(len(history))])
    compacted = fit(past, state, budget)
    if compacted is None:
        return
    state.compacted = compacted
    shown = view(past, state)
    assert compacted.after < compacted.before
    assert sum(map(estimate, shown)) == compacted.after
    assert compacted.before > budget
    assert fit(past, state, budget) is None, "what was fitted stays as it is until there is more"
    calls = [part.id for message in shown for part in message.parts if isinstance(part, ToolCall)]
    told = [part.call for message in shown for part in message.parts if isinstance(part, ToolResult)]
    assert calls == told
    assert shown[-1].role == messages[-1].role
    assert shown[0].role == "user"


def test_a_summary_stands_in_for_what_was_left_out() -> None:
    messages = [Message("user", (Text(str(number)),)) for number in range(4)]
    state = State(messages=messages, compacted=ev.ContextCompacted("summarised", dropped=2, summary="0 and 1"))
    assert [message.text for message in view(Past(), state)] == ["0 and 1", "2", "3"]


@pytest.mark.parametrize("part", [Text("x" * 35), Image(url="u"), ToolResult("0.0", "t", "x", parts=(Image(url="u"),))])
def test_estimates_are_on_the_safe_side(part: Part) -> None:
    assert estimate(Message("user", (part,))) >= (1_000 if not isinstance(part, Text) else 16)
