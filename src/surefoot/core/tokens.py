"""How many tokens a text is for a model that cannot be asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["BYTES_PER_TOKEN", "Count", "rough"]

#: Tokens of some texts, all together.
Count = Callable[[Sequence[str]], int]

#: On the safe side for prose and code in any script.
BYTES_PER_TOKEN = 3.5


def rough(texts: Sequence[str]) -> int:
    """Tokens of some texts for a model whose vocabulary is not known, rather too many than too few."""
    sizes = [len(text) if text.isascii() else len(text.encode("utf-8", "replace")) for text in texts]
    return int(sum(sizes) / BYTES_PER_TOKEN)
