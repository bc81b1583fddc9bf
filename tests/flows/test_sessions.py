"""Runs of one session: in order, each with the conversation before it, and none held by one that waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import ConfigurationError
from surefoot.core.messages import Message, Text, ToolCall, ToolResult
from surefoot.core.model import ModelRequest
from surefoot.core.values import Limits
from surefoot.settings import Settings
from surefoot.testing.models import FunctionModel, ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import QUICK, opened, said


@tool
def refund(order: str = "81") -> str:
    return f"refunded {order}"


@tool(effect="read")
def look() -> str:
    return "looked"


async def test_a_run_goes_on_from_the_conversation_before_it(store: str) -> None:
    model = ScriptedModel(("look", {}), "first answer", "second answer")
    agent = Agent("a", model=model, tools=[look])
    async with opened(store) as app:
        await app.run(agent, "first", session="s")
        await app.run(agent, "second", session="s")
    assert said(model.requests[2]) == [
        ("user", "first"),
        ("assistant", ""),
        ("tool", "looked"),
        ("assistant", "first answer"),
        ("user", "second"),
    ]


async def test_sessions_users_and_tenants_are_kept_apart(store: str) -> None:
    model = FunctionModel(lambda request: str(len(request.messages)))
    agent = Agent("a", model=model)
    async with opened(store) as app:
        for user, tenant in (("", ""), ("dana", ""), ("", "t"), ("dana", "t")):
            assert (await app.run(agent, "hi", session="s", user=user, tenant=tenant)).output == "1"
            assert (await app.run(agent, "hi", session="s", user=user, tenant=tenant)).output == "3"
        assert (await app.run(agent, "hi", session="other")).output == "1"
        assert (await app.run(agent, "hi")).output == "1"
        assert (await app.run(agent, "hi")).output == "1", "no session, no history"


async def test_agents_share_a_session(store: str) -> None:
    model = ScriptedModel("from b")
    async with opened(store) as app:
        await app.run(Agent("a", model=ScriptedModel("from a")), "one", session="s")
        await app.run(Agent("b", model=model), "two", session="s")
    assert [text for _, text in said(model.requests[0])] == ["one", "from a", "two"]


async def test_runs_of_a_session_run_one_after_another(store: str) -> None:
    inside, most, order = [0], [0], []

    async def answer(request: ModelRequest) -> str:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        order.append(request.messages[-1].text)
        await asyncio.sleep(0)
        inside[0] -= 1
        return f"answer to {order[-1]}"

    model = FunctionModel(answer)
    agent = Agent("a", model=model)
    async with opened(store) as app:
        runs = [await app.start(agent, str(n), session="s") for n in range(8)]
        done = [await app.wait(run) for run in reversed(runs)]
    assert [run.output for run in reversed(done)] == [f"answer to {n}" for n in range(8)]
    assert (most[0], order) == (1, [str(n) for n in range(8)])
    assert len(said(model.requests[-1])) == 15


async def test_runs_of_other_sessions_run_meanwhile(store: str) -> None:
    first, second = asyncio.Event(), asyncio.Event()

    async def answer(request: ModelRequest) -> str:
        mine, other = (first, second) if request.messages[0].text == "one" else (second, first)
        mine.set()
        await other.wait()
        return "met"

    agent = Agent("a", model=FunctionModel(answer))
    async with opened(store) as app:
        runs = await asyncio.gather(app.run(agent, "one", session="1"), app.run(agent, "two", session="2"))
    assert [run.output for run in runs] == ["met", "met"]


async def test_a_waiting_run_does_not_hold_the_next(store: str) -> None:
    model = ScriptedModel(("refund", {}), "hello", "refunded it")
    agent = Agent("a", model=model, tools=[refund])
    async with opened(store) as app:
        waiting = await app.run(agent, "refund it", session="s")
        assert (await app.run(agent, "meanwhile", session="s")).output == "hello"
        assert said(model.requests[1]) == [
            ("user", "refund it"),
            ("assistant", ""),
            ("tool", "[no result yet: the run waits]"),
            ("user", "meanwhile"),
        ]
        await app.decide(waiting.waiting[0], approve=True)
        assert (await app.wait(waiting)).output == "refunded it"
    # The run that waited knows of nothing that came after its own beginning.
    assert [text for _, text in said(model.requests[2])] == ["refund it", "", "refunded 81"]


async def test_a_prompt_is_the_same_however_often_it_is_made(store: str) -> None:
    first = ScriptedModel(("refund", {}), "first done")
    second = ScriptedModel(("refund", {"order": "82"}), "second done")
    one, two = Agent("a", model=first, tools=[refund]), Agent("b", model=second, tools=[refund])
    async with opened(store) as app:
        before = await app.run(one, "one", session="s")
        after = await app.run(two, "two", session="s")
        await app.decide(before.waiting[0], approve=True)
        await app.wait(before)
        kept = app.store
    async with opened(kept, one, two) as app:
        await app.decide(after.waiting[0], approve=True)
        await app.wait(after)
    prompt = second.requests[0].messages
    assert tuple(second.requests[1].messages[: len(prompt)]) == prompt, "what came later is not told in between"


async def test_an_earlier_run_that_failed_leaves_no_call_without_a_result(store: str) -> None:
    model = ScriptedModel([("look", {}), ("look", {})], "answer")
    agent = Agent("a", model=model, tools=[look])
    async with opened(store) as app:
        failed = await app.run(agent, "first", session="s", limits=Limits(tool_calls=1))
        assert failed.status == "failed"
        assert (await app.run(agent, "second", session="s")).output == "answer"
    assert said(model.requests[1])[1:] == [
        ("assistant", ""),
        ("tool", "[not run: the run ended first] | [not run: the run ended first]"),
        ("user", "second"),
    ]


async def test_a_message_that_came_too_late_is_part_of_the_conversation(store: str) -> None:
    model = ScriptedModel(("refund", {}), "answer")
    agent = Agent("a", model=model, tools=[refund])
    async with opened(store) as app:
        run = await app.run(agent, "first", session="s")
        await app.send(run, "never mind")
        await app.cancel(run)
        await app.run(agent, "second", session="s")
    assert [text for role, text in said(model.requests[1]) if role == "user"] == ["first", "never mind", "second"]


async def test_a_long_session_is_read_newest_first_until_the_prompt_is_full(store: str) -> None:
    model = FunctionModel(lambda request: "x" * 400)
    agent = Agent("a", model=model)
    async with opened(store, settings=Settings(context_budget=3_000, grace=0)) as app:
        for number in range(50):
            await app.run(agent, f"question {number}", session="s")
    last = [text for role, text in said(model.requests[-1]) if role == "user"]
    assert last == [f"question {number}" for number in range(50 - len(last), 50)]
    assert 10 < len(last) < 30


async def test_a_tools_run_is_no_turn_of_the_conversation(store: str) -> None:
    from surefoot.core.tool import ToolContext

    child = Agent("child", model=ScriptedModel("child's answer"))

    @tool(effect="read")
    async def ask(context: ToolContext[Any]) -> str:
        return str((await context.run(child, "sub-question", session=context.session)).output)

    model = ScriptedModel(("ask", {}), "first", "second")
    agent = Agent("a", model=model, tools=[ask])
    async with opened(store) as app:
        await app.run(agent, "one", session="s")
        await app.run(agent, "two", session="s")
    assert [text for role, text in said(model.requests[2]) if role == "user"] == ["one", "two"]


async def test_a_run_may_start_from_an_existing_conversation(store: str) -> None:
    history = [Message("user", (Text("hi"),)), Message("assistant", (Text("hello"),))]
    model = ScriptedModel("fine", "better", "good")
    agent = Agent("a", model=model)
    async with opened(store) as app:
        await app.run(agent, "how are you?", history=history, session="s")
        await app.run(agent, "and now?", session="s")
        await app.run(agent, history=[Message("user", (Text("only this"),))])
    assert said(model.requests[0]) == [("user", "hi"), ("assistant", "hello"), ("user", "how are you?")]
    assert len(said(model.requests[1])) == 5
    assert said(model.requests[2]) == [("user", "only this")]


async def test_a_conversation_with_a_call_that_had_no_result_is_made_whole(store: str) -> None:
    user, asked = Message("user", (Text("hi"),)), Message("assistant", (ToolCall("0.0", "look"), ToolCall("0.1", "look")))
    half = Message("tool", (ToolResult("0.1", "look", "seen"),))
    model = ScriptedModel(*["fine"] * 4)
    agent = Agent("a", model=model)
    told = []
    async with opened(store) as app:
        for history in ([user, asked], [user, asked, half], [user, asked, half, asked, user], [user, asked, user, asked]):
            await app.run(agent, "go on", history=history)
            told.append([(role, text) for role, text in said(model.requests[-1]) if role == "tool"])
        with pytest.raises(ConfigurationError, match=r"a result of call '0\.1', which the message before it does not make"):
            await app.run(agent, "go on", history=[user, half])
    none = "[no result]"
    assert told == [
        [("tool", f"{none} | {none}")],
        [("tool", f"seen | {none}")],
        [("tool", f"seen | {none}"), ("tool", f"{none} | {none}")],
        [("tool", f"{none} | {none}")] * 2,
    ]


async def test_a_session_goes_on_in_another_process(store: str) -> None:
    model = ScriptedModel("one", "two")
    agent = Agent("a", model=model)
    async with opened(store) as app:
        await app.run(agent, "first", session="s")
        kept = app.store
    async with opened(kept, settings=QUICK) as app:
        await app.run(agent, "second", session="s")
        records = await app.events((await app.list(session="s"))[0])
        claim = next(record.event for record in records if isinstance(record.event, ev.RunClaimed))
        assert claim.session_head > 0
    assert len(said(model.requests[1])) == 3
