"""A clock that a test moves by hand, with deterministic identifiers and chance.

`ManualClock` stands still until `advance` is called, or, with ``skip=True``, jumps over every sleep at once.
"""

from __future__ import annotations

import asyncio
import heapq
import random

__all__ = ["ManualClock"]

#: 2025-01-01 00:00 UTC in Unix microseconds.
_START = 1_735_689_600_000_000


class ManualClock:
    """The `Clock` of a test.

    Args:
        start: the wall clock's first time, Unix microseconds.
        seed: gives identifiers and jitter; the same seed gives the same ones.
        skip: sleeping moves the clock instead of waiting for `advance`; for tests of what happens, not when.
    """

    def __init__(self, start: int = _START, *, seed: int = 0, skip: bool = False) -> None:
        self._now = start
        self._start = start
        self._chance = random.Random(seed)
        self._skip = skip
        self._made = 0
        self._order = 0
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._watchers: list[tuple[int, asyncio.Future[None]]] = []

    def now(self) -> int:
        """Unix microseconds."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the clock was made, as it counts them."""
        return (self._now - self._start) / 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been moved that far."""
        wake = self._now + max(0, round(seconds * 1_000_000))
        if self._skip or wake <= self._now:
            self._now = max(self._now, wake)
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._order += 1
        heapq.heappush(self._sleepers, (wake, self._order, future))
        self._tell_watchers()
        await future

    def new_id(self) -> str:
        """A UUID version 7 (RFC 9562) as 32 hex digits: the clock's milliseconds, a counter, then seeded chance."""
        self._made += 1
        value = (self._now // 1000) << 80 | 0x7 << 76 | (self._made >> 18 & 0xFFF) << 64
        value |= 0x2 << 62 | (self._made & 0x3FFFF) << 44 | self._chance.getrandbits(44)
        return f"{value:032x}"

    def jitter(self) -> float:
        """A number in [0, 1) from the seed."""
        return self._chance.random()

    @property
    def sleeping(self) -> int:
        """How many wait now."""
        return sum(1 for _, _, future in self._sleepers if not future.done())

    @property
    def next_wake(self) -> int | None:
        """When the first of those who wait would wake (Unix microseconds), or None."""
        return min((wake for wake, _, future in self._sleepers if not future.done()), default=None)

    def advance(self, seconds: float) -> None:
        """Move the clock on, and wake those whose time has come, earliest first; they run once the caller awaits."""
        self._now += round(seconds * 1_000_000)
        while self._sleepers and self._sleepers[0][0] <= self._now:
            _, _, future = heapq.heappop(self._sleepers)
            # The sleeper may be on another thread's loop.
            future.get_loop().call_soon_threadsafe(_wake, future)

    async def until_sleeping(self, count: int = 1) -> None:
        """Wait until at least ``count`` wait on this clock, so that a test need not guess when to advance."""
        if self.sleeping >= count:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.append((count, future))
        await future

    def _tell_watchers(self) -> None:
        asleep = self.sleeping
        for count, future in self._watchers:
            if asleep >= count:
                future.get_loop().call_soon_threadsafe(_wake, future)
        self._watchers = [(count, future) for count, future in self._watchers if asleep < count]


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
