"""How long to wait before another try: full jitter over exponential growth, what was asked for, never past the deadline.

The formula is the "full jitter" of Brooker, "Exponential Backoff And Jitter" (2015): a uniformly random share of
``first * 2 ** (tries - 1)``, at most of ``cap``. Its random share is given, not drawn here, so that all of it is pure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["LONGEST", "Backoff"]

#: No delay that a tool or a provider asks for is longer: a year, in seconds. A time beyond 64 bits could not be stored.
LONGEST = 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Growing delays, in seconds."""

    first: float = 0.5
    cap: float = 60.0

    def jittered(self, tries: int, chance: float) -> float:
        """The delay after the n-th try (from 1), for a random number in [0, 1)."""
        return chance * min(self.cap, self.first * 2.0 ** min(max(tries, 1) - 1, 30))

    def delay(self, tries: int, wish: object, chance: float) -> float:
        """The delay when somebody asked for ``wish`` seconds; a wish that is no number of seconds is none."""
        return max(wished(wish) or 0.0, self.jittered(tries, chance))


def wished(wish: object) -> float | None:
    """The seconds that somebody asks to wait, within reason; None where that is no number."""
    if isinstance(wish, bool) or not isinstance(wish, int | float) or math.isnan(wish):
        return None
    return float(min(max(0.0, wish), LONGEST))
