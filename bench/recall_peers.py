"""The same questions to the memory of another library, with the same vectors: how well it finds, and how long it takes.

``BENCH_PEERS`` names a Python that has mem0ai (2.2.1 was measured), qdrant-client and perhaps fastembed; without it only ours is
measured. mem0 stores the turns as they are (``infer=False``, no language model), in its vector store on disk, in a process of its
own for each world. Nobody embeds while the clock runs: vectors are made once, by our embedder, and handed to both.

Its search is measured twice: by vectors alone, as it is without fastembed, and by vectors and words. Its model of words is
Snowball stems and a list of words to leave out, which it would download; here it is given ours. Two things are left out: spaCy's
lemmas, which it takes beside the stems where spaCy is installed, and its boost for entities, which it does not extract from what
is stored as it is.

A turn is written when its event and its vector are on the disk, one turn at a time; ours would wait and write several at once.
Ratios are the other's time over ours: of the medians of a world, and of these the median, with the least and the greatest.
Questions are asked three times over and the least of three times is taken, for the machine may be doing something else. `WORLDS`
gives another number of worlds a seed.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.dialogues import SEEDS, Question, World, make
from bench.memory_size import portion
from bench.recall import Results, difference, every, recall_at
from bench.report import Figure
from surefoot.clock import SystemClock
from surefoot.core import memory as core
from surefoot.memory.recollection import Recollection
from surefoot.memory.words import ENGLISH
from surefoot.settings import Settings
from surefoot.wiring import Parts, assemble

__all__ = ["figures"]

_CUTS = (5, 10, 20)
_ROUNDS = 3
_OURS, _PEERS = ("lexical", "full"), ("mem0, vectors", "mem0, vectors and words")
#: What is done → who does it → milliseconds each, a list for each world.
Times = dict[str, dict[str, list[list[float]]]]

PEER = r"""
import json, logging, os, sys, time
from pathlib import Path

FOLDER = Path(sys.argv[1])
os.environ |= {"MEM0_TELEMETRY": "False", "OPENAI_API_KEY": "k", "MEM0_DIR": str(FOLDER), "HF_HUB_OFFLINE": "1"}
GIVEN = json.load(sys.stdin)
logging.getLogger("mem0").setLevel(logging.ERROR)  # it says of every question that spaCy is not there

from mem0 import Memory
from mem0.embeddings.base import EmbeddingBase
from mem0.utils.factory import EmbedderFactory

try:
    from fastembed import SparseTextEmbedding
except ImportError:
    WORDS = None
else:
    (FOLDER / "words").mkdir()
    (FOLDER / "words" / "english.txt").write_text("\n".join(GIVEN["stop"]))
    WORDS = SparseTextEmbedding("Qdrant/bm25", specific_model_path=str(FOLDER / "words"))


class Handed(EmbeddingBase):
    def embed(self, text, memory_action=None):
        return GIVEN["vectors"][text]


sys.modules["handed"] = sys.modules["__main__"]
EmbedderFactory.provider_to_class["openai"] = "handed.Handed"


def measured(name, words):
    folder = FOLDER / name
    folder.mkdir()
    store = {"collection_name": "turns", "path": str(folder / "qdrant"), "on_disk": True, "embedding_model_dims": 384}
    memory = Memory.from_config({
        "vector_store": {"provider": "qdrant", "config": store},
        "history_db_path": str(folder / "history.db"),
        "embedder": {"provider": "openai", "config": {"embedding_dims": 384}},
    })
    memory.vector_store._bm25_encoder = WORDS if words else False  # False: fastembed is not installed
    writes, reads = [], []
    for turn in GIVEN["turns"]:
        message = {"role": turn["role"], "content": turn["text"]}
        began = time.perf_counter()
        memory.add([message], user_id="ann", infer=False, metadata={"turn": turn["id"]})
        writes.append(1e3 * (time.perf_counter() - began))
    for _ in range(GIVEN["rounds"]):
        times, found = [], []
        for question in GIVEN["questions"]:
            began = time.perf_counter()
            hits = memory.search(question, top_k=20, filters={"user_id": "ann"}, threshold=0.0)["results"]
            times.append(1e3 * (time.perf_counter() - began))
            found.append([hit["metadata"]["turn"] for hit in hits])
        reads.append(times)
    assert not words or memory.vector_store.keyword_search(GIVEN["turns"][0]["text"], 1), "there are no words in the index"
    return {"write": writes, "search": [min(times) for times in zip(*reads)], "found": found}


answer = {"mem0, vectors": measured("vectors", False)}
if WORDS:
    answer["mem0, vectors and words"] = measured("both", True)
print(json.dumps(answer))
"""


class Handed:
    """An embedder that has embedded everything already."""

    def __init__(self, name: str, dimensions: int, encodings: dict[str, Any]) -> None:
        self.name, self.dimensions, self._encodings = name, dimensions, encodings

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [self._encodings[text].vector.tolist() for text in texts]

    async def encode(self, texts: Sequence[str]) -> list[Any]:
        return [self._encodings[text] for text in texts]


def figures() -> list[Figure]:
    """Recall of each at each cut, differences with their intervals, times and their ratios."""
    places: Results = defaultdict(lambda: defaultdict(list))
    times: Times = defaultdict(lambda: defaultdict(list))
    for seed in SEEDS:
        for world in make(seed, worlds=int(os.environ.get("WORLDS", "4"))):
            asyncio.run(_measure(world, places, times))
    return [*_found(places), *_taken(times)]


def _found(places: Results) -> list[Figure]:
    made = [
        Figure(f"{name}, recall@{cut}", 100 * recall_at(every(places[name]), cut), "%")
        for name in (*_OURS, *_PEERS)
        if name in places
        for cut in _CUTS
    ]
    peers = [name for name in _PEERS if name in places]
    for ours in _OURS if peers else ():
        for cut in _CUTS:
            for peer in peers:
                low, middle, high = difference(every(places[ours]), every(places[peer]), cut)
                made.append(Figure(f"{ours} over {peer} at {cut} ({low:+.1f} to {high:+.1f})", middle, "points"))
        for kind in sorted(places[ours]):
            low, middle, high = difference(places[ours][kind], places[peers[-1]][kind], 10)
            made.append(Figure(f"{ours} over {peers[-1]} at 10, {kind} ({low:+.1f} to {high:+.1f})", middle, "points"))
    return made


def _taken(times: Times) -> list[Figure]:
    made = []
    for what, by_name in times.items():
        for name, worlds in by_name.items():
            flat = [taken for world in worlds for taken in world]
            made += [Figure(f"{what}, {name}, {say}", portion(flat, part), "ms") for say, part in (("p50", 0.5), ("p95", 0.95))]
        for ours in [name for name in by_name if name not in _PEERS]:
            for peer in _PEERS:
                pairs = zip(by_name.get(peer, []), by_name[ours], strict=False)
                ratios = [statistics.median(theirs) / statistics.median(own) for theirs, own in pairs]
                if ratios:
                    name = f"{what}, {peer} over {ours} ({min(ratios):.2f} to {max(ratios):.2f})"
                    made.append(Figure(name, statistics.median(ratios), "×"))
    return made


async def _measure(world: World, places: Results, times: Times) -> None:
    asked = [question for question in world.questions if question.evidence]
    with tempfile.TemporaryDirectory() as folder:
        parts = assemble(f"sqlite:{Path(folder) / 'ours.db'}", Settings(), SystemClock(), None)
        await parts.store.open()
        encodings = await _encoded(parts, [*[turn.text for turn in world.turns], *[question.text for question in asked]])
        await _ours(parts, world, asked, encodings, places, times)
        await parts.farewell()
        await parts.store.close()
        if os.environ.get("BENCH_PEERS"):
            for name, answer in _peer(world, asked, encodings, folder).items():
                times["a turn is written"][name].append(answer["write"])
                times["a search"][name].append(answer["search"])
                for one, found in zip(asked, answer["found"], strict=True):
                    places[name][one.kind].append(_place(found, one.evidence))


async def _encoded(parts: Parts, texts: list[str]) -> dict[str, Any]:
    embedder: Any = parts.memory(core.Memory()).embedder
    assert embedder is not None, "the embeddings extra is not installed"
    unique = list(dict.fromkeys(texts))
    return dict(zip(unique, await embedder.encode(unique), strict=True))


async def _ours(
    parts: Parts, world: World, asked: list[Question], encodings: dict[str, Any], places: Results, times: Times
) -> None:
    scope, handed = core.Scope(user=world.user), Handed("minilm", 384, encodings)
    tables, derive = parts._tables, parts._derive  # noqa: SLF001
    assert tables is not None
    full = Recollection(parts.store, tables, parts.clock, embedder=handed, derive=derive)
    lexical = parts.memory(core.Memory(embedder="none"))
    writes: dict[str, list[float]] = {"ours, words": [], "ours, words and vector": []}
    for turn in world.turns:
        entry = core.Entry(turn.id, turn.text, scope, "episode", turn.author, turn.session, turn.time)
        began = time.perf_counter()
        await parts.store.append("app", [core.MemoryKept(entry, "new")], head=None)
        writes["ours, words"].append(1e3 * (time.perf_counter() - began))
        await full.settle()
        writes["ours, words and vector"].append(1e3 * (time.perf_counter() - began))
    for name, each in writes.items():
        times["a turn is written"][name].append(each)
    for name, memory in (("lexical", lexical), ("full", full)):
        rounds: list[list[float]] = [[] for _ in range(_ROUNDS)]
        for reads in rounds:
            for question in asked:
                began = time.perf_counter()
                hits = await memory.recall(core.Question(question.text, scope, 20, now=world.now))
                reads.append(1e3 * (time.perf_counter() - began))
                if reads is rounds[0]:
                    places[name][question.kind].append(_place([hit.entry.id for hit in hits], question.evidence))
        times["a search"][f"ours, {name}"].append([min(each) for each in zip(*rounds, strict=True)])
    full.close()


def _peer(world: World, asked: list[Question], encodings: dict[str, Any], folder: str) -> dict[str, Any]:
    given = {
        "turns": [{"id": turn.id, "text": turn.text, "role": turn.author} for turn in world.turns],
        "questions": [question.text for question in asked],
        "vectors": {text: encoding.vector.tolist() for text, encoding in encodings.items()},
        "stop": sorted(ENGLISH.stop),
        "rounds": _ROUNDS,
    }
    command = [os.environ["BENCH_PEERS"], "-c", PEER, folder]
    done = subprocess.run(command, input=json.dumps(given), check=True, stdout=subprocess.PIPE, text=True, timeout=900)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _place(found: list[str], evidence: frozenset[str]) -> float:
    return min([at for at, key in enumerate(found) if key in evidence], default=99)
