"""A worker that is gone after any of its writes, or finds any of them refused, is followed by another, to the same end.

These are simulated crashes, of one process and a store in memory; real ones are in `test_kills`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings

from surefoot.app import App
from surefoot.core.agent import Agent
from surefoot.core.errors import DiskFull, RunError, StoreUnavailable
from surefoot.core.events import Record
from surefoot.core.ports import Query, Store
from surefoot.core.run import Run
from surefoot.core.tool import ToolContext
from surefoot.journal import MemoryStore
from surefoot.testing.clock import ManualClock
from surefoot.testing.faults import Faults, FaultyStore
from surefoot.testing.models import FunctionModel
from surefoot.tools.function import tool
from tests.crash.replay import check_once, end_of
from tests.crash.scripts import Script, scripts
from tests.crash.world import SETTINGS, World, hasten, passing

#: Each example is told again with a fault at each of its writes.
EXAMPLES = max(1, settings.default.max_examples // 20) if settings.default else 5
FAULTS: list[Callable[[int], Faults]] = [
    lambda number: Faults(stop_at=number),
    lambda number: Faults(stop_at=number, committed=True),
    lambda number: Faults(fail={number: DiskFull("no room")}),
]


async def at_every_write(story: Callable[[Store, ManualClock, Faults], Awaitable[int]]) -> int:
    """Tell a story, which gives the number of its writes, with every fault at every write; how many were told."""
    told = 0
    for fault in FAULTS:
        number, writes = 0, 0
        while writes >= number:  # else the story was over before the fault
            number += 1
            clock = ManualClock()
            store = MemoryStore(clock)
            await store.open()
            writes = await story(store, clock, fault(number))
            assert await store.check() == []
            await store.close()
            told += 1
    return told


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(scripts())
async def test_a_fault_at_every_write_of_generated_runs(script: Script) -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    await store.open()
    end = end_of(await store.read(await World(script, clock, store).start()))

    async def story(store: Store, clock: ManualClock, faults: Faults) -> int:
        world = World(script, clock, store)
        writes = await world.broken(faults)
        records = await store.read(await world.start())
        assert end_of(records) == end
        check_once(records)
        for call, times in world.effects.items():
            if script.call(call).tool.startswith(("send", "transfer")):
                assert times <= 1, f"{call} happened {times} times"
        return writes

    await at_every_write(story)


class Family:
    """An agent whose tool asks another agent, whose tool asks a human."""

    def __init__(self) -> None:
        self.effects: Counter[str] = Counter()

        @tool(effect="read")
        async def delegate(context: ToolContext[Any]) -> str:
            run: Run[Any] = await context.run(self.child, "send it")
            return f"the child says: {run.output}"

        @tool
        async def send(context: ToolContext[Any]) -> str:
            self.effects[context.idempotency_key] += 1
            return "sent"

        self.child = Agent("child", model=FunctionModel(lambda asked: _once(asked, "send")), tools=[send])
        self.parent = Agent("parent", model=FunctionModel(lambda asked: _once(asked, "delegate")), tools=[delegate])

    async def tell(self, store: FaultyStore, clock: ManualClock) -> Run[Any]:
        """See the parent's run through, as a human who approves, and knows what was sent."""
        agents = [self.parent, self.child]
        app = App(store, agents=agents, settings=SETTINGS, clock=clock)
        async with asyncio.timeout(5), app, passing(clock):
            run: Run[Any] = await app.run(self.parent, "go", id="family")
            while not run.ended:
                for request in run.waiting:
                    if request.kind == "call":
                        await app.decide(request, approve=True)
                    elif self.effects[f"{request.run}:{request.call}"]:
                        await app.settle(request, "done", result="sent")
                    else:
                        await app.settle(request, "retry")
                run = await app.wait(run)
            return run


def _once(asked: Any, name: str) -> Any:
    """Call a tool, then say what it said."""
    return (name, {}) if len(asked.messages) == 1 else asked.messages[-1].parts[0].text


async def test_a_fault_at_every_write_of_a_run_and_its_child() -> None:
    async def story(store: Store, clock: ManualClock, faults: Faults) -> int:
        async def after(inside: Store, records: Sequence[Record]) -> None:
            for record in records:
                hasten(clock, record.event)

        family = Family()
        faulty = FaultyStore(store, replace(faults, after=after, shared=True))
        with suppress(StoreUnavailable, DiskFull, RunError):
            await family.tell(faulty, clock)
        clock.advance(SETTINGS.lease)
        run = await family.tell(FaultyStore(store, Faults(after=after, shared=True)), clock)
        assert (run.status, run.output) == ("done", "the child says: sent")
        rows = await store.find(Query())
        assert {row.agent: row.status for row in rows} == {"parent": "done", "child": "done"}
        assert len(rows) == 2
        assert list(family.effects.values()) == [1]
        for row in rows:
            check_once(await store.read(row.id))
        return faulty.writes

    assert await at_every_write(story) > 60
