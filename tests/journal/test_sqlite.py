"""The store in a file holds to the contract, alone and shared."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from surefoot.core.ports import Store
from surefoot.journal import open_store
from surefoot.testing.clock import ManualClock
from surefoot.testing.contracts.store import SharedContract


class TestSqlite(SharedContract):
    @pytest.fixture
    async def store(self, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Store]:
        store = open_store(f"sqlite:{tmp_path / 'journal.db'}", clock)
        await store.open()
        yield store
        await store.close()

    @pytest.fixture
    async def other(self, store: Store, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Store]:
        other = open_store(f"sqlite:{tmp_path / 'journal.db'}", clock)
        await other.open()
        yield other
        await other.close()
