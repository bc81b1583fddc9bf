"""The world of a generated story: its model, its tools, its human, whoever interferes, and a ledger beside the journal."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import cache
from typing import Any

from pydantic import BaseModel

from surefoot.app import App
from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import (
    AlreadyDecided,
    DiskFull,
    InvalidArguments,
    ModelError,
    Retry,
    RunError,
    StoreUnavailable,
    ToolFailed,
)
from surefoot.core.events import AppEvent, Event, Record
from surefoot.core.messages import Text, Usage
from surefoot.core.model import ModelReply, ModelRequest, ProposedCall
from surefoot.core.ports import Store, Tool
from surefoot.core.request import Request
from surefoot.core.run import Run
from surefoot.core.state import ENDED, fold
from surefoot.core.tool import Done, NotDone, ToolContext
from surefoot.settings import Settings
from surefoot.testing.clock import ManualClock
from surefoot.testing.faults import Faults, FaultyStore
from surefoot.testing.models import FunctionModel
from surefoot.tools.function import tool
from tests.crash.scripts import ERRORS, Interference, Script, Try

__all__ = ["SETTINGS", "Total", "World", "hasten", "passing"]

#: Long leases, so that only the story's own delays are waited for.
SETTINGS = Settings(model="scripted:none", lease=3e8, poll=0.02, grace=0.0, adopt=False)
_SOON = 1_000_000.0


class Total(BaseModel):
    total: int


def hasten(clock: ManualClock, event: Event | AppEvent) -> None:
    """Let the time pass for which a run is suspended."""
    if isinstance(event, ev.RunSuspended) and event.wake_at > clock.now():
        clock.advance((event.wake_at - clock.now()) / 1e6)


@asynccontextmanager
async def passing(clock: ManualClock) -> AsyncIterator[None]:
    """Move the clock whenever a run waits for it, beside the worker, whose renewals, far off, wait too."""

    async def move() -> None:
        while True:
            await clock.until_sleeping(2)
            assert clock.next_wake is not None
            clock.advance((clock.next_wake - clock.now()) / 1e6)
            await asyncio.sleep(0)

    task = asyncio.create_task(move())
    try:
        yield
    finally:
        task.cancel()


class World:
    """Everything around one run that its journal does not hold."""

    def __init__(self, script: Script, clock: ManualClock, store: Store) -> None:
        self.script = script
        self.clock = clock
        self.store = store
        self.bodies: list[tuple[str, int]] = []
        self.effects: Counter[str] = Counter()
        self.agent = Agent(
            "actor", model=FunctionModel(self._reply), tools=_cast().tools, limits=script.limits,
            output=Total if script.structured else str, deps=lambda: self,
        )  # fmt: skip

    # ---------------------------------------------------------------------------------------------- telling the story

    async def broken(self, faults: Faults) -> int:
        """Tell the story until a fault ends it, and let the lease run out; how many writes there were."""
        faulty = FaultyStore(self.store, replace(faults, after=self.interfere, shared=True))
        with suppress(StoreUnavailable, DiskFull, RunError):
            await self.start(faulty)
        self.clock.advance(SETTINGS.lease)
        return faulty.writes

    async def start(self, store: Store | None = None) -> str:
        """Tell the story from its beginning, or go on with it by its id; the run's id."""
        _cast().world = self
        faulty = store or FaultyStore(self.store, Faults(after=self.interfere, shared=True))
        async with App(faulty, agents=[self.agent], settings=SETTINGS, clock=self.clock) as app:
            run = await app.start(self.agent, "go", id="story")
            await self._told(app, run.id)
        return run.id

    async def resume(self, run: str) -> None:
        """Tell the rest of the story."""
        _cast().world = self
        await self.interfere(self.store, await self.store.read(run))
        faulty = FaultyStore(self.store, Faults(after=self.interfere, shared=True))
        async with App(faulty, agents=[self.agent], settings=SETTINGS, clock=self.clock) as app:
            await self._told(app, run)

    async def _told(self, app: App, run_id: str) -> None:
        async with asyncio.timeout(5), passing(self.clock):
            run: Run[Any] = await app.wait(run_id)
            while not run.ended:
                for request in run.waiting:
                    with suppress(AlreadyDecided):  # somebody outside was faster
                        await self._answer(app, request)
                run = await app.wait(run)

    async def interfere(self, store: Store, records: Sequence[Record]) -> None:
        """Write what these records bring others to write, once; let the time pass for which a run was suspended."""
        for record in records:
            event = record.event
            hasten(self.clock, event)
            for act in self.script.outside:
                if act.tag == ev.tag_of(event) and act.key == _key(event):
                    await self._write(store, record.stream, act)

    async def _write(self, store: Store, run: str, act: Interference) -> None:
        name = f"{act.what} at {act.tag} {act.key}"
        records = await store.read(run)
        said = {getattr(record.event, "by", "") for record in records}
        if name in said or fold(records).status in ENDED:
            return
        event = ev.MessageReceived((Text(name),), name) if act.what == "message" else ev.RunCancelRequested(name)
        await store.append(run, [event], head=None)

    # ---------------------------------------------------------------------------------------------------- the model

    async def _reply(self, request: ModelRequest) -> ModelReply:
        state = fold(await self.store.read(request.conversation))
        step = self.script.step(state.step)
        if state.model_failures < len(step.failures):
            raise _model_error(step.failures[state.model_failures])
        usage = Usage(7, 3)
        if not step.calls:
            return ModelReply.say(step.text, usage=usage)
        return ModelReply.call(
            *[
                ProposedCall(call.tool, '{"n": "many"}' if call.bad_arguments else f'{{"n": {index}}}')
                for index, call in enumerate(step.calls)
            ],
            usage=usage,
        )

    # ---------------------------------------------------------------------------------------------------- the tools

    def begin(self, context: ToolContext[Any]) -> Try:
        """A body begins: what it does, once its effect, if any, has happened."""
        act = self.script.call(context.call_id).at(context.attempt)
        self.bodies.append((context.call_id, context.attempt))
        self.effects[context.call_id] += act.effect
        return act

    def probe(self, key: str) -> Done | NotDone:
        """Whether a call's effect happened."""
        call = key.rpartition(":")[2]
        return Done(_result(call)) if self.effects[call] else NotDone()

    # ---------------------------------------------------------------------------------------------------- the human

    async def _answer(self, app: App, request: Request) -> None:
        call = self.script.call(request.call)
        if request.kind == "call":
            await app.decide(request, approve=call.approve, by="dana")
        elif self.effects[request.call]:
            await app.settle(request, "done", result=_result(request.call), by="dana")
        else:
            started = [r.event for r in await self.store.read(request.run) if isinstance(r.event, ev.ToolStarted)]
            act = call.at(max(event.attempt for event in started if event.call == request.call))
            outcome = act.human if act.how in (*ERRORS, "hang") and not act.effect else "retry"
            await app.settle(request, "give_up" if outcome == "give_up" else "retry", by="dana")


class _Cast:
    """The tools of every story, made once; they find their world in what the agent depends on, the probe here."""

    def __init__(self) -> None:
        self.world: World

        async def body(context: ToolContext[World], n: int) -> str:
            act = context.deps.begin(context)
            if act.how == "hang":
                await asyncio.Event().wait()
            return _ending(act, context.call_id)

        def in_thread(context: ToolContext[World], n: int) -> str:
            return _ending(context.deps.begin(context), context.call_id)

        def probe(key: str) -> Done | NotDone:
            return self.world.probe(key)

        self.tools: list[Tool] = [
            tool(name="look", effect="read")(body),
            tool(name="look_slowly", effect="read", timeout=0.01, retries=1)(body),
            tool(name="put", effect="idempotent")(in_thread),
            tool(name="transfer", effect="reconcilable", probe=probe)(body),
            tool(name="send", effect="unsafe")(body),
            tool(name="send_slowly", effect="unsafe", timeout=0.01)(body),
        ]


@cache
def _cast() -> _Cast:
    return _Cast()


def _key(event: object) -> str:
    return str(getattr(event, "call", getattr(event, "step", "")))


def _result(call: str) -> str:
    return f"did {call}"


def _ending(act: Try, call: str) -> str:
    match act.how:
        case "ok":
            return _result(call)
        case "failed":
            raise ToolFailed("it did not happen")
        case "invalid":
            raise InvalidArguments("not this number")
        case "retry":
            raise Retry("not yet", after=0.0)
        case "later":
            raise Retry("not today", after=40.0)
        case _:
            error = ERRORS[act.how]()
            raise error


def _model_error(kind: str) -> Exception:
    if kind == "crash":
        return RuntimeError("the model's own mistake")
    if kind == "later":
        return ModelError("rate_limited", "come back later", status=429, retry_after=40.0)
    return ModelError(kind, f"a failure of the kind {kind}")
