"""The store with faults: without any it is a store like others, and each fault does what it says and no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from surefoot.app import App
from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import DiskFull, StoreUnavailable
from surefoot.core.messages import Text
from surefoot.core.ports import Store
from surefoot.journal import MemoryStore, SqliteStore
from surefoot.settings import Settings
from surefoot.testing import Faults, FaultyStore, ManualClock, ScriptedModel
from surefoot.testing.contracts.store import Contract
from surefoot.testing.faults import Stopped
from tests.crash.replay import check_once

SETTINGS = Settings(lease=10.0, poll=0.02, grace=0.0, adopt=False)


class TestWithoutFaults(Contract):
    @pytest.fixture
    async def store(self, clock: ManualClock) -> AsyncIterator[Store]:
        store = FaultyStore(MemoryStore(clock), Faults())
        await store.open()
        yield store
        await store.close()


@pytest.fixture
async def inside() -> AsyncIterator[MemoryStore]:
    store = MemoryStore(ManualClock())
    await store.open()
    yield store
    await store.close()


def message(text: str) -> ev.MessageReceived:
    return ev.MessageReceived((Text(text),))


@pytest.mark.parametrize("committed", [False, True])
async def test_a_store_that_stops_lets_nothing_through_any_more(inside: MemoryStore, committed: bool) -> None:
    store = FaultyStore(inside, Faults(stop_at=2, committed=committed))
    heard: list[str] = []
    store.on_commit(lambda stream, outside: heard.append(stream))
    await store.add("r", ev.RunStarted("clerk"))
    await asyncio.sleep(0)
    with pytest.raises(Stopped):
        await store.append("r", [message("hi")], head=1)
    assert store.stopped.is_set()
    for call in (store.get("r"), store.read("r"), store.claim("r", "w", 1.0), store.check(), store.renew("w", 1.0)):
        with pytest.raises(Stopped):
            await call
    await inside.append("r", [message("others go on")], head=None)
    assert len(await inside.read("r")) == 2 + committed
    assert store.writes == 2
    await asyncio.sleep(0)
    assert heard == ["r"]


async def test_an_append_fails_once(inside: MemoryStore) -> None:
    store = FaultyStore(inside, Faults(fail={2: DiskFull("no room")}))
    await store.add("r", ev.RunStarted("clerk"))
    with pytest.raises(DiskFull, match="no room"):
        await store.append("r", [message("hi")], head=1)
    assert len(await inside.read("r")) == 1
    await store.append("r", [message("again")], head=1)


async def test_a_store_can_be_stopped_while_it_is_frozen(inside: MemoryStore) -> None:
    store = FaultyStore(inside, Faults(freeze_at=1))
    adding = asyncio.create_task(store.add("r", ev.RunStarted("clerk")))
    async with asyncio.timeout(5):
        await store.frozen.wait()
        renewing = asyncio.create_task(store.renew("w", 1.0))
        await asyncio.sleep(0)
        store.stop()
        store.thaw()
        for task in (adding, renewing):
            with pytest.raises(StoreUnavailable):
                await task


@pytest.mark.parametrize("write", range(2, 6))
async def test_a_worker_frozen_at_any_write_past_its_lease_is_fenced(write: int, tmp_path: Path) -> None:
    clock = ManualClock()
    store = SqliteStore(str(tmp_path / "runs.db"), clock)
    await store.open()
    frozen = FaultyStore(store, Faults(freeze_at=write, shared=True))
    agents = [Agent("clerk", model=ScriptedModel("first", "second")), Agent("clerk", model=ScriptedModel("other"))]
    async with asyncio.timeout(5), App(frozen, agents=agents[:1], settings=SETTINGS, clock=clock) as one:
        run = await one.start("clerk", "go")
        await frozen.frozen.wait() if write <= _WRITES else None
        clock.advance(SETTINGS.lease + 1)
        other_store = FaultyStore(store, Faults(shared=True))
        async with App(other_store, agents=agents[1:], settings=SETTINGS, clock=clock) as other:
            done = await other.wait(run.id)
            before = await other.events(run.id)
        frozen.thaw()
        assert (await one.wait(run.id)).output == done.output
        assert await store.read(run.id) == before
    check_once(before)
    await store.close()


#: How often a run that only answers writes: it is added, claimed, asks, and ends with its answer.
_WRITES = 4
