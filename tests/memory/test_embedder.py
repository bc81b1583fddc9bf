"""Another embedder: vectors are made anew in the background, and memory answers all the while."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from surefoot.core.memory import Memory as Settings
from surefoot.memory.recollection import Recollection
from surefoot.settings import Settings as AppSettings
from surefoot.testing.clock import ManualClock
from surefoot.testing.contracts.memory import DAY, NOW, asked, entry, talk
from surefoot.testing.contracts.scenes import until
from surefoot.testing.embed import HashEmbedder
from surefoot.wiring import assemble
from tests.components import require

QUESTION = "What does the puppy from the shelter chew?"


class Held(HashEmbedder):
    """An embedder that makes no vectors of entries before it is let go; of a question, at once."""

    def __init__(self) -> None:
        super().__init__(128)
        self.go = asyncio.Event()
        self.asked = asyncio.Event()

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        if len(texts) > 1:
            self.asked.set()
            await self.go.wait()
        return await super().embed(texts)


@asynccontextmanager
async def memory_of(
    path: Path, embedder: HashEmbedder, monkeypatch: pytest.MonkeyPatch, now: int = NOW
) -> AsyncIterator[Recollection]:
    parts = assemble(f"sqlite:{path}", AppSettings(), ManualClock(now), None)
    monkeypatch.setattr(parts.models, "embedder", lambda name: embedder)
    await parts.store.open()
    memory = parts.memory(Settings(embedder="hash:any"))
    assert isinstance(memory, Recollection)
    yield memory
    await parts.farewell()
    await parts.store.close()


def vectors(path: Path) -> dict[str, int]:
    """How many vectors there are, by embedder."""
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT name, count(*) FROM memory_vector GROUP BY name").fetchall())


async def test_a_memory_whose_embedder_changes_answers_all_the_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require("embeddings")
    path = tmp_path / "journal.db"
    async with memory_of(path, HashEmbedder(64), monkeypatch) as memory:
        entries = await talk(memory)
        await memory.settle()
        before = [hit.entry.id for hit in await memory.recall(asked(QUESTION))]
    assert vectors(path) == {"hash-64": len(entries)}

    held = Held()
    async with memory_of(path, held, monkeypatch) as memory:
        meanwhile = await memory.recall(asked(QUESTION))
        await held.asked.wait()
        assert vectors(path) == {"hash-64": len(entries)}
        assert meanwhile[0].entry.id == before[0], "by its words"
        held.go.set()
        await until(lambda: vectors(path) == {"hash-64": len(entries), "hash-128": len(entries)})
        assert (await memory.recall(asked(QUESTION)))[0].entry.id == before[0]
    assert sum(map(len, held.batches)) == len(entries) + 2, "each entry once, and two questions"


async def test_two_embedders_of_one_file_leave_each_other_their_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require("embeddings")
    path, one, other = tmp_path / "journal.db", HashEmbedder(64), HashEmbedder(128)
    async with memory_of(path, one, monkeypatch) as memory:
        entries = await talk(memory)
        await memory.settle()
    made = {"hash-64": len(entries), "hash-128": len(entries)}
    for embedder in (other, one, other):
        async with memory_of(path, embedder, monkeypatch) as memory:
            await memory.settle()
            assert vectors(path) == made
    assert sum(map(len, one.batches)) == sum(map(len, other.batches)) == len(entries), "each entry once"

    async with memory_of(path, other, monkeypatch, NOW + 31 * DAY) as memory:
        await memory.settle()
        assert vectors(path) == {"hash-128": len(entries)}, "the one that nobody used for a month is gone"
        await memory.forget([entries[0].id])
        assert vectors(path) == {"hash-128": len(entries) - 1}


async def test_an_entry_without_its_vector_yet_is_found_among_those_that_have_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("embeddings")
    path = tmp_path / "journal.db"
    async with memory_of(path, HashEmbedder(128), monkeypatch) as memory:
        await talk(memory)
        await memory.settle()
    held = Held()
    async with memory_of(path, held, monkeypatch) as memory:
        await memory.keep([entry(30, "The lighthouse is painted red."), entry(31, "The ferry leaves at noon.")])
        hits = await memory.recall(asked("Which colour has the lighthouse?"))
        assert vectors(path) == {"hash-128": 8}, "neither has its vector"
        assert hits[0].entry.id == "e30"
        held.go.set()
