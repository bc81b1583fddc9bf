"""What the model itself asks: one queue for its questions and those of the gate, and what it is told of asking."""

from __future__ import annotations

from typing import Any

import pytest

from surefoot import Agent, tool
from surefoot.approvals import Lists
from surefoot.core import events as ev
from surefoot.core.errors import InvalidArguments, MayNotDecide, ToolFailed
from surefoot.core.tool import NotDone
from surefoot.testing.clock import ManualClock
from surefoot.testing.models import ScriptedModel
from surefoot.tools.human import ask_human
from tests.flows.kit import of_kind, opened, results, tags

ASK = ("ask_human", {"reason": "May I close the account?"})


@tool(tags=["irreversible"], effect="idempotent")
def close(account: str) -> str:
    return "closed"


@tool(effect="idempotent", tags=["irreversible"])
def erase(account: str) -> str:
    return "erased"


@tool
def refund(order: str) -> str:
    return "refunded"


@pytest.mark.parametrize(
    ("said", "result"),
    [
        ({"approve": True, "by": "dana"}, "dana says yes. Go on."),
        ({"approve": False, "reason": "not today"}, "The human says no: not today. Do not do it"),
        ({"answer": "Only on Mondays."}, "Only on Mondays."),
        ({"ask": "Which account?", "by": "dana"}, "dana asks: Which account?"),
    ],
)
async def test_the_answer_is_the_calls_result(said: Any, result: str) -> None:
    model = ScriptedModel(ASK, "Well.")
    async with opened("memory:") as app:
        run = await app.run(Agent("clerk", model=model, tools=[ask_human]), "go")
        request = run.waiting[0]
        assert (request.kind, request.reason, request.effect) == ("human", "May I close the account?", "read")
        assert str(request) == "The agent asks: May I close the account?"
        run = await app.wait(await app.decide(request, **said))
        assert run.output == "Well."
        assert "tool.started" not in await tags(app, run)
    assert results(model.requests[1])[0].text.startswith(result)


async def test_a_question_of_the_model_is_judged_by_rules_too() -> None:
    rules = '@ask("legal") @expires("1h") forbid(principal, action == Action::"ask_human", resource);'
    clock, model = ManualClock(), ScriptedModel(ASK, "Well.")
    async with opened("memory:", policy=rules, clock=clock, roles={"lea": ["legal"], "dana": ["approver"]}) as app:
        run = await app.run(Agent("clerk", model=model, tools=[ask_human]), "go")
        with pytest.raises(MayNotDecide):
            await app.decide(run.waiting[0], approve=True, by="dana")
        clock.advance(3_601)
        async for _ in app.follow(run, until="end"):
            pass
    assert results(model.requests[1])[0].text == "Nobody answered in time."
    async with opened("memory:", policy=Lists(deny=("ask_human",))) as app:
        run = await app.run(Agent("clerk", model=ScriptedModel(ASK, "Well."), tools=[ask_human]), "go")
        assert run.output == "Well."
        assert len(await of_kind(app, run, ev.ToolDenied)) == 1


async def test_a_callback_answers_the_model_as_well() -> None:
    model = ScriptedModel(ASK, "Well.")
    async with opened("memory:", approve=lambda request: True) as app:
        assert (await app.run(Agent("clerk", model=model, tools=[ask_human]), "go")).output == "Well."
    assert "says yes" in results(model.requests[1])[0].text


async def test_the_model_is_told_when_to_ask_by_its_policy() -> None:
    model = ScriptedModel("hello", "hello", "hello")
    policy = Lists(ask=("close",))
    async with opened("memory:", policy=policy) as app:
        await app.run(Agent("a", model=model, tools=[ask_human, close, erase, refund], instructions="Be kind."), "go")
        await app.run(Agent("b", model=model, tools=[ask_human]), "go")
        await app.run(Agent("c", model=model, tools=[close], instructions="Be kind."), "go")
    first, second, third = [request.instructions for request in model.requests]
    assert first.startswith(
        "Be kind.\n\nAsk a human with ask_human before you do anything that cannot be undone, erase above all."
    )
    assert "Calls of close and refund may be put to a human by themselves" in first
    assert "Do not ask twice in a row" in first
    assert second.startswith("Ask a human with ask_human before you do anything that cannot be undone. After a yes")
    assert third == "Be kind."


async def test_a_question_is_a_text() -> None:
    for wrong in ("", "[]", "{}", '{"reason": ""}', '{"reason": 5}', '{"reason": "x", "y": 1}', f'{{"reason": "{"x" * 4_001}"}}'):
        with pytest.raises(InvalidArguments):
            ask_human.validate(wrong)
    assert ask_human.validate('{"reason": "\\ud83d\\ude00"}') == '{"reason":"😀"}'
    assert await ask_human.probe("key") == NotDone()
    context: Any = None
    with pytest.raises(ToolFailed):
        await ask_human.call("{}", context)
