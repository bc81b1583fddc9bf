"""How fast and how small the journal is.

Append p50 and p95 at one run (two events each) and its processor time; events a second at 500 runs; bytes in the file a
step of four events; reading and folding 10,000 events; in memory, and in a file in the folder of temporary files.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from bench.report import Figure, at_least, at_most
from surefoot.clock import SystemClock
from surefoot.core import events as ev
from surefoot.core.messages import Text, ToolCall, Usage
from surefoot.core.ports import Store
from surefoot.core.state import fold
from surefoot.journal import open_store

STEPS = 2_000


def step(number: int) -> tuple[list, list]:
    """The four events of one step of an ordinary run, in the two appends the loop makes of them."""
    call = f"{number}.0"
    return (
        [ev.ModelRequested(number, "openai:gpt-5-mini")],
        [
            ev.ModelReplied(
                number,
                (Text("Let me look that up."), ToolCall(call, "find_order", '{"order":"81"}', "call_9f8e7d6c5b4a")),
                Usage(812, 31, 640),
                120,
                "tool_calls",
                duration=812_345,
            ),
            ev.ToolStarted(call, "find_order", '{"order":"81"}', "read"),
        ],
    )


def outcome(number: int) -> list:
    return [ev.ToolReturned(f"{number}.0", '{"order":"81","status":"delivered","cents":6200}', duration=1_234)]


async def start(store: Store, run: str) -> tuple[int, int]:
    await store.add(run, ev.RunStarted("clerk", (Text("Order 81 arrived broken."),), session=run))
    claim = await store.claim(run, "bench", 600)
    assert claim is not None
    return claim.epoch, claim.records[-1].seq


async def drive(store: Store, run: str, steps: int) -> None:
    epoch, head = await start(store, run)
    for number in range(steps):
        asked, replied = step(number)
        for events in (asked, replied, outcome(number)):
            head = (await store.append(run, events, head=head, epoch=epoch))[-1].seq


async def one_run(store: Store) -> list[Figure]:
    epoch, head = await start(store, "one")
    took = []
    cpu = time.process_time()
    for number in range(STEPS):
        events = [step(number)[0][0], *outcome(number)]
        begin = time.perf_counter()
        head = (await store.append("one", events, head=head, epoch=epoch))[-1].seq
        took.append(time.perf_counter() - begin)
    cpu = (time.process_time() - cpu) / STEPS
    took.sort()
    return [
        at_most("append, one run, p50", took[STEPS // 2] * 1e3, "ms", 0.1),
        Figure("append, one run, p95", took[STEPS * 95 // 100] * 1e3, "ms"),
        at_most("append of two events, processor", cpu * 1e6, "µs", 40),
    ]


async def many_runs(store: Store, runs: int, steps: int) -> list[Figure]:
    names = [f"many-{number:04}" for number in range(runs)]
    begin = time.perf_counter()
    await asyncio.gather(*[drive(store, name, 0) for name in names])
    started = time.perf_counter() - begin

    async def on(name: str) -> None:
        head, epoch = 2, 1
        for number in range(steps):
            asked, replied = step(number)
            for events in (asked, replied, outcome(number)):
                head = (await store.append(name, events, head=head, epoch=epoch))[-1].seq

    cpu, begin = time.process_time(), time.perf_counter()
    await asyncio.gather(*[on(name) for name in names])
    took, cpu = time.perf_counter() - begin, time.process_time() - cpu
    count = runs * steps * 4
    return [
        Figure(f"{runs} runs added and claimed", started * 1e3, "ms"),
        at_least(f"events at {runs} runs", count / took, "a second", 20_000),
        Figure("processor an event", cpu / count * 1e6, "µs"),
    ]


async def size(path: str) -> list[Figure]:
    store = open_store(f"sqlite:{path}", SystemClock())
    await store.open()
    await drive(store, "warm", 100)
    await store.close()
    before = Path(path).stat().st_size
    await store.open()
    await asyncio.gather(*[drive(store, f"size-{number}", 200) for number in range(10)])
    await store.close()
    grown = (Path(path).stat().st_size - before) / 2_000
    return [at_most("file growth a step of four events", grown, "bytes", 1_000)]


async def resume(store: Store) -> list[Figure]:
    await drive(store, "long", 2_500)
    took = []
    for _ in range(5):
        begin = time.perf_counter()
        state = fold(await store.read("long"))
        took.append(time.perf_counter() - begin)
    assert state.seq == 10_002
    return [at_most("10,000 events read and folded", min(took) * 1e3, "ms", 150)]


async def measure(url: str) -> list[Figure]:
    store = open_store(url, SystemClock())
    await store.open()
    try:
        rows = await one_run(store)
        rows += await many_runs(store, 500, 20)
        rows += await resume(store)
    finally:
        await store.close()
    return rows


def figures() -> list[Figure]:
    rows = []
    for kind in ("memory", "sqlite"):
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            measured = asyncio.run(measure("memory:" if kind == "memory" else "sqlite:bench.db"))
            if kind == "sqlite":
                measured += asyncio.run(size("size.db"))
        rows += [replace(figure, name=f"{kind}: {figure.name}") for figure in measured]
    return rows
