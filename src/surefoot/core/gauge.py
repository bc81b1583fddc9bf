"""How long a run's prompts are: what was estimated before a request, against what the provider counted afterwards."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Gauge"]

#: Prompts of fewer estimated tokens say little of the estimate: what a provider adds to each counts for too much.
_TELLING = 200
#: A count that is farther from the estimate than this is another thing's.
_LEAST, _MOST = 0.4, 4.0


@dataclass(slots=True)
class Gauge:
    """What a run's events say of its prompts.

    ``asked`` is the estimate of the request under way, ``scale`` the provider's tokens for each estimated one by its last
    reply (0 while unknown), ``cut`` whether a model was ever given less than the whole of a tool's result.
    """

    asked: int = 0
    scale: float = 0.0
    cut: bool = False

    def request(self, tokens: int, *, same_model: bool) -> None:
        """A request leaves; another model counts otherwise."""
        self.asked = tokens
        if not same_model:
            self.scale = 0.0

    def reply(self, counted: int) -> None:
        """A reply came, and says how long its prompt was."""
        if counted and self.asked >= _TELLING:
            self.scale = min(_MOST, max(_LEAST, counted / self.asked))
