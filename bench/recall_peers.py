"""The same questions to the memory of another library, with the same vectors: how well it finds, and how long it takes.

``BENCH_PEERS`` names a Python that has mem0ai and qdrant-client; without it only ours is measured. mem0 stores the turns as they
are (``infer=False``), in its local vector store on disk, with the vectors of our embedder handed over, so that both see the same
and neither is charged for them. Its search by words wants a download that a machine without the internet cannot make, so it is
left out, as the library itself leaves it out there. Times are for the reading and the writing alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from bench.dialogues import SEEDS, World, make
from bench.memory_size import portion
from bench.recall import _difference, _recall
from bench.report import Figure
from surefoot.clock import SystemClock
from surefoot.core.memory import Entry, Memory, MemoryKept, Question, Scope
from surefoot.settings import Settings
from surefoot.wiring import assemble

__all__ = ["figures"]

_CUTS = (5, 10, 20)
PEER = r"""
import json, os, sys, time

os.environ |= {"MEM0_TELEMETRY": "False", "OPENAI_API_KEY": "k", "MEM0_DIR": sys.argv[1]}
from mem0 import Memory
from mem0.embeddings.base import EmbeddingBase
from mem0.utils.factory import EmbedderFactory

GIVEN = json.load(sys.stdin)
VECTORS = {text: vector for text, vector in GIVEN["vectors"]}


class Handed(EmbeddingBase):
    def embed(self, text, memory_action=None):
        return VECTORS[text]


sys.modules["handed"] = sys.modules["__main__"]
EmbedderFactory.provider_to_class["openai"] = "handed.Handed"
store = {"collection_name": "turns", "path": sys.argv[1] + "/qdrant", "on_disk": True, "embedding_model_dims": 384}
memory = Memory.from_config({
    "vector_store": {"provider": "qdrant", "config": store},
    "history_db_path": sys.argv[1] + "/history.db",
    "embedder": {"provider": "openai", "config": {"embedding_dims": 384}},
})
writes, reads, found = [], [], []
for turn in GIVEN["turns"]:
    began = time.perf_counter()
    memory.add(
        [{"role": turn["role"], "content": turn["text"]}], user_id="ann", run_id=None, infer=False, metadata={"turn": turn["id"]}
    )
    writes.append(1e3 * (time.perf_counter() - began))
for question in GIVEN["questions"]:
    began = time.perf_counter()
    hits = memory.search(question, top_k=20, filters={"user_id": "ann"}, threshold=0.0)["results"]
    reads.append(1e3 * (time.perf_counter() - began))
    found.append([hit["metadata"]["turn"] for hit in hits])
print(json.dumps({"writes": writes, "reads": reads, "found": found}))
"""


def figures() -> list[Figure]:
    """Recall of both at each cut, the difference with its interval, and times."""
    places: dict[str, list[float]] = defaultdict(list)
    times: dict[str, list[float]] = defaultdict(list)
    for seed in SEEDS:
        for world in make(seed, worlds=int(os.environ.get("WORLDS", "2"))):
            asyncio.run(_measure(world, places, times))
    made = [
        Figure(f"{name}, recall@{cut}", 100 * _recall(found, cut), "%") for name, found in sorted(places.items()) for cut in _CUTS
    ]
    if "mem0" in places:
        for name in ("lexical", "full"):
            low, middle, high = _difference(places[name], places["mem0"], 10)
            made.append(Figure(f"{name} over mem0 at 10 ({low:+.1f} to {high:+.1f})", middle, "points"))
    for name, taken in sorted(times.items()):
        made += [Figure(f"{name}, p50", portion(taken, 0.5), "ms"), Figure(f"{name}, p95", portion(taken, 0.95), "ms")]
    return made


async def _measure(world: World, places: dict[str, list[float]], times: dict[str, list[float]]) -> None:
    scope, asked = Scope(user=world.user), [question for question in world.questions if question.evidence]
    with tempfile.TemporaryDirectory() as folder:
        parts = assemble(f"sqlite:{Path(folder) / 'ours.db'}", Settings(), SystemClock(), None)
        await parts.store.open()
        for turn in world.turns:
            entry = Entry(turn.id, turn.text, scope, "episode", turn.author, turn.session, turn.time)
            began = time.perf_counter()
            await parts.store.append("app", [MemoryKept(entry, "new")], head=None)
            times["ours: a turn is written"].append(1e3 * (time.perf_counter() - began))
        full = parts.memory(Memory())
        await full.settle()
        for name, memory in (("lexical", parts.memory(Memory(embedder="none"))), ("full", full)):
            for question in asked:
                began = time.perf_counter()
                hits = await memory.recall(Question(question.text, scope, 20, now=world.now))
                times[f"ours: a search, {name}"].append(1e3 * (time.perf_counter() - began))
                places[name].append(_place([hit.entry.id for hit in hits], question.evidence))
        embedder: Any = full.embedder
        texts = list(dict.fromkeys([*[turn.text for turn in world.turns], *[question.text for question in asked]]))
        vectors = list(zip(texts, await embedder.embed(texts), strict=True))
        await parts.farewell()
        await parts.store.close()
        if os.environ.get("BENCH_PEERS"):
            answer = _peer(world, [question.text for question in asked], vectors, folder)
            times["mem0: a turn is written"] += answer["writes"]
            times["mem0: a search"] += answer["reads"]
            places["mem0"] += [_place(found, one.evidence) for found, one in zip(answer["found"], asked, strict=True)]


def _peer(world: World, questions: list[str], vectors: list[tuple[str, list[float]]], folder: str) -> dict[str, Any]:
    turns = [{"id": turn.id, "text": turn.text, "role": turn.author} for turn in world.turns]
    given = json.dumps({"turns": turns, "questions": questions, "vectors": vectors})
    command = [os.environ["BENCH_PEERS"], "-c", PEER, folder]
    done = subprocess.run(command, input=given, check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _place(found: list[str], evidence: frozenset[str]) -> float:
    return min([at for at, key in enumerate(found) if key in evidence], default=99)
