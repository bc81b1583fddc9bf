"""The store in memory holds to the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from surefoot.core.ports import Store
from surefoot.journal import open_store
from surefoot.testing.clock import ManualClock
from surefoot.testing.contracts.store import Contract


class TestMemory(Contract):
    @pytest.fixture
    async def store(self, clock: ManualClock) -> AsyncIterator[Store]:
        store = open_store("memory:", clock)
        await store.open()
        yield store
        await store.close()
