"""What every `Clock` must do, as tests: inherit, and give a fixture named ``clock``.

A clock that stands still until somebody moves it overrides `Contract.slept`.
"""

from __future__ import annotations

import asyncio
import re

from surefoot.core.ports import Clock

__all__ = ["Contract"]

_MANY = 200


class Contract:
    """The behaviour of the port."""

    async def slept(self, clock: Clock, seconds: float) -> None:
        """Sleep until it is over."""
        async with asyncio.timeout(seconds + 5):
            await clock.sleep(seconds)

    def test_the_wall_clock_counts_unix_microseconds(self, clock: Clock) -> None:
        """A whole number, of this century."""
        now = clock.now()
        assert type(now) is int
        assert 946_684_800_000_000 < now < 4_102_444_800_000_000

    def test_time_inside_a_process_never_goes_back(self, clock: Clock) -> None:
        """Seconds, however often one asks."""
        times = [clock.monotonic() for _ in range(_MANY)]
        assert times == sorted(times)

    async def test_a_sleep_takes_its_time(self, clock: Clock) -> None:
        """By its own reckoning, to a tenth: on both its clocks."""
        wall, inside = clock.now(), clock.monotonic()
        await self.slept(clock, 0.05)
        assert clock.monotonic() - inside >= 0.045
        assert clock.now() - wall >= 45_000

    async def test_no_time_is_no_wait(self, clock: Clock) -> None:
        """Nor is time that is past; others get their turn."""
        turns: list[str] = []
        other = asyncio.create_task(_note(turns))
        async with asyncio.timeout(5):
            await clock.sleep(0)
            await clock.sleep(-1)
        await other
        assert turns == ["ran"]

    async def test_a_sleep_can_be_cancelled(self, clock: Clock) -> None:
        """At once, and the clock goes on being one."""
        sleeping = asyncio.create_task(clock.sleep(3600))
        await asyncio.sleep(0)
        sleeping.cancel()
        assert isinstance((await asyncio.gather(sleeping, return_exceptions=True))[0], asyncio.CancelledError | None)
        await clock.sleep(0)

    def test_names_are_unique_and_sort_by_age(self, clock: Clock) -> None:
        """UUIDs of version 7 as 32 hex digits."""
        names = [clock.new_id() for _ in range(_MANY)]
        assert len(set(names)) == _MANY
        assert names == sorted(names)
        assert all(re.fullmatch(r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}", name) for name in names)

    def test_a_name_begins_with_its_time(self, clock: Clock) -> None:
        """Milliseconds, in its first twelve digits."""
        before = clock.now() // 1000
        made = int(clock.new_id()[:12], 16)
        assert before <= made <= clock.now() // 1000 + 1

    def test_chance_is_below_one(self, clock: Clock) -> None:
        """And not always the same."""
        drawn = [clock.jitter() for _ in range(_MANY)]
        assert all(0 <= number < 1 for number in drawn)
        assert len(set(drawn)) > 1


async def _note(turns: list[str]) -> None:
    turns.append("ran")
