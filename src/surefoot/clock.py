"""The real clock: wall and monotonic time, sleep, UUIDs and chance."""

from __future__ import annotations

import asyncio
import os
import random
import time

__all__ = ["SystemClock"]


class SystemClock:
    """The `Clock` of a running application."""

    def __init__(self) -> None:
        self._last = 0

    def now(self) -> int:
        """Unix microseconds."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def new_id(self) -> str:
        """UUID version 7 (RFC 9562, section 5.7) as 32 hex digits: 48 bits of milliseconds, then chance."""
        value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
        value = value & ~(0xF << 76) | 0x7 << 76
        value = value & ~(0x3 << 62) | 0x2 << 62
        # Section 6.2: one that would not sort after the last is the last plus one, so that runs keep their order.
        self._last = value = max(value, self._last + 1)
        return f"{value:032x}"

    def jitter(self) -> float:
        """A random number in [0, 1)."""
        return random.random()  # noqa: S311  spreads load, guards nothing
