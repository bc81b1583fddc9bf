"""Cancelling is prompt wherever a run stands, and what happened before stays on record."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from surefoot.app import App
from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import Retry, RunError
from surefoot.core.messages import Text, ToolCall
from surefoot.core.model import ModelRequest
from surefoot.core.ports import Store
from surefoot.core.tool import NotDone, ToolContext
from surefoot.settings import Settings
from surefoot.testing.faults import Faults, FaultyStore
from surefoot.testing.models import FunctionModel, ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import QUICK, of_kind, opened, tags

#: Seconds that count as prompt on a shared machine.
PROMPT = 1.5


async def test_a_model_in_flight_is_cut_short(store: str) -> None:
    model = ScriptedModel("never", delay=60)
    async with opened(store) as app:
        run = await app.start(Agent("a", model=model), "go")
        async for record in app.follow(run):
            if isinstance(record.event, ev.ModelRequested):
                break
        began = time.monotonic()
        run = await app.cancel(run, by="dana", reason="wrong order")
        assert time.monotonic() - began < PROMPT
        assert run.error is not None
        assert (run.status, run.error.kind, run.error.message) == ("cancelled", "cancelled", "wrong order")
        assert (await tags(app, run))[-2:] == ["run.cancel_requested", "run.cancelled"]
        ended = (await of_kind(app, run, ev.RunCancelled))[0]
        assert (ended.by, ended.reason) == ("dana", "wrong order")


@pytest.mark.parametrize("effect", ["read", "idempotent", "reconcilable", "unsafe"])
@pytest.mark.parametrize("calls", [1, 3])
async def test_async_tools_in_flight_are_cut_short(store: str, effect: Any, calls: int) -> None:
    inside, cut = asyncio.Event(), []

    async def hang(n: int) -> str:
        inside.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cut.append(n)
            raise
        return "never"

    options: Any = {"probe": lambda key: NotDone()} if effect == "reconcilable" else {}
    hanging = tool(effect=effect, **options)(hang)
    model = ScriptedModel([("hang", {"n": n}) for n in range(calls)])
    async with opened(store, approve=lambda request: True) as app:
        run = await app.start(Agent("a", model=model, tools=[hanging]), "go")
        await inside.wait()
        await asyncio.sleep(0)
        began = time.monotonic()
        run = await app.cancel(run)
        assert time.monotonic() - began < PROMPT
        assert run.status == "cancelled"
        together = effect in ("read", "idempotent")
        assert sorted(cut) == (list(range(calls)) if together else [0])
        outcome = {"read": ev.ToolFailed, "idempotent": ev.ToolFailed}.get(effect, ev.ToolIndeterminate)
        if effect == "reconcilable":
            assert run.waiting == () or run.waiting[0].kind == "outcome"
        else:
            assert len(await of_kind(app, run, outcome)) == len(cut)


async def test_a_sync_tool_in_flight_is_left_behind(store: str) -> None:
    inside, leave = threading.Event(), threading.Event()

    @tool(effect="read")
    def hang() -> str:
        inside.set()
        leave.wait(5)
        return "late"

    async with opened(store) as app:
        run = await app.start(Agent("a", model=ScriptedModel(("hang", {})), tools=[hang]), "go")
        await asyncio.to_thread(inside.wait, 5)
        began = time.monotonic()
        run = await app.cancel(run)
        assert time.monotonic() - began < PROMPT
        before = await tags(app, run)
        leave.set()
        assert run.status == "cancelled"
        assert await tags(app, run) == before


async def test_an_unsafe_call_cut_short_can_be_settled_afterwards(store: str) -> None:
    inside = asyncio.Event()

    @tool
    async def refund() -> str:
        inside.set()
        await asyncio.Event().wait()
        return "never"

    async with opened(store, approve=lambda request: True) as app:
        run = await app.start(Agent("a", model=ScriptedModel(("refund", {})), tools=[refund]), "go")
        await inside.wait()
        run = await app.cancel(run)
        assert (run.status, [request.kind for request in run.waiting]) == ("cancelled", ["outcome"])
        with pytest.raises(RunError, match="done or give_up"):
            await app.settle(run.waiting[0], "retry")
        with pytest.raises(RunError, match="done or give_up"):
            await app.decide(run.waiting[0], approve=True)
        settled = await app.settle(run.waiting[0], "done", result="it was refunded", by="dana")
        assert (settled.status, settled.waiting) == ("cancelled", ())


async def test_a_wait_for_another_try_is_cut_short(store: str) -> None:
    @tool(effect="read")
    def busy() -> str:
        raise Retry(after=25)

    async with opened(store) as app:
        run = await app.start(Agent("a", model=ScriptedModel(("busy", {})), tools=[busy]), "go")
        async for record in app.follow(run):
            if isinstance(record.event, ev.ToolStarted):
                break
        began = time.monotonic()
        assert (await app.cancel(run)).status == "cancelled"
        assert time.monotonic() - began < PROMPT


async def test_a_run_that_waits_for_a_human_is_cancelled_at_once(store: str) -> None:
    @tool
    def refund() -> str:
        return "refunded"

    async with opened(store) as app:
        run = await app.run(Agent("a", model=ScriptedModel(("refund", {})), tools=[refund]), "go")
        cancelled = await app.cancel(run)
        assert (cancelled.status, cancelled.waiting) == ("cancelled", ())


async def test_a_run_of_an_agent_that_is_not_here_ends_at_once(store: str) -> None:
    @tool
    def refund() -> str:
        return "refunded"

    agent = Agent("a", model=ScriptedModel(("refund", {})), tools=[refund])
    async with opened(store, agent) as app:
        run = await app.run(agent, "go")
        kept = app.store
    async with opened(kept) as app:
        cancelled = await app.cancel(run, by="dana", reason="nobody has it any more")
        assert cancelled.status == "cancelled"
        assert (await of_kind(app, run, ev.RunCancelled))[0].by == "dana"
        assert (await app.cancel(run)).status == "cancelled"


async def test_what_a_dead_worker_left_unknown_is_said_by_whoever_ends_the_run(store: str) -> None:
    async with opened(store) as app:
        await app.store.add("lost", ev.RunStarted("gone", (Text("go"),)))
        claim = await app.store.claim("lost", "dead", 0.0)
        assert claim is not None
        call = ToolCall("0.0", "refund", "{}")
        events: list[ev.Event] = [ev.ModelReplied(0, (call,)), ev.ToolStarted("0.0", "refund", "{}", "unsafe", 1)]
        await app.store.append("lost", events, head=None, epoch=claim.epoch)
        run = await app.cancel("lost")
        assert (run.status, [request.kind for request in run.waiting]) == ("cancelled", ["outcome"])


async def test_a_run_that_another_worker_has_is_left_to_it(store: str) -> None:
    async with opened(store) as app:
        await app.store.add("theirs", ev.RunStarted("gone", (Text("go"),)))
        claim = await app.store.claim("theirs", "busy", 60.0)
        assert claim is not None
        waiting = asyncio.create_task(app.cancel("theirs"))
        async for record in app.store.follow("theirs"):
            if isinstance(record.event, ev.RunCancelRequested):
                break
        await app.store.append("theirs", [ev.RunCancelled("their own worker")], head=None, epoch=claim.epoch)
        assert (await waiting).status == "cancelled"
        assert (await of_kind(app, "theirs", ev.RunCancelled))[0].by == "their own worker"


async def test_cancelling_twice_or_too_late_changes_nothing(store: str) -> None:
    async with opened(store) as app:
        run = await app.run(Agent("a", model=ScriptedModel("hello")), "go")
        before = await tags(app, run)
        again = await app.cancel(run, reason="too late")
        assert (again.status, again.output) == ("done", "hello")
        assert await tags(app, run) == before


async def test_a_cancelled_run_is_not_resumed(store: str) -> None:
    async with opened(store) as app:
        run = await app.start(Agent("a", model=ScriptedModel("never", delay=60)), "go")
        await app.cancel(run)
        with pytest.raises(RunError, match="start a new run"):
            await app.resume(run)


@pytest.mark.parametrize("pause", [0.001, 0.0])
async def test_a_cancellation_is_seen_between_a_tools_many_reports(store: str, pause: float) -> None:
    inside = asyncio.Event()

    @tool(effect="read")
    async def work(context: ToolContext[Any]) -> str:
        while True:
            context.progress("still at it")
            inside.set()
            await asyncio.sleep(pause)  # wait: reports must be spread over time to race with the cancellation

    async with opened(store) as app:
        run = await app.start(Agent("a", model=ScriptedModel(("work", {})), tools=[work]), "go")
        await inside.wait()
        assert (await app.cancel(run)).status == "cancelled"  # which waits for that no longer than `opened` does


@pytest.mark.parametrize("effect", ["read", "unsafe"])
async def test_a_call_that_was_about_to_begin_does_not(store: str, effect: Any) -> None:
    bodies: list[int] = []

    @tool(effect=effect)
    async def work() -> str:
        bodies.append(1)
        return "worked"

    async def after(inside: Store, records: Any) -> None:
        if any(isinstance(record.event, ev.ToolStarted) for record in records):
            await inside.append(records[0].stream, [ev.RunCancelRequested("dana")], head=None)
            for _ in range(100):  # the worker's listener hears of it before its loop does
                await inside.read(records[0].stream)
                await asyncio.sleep(0)

    async with opened(store) as app:
        kept = app.store
    async with opened(FaultyStore(kept, Faults(after=after)), approve=lambda request: True) as app:
        run = await app.run(Agent("a", model=ScriptedModel(("work", {})), tools=[work]), "go")
        failed = await of_kind(app, run, ev.ToolFailed)
    assert (run.status, run.waiting, bodies) == ("cancelled", (), [])
    assert [event.error.kind for event in failed] == ["cancelled"]


async def test_a_tool_that_swallows_its_cancellation_keeps_its_result(store: str) -> None:
    inside = asyncio.Event()

    @tool
    async def refund() -> str:
        inside.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "refunded after all"
        return "never"

    async with opened(store, approve=lambda request: True) as app:
        run = await app.start(Agent("a", model=ScriptedModel(("refund", {})), tools=[refund]), "go")
        await inside.wait()
        run = await app.cancel(run)
        assert (run.status, run.waiting) == ("cancelled", ())
        assert (await of_kind(app, run, ev.ToolReturned))[0].result == "refunded after all"


class Counter:
    """An agent whose runs hold their places until they are told to go on."""

    def __init__(self) -> None:
        self.inside, self.go_on = asyncio.Event(), asyncio.Event()
        self.agent: Agent[Any, str] = Agent("counter", model=FunctionModel(self.answer))

    async def answer(self, request: ModelRequest) -> str:
        self.inside.set()
        await self.go_on.wait()
        return "served"


@pytest.mark.parametrize("settings", [replace(QUICK, concurrency=1), replace(QUICK, agent_concurrency=1)])
async def test_a_run_that_waits_for_a_place_ends_at_once(store: str, settings: Settings) -> None:
    counter = Counter()
    async with opened(store, settings=settings) as app:
        served = await app.start(counter.agent, "first")
        await counter.inside.wait()
        queued = asyncio.create_task(app.run(counter.agent, "second", id="second"))
        await until_started(app, "second")
        began = time.monotonic()
        assert (await app.cancel("second", by="dana")).status == "cancelled"
        assert (await queued).status == "cancelled"
        assert time.monotonic() - began < PROMPT
        assert await tags(app, "second") == ["run.started", "run.cancel_requested", "run.cancelled"]
        counter.go_on.set()
        assert (await app.wait(served)).output == "served"


async def until_started(app: App, key: str) -> None:
    async for record in app.store.follow():
        if isinstance(record.event, ev.RunStarted) and record.event.key == key:
            return


async def test_a_run_that_waits_for_its_sessions_turn_ends_at_once(store: str) -> None:
    counter = Counter()
    async with opened(store) as app:
        served = await app.start(counter.agent, "first", session="s")
        await counter.inside.wait()
        queued = await app.start(counter.agent, "second", session="s")
        began = time.monotonic()
        assert (await app.cancel(queued)).status == "cancelled"
        assert time.monotonic() - began < PROMPT
        assert (await app.get(served)).status == "running"
        counter.go_on.set()
        assert (await app.wait(served)).output == "served"


@pytest.mark.parametrize("session", ["", "s"])
async def test_what_another_process_cancels_while_it_waits_ends_at_once(tmp_path: Path, session: str) -> None:
    url, counter = f"sqlite:{tmp_path / 'agent.db'}", Counter()
    async with opened(url, counter.agent, settings=replace(QUICK, concurrency=1)) as app, opened(url) as other:
        served = await app.start(counter.agent, "first", session=session)
        await counter.inside.wait()
        queued = await app.start(counter.agent, "second", session=session)
        await other.cancel(queued)
        began = time.monotonic()
        assert (await app.wait(queued)).status == "cancelled"
        assert time.monotonic() - began < PROMPT
        late = await other.store.add("late", ev.RunStarted("counter", (Text("third"),), session=session))
        await other.cancel(late[0].id)
        assert (await app.wait("late")).status == "cancelled"
        counter.go_on.set()
        assert (await app.wait(served)).output == "served"
