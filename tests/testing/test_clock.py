"""The clock that a test moves."""

from __future__ import annotations

import asyncio
import uuid

from surefoot.core.ports import Clock
from surefoot.testing.clock import ManualClock


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_sleepers_wake_in_order_and_not_before() -> None:
    clock = ManualClock()
    woken: list[float] = []

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    tasks = [asyncio.create_task(sleep(seconds)) for seconds in (3, 1, 2)]
    await asyncio.wait_for(clock.until_sleeping(3), 5)
    assert clock.next_wake == clock.now() + 1_000_000
    clock.advance(0.999)
    await settle()
    assert list(woken) == []
    clock.advance(1.5)
    await settle()
    assert list(woken) == [1, 2]
    assert clock.sleeping == 1
    clock.advance(1)
    await asyncio.gather(*tasks)
    assert woken == [1, 2, 3]
    assert not clock.sleeping
    assert clock.monotonic() == 3.499


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(1))
    await asyncio.wait_for(clock.until_sleeping(), 5)
    task.cancel()
    await settle()
    assert clock.sleeping == 0
    clock.advance(2)
    await settle()


async def test_waiting_for_sleepers_begins_before_they_sleep() -> None:
    clock = ManualClock()
    waiting = asyncio.create_task(clock.until_sleeping(2))
    await settle()
    first = asyncio.create_task(clock.sleep(1))
    await settle()
    assert not waiting.done()
    second = asyncio.create_task(clock.sleep(1))
    await asyncio.wait_for(waiting, 5)
    clock.advance(1)
    await asyncio.gather(first, second)


async def test_a_skipping_clock_waits_for_nothing() -> None:
    clock = ManualClock(skip=True)
    began = clock.now()
    await clock.sleep(3_600)
    await clock.sleep(-1)
    assert clock.now() == began + 3_600_000_000


async def test_a_sleeper_on_another_loop_is_woken_too() -> None:
    clock = ManualClock()
    task = asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(clock.sleep(1))))
    async with asyncio.timeout(5):
        await clock.until_sleeping()
        clock.advance(1)
        await task


def test_names_and_chance_come_from_the_seed() -> None:
    def drawn(clock: ManualClock) -> tuple[list[str], list[float]]:
        names = [clock.new_id() for _ in range(300)]
        clock.advance(1)
        return [*names, clock.new_id()], [clock.jitter() for _ in range(3)]

    one, same, other = (drawn(ManualClock(seed=seed)) for seed in (1, 1, 2))
    assert one == same != other
    names, chances = one
    assert names == sorted(names)
    assert len(set(names)) == 301
    assert all(uuid.UUID(name).version == 7 and uuid.UUID(name).variant == uuid.RFC_4122 for name in names)
    assert all(0 <= chance < 1 for chance in chances)


def test_it_is_a_clock() -> None:
    clock: Clock = ManualClock(start=5)
    assert clock.now() == 5
