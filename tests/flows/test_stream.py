"""Watching a run: its events and the pieces of its text in order, until it ends or waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import ModelError, RunNotFound, StoreUnavailable
from surefoot.core.model import Delta, Emit, ModelReply, ModelRequest
from surefoot.testing.faults import Faults, FaultyStore
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import opened


@tool
def refund() -> str:
    return "refunded"


@tool(effect="read")
def look() -> str:
    return "looked"


def brief(items: list[Any]) -> list[str]:
    """Name events by tag, and join the pieces of text between them."""
    names: list[str] = []
    for item in items:
        if isinstance(item, Delta):
            joined = names and names[-1].startswith(f"{item.kind}:")
            names[-1:] = [names[-1] + item.text] if joined else [*names[-1:], f"{item.kind}:{item.text}"]
        else:
            names.append(ev.tag_of(item.event))
    return [name for name in names if name != "run.claimed"]


async def test_a_stream_gives_events_and_pieces_of_text_in_order(store: str) -> None:
    model = ScriptedModel(("look", {}), ModelReply.say("Here is the answer.", reasoning="Let me think."), delay=0.001)
    async with opened(store) as app:
        items = [item async for item in app.stream(Agent("a", model=model, tools=[look]), "go")]
    assert brief(items) == [
        "run.started",
        "model.requested",
        "call:look",
        "model.replied",
        "tool.started",
        "tool.returned",
        "model.requested",
        "reasoning:Let me think.",
        "text:Here is the answer.",
        "model.replied",
        "run.finished",
    ]
    assert sum(isinstance(item, Delta) and item.kind == "text" for item in items) > 2, "piece by piece"


async def test_a_stream_without_pause_is_in_order_too(store: str) -> None:
    model = ScriptedModel(("look", {}), ("look", {}), "one two three")
    async with opened(store) as app:
        items = [item async for item in app.stream(Agent("a", model=model, tools=[look]), "go")]
    step = ["model.requested", "call:look", "model.replied", "tool.started", "tool.returned"]
    last = ["model.requested", "text:one two three", "model.replied", "run.finished"]
    assert brief(items) == ["run.started", *step, *step, *last]


async def test_pieces_come_before_the_whole_is_there(store: str) -> None:
    seen = asyncio.Event()

    async def request(request: ModelRequest, emit: Emit) -> ModelReply:
        emit(Delta("text", "Hel"))
        await seen.wait()
        emit(Delta("text", "lo"))
        return ModelReply.say("Hello")

    model = type("Slow", (), {"name": "slow:model", "context_window": 100_000, "request": staticmethod(request)})()
    texts: list[str] = []
    async with opened(store) as app:
        async for item in app.stream(Agent("a", model=model), "go"):
            if isinstance(item, Delta):
                texts.append(item.text)
                seen.set()
    assert texts == ["Hel", "lo"]


async def test_pieces_of_a_try_that_failed_are_before_its_failure(store: str) -> None:
    tries: list[int] = []

    async def request(request: ModelRequest, emit: Emit) -> ModelReply:
        tries.append(1)
        emit(Delta("text", f"try {len(tries)}"))
        await asyncio.sleep(0)
        if len(tries) == 1:
            raise ModelError("connection", "cut off")
        return ModelReply.say("try 2")

    model = type("Weak", (), {"name": "weak:model", "context_window": 100_000, "request": staticmethod(request)})()
    async with opened(store) as app:
        items = [item async for item in app.stream(Agent("a", model=model), "go")]
    assert brief(items)[1:] == [
        "model.requested",
        "text:try 1",
        "model.failed",
        "model.requested",
        "text:try 2",
        "model.replied",
        "run.finished",
    ]


async def test_a_stream_ends_when_the_run_waits(store: str) -> None:
    agent = Agent("a", model=ScriptedModel(("refund", {}), "done"), tools=[refund])
    async with opened(store) as app:
        items = [item async for item in app.stream(agent, "go", id="r")]
        assert brief(items)[-2:] == ["approval.requested", "run.suspended"]
        run: Any = await app.get("r")
        await app.decide(run.waiting[0], approve=True)
        again = [item async for item in app.stream(agent, "go", id="r")]
        assert brief(again)[: len(brief(items)) - 1] == [name for name in brief(items) if ":" not in name]
        assert brief(again)[-1] == "run.finished"


async def test_leaving_a_stream_does_not_stop_the_run(store: str) -> None:
    agent = Agent("a", model=ScriptedModel(("look", {}), "done"), tools=[look])
    async with opened(store) as app:
        stream = app.stream(agent, "go", id="r")
        async for item in stream:
            if not isinstance(item, Delta):
                break
        await stream.aclose()
        assert (await app.wait("r")).output == "done"


async def test_following_gives_each_event_once_and_ends_with_the_run(store: str) -> None:
    agent = Agent("a", model=ScriptedModel(("look", {}), "done"), tools=[look])
    async with opened(store) as app:
        run = await app.start(agent, "go")
        live = [record async for record in app.follow(run)]
        late = [record async for record in app.follow(run.id)]
        assert live == late == await app.events(run)
        assert [record async for record in app.follow(run, after=4)] == live[4:]
        assert [record async for record in app.follow(run, after=len(live))] == []


async def test_following_ends_at_a_wait_or_goes_on_to_the_end(store: str) -> None:
    agent = Agent("a", model=ScriptedModel(("refund", {}), ("refund", {}), "done"), tools=[refund])
    async with opened(store) as app:
        run = await app.start(agent, "go")

        async def to_the_end() -> list[ev.Record]:
            return [record async for record in app.follow(run, until="end")]

        watching = asyncio.create_task(to_the_end())
        for _ in range(2):
            first = [record async for record in app.follow(run)]
            assert isinstance(first[-1].event, ev.RunSuspended)
            await app.decide((await app.get(run)).waiting[0], approve=True)
            await app.wait(run)
        assert await watching == await app.events(run)


async def test_following_does_not_stop_at_an_end_that_was_none(store: str) -> None:
    model = ScriptedModel(ModelError("auth", "no key"), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model), "go")
        assert run.status == "failed"
        await app.resume(run)
        tags = [ev.tag_of(record.event) async for record in app.follow(run)]
    assert tags.count("run.failed") == 1
    assert tags[-1] == "run.finished"


async def test_following_a_run_that_there_is_not(store: str) -> None:
    async with opened(store) as app:
        with pytest.raises(RunNotFound):
            async for _ in app.follow("nothing"):
                pass


async def test_a_stream_raises_what_its_store_does(store: str) -> None:
    async with opened(store) as app:
        kept = app.store

    async def before(inside: Any, stream: str, events: Any) -> None:
        if isinstance(events[-1], ev.RunFinished):
            faulty.stop()

    faulty = FaultyStore(kept, Faults(before=before))
    async with opened(faulty) as app:
        with pytest.raises(StoreUnavailable):
            async for _ in app.stream(Agent("a", model=ScriptedModel("hello")), "go"):
                pass


async def test_many_may_follow_one_run(store: str) -> None:
    agent = Agent("a", model=ScriptedModel(("look", {}), "done"), tools=[look])
    async with opened(store) as app:
        run = await app.start(agent, "go")

        async def watch() -> list[ev.Record]:
            return [record async for record in app.follow(run)]

        watched = await asyncio.gather(*[watch() for _ in range(20)])
    assert all(records == watched[0] for records in watched)
