"""How many of two kinds happened in the last so many seconds, in constant space and time."""

from __future__ import annotations

__all__ = ["Window"]

_BUCKETS = 10


class Window:
    """Two counts over a rolling window of ten buckets; times are seconds of one monotonic clock."""

    __slots__ = ("_at", "_first", "_second", "_width", "first", "second")

    def __init__(self, seconds: float) -> None:
        self._width = seconds / _BUCKETS
        self._at = 0
        self._first = [0] * _BUCKETS
        self._second = [0] * _BUCKETS
        self.first = 0
        self.second = 0

    def latest(self, now: float) -> tuple[int, float]:
        """The second count of the bucket that is being filled, and the seconds until the next begins."""
        self.totals(now)
        return self._second[self._at % _BUCKETS], self._width - now % self._width

    def add(self, now: float, first: int, second: int) -> None:
        """Count."""
        at = int(now / self._width)
        if at != self._at:
            self._move(at)
        self._first[at % _BUCKETS] += first
        self._second[at % _BUCKETS] += second
        self.first += first
        self.second += second

    def totals(self, now: float) -> tuple[int, int]:
        """Both counts of the window that ends now."""
        at = int(now / self._width)
        if at != self._at:
            self._move(at)
        return self.first, self.second

    def clear(self) -> None:
        """Forget all of it."""
        self._first, self._second = [0] * _BUCKETS, [0] * _BUCKETS
        self.first = self.second = 0

    def _move(self, at: int) -> None:
        for bucket in range(self._at + 1, min(at, self._at + _BUCKETS) + 1):
            slot = bucket % _BUCKETS
            self.first -= self._first[slot]
            self.second -= self._second[slot]
            self._first[slot] = self._second[slot] = 0
        self._at = max(at, self._at)
