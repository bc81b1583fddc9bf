"""For every prefix of a run's events, resuming reaches the same end, and nothing that matters happens twice."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import HealthCheck, given, note, settings

from surefoot.core import events as ev
from surefoot.core.events import Record
from surefoot.core.state import State, fold
from surefoot.journal import MemoryStore
from surefoot.testing.clock import ManualClock
from tests.crash.replay import check_once, end_of, put
from tests.crash.scripts import Script, scripts
from tests.crash.world import World

#: Each example resumes every prefix of its run, so a few go a long way.
EXAMPLES = max(1, settings.default.max_examples // 4) if settings.default else 25


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(scripts())
async def test_resuming_from_every_prefix_reaches_the_same_end(script: Script) -> None:
    records = await recorded(script)
    note("\n".join(f"{record.seq} e{record.epoch} {record.event}" for record in records))
    end = end_of(records)
    for length in range(1, len(records) + 1):
        prefix = records[:length]
        for happened in (False, True) if lost(script, prefix) else (False,):
            told = await resumed(script, prefix, happened)
            came = end_of(told)
            assert came == end, (
                f"from {length} events ({'after' if happened else 'before'} effects): {came}, not {end}\n"
                + "\n".join(f"{record.seq} e{record.epoch} {record.event}" for record in told)
            )


async def recorded(script: Script) -> list[Record]:
    """The events of a story told without a fault, checked."""
    clock = ManualClock()
    store = MemoryStore(clock)
    await store.open()
    world = World(script, clock, store)
    run = await world.start()
    return await checked(store, world, run)


async def resumed(script: Script, prefix: Sequence[Record], happened: bool) -> list[Record]:
    """The events of a story that broke off, told on; ``happened`` says what became of calls that were under way."""
    clock = ManualClock()
    store = MemoryStore(clock)
    await store.open()
    await put(store, clock, prefix)
    world = World(script, clock, store)
    under_way = lost(script, prefix)
    for record in prefix:
        event = record.event
        if isinstance(event, ev.ToolStarted):
            broke = under_way.get(event.call) == event.attempt
            world.effects[event.call] += script.call(event.call).at(event.attempt).effect and (happened or not broke)
    await world.resume(prefix[0].stream)
    return await checked(store, world, prefix[0].stream)


def lost(script: Script, prefix: Sequence[Record]) -> dict[str, int]:
    """The calls under way at the end of a prefix that had an effect to do, with their attempt."""
    calls = fold(prefix).open_calls
    return {call.id: call.attempt for call in calls if call.status == "started" and script.call(call.id).at(call.attempt).effect}


async def checked(store: MemoryStore, world: World, run: str) -> list[Record]:
    """A finished story's events, once they hold what they must."""
    records = await store.read(run)
    check_once(records)
    state = State()
    for record in records:
        state.apply(record)
    assert state == fold(records)
    assert await store.check() == []
    for call, times in world.effects.items():
        name = world.script.call(call).tool
        if name.startswith(("send", "transfer")):
            assert times <= 1, f"{name} {call} happened {times} times"
    await store.close()
    return records
