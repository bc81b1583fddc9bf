"""Going back: what a model saw at an event is exactly what it was given, and a fork repeats no call that had a result."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from surefoot.clock import SystemClock
from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import ModelError, RunError
from surefoot.core.messages import Message, Text, Usage, text_of
from surefoot.journal import MemoryStore
from surefoot.runs.rewind import fork, seen
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import opened, said


class Shop:
    """A clerk whose tools count what they do."""

    def __init__(self, *replies: Any) -> None:
        self.paid: list[str] = []

        @tool(effect="read")
        def look(order: str) -> str:
            return f"{order} is blue"

        @tool(effect="idempotent")
        def pay(order: str) -> str:
            self.paid.append(order)
            return f"paid {order}"

        self.model = ScriptedModel(*replies, usage=Usage(1, 1))
        self.clerk = Agent("clerk", model=self.model, tools=[look, pay], instructions="Be brief.")


CALLS = [("look", {"order": "81"}), ("pay", {"order": "81"})]


async def test_what_the_model_saw_is_what_it_was_given(store: str) -> None:
    shop = Shop("Good day.", CALLS, ModelError("overloaded", "busy"), "Paid.", "Sure.")
    async with opened(store, shop.clerk) as app:
        await app.run(shop.clerk, "hello", session="s")
        run = await app.run(shop.clerk, "pay for 81", session="s")
        records = await app.events(run)
        requests = [record.seq for record in records if isinstance(record.event, ev.ModelRequested)]
        assert len(requests) == 3
        for seq, given in zip(requests, shop.model.requests[1:], strict=False):
            shown = await seen(app.store, run.id, seq)
            assert list(shown.messages) == list(given.messages)
            assert shown.instructions == given.instructions == "Be brief."
            assert shown.tools == msgspec.json.decode(msgspec.json.encode(given.tools))
        assert text_of(shown.reply.parts if shown.reply else ()) == "Paid."
        middle = await seen(app.store, run.id, requests[1] + 1)
        assert (middle.seq, middle.reply, middle.failure and middle.failure.error.kind) == (requests[1], None, "overloaded")
        assert (await seen(app.store, run.id, step=0)).seq == requests[0]
        assert (await seen(app.store, run.id)).seq == requests[2]
        with pytest.raises(RunError, match="had not asked a model by event 1"):
            await seen(app.store, run.id, 1)
        with pytest.raises(RunError, match="by step 9"):
            await seen(app.store, run.id, step=9)


async def test_what_the_model_saw_after_its_prompt_was_cut_is_exact() -> None:
    model = ScriptedModel(*[("look", {"order": "x" * 400}) for _ in range(8)], "done", context_window=700)
    shop = Shop()
    agent = Agent("a", model=model, tools=shop.clerk.tools)
    async with opened("memory:", agent) as app:
        run = await app.run(agent, "go")
        records = await app.events(run)
        assert any(isinstance(record.event, ev.ContextCompacted) for record in records)
        seqs = [record.seq for record in records if isinstance(record.event, ev.ModelRequested)]
        for seq, given in zip(seqs, model.requests, strict=True):
            assert list((await seen(app.store, run.id, seq)).messages) == list(given.messages)


async def test_a_fork_repeats_no_call_that_had_a_result(store: str) -> None:
    shop = Shop(CALLS, "Paid.", "Paid, and forked.")
    async with opened(store, shop.clerk) as app:
        run = await app.run(shop.clerk, "pay for 81", user="ann", tags=["vip"])
        last = [record for record in await app.events(run) if isinstance(record.event, ev.ToolReturned)][-1]
        forked = await app.wait(await app.fork(run, at=last.seq))
        assert (forked.output, forked.user, forked.tags, shop.paid) == ("Paid, and forked.", "ann", ("vip",), ["81"])
        first = (await app.events(forked))[0].event
        assert isinstance(first, ev.RunStarted)
        assert first.forked_from == f"{run.id}:{last.seq}"
        assert said(shop.model.requests[2]) == said(shop.model.requests[1])
        assert (await app.get(run)).output == "Paid.", "the other run is as it was"


async def test_a_fork_inside_a_step_says_what_was_not_run() -> None:
    shop = Shop(CALLS, "Paid.", "Never mind.")
    async with opened("memory:", shop.clerk) as app:
        run = await app.run(shop.clerk, "pay for 81")
        replied = next(record for record in await app.events(run) if isinstance(record.event, ev.ModelReplied))
        await app.wait(await app.fork(run, at=replied.seq))
    none = "This call was not run: the conversation goes on from before it."
    assert said(shop.model.requests[2])[-1] == ("tool", f"{none} | {none}")


async def test_a_fork_may_be_told_other_words_and_be_another_agents() -> None:
    shop = Shop(CALLS, "Paid.")
    other = ScriptedModel("It is red.", "Hello to you.")
    async with opened("memory:", shop.clerk) as app:
        run = await app.run(shop.clerk, "pay for 81")
        records = await app.events(run)
        result = next(record for record in records if isinstance(record.event, ev.ToolReturned))
        agent = Agent("other", model=other, tools=shop.clerk.tools)
        forked = await app.wait(await app.fork(run, at=result.seq, agent=agent, edit="81 is red"))
        assert (forked.output, forked.agent) == ("It is red.", "other")
        assert "81 is red" in json.dumps(said(other.requests[0]))
        again = await app.wait(await app.fork(run, at=1, agent=agent, edit="hello"))
        assert (again.output, said(other.requests[1])) == ("Hello to you.", [("user", "hello")])
        with pytest.raises(RunError, match=r"event 2 is run\.claimed, which says nothing to edit; there are 1"):
            await app.fork(run, at=2, edit="x")
        with pytest.raises(RunError, match="and no 99"):
            await app.fork(run, at=99)


async def test_a_fork_of_a_whole_run_asks_its_last_question_again() -> None:
    shop = Shop("Good day.", "Good evening.")
    async with opened("memory:", shop.clerk) as app:
        run = await app.run(shop.clerk, "hello", session="s")
        forked = await app.wait(await app.fork(run))
        assert (forked.output, forked.session) == ("Good evening.", "")
        await app.store.redact(run.id, 1)
        with pytest.raises(RunError, match="there is nothing to go on from"):
            await app.fork(run)


async def test_a_message_can_be_edited_and_waits_for_whoever_knows_the_agent(tmp_path: Any) -> None:
    url, held = f"sqlite:{tmp_path / 'a.db'}", asyncio.Event()

    @tool(effect="read")
    async def hold() -> str:
        await held.wait()
        return "held"

    model = ScriptedModel(("hold", {}), "Paid.", "As you say.")
    clerk = Agent("clerk", model=model, tools=[hold])
    async with opened(url, clerk) as app:
        run = await app.start(clerk, "pay for 81")
        await app.send(run, "be quick", by="ann")
        held.set()
        await app.wait(run)
        told = next(record for record in await app.events(run) if isinstance(record.event, ev.MessageReceived))
    async with opened(url) as app:
        forked = await app.fork(run, at=told.seq, edit="take your time")
        assert forked.status == "ready"
    async with opened(url, clerk) as app:
        assert (await app.wait(forked)).output == "As you say."
    assert said(model.requests[-1])[-1] == ("user", "take your time")


async def begun(*events: ev.Event, history: tuple[Message, ...] = ()) -> MemoryStore:
    """Give a store with one run that a worker has begun."""
    store = MemoryStore(SystemClock())
    await store.open()
    await store.add("r" * 32, ev.RunStarted("a", history=history))
    await store.claim("r" * 32, "w", 60)
    await store.append("r" * 32, events, head=2, epoch=1)
    return store


async def test_a_request_that_came_to_nothing_has_no_answer() -> None:
    store = await begun(ev.ModelRequested(0, "m:1"), ev.RunWarned("x", "y"), ev.ModelRequested(0, "m:1", purpose="summary"),
                        ev.ModelRequested(0, "m:1", 2))  # fmt: skip
    assert ((await seen(store, "r" * 32, 3)).reply, (await seen(store, "r" * 32, 3)).failure) == (None, None)
    assert (await seen(store, "r" * 32)).seq == 6
    assert (await seen(store, "r" * 32, 5)).seq == 3, "a summary is no step"
    assert (await seen(store, "r" * 32)).reply is None


async def test_what_is_gone_is_said_to_be() -> None:
    store = await begun(ev.ModelRequested(0, "m:1", instructions="ab" * 32))
    with pytest.raises(RunError, match="the blob abababababababab that this run names is gone"):
        await seen(store, "r" * 32)
    said = await begun(ev.RunWarned("x", "y"), history=(Message("assistant", (Text("hello"),)),))
    with pytest.raises(RunError, match="nothing had been said"):
        await fork(said, SystemClock(), "r" * 32)
