"""Both memories keep the port's contract: over a journal in one file, and over one in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from surefoot.core.memory import Hit, Question
from surefoot.core.memory import Memory as Settings
from surefoot.core.ports import Memory
from surefoot.settings import Settings as AppSettings
from surefoot.testing.clock import ManualClock
from surefoot.testing.contracts.memory import NOW, Contract, asked, talk
from surefoot.wiring import assemble
from tests.components import require


async def opened(url: str, embedder: str = "none") -> AsyncIterator[Memory]:
    parts = assemble(url, AppSettings(), ManualClock(NOW), None)
    await parts.store.open()
    yield parts.memory(Settings(embedder=embedder))
    assert await parts.store.check() == [], "the table is what the events make of it"
    await parts.farewell()
    await parts.store.close()


class TestInAFile(Contract):
    @pytest.fixture
    async def memory(self, tmp_path: Path) -> AsyncIterator[Memory]:
        async for memory in opened(f"sqlite:{tmp_path / 'journal.db'}"):
            yield memory


class TestInMemory(Contract):
    @pytest.fixture
    async def memory(self) -> AsyncIterator[Memory]:
        async for memory in opened("memory:"):
            yield memory


class TestByMeaning(Contract):
    @pytest.fixture
    async def memory(self, tmp_path: Path) -> AsyncIterator[Memory]:
        require("embeddings")
        async for memory in opened(f"sqlite:{tmp_path / 'journal.db'}", "auto"):
            yield Settled(memory)


class Settled:
    """A memory that is asked only once every entry has its vector."""

    def __init__(self, inside: Any) -> None:
        self._inside = inside

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inside, name)

    async def recall(self, question: Question) -> list[Hit]:
        await self._inside.settle()
        found: list[Hit] = await self._inside.recall(question)
        return found


async def test_meaning_finds_what_words_do_not(tmp_path: Path) -> None:
    require("embeddings")
    for url in ("memory:", f"sqlite:{tmp_path / 'journal.db'}"):
        async for memory in opened(url, "auto"):
            settled = Settled(memory)
            await talk(memory)
            hits = await settled.recall(asked("What instrument does my sibling perform on?", limit=1))
            assert [hit.entry.id for hit in hits] == ["e5"]
            assert hits[0].score > 0.5


async def test_a_users_own_order_counts(tmp_path: Path) -> None:
    def backwards(text: str, hits: Sequence[Hit]) -> Sequence[Hit]:
        return sorted(hits, key=lambda hit: hit.score)

    parts = assemble("memory:", AppSettings(), ManualClock(NOW), None)
    await parts.store.open()
    memory = parts.memory(Settings(embedder="none", rerank=backwards))
    await talk(memory)
    scores = [hit.score for hit in await memory.recall(asked("the orchestra and the puppy"))]
    assert scores == sorted(scores)
    await parts.farewell()
    await parts.store.close()
