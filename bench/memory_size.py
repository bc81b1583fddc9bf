"""How fast memory is when it is large: the vector part at a million entries, the whole search at a hundred thousand.

Vectors are synthetic: 2,000 cluster centres and noise, 384 dimensions. Texts are drawn from a vocabulary with the frequencies
of words in a language (Zipf), in threads of twelve turns. `SIZES` in the environment gives other sizes: ``vectors,texts``.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.report import Figure, at_least, at_most
from surefoot.clock import SystemClock
from surefoot.core.memory import Entry, Memory, MemoryKept, Question, Scope
from surefoot.journal.database import migrations
from surefoot.memory.vectors import Near, Shelf
from surefoot.settings import Settings
from surefoot.wiring import assemble

__all__ = ["figures", "portion", "resident", "vocabulary"]

_ROUNDS = 60
_WIDTH = 384


def figures() -> list[Figure]:
    """Latencies, growth and recall."""
    vectors, texts = (int(size) for size in os.environ.get("SIZES", "1000000,100000").split(","))
    with tempfile.TemporaryDirectory() as folder:
        return [*_vectors(vectors, str(Path(folder) / "vectors.db")), *asyncio.run(_texts(texts, str(Path(folder) / "texts.db")))]


def _vectors(count: int, path: str) -> list[Figure]:
    import numpy as np

    chance = np.random.default_rng(11)
    centres = chance.standard_normal((2_000, _WIDTH)).astype(np.float32)

    def drawn(number: int) -> np.ndarray:
        made = centres[chance.integers(0, len(centres), number)] + 0.6 * chance.standard_normal((number, _WIDTH), np.float32)
        return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)

    connection = sqlite3.connect(path)
    for script in migrations():
        connection.executescript(script)
    for start in range(0, count, 20_000):
        rows = drawn(min(20_000, count - start))
        codes, halves = np.packbits(rows > 0, axis=1), rows.astype(np.float16)
        connection.executemany(
            "INSERT INTO memory_vector (key, name, code, half, words) VALUES (?, 'x', ?, ?, x'')",
            ((start + at + 1, codes[at].tobytes(), halves[at].tobytes()) for at in range(len(rows))),
        )
    connection.commit()
    before, began = resident(), time.perf_counter()
    shelf = Shelf(connection, "x", _WIDTH)
    asked = drawn(_ROUNDS)
    first = Near(asked[0], asked[:1], np.ones(1, np.float32))
    shelf.nearest(first, 10)
    start_up, grown = time.perf_counter() - began, resident() - before
    took, found = [], []
    for row in asked:
        began = time.perf_counter()
        found.append(set(shelf.nearest(Near(row, row[None, :], np.ones(1, np.float32)), 10)))
        took.append(1e3 * (time.perf_counter() - began))
    exact = _exact(connection, asked)
    recall = sum(len(one & other) for one, other in zip(found, exact, strict=True)) / (10 * len(exact))
    size = f"{count:,} vectors"
    return [
        Figure(f"{size}: nearest, p50", portion(took, 0.5), "ms"),
        at_most(f"{size}: nearest, p95", portion(took, 0.95), "ms", 60),
        at_least(f"{size}: recall@10 against exact", recall, "", 0.98),
        at_most(f"{size}: resident growth", grown / 2**20, "MB", 150),
        at_most(f"{size}: start-up, with the first search", start_up, "s", 2),
    ]


def _exact(connection: sqlite3.Connection, asked: object) -> list[set[int]]:
    import numpy as np

    best: list[list[tuple[float, int]]] = [[] for _ in np.asarray(asked)]
    cursor = connection.execute("SELECT key, half FROM memory_vector ORDER BY key")
    while rows := cursor.fetchmany(50_000):
        halves = np.frombuffer(b"".join(half for _, half in rows), np.float16).reshape(len(rows), -1).astype(np.float32)
        scores = halves @ np.asarray(asked).T
        for at in range(scores.shape[1]):
            top = np.argpartition(-scores[:, at], 10)[:10]
            best[at] = sorted(best[at] + [(-float(scores[one, at]), rows[one][0]) for one in top])[:10]
    return [{key for _, key in one} for one in best]


async def _texts(count: int, path: str) -> list[Figure]:
    chance = random.Random(5)
    known = vocabulary()
    weights = [1 / (place + 2) for place in range(len(known))]
    scope = Scope(user="ann")

    def text() -> str:
        return " ".join(chance.choices(known, weights, k=chance.randrange(5, 20)))

    parts = assemble(f"sqlite:{path}", Settings(), SystemClock(), None)
    await parts.store.open()
    began = time.perf_counter()
    for start in range(0, count, 500):
        events = [
            MemoryKept(Entry(f"e{at}", text(), scope, "episode", "user", f"s{at // 12}", 1_700_000_000_000_000 + at), "new")
            for at in range(start, min(start + 500, count))
        ]
        await parts.store.append("app", events, head=None)
    each = 1e3 * (time.perf_counter() - began) / count
    memory = parts.memory(Memory(embedder="none"))
    questions = [" ".join(chance.sample(known[200:], 4)) for _ in range(_ROUNDS)]
    began = time.perf_counter()
    await memory.recall(Question(questions[0], scope))
    start_up = time.perf_counter() - began
    took = []
    for question in questions:
        began = time.perf_counter()
        await memory.recall(Question(question, scope))
        took.append(1e3 * (time.perf_counter() - began))
    writes = []
    for at in range(_ROUNDS):
        began = time.perf_counter()
        await memory.keep([Entry(f"w{at}", text(), scope, "episode", "user", f"w{at // 12}", 1_800_000_000_000_000 + at)])
        writes.append(1e3 * (time.perf_counter() - began))
    await parts.farewell()
    await parts.store.close()
    size = f"{count:,} texts"
    return [
        Figure(f"{size}: written in bulk, each", each, "ms"),
        at_most(f"{size}: one turn through the gate, p95", portion(writes, 0.95), "ms", 10),
        Figure(f"{size}: first search of a process", 1e3 * start_up, "ms"),
        Figure(f"{size}: search by words, p50", portion(took, 0.5), "ms"),
        at_most(f"{size}: search by words, p95", portion(took, 0.95), "ms", 15 if count <= 100_000 else 120),
    ]


_ENDINGS = tuple(f"{x}{y}" for x in ("b", "ck", "d", "l", "mp", "nd", "r", "st", "t", "v") for y in ("", "a", "er", "o", "y"))


def vocabulary() -> list[str]:
    """Made-up words, the most frequent first."""
    return [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in ("a", "e", "ir", "o", "un") for c in _ENDINGS]


def portion(values: Sequence[float], share: float) -> float:
    """The value below which that share of them is."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def resident() -> int:
    """Bytes that are resident now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
