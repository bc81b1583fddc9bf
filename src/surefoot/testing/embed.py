"""An embedder for tests: no model, no file, the same vectors on every machine, and like texts get like vectors."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence

__all__ = ["HashEmbedder"]

_WORDS = re.compile(r"\w+")


class HashEmbedder:
    """An `Embedder` that adds up pseudo-random directions of a text's words and of their three-letter pieces.

    Texts that share words are near each other and texts that share none are nearly at right angles, which is enough to
    test everything that ranks by similarity; meaning it knows none.

    Args:
        dimensions: numbers in a vector, at least 2.

    Attributes:
        batches: the texts of every call so far, to see what was asked and how often.
    """

    def __init__(self, dimensions: int = 64) -> None:
        self._dimensions = dimensions
        self.batches: list[tuple[str, ...]] = []

    @property
    def name(self) -> str:
        """Names the vectors."""
        return f"hash-{self._dimensions}"

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        return self._dimensions

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit-length vector a text, in order."""
        self.batches.append(tuple(texts))
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        total = [0.0] * self._dimensions
        # The whole text counts a little, so that no two texts, and not the empty one, have quite the same vector.
        self._add(total, f"text:{text}", 0.1)
        for word in _WORDS.findall(text.casefold()):
            self._add(total, f"word:{word}", 1.0)
            padded = f"^{word}$"
            for start in range(len(padded) - 2):
                self._add(total, f"piece:{padded[start : start + 3]}", 0.3)
        length = math.sqrt(math.fsum(number * number for number in total))
        return [number / length for number in total]

    def _add(self, total: list[float], feature: str, weight: float) -> None:
        seed = feature.encode("utf-8", "replace")
        for start in range(0, self._dimensions, 32):
            noise = hashlib.blake2b(seed, digest_size=32, salt=start.to_bytes(8, "big")).digest()
            for offset, byte in enumerate(noise[: self._dimensions - start]):
                total[start + offset] += weight * (byte - 127.5)
