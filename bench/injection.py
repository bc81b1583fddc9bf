"""What it costs to give a new session what memory has for it, beside the search itself.

Sessions of one step begin without memory and with it, in turn, over one SQLite file with a thousand entries. The time is that
from starting the run to the model's first request. Of the one with memory, the time of `Memory.recall` is taken off, and nothing
else: the lists of core blocks and of the most recent entries count as injection. What is reported are the differences of
neighbours, so that whatever else the machine does meets both; each figure is the median of five rounds. Embeddings are off: what
the search takes is not judged here. `SESSIONS` gives another number of pairs.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import tempfile
import time
from collections import defaultdict
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
_ROUNDS = 5


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
    """Sums up what each of a memory's reads takes, in milliseconds by its name."""

    def __init__(self) -> None:
        self.taken: dict[str, float] = defaultdict(float)

    def around(self, name: str) -> None:
        """Time a method of every memory from now on."""
        inside: Any = getattr(Recollection, name)

        async def timed(memory: Recollection, *given: Any) -> Any:
            began = time.perf_counter()
            try:
                return await inside(memory, *given)
            finally:
                self.taken[name] += 1e3 * (time.perf_counter() - began)

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

    async def first(agent: Agent[Any, str], number: int) -> float:
        """Milliseconds to the first request; `reads` holds those of memory's reads among them."""
        reads.taken.clear()
        began = time.perf_counter()
        await app.run(agent, text(), user="ann", session=f"{agent.name}-{number}")
        return 1e3 * (model.asked - began)

    async with App(store, agents=[bare, knowing]) as app:
        entries = [
            Entry(f"e{at}", text(), scope, "episode", "user", f"s{at // 8}", 1_700_000_000_000_000 + at) for at in range(_ENTRIES)
        ]
        await app._parts.store.append("app", [MemoryKept(entry, "new") for entry in entries], head=None)  # noqa: SLF001
        for agent in (bare, knowing):
            await first(agent, -1)
        without, with_memory, search, lists = [], [], [], []
        for number in range(int(os.environ.get("SESSIONS", "500"))):
            without.append(await first(bare, number))
            with_memory.append(await first(knowing, number))
            search.append(reads.taken["recall"])
            lists.append(reads.taken["find"])
    beyond = [taken - found - base for taken, found, base in zip(with_memory, search, without, strict=True)]
    made = [
        Figure(f"{name}, {share}", _steady(taken, part), "ms")
        for name, taken in (
            ("to the first request of a session, without memory", without),
            ("with memory", with_memory),
            ("of which the search", search),
            ("of which the lists of core blocks and of the most recent", lists),
        )
        for share, part in (("p50", 0.5), ("p95", 0.95))
    ]
    return [
        *made,
        at_most("injection beyond the search, p50", _steady(beyond, 0.5), "ms", 5),
        at_most("injection beyond the search, p95", _steady(beyond, 0.95), "ms", 5),
    ]


def _steady(taken: list[float], part: float) -> float:
    """The value below which that part lies, as the median of the rounds: what disturbs one does not count."""
    size = max(1, len(taken) // _ROUNDS)
    return statistics.median(portion(taken[at : at + size], part) for at in range(0, len(taken) - size + 1, size))
