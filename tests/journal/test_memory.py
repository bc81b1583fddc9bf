"""The store in memory holds to the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from surefoot.core import events as ev
from surefoot.core.ports import Store
from surefoot.journal import open_store
from surefoot.testing.clock import ManualClock
from surefoot.testing.contracts.scenes import begin
from surefoot.testing.contracts.store import Contract


class TestMemory(Contract):
    @pytest.fixture
    async def store(self, clock: ManualClock) -> AsyncIterator[Store]:
        store = open_store("memory:", clock)
        await store.open()
        yield store
        await store.close()


async def test_a_record_that_was_changed_afterwards_is_found() -> None:
    # Records hold what they were given; a caller that goes on writing to it rewrites history.
    clock = ManualClock()
    store = open_store("memory:", clock)
    await store.open()
    await begin(store, "r")
    figures = {"used": 1}
    await store.append("r", [ev.RunWarned("budget", "soon", figures)], head=2, epoch=1)
    assert await store.check() == []
    figures["used"] = 2
    (problem,) = await store.check()
    assert (problem.stream, problem.seq) == ("r", 3)
    await store.close()
