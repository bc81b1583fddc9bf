"""What it costs to give a new session what memory has for it, beside the search itself.

Sessions of one step begin with memory and without, in turn, over one SQLite file with a thousand entries. The time is that from
starting the run to the model's first request; with memory, the time that its two reads took is taken off: the search and the
list of the most recent. Embeddings are off, so that the search is the cheapest there is. `SESSIONS` gives another number.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.memory_size import portion, vocabulary
from bench.report import Figure, at_most
from surefoot import Agent, App, Memory
from surefoot.core.memory import Entry, MemoryKept, Scope
from surefoot.core.model import Emit, ModelReply, ModelRequest
from surefoot.memory.recollection import Recollection

__all__ = ["figures"]

_ENTRIES = 1_000


class Answering:
    """A model that answers at once, and notes when it was asked."""

    name = "scripted:answering"
    context_window = 1_000_000

    def __init__(self) -> None:
        self.asked = 0.0

    async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
        self.asked = time.perf_counter()
        return ModelReply.say("yes")


class Timed:
    """Sums up what a memory's reads take."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, name: str) -> None:
        """Time a method of every memory from now on."""
        inside: Any = getattr(Recollection, name)

        async def timed(memory: Recollection, *given: Any) -> Any:
            began = time.perf_counter()
            try:
                return await inside(memory, *given)
            finally:
                self.seconds += time.perf_counter() - began

        setattr(Recollection, name, timed)


def figures() -> list[Figure]:
    """Milliseconds to the first request, with memory and without."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measured(f"sqlite:{Path(folder) / 'bench.db'}"))


async def _measured(store: str) -> list[Figure]:
    chance, known, model, reads = random.Random(3), vocabulary(), Answering(), Timed()
    for name in ("recall", "find"):
        reads.around(name)
    bare = Agent("bare", model=model)
    knowing = Agent("knowing", model=model, memory=Memory(embedder="none", max_entries=_ENTRIES))
    scope = Scope(user="ann", agent="knowing")

    def text() -> str:
        return " ".join(chance.choices(known[:2_000], k=12))

    async def first(agent: Agent[Any, str], number: int) -> tuple[float, float]:
        """Milliseconds to the first request, and those of memory's reads among them."""
        reads.seconds, began = 0.0, time.perf_counter()
        await app.run(agent, text(), user="ann", session=f"{agent.name}-{number}")
        return 1e3 * (model.asked - began), 1e3 * reads.seconds

    async with App(store, agents=[bare, knowing]) as app:
        entries = [
            Entry(f"e{at}", text(), scope, "episode", "user", f"s{at // 8}", 1_700_000_000_000_000 + at) for at in range(_ENTRIES)
        ]
        await app._parts.store.append("app", [MemoryKept(entry, "new") for entry in entries], head=None)  # noqa: SLF001
        for agent in (bare, knowing):
            await first(agent, -1)
        without, with_memory, reading = [], [], []
        for number in range(int(os.environ.get("SESSIONS", "200"))):
            without.append((await first(bare, number))[0])
            taken, read = await first(knowing, number)
            with_memory.append(taken)
            reading.append(read)
    beyond = [taken - read for taken, read in zip(with_memory, reading, strict=True)]
    base = statistics.median(without)
    return [
        Figure("to the first request of a session, without memory, p50", base, "ms"),
        Figure("with memory, p50", statistics.median(with_memory), "ms"),
        Figure("of which the reads, p50", statistics.median(reading), "ms"),
        at_most("injection beyond the search, p50", statistics.median(beyond) - base, "ms", 5),
        at_most("injection beyond the search, p95", portion(beyond, 0.95) - portion(without, 0.95), "ms", 5),
    ]
