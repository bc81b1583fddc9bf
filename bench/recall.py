"""How well memory finds the turn that answers, against words alone, vectors alone and both fused.

The questions are those of `bench.dialogues`; weights are the design's, none was chosen with these questions in sight. Each
figure is the share of questions whose evidence is among the first ten, over two seeds that were never looked at before;
intervals are bootstrapped (2,000 resamples of the questions, 95 %).
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

from bench.dialogues import SEEDS, World, make
from bench.report import Figure, at_least
from surefoot.clock import SystemClock
from surefoot.core.memory import Entry, Memory, MemoryKept, Question, Scope
from surefoot.memory.recollection import Recollection
from surefoot.memory.words import words
from surefoot.settings import Settings
from surefoot.wiring import Parts, assemble

__all__ = ["difference", "every", "figures", "recall_at"]

_CUTS = (5, 10, 20)
#: Method → question type → for each question the first place of its evidence (from 0; 99 for not found) and, for absent ones,
#: the best score.
Results = dict[str, dict[str, list[float]]]
Find = Callable[[str], Awaitable[list[tuple[str, float]]]]
_TERMS = ("thread", "author", "question", "date", "answer", "length")
_FULL = ("window", "own", "best", "lexical", "thread_text", "type", "size", "reply")


def figures() -> list[Figure]:
    """Recall by method and type, differences with their intervals, and what each term is worth."""
    results: Results = defaultdict(lambda: defaultdict(list))
    for seed in SEEDS:
        for world in make(seed, worlds=int(os.environ.get("WORLDS", "4"))):
            asyncio.run(_measure(world, results, ablate=os.environ.get("ABLATE", "1") == "1"))
    made: list[Figure] = []
    for method in ("fts5", "vector", "rrf", "lexical", "full"):
        made += [Figure(f"{method}, recall@{cut}", 100 * recall_at(every(results[method]), cut), "%") for cut in _CUTS]
        made += [
            Figure(f"{method}, recall@10, {kind}", 100 * recall_at(places, 10), "%")
            for kind, places in sorted(results[method].items())
            if kind != "absent"
        ]
    for better, base, cut, goal in (
        ("lexical", "fts5", 10, 15), ("full", "fts5", 10, 20), ("full", "fts5", 20, 15), ("full", "rrf", 10, 15),
    ):  # fmt: skip
        low, middle, high = difference(every(results[better]), every(results[base]), cut)
        made.append(at_least(f"{better} over {base} at {cut} ({low:+.1f} to {high:+.1f})", middle, "points", goal))
    for better, bases in (("lexical", ("fts5",)), ("full", ("fts5", "rrf"))):
        for kind in sorted(results[better].keys() - {"absent"}):
            base = max(bases, key=lambda name: recall_at(results[name][kind], 10))
            low, middle, high = difference(results[better][kind], results[base][kind], 10)
            name = f"{better} over {base} at 10, {kind} ({low:+.1f} to {high:+.1f})"
            made.append(Figure(name, middle, "points", "not worse outside the interval", high >= 0))
    for name in ("lexical", "full"):
        answered, absent = _median(results[f"{name} scores"]["answered"]), _median(results[f"{name} scores"]["absent"])
        made += [
            Figure(f"{name}, median best score, answered", answered, ""),
            Figure(f"{name}, median best score, absent", absent, ""),
            Figure(
                f"{name}, an answered question scores higher than an absent one", 100 * _above(results[f"{name} scores"]), "%"
            ),
        ]
    for method in sorted(results):
        tier, _, term = method.partition(" without ")
        if term and not term.endswith(" scores"):
            low, middle, high = difference(every(results[f"{tier} there"]), every(results[method]), 10)
            made.append(Figure(f"{tier}: {term} is worth, at 10 ({low:+.1f} to {high:+.1f})", middle, "points"))
    return made


async def _measure(world: World, results: Results, *, ablate: bool) -> None:
    parts = assemble("memory:", Settings(), SystemClock(), None)
    await parts.store.open()
    scope = Scope(user=world.user)
    entries = [Entry(turn.id, turn.text, scope, "episode", turn.author, turn.session, turn.time) for turn in world.turns]
    await parts.store.append("app", [MemoryKept(entry, "new") for entry in entries], head=None)
    full = parts.memory(Memory())
    await full.settle()
    methods: dict[str, Find] = {
        "lexical": _of(parts.memory(Memory(embedder="none")), world, scope),
        "full": _of(full, world, scope),
        **_plain(world),
        **await _vectors(full, world),
    }
    methods["rrf"] = _fused(methods["fts5"], methods["vector"])
    if ablate and world.user == "user-0":
        methods |= _ablations(parts, world, scope)
        methods |= {f"{tier} there": methods[tier] for tier in ("lexical", "full")}
    for name, find in methods.items():
        for question in world.questions:
            found = await find(question.text)
            if question.kind == "absent":
                results[f"{name} scores"]["absent"].append(found[0][1] if found else 0.0)
                continue
            results[f"{name} scores"]["answered"].append(found[0][1] if found else 0.0)
            places = [at for at, (key, _) in enumerate(found) if key in question.evidence]
            results[name][question.kind].append(min(places, default=99))
    await parts.farewell()
    await parts.store.close()


def _of(memory: Any, world: World, scope: Scope) -> Find:
    async def find(text: str) -> list[tuple[str, float]]:
        hits = await memory.recall(Question(text, scope, 20, now=world.now))
        return [(hit.entry.id, hit.score) for hit in hits]

    return find


def _plain(world: World) -> dict[str, Find]:
    """FTS5 as it comes: every word of the question OR-ed, BM25, Porter stemming."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE plain USING fts5 (text, tokenize = 'porter unicode61')")
    connection.executemany(
        "INSERT INTO plain (rowid, text) VALUES (?, ?)", [(at, turn.text) for at, turn in enumerate(world.turns)]
    )
    names = [turn.id for turn in world.turns]

    async def find(text: str) -> list[tuple[str, float]]:
        query = " OR ".join(f'"{word}"' for word in words(text))
        rows = connection.execute("SELECT rowid, -rank FROM plain WHERE plain MATCH ? ORDER BY rank LIMIT 100", (query,))
        return [(names[at], score) for at, score in rows]

    return {"fts5": find}


async def _vectors(memory: Recollection, world: World) -> dict[str, Find]:
    """One vector a turn, nearest first."""
    import numpy as np

    embedder = memory.embedder
    assert embedder is not None
    vectors = np.asarray(await embedder.embed([turn.text for turn in world.turns]), np.float32)

    async def find(text: str) -> list[tuple[str, float]]:
        (asked,) = await embedder.embed([text])
        scores = vectors @ np.asarray(asked, np.float32)
        return [(world.turns[at].id, float(scores[at])) for at in np.argsort(-scores)[:100]]

    return {"vector": find}


def _fused(one: Find, other: Find) -> Find:
    """Reciprocal rank fusion with equal weights (Cormack et al. 2009), k = 60."""

    async def find(text: str) -> list[tuple[str, float]]:
        scores: dict[str, float] = defaultdict(float)
        for ranked in (await one(text), await other(text)):
            for at, (key, _) in enumerate(ranked):
                scores[key] += 1 / (60 + at)
        return sorted(scores.items(), key=lambda item: -item[1])[:20]

    return find


def _ablations(parts: Parts, world: World, scope: Scope) -> dict[str, Find]:
    made = {}
    for tier, terms, embedder in (("lexical", _TERMS, "none"), ("full", _FULL, "auto")):
        for term in terms:
            made[f"{tier} without {term}"] = _of(parts.memory(Memory(embedder=embedder, weights={term: 0.0})), world, scope)
    return made


def every(results: dict[str, list[float]]) -> list[float]:
    """The places of all types of questions that have an answer."""
    return [place for kind, places in sorted(results.items()) if kind != "absent" for place in places]


def recall_at(places: list[float], cut: int) -> float:
    """The share whose evidence is among the first so many."""
    return sum(place < cut for place in places) / max(1, len(places))


def difference(one: list[float], other: list[float], cut: int) -> tuple[float, float, float]:
    """Points between two methods on the same questions: low, middle, high. Where one saw fewer, only those count."""
    count = min(len(one), len(other))
    gains = [100 * ((a < cut) - (b < cut)) for a, b in zip(one[:count], other[:count], strict=True)]
    chance = random.Random(7)
    means = sorted(sum(chance.choices(gains, k=count)) / count for _ in range(2_000))
    return means[50], sum(gains) / count, means[1_949]


def _above(scores: dict[str, list[float]]) -> float:
    """The share of pairs of an answered and an absent question in which the answered one scores higher; half says nothing."""
    pairs = [(one > other) + 0.5 * (one == other) for one in scores["answered"] for other in scores["absent"]]
    return sum(pairs) / max(1, len(pairs))


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0
