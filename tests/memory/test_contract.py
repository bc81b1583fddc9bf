"""Both memories keep the port's contract: over a journal in one file, and over one in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from surefoot.core.errors import ConfigurationError
from surefoot.core.memory import Hit, MemoryKept, Question
from surefoot.core.memory import Memory as Settings
from surefoot.core.ports import Memory
from surefoot.settings import Settings as AppSettings
from surefoot.testing.clock import ManualClock
from surefoot.testing.contracts.memory import DAY, NOW, Contract, asked, entry, talk
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


async def test_the_answer_to_a_question_is_read_with_the_question() -> None:
    require("embeddings")
    said = (
        ("user", "Had lunch with my uncle."), ("assistant", "What are they driving these days?"), ("user", "Still the old one."),
        ("user", "Had lunch with my aunt."), ("assistant", "What do they do for a living?"), ("user", "Surveyor, for the town."),
    )  # fmt: skip
    about = ("bought a boat", "has a bicycle", "lives by the sea", "sleeps badly", "won the lottery")
    async for memory in opened("memory:", "auto"):
        for number, (author, text) in enumerate(said):
            await memory.keep([entry(number, text, author=author, session="lunch" if number < 3 else "other")])
        for number, does in enumerate(about, len(said)):
            await memory.keep([entry(number, f"My uncle {does}.", author="user", session=f"s{number}")])
        hits = await Settled(memory).recall(asked("Which vehicle does my uncle have?", limit=3))
        assert "e2" in [hit.entry.id for hit in hits], "though it names neither the uncle nor a vehicle"


async def test_what_was_never_said_scores_lower_than_what_was() -> None:
    require("embeddings")
    async for memory in opened("memory:", "auto"):
        await talk(memory)
        scores = []
        for text in ("What instrument does my sister play?", "What is my sister allergic to?", "How tall is Mount Etna?"):
            hits = await Settled(memory).recall(asked(text))
            scores.append(hits[0].score if hits else 0.0)
        assert scores[0] > 1.2 * scores[1] > 1.2 * scores[2]


async def test_whose_words_are_meant_is_told_by_a_pronoun() -> None:
    async for memory in opened("memory:"):
        for number, author in enumerate(("assistant", "user", "assistant")):
            await memory.keep(
                [entry(number, f"A lantern, number {number}, stands in the hall.", author=author, session=f"s{number}")]
            )
        for text, ids in (("Where is my lantern?", ["e1"]), ("Which lantern did you speak of?", ["e2", "e0"])):
            hits = await memory.recall(asked(text))
            assert [hit.entry.id for hit in hits][: len(ids)] == ids, text


async def test_in_a_large_memory_rare_words_find_and_all_words_rank() -> None:
    parts = assemble("memory:", AppSettings(), ManualClock(NOW), None)
    await parts.store.open()
    plain = parts.memory(Settings(embedder="none"))
    texts = ["The zeppelin landed.", "The zeppelin landed by the lighthouse.", *["The lighthouse was lit."] * 30]
    texts += [f"Nothing happened on day {number}." for number in range(70)]
    said = [entry(number, text, session=f"s{number}") for number, text in enumerate(texts)]
    await parts.store.append("app", [MemoryKept(one, "new") for one in said], head=None)
    question = asked("Where did the zeppelin land, by the lighthouse?", limit=40)
    assert len(await plain.recall(question)) > 30, "any word will do"
    large = parts.memory(Settings(embedder="none", weights={"large": 100, "common": 0.5, "rows": 10}))
    assert [hit.entry.id for hit in await large.recall(question)] == ["e1", "e0"]
    await parts.farewell()
    await parts.store.close()


async def test_a_users_own_weights_count(tmp_path: Path) -> None:
    parts = assemble("memory:", AppSettings(), ManualClock(NOW), None)
    await parts.store.open()
    plain = parts.memory(Settings(embedder="none"))
    for number, (days, importance) in enumerate(((2, 0.0), (90, 1.0), (30, 0.0))):
        lamp = f"The lamp number {number} stands in the hall."
        await plain.keep([entry(number, lamp, session="", time=NOW - days * DAY, importance=importance)])
    for weights, first in (({"recency": 0.3}, "e0"), ({"importance": 0.5}, "e1")):
        hits = await parts.memory(Settings(embedder="none", weights=weights)).recall(asked("the lamp in the hall"))
        assert hits[0].entry.id == first
    for wrong, told in (({"luck": 1.0}, "no term 'luck'; there is thread"), ({"recency": float("nan")}, "give a number")):
        with pytest.raises(ConfigurationError, match=told):
            parts.memory(Settings(embedder="none", weights=wrong))
    await parts.farewell()
    await parts.store.close()


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
