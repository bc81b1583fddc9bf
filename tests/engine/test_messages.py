"""Saying something to a run: between its steps, at the very end, while it waits; and what is too late."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import ConfigurationError, RunError, RunNotFound
from surefoot.core.messages import Image, Text
from surefoot.core.model import ModelReply, ModelRequest
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import of_kind, opened, said, tags


async def test_a_message_during_a_tool_is_read_before_the_next_step(store: str) -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()

    @tool(effect="read")
    async def look() -> str:
        inside.set()
        await go_on.wait()
        return "looked"

    model = ScriptedModel(("look", {}), "done")
    async with opened(store) as app:
        run = await app.start(Agent("a", model=model, tools=[look]), "go")
        await inside.wait()
        await app.send(run, "and hurry", by="dana")
        go_on.set()
        run = await app.wait(run)
        assert (await of_kind(app, run, ev.MessageReceived)) == [ev.MessageReceived((Text("and hurry"),), "dana")]
    assert run.output == "done"
    assert said(model.requests[1]) == [("user", "go"), ("assistant", ""), ("tool", "looked"), ("user", "and hurry")]


async def test_a_message_at_the_very_end_is_still_answered(store: str) -> None:
    sent: list[str] = []

    async def request(request: ModelRequest, emit: Any) -> ModelReply:
        if not sent:
            sent.append("wait!")
            await app.send("r", "wait!")  # the answer is on its way already
            return ModelReply.say("first answer")
        return ModelReply.say(f"answer to {request.messages[-1].text}")

    model = type("Late", (), {"name": "late:model", "context_window": 100_000, "request": staticmethod(request)})()
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model), "go", id="r")
        assert run.output == "answer to wait!"
        assert (await tags(app, run)).count("run.finished") == 1


async def test_messages_keep_their_order(store: str) -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()

    @tool(effect="read")
    async def look() -> str:
        inside.set()
        await go_on.wait()
        return "looked"

    model = ScriptedModel(("look", {}), "done")
    async with opened(store) as app:
        run = await app.start(Agent("a", model=model, tools=[look]), "go")
        await inside.wait()
        for word in ("one", "two", "three"):
            await app.send(run, word)
        go_on.set()
        await app.wait(run)
    assert [text for _, text in said(model.requests[1])[-3:]] == ["one", "two", "three"]


async def test_a_message_to_a_waiting_run_leaves_its_question_open(store: str) -> None:
    @tool
    def refund() -> str:
        return "refunded"

    model = ScriptedModel(("refund", {}), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[refund]), "go")
        await app.send(run, ["look at this", Image(data=b"\x89PNG")])
        run = await app.wait(run)
        assert [request.tool for request in run.waiting] == ["refund"]
        await app.decide(run.waiting[0], approve=True)
        assert (await app.wait(run)).output == "done"
        image = model.requests[1].messages[-1].parts[1]
        assert isinstance(image, Image)
        assert await app.store.load(image.blob) == b"\x89PNG"


async def test_a_message_that_comes_too_late_says_what_to_do(store: str) -> None:
    async with opened(store) as app:
        run = await app.run(Agent("a", model=ScriptedModel("done")), "go")
        with pytest.raises(RunError, match="start a new run in its session"):
            await app.send(run, "wait!")
        with pytest.raises(RunNotFound, match="no run 'nobody'"):
            await app.send("nobody", "hello")


@pytest.mark.parametrize("message", ["", [], [""], [Text("")]])
async def test_a_message_needs_something_in_it(store: str, message: Any) -> None:
    async with opened(store) as app:
        run = await app.start(Agent("a", model=ScriptedModel("done", delay=60)), "go")
        with pytest.raises(ConfigurationError, match="nothing to say"):
            await app.send(run, message)


async def test_a_message_wakes_a_run_that_waits_to_ask_its_model_again(store: str) -> None:
    from surefoot.core.errors import ModelError

    model = ScriptedModel(ModelError("overloaded", "no", retry_after=3600), "done")
    async with opened(store) as app:
        run = await app.start(Agent("a", model=model), "go")
        async for record in app.follow(run, until="end"):
            if isinstance(record.event, ev.RunSuspended):
                break
        await app.send(run, "now")
        async for record in app.follow(run, until="end"):
            if isinstance(record.event, ev.RunClaimed) and record.epoch > 1:
                break
        assert (await app.get(run)).status in ("running", "waiting"), "a wait is a wait"
