"""The whole search in a memory of a million entries: words, vectors and rules together, and what it takes to be ready.

Texts are drawn as in `bench.memory_size`, in threads of twelve turns of one user; vectors are synthetic: 2,000 cluster centres
and noise, 384 dimensions, with eight words' sign bits an entry. Questions go through the packaged embedder, whose time counts.
The rows are written in bulk, not by events; a process of its own then searches, that nothing of the writing stays in its memory.
`ENTRIES` in the environment gives another size; `PROFILE=1` says on the screen where the time of the searches goes.
"""

from __future__ import annotations

import asyncio
import cProfile
import json
import os
import pstats
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.memory_size import portion, resident, vocabulary
from bench.report import Figure, at_most
from surefoot.clock import SystemClock
from surefoot.core.memory import Memory, Question, Scope
from surefoot.embed.minilm import MiniLM
from surefoot.memory.statements import mark, place, statements
from surefoot.memory.words import fingerprint
from surefoot.settings import Settings
from surefoot.wiring import assemble

if TYPE_CHECKING:
    import numpy as np

__all__ = ["figures"]

_ROUNDS = 60
_WIDTH, _THREAD, _WORDS = 384, 12, 8
_CHUNK = 12_000
_SCOPE = Scope(user="ann")


def figures() -> list[Figure]:
    """Latencies, growth and readiness."""
    count = int(os.environ.get("ENTRIES", "1000000")) // _THREAD * _THREAD
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "million.db")
        asyncio.run(_made(path))
        began = time.perf_counter()
        _write(path, count)
        wrote = time.perf_counter() - began
        command = [sys.executable, "-m", "bench.memory_million", path]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    took, words = found["took"], found["words"]
    size = f"{count:,} entries"
    return [
        Figure(f"{size}: written in bulk", wrote, "s"),
        Figure(f"{size}: whole search, p50", portion(took, 0.5), "ms"),
        at_most(f"{size}: whole search, p95", portion(took, 0.95), "ms", 120),
        Figure(f"{size}: search by words alone, p50", portion(words, 0.5), "ms"),
        Figure(f"{size}: search by words alone, p95", portion(words, 0.95), "ms"),
        at_most(f"{size}: resident growth", found["grown"] / 2**20, "MB", 150),
        at_most(f"{size}: start-up, with the first search", found["start_up"], "s", 2),
    ]


async def _made(path: str) -> None:
    parts = assemble(f"sqlite:{path}", Settings(), SystemClock(), None)
    await parts.store.open()
    await parts.farewell()
    await parts.store.close()


# ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _write(path: str, count: int) -> None:
    """Fill the table, the index over its words and the vectors, as the projection would from as many events."""
    import numpy as np

    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = MEMORY")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    chance = np.random.default_rng(11)
    centres = chance.standard_normal((2_000, _WIDTH)).astype(np.float32)
    for start in range(0, count, _CHUNK):
        number = min(_CHUNK, count - start)
        _texts(connection, start, _drawn_texts(chance, number))
        _vectors(connection, start, chance, centres, number)
    for name in ("words", "threads"):
        size = "40000000" if name == "words" else "4000"
        connection.execute(f"UPDATE memory_{name}_docsize SET sz = x'{size}'")
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


def _drawn_texts(chance: np.random.Generator, number: int) -> list[str]:
    import numpy as np

    known = np.asarray(vocabulary())
    weights = 1 / (np.arange(len(known)) + 2)
    lengths = chance.integers(5, 20, number)
    words = known[chance.choice(len(known), int(lengths.sum()), p=weights / weights.sum())].tolist()
    ends = np.cumsum(lengths).tolist()
    return [" ".join(words[end - length : end]) for end, length in zip(ends, lengths.tolist(), strict=True)]


def _texts(connection: sqlite3.Connection, start: int, texts: list[str]) -> None:
    sql, scope = statements(), mark(_SCOPE)
    rows, index, threads, stretches = [], [], [], []
    for first in range(0, len(texts), _THREAD):
        said, session = texts[first : first + _THREAD], f"s{(start + first) // _THREAD}"
        threads.append((start + first + 1, "\n".join(said), scope))
        stretches.append((start + first + 1, session, scope, len(said)))
        for at, text in enumerate(said):
            key = start + first + at + 1
            beside = [[said[one] for one in (at - step, at + step) if 0 <= one < len(said)] for step in (1, 2)]
            index.append((key, text, "\n".join(beside[0]), "\n".join(beside[1]), scope))
            when = 1_700_000_000_000_000 + key
            owner = (*place(_SCOPE), "episode", "user", session)
            rows.append(
                (key, f"e{key}", "app", key, *owner, when, text, fingerprint(text), "", "", "", 0, 0, 0, 0.5, False, "", "")
            )
    connection.executemany(sql["add"], rows)
    connection.executemany(sql["index"], index)
    connection.executemany(sql["index_thread"], threads)
    connection.executemany("INSERT INTO memory_stretch (key, session, scope, entries) VALUES (?, ?, ?, ?)", stretches)


def _vectors(connection: sqlite3.Connection, start: int, chance: np.random.Generator, centres: np.ndarray, number: int) -> None:
    import numpy as np

    name, put = MiniLM().name, "INSERT INTO memory_vector (key, name, code, half, words) VALUES (?, ?, ?, ?, ?)"
    if not start:  # the mean, which codes are made with; it is nothing here
        connection.execute(put, (0, name, b"", np.zeros(_WIDTH, np.float16).tobytes(), b""))
    made = centres[chance.integers(0, len(centres), number)] + 0.6 * chance.standard_normal((number, _WIDTH), np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    codes, halves = np.packbits(made > 0, axis=1), made.astype(np.float16)
    # A word's signs are its text's, one in eight of them turned over.
    turned = chance.integers(0, 256, (3, number, _WORDS, _WIDTH // 8), np.uint8)
    signs = codes[:, None, :] ^ (turned[0] & turned[1] & turned[2])
    connection.executemany(
        put,
        ((start + n + 1, name, codes[n].tobytes(), halves[n].tobytes(), signs[n].tobytes()) for n in range(number)),
    )


# ── searching, in a process of its own ──────────────────────────────────────────────────────────────────────────────────


async def _search(path: str) -> dict[str, Any]:
    chance = random.Random(5)
    questions = [" ".join(chance.sample(vocabulary()[200:], 4)) for _ in range(_ROUNDS + 1)]
    await _small()
    before, began = resident(), time.perf_counter()
    parts = assemble(f"sqlite:{path}", Settings(), SystemClock(), None)
    await parts.store.open()
    memory = parts.memory(Memory())
    assert memory.embedder is not None, "the embeddings extra is needed"
    assert await memory.recall(Question(questions[-1], _SCOPE))
    start_up = time.perf_counter() - began
    took = await _timed(memory, questions[:-1])
    grown = resident() - before
    words = await _timed(parts.memory(Memory(embedder="none")), questions[:-1])
    if os.environ.get("PROFILE"):
        await _told(memory, questions[:20])
    await parts.farewell()
    await parts.store.close()
    return {"start_up": start_up, "grown": grown, "took": took, "words": words}


async def _small() -> None:
    """Search a memory of nothing, that the embedder and NumPy are there before anything is counted."""
    parts = assemble("memory:", Settings(), SystemClock(), None)
    await parts.store.open()
    await parts.memory(Memory()).recall(Question("anything", _SCOPE))
    await parts.farewell()
    await parts.store.close()


async def _timed(memory: Any, questions: list[str]) -> list[float]:
    took = []
    for question in questions:
        began = time.perf_counter()
        await memory.recall(Question(question, _SCOPE))
        took.append(1e3 * (time.perf_counter() - began))
    return took


async def _told(memory: Any, questions: list[str]) -> None:
    """Where the time of the thread that searches goes, on standard error."""
    profile, work = cProfile.Profile(), memory._work  # noqa: SLF001  what runs in the thread
    memory._work = lambda task: profile.runcall(work, task)  # noqa: SLF001
    await _timed(memory, questions)
    memory._work = work  # noqa: SLF001
    pstats.Stats(profile, stream=sys.stderr).sort_stats("cumulative").print_stats(30)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_search(sys.argv[1]))))
