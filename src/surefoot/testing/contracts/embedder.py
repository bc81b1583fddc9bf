"""What every `Embedder` must do, as tests: inherit, and give a fixture named ``embedder``.

::

    class TestMine(Contract):
        @pytest.fixture
        def embedder(self) -> Embedder:
            return Mine()
"""

from __future__ import annotations

import asyncio
import math

from surefoot.core.ports import Embedder

__all__ = ["Contract"]

_TEXTS = (
    "The harbour was full of boats this morning.",
    "boats in the harbour",
    "A theorem needs a proof.",
    "x",
)
_ODD = (
    "",
    " \t\n",
    "\x00\x07\x1b[31m",
    "\u202ertl\u200b",
    "lone \ud800 surrogate",
    "🛶" * 50,
    "word " * 2_000,
    "é" * 10_000,
)


class Contract:
    """The behaviour of the port. Numbers are compared within 1e-4: a batch may round otherwise than a single text."""

    async def test_says_what_its_vectors_are(self, embedder: Embedder) -> None:
        """A name that tells vectors apart, and their length."""
        assert embedder.name == embedder.name.strip() != ""
        assert embedder.dimensions >= 2
        assert [len(vector) for vector in await embedder.embed(["a", "b"])] == [embedder.dimensions] * 2

    async def test_vectors_have_length_one(self, embedder: Embedder) -> None:
        """Finite numbers whose squares add up to 1."""
        for vector in await embedder.embed(_TEXTS):
            assert all(type(number) is float and math.isfinite(number) for number in vector)
            assert abs(_dot(vector, vector) - 1) < 1e-4

    async def test_nothing_in_nothing_out(self, embedder: Embedder) -> None:
        """No text, no vector."""
        assert await embedder.embed([]) == []

    async def test_order_and_batch_do_not_matter(self, embedder: Embedder) -> None:
        """A text has one vector, alone, among others, and twice."""
        together = await embedder.embed([*_TEXTS, *_TEXTS])
        backwards = await embedder.embed(_TEXTS[::-1])
        for index, text in enumerate(_TEXTS):
            (alone,) = await embedder.embed([text])
            assert _close(alone, together[index])
            assert _close(alone, together[index + len(_TEXTS)])
            assert _close(alone, backwards[len(_TEXTS) - 1 - index])

    async def test_like_texts_are_near(self, embedder: Embedder) -> None:
        """What shares words and meaning is nearer than what shares neither."""
        boats, harbour, theorem, _ = await embedder.embed(_TEXTS)
        assert _dot(boats, harbour) > _dot(boats, theorem) + 0.1

    async def test_odd_texts_have_vectors_too(self, embedder: Embedder) -> None:
        """Empty, control characters, lone surrogates, very long."""
        for vector in await embedder.embed(_ODD):
            assert abs(_dot(vector, vector) - 1) < 1e-4

    async def test_many_callers_at_once(self, embedder: Embedder) -> None:
        """Each gets its own answer."""
        texts = [f"caller number {index}" for index in range(20)]
        answers = await asyncio.gather(*(embedder.embed([text]) for text in texts))
        for (vector,), again in zip(answers, await embedder.embed(texts), strict=True):
            assert _close(vector, again)


def _dot(one: list[float], other: list[float]) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


def _close(one: list[float], other: list[float]) -> bool:
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) < 1e-4
