"""An outcome outlives a store that cannot be written to for a while: the worker that holds it is alive, and tries again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import DiskFull, StoreUnavailable
from surefoot.core.ports import Store
from surefoot.testing.clock import ManualClock
from surefoot.testing.faults import Faults, FaultyStore
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import of_kind, opened


class Till:
    """An agent with tools that count what they do, and a store that refuses some of what is written of it."""

    def __init__(self, error: type[Exception], times: int, calls: int = 1, *, committed: bool = False) -> None:
        self.paid, self._left, self._error, self._committed = 0, times, error, committed

        @tool
        async def pay(order: str) -> str:
            self.paid += 1
            return "paid, receipt 4711"

        @tool(effect="read")
        async def look(n: int) -> str:
            return "seen"

        first: Any = ("pay", {"order": "81"}) if calls == 1 else [("look", {"n": n}) for n in range(calls)]
        self.agent = Agent("a", model=ScriptedModel(first, "done", "done"), tools=[pay, look])

    async def refuse(self, events: Sequence[Any]) -> None:
        if self._left and any(isinstance(event, ev.ToolReturned) for event in events):
            self._left -= 1
            raise self._error("the database is locked by another process")

    async def before(self, inside: Store, stream: str, events: Sequence[Any]) -> None:
        if not self._committed:
            await self.refuse(events)

    async def after(self, inside: Store, records: Sequence[ev.Record]) -> None:
        if self._committed:
            await self.refuse([record.event for record in records])


@pytest.mark.parametrize("error", [StoreUnavailable, DiskFull])
@pytest.mark.parametrize("calls", [1, 2])
async def test_a_result_is_written_once_the_store_can_be_written_to(store: str, error: Any, calls: int) -> None:
    till = Till(error, times=3, calls=calls)
    async with opened(store) as app:
        kept = app.store
    async with opened(FaultyStore(kept, Faults(before=till.before)), approve=lambda request: True) as app:
        run = await app.run(till.agent, "go")
        assert (run.output, till.paid) == ("done", 1 if calls == 1 else 0)
        assert len(await of_kind(app, run, ev.ToolReturned)) == calls
        assert await of_kind(app, run, ev.ToolIndeterminate) == []


async def test_a_result_that_was_written_though_the_store_said_no_is_not_written_twice(store: str) -> None:
    till = Till(StoreUnavailable, times=1, calls=2, committed=True)
    async with opened(store) as app:
        kept = app.store
    async with opened(FaultyStore(kept, Faults(after=till.after)), approve=lambda request: True) as app:
        run = await app.run(till.agent, "go")
        assert run.output == "done"
        assert len(await of_kind(app, run, ev.ToolReturned)) == 2


async def test_a_store_that_stays_locked_is_told_of_in_the_end() -> None:
    clock = ManualClock(skip=True)
    till = Till(StoreUnavailable, times=1000)
    async with opened("memory:", clock=clock) as app:
        kept = app.store
        async with opened(FaultyStore(kept, Faults(before=till.before, shared=True)), clock=clock) as locked:
            run = await locked.run(till.agent, "go")
            await locked.decide(run.waiting[0], approve=True)
            with pytest.raises(StoreUnavailable, match="locked"):
                await locked.wait(run)
    assert till.paid == 1
