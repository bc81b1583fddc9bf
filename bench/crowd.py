"""Many runs at once: 200 runs of 10 steps in one process, with a model that takes 50 ms, on SQLite.

Beside it, what its two parts take alone: the same runs with a journal in memory, and no runs at all but 200 tasks that wait as
often and write as many rows of the same table, all that are due in one turn of the loop in one transaction.
"""

from __future__ import annotations

import asyncio
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.report import Figure, at_most
from bench.steps import UNLIMITED, add
from surefoot import Agent, App
from surefoot.core.model import Emit, ModelReply, ModelRequest, ProposedCall
from surefoot.journal import database

RUNS, STEPS, SECONDS = 200, 10, 0.05


class Slow:
    """A model that takes its time, and calls ``add`` nine times before it answers."""

    name = "scripted:slow"
    context_window = 10_000_000

    async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
        await asyncio.sleep(SECONDS)
        said = sum(message.role == "assistant" for message in request.messages)
        if said == STEPS - 1:
            return ModelReply.say("done")
        return ModelReply(calls=(ProposedCall("add", f'{{"a":{said},"b":2}}'),), finish="tool_calls")


async def crowd(store: str) -> tuple[float, float]:
    """Seconds for all runs by the clock, and of the processor, in an application that has already worked once."""
    agent = Agent("crowd", model=Slow(), tools=[add], limits=UNLIMITED)
    async with App(store, agents=[agent]) as app:
        await app.run(agent, "warm up")
        began, cpu = time.perf_counter(), time.process_time()
        runs = await asyncio.gather(*[app.run(agent, "go") for _ in range(RUNS)])
        taken, cpu = time.perf_counter() - began, time.process_time() - cpu
        assert all(run.status == "done" for run in runs)
    return taken, cpu


class Bare:
    """Rows of the journal's table, written by SQLite and nothing else; two for each append, as a step's are."""

    BODY = '{"step":3,"parts":[["tool_call",{"id":"3.0","name":"add","arguments":"{}"}]],"usage":[50,10]}'

    def __init__(self, path: str) -> None:
        self._connection = database.connect(path, write=True)
        database.prepare(self._connection, path)
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA wal_autocheckpoint = 0")
        self._sql = database.Statements()
        self._position = 0
        self._group: list[tuple[list[Any], asyncio.Future[None]]] = []

    async def append(self, key: int, seq: int) -> None:
        """Write two rows with whatever else is to be written in this turn of the loop."""
        loop = asyncio.get_running_loop()
        if not self._group:
            loop.call_soon(self._flush)
        values: list[Any] = []
        for number in (seq, seq + 1):
            self._position += 1
            values += (self._position, key, number, 1, 1, "tool.started", 1, bytes(16), self.BODY, bytes(32))
        written: asyncio.Future[None] = loop.create_future()
        self._group.append((values, written))
        await written

    def _flush(self) -> None:
        group, self._group = self._group, []
        values = [value for row, _ in group for value in row]
        left, start = len(values) // 10, 0
        self._connection.execute("BEGIN IMMEDIATE")
        while left:
            rows = self._sql.chunk(left)
            self._connection.execute(self._sql.insert(rows), values[start : start + 10 * rows])
            start += 10 * rows
            left -= rows
        self._connection.execute("COMMIT")
        for _, written in group:
            written.set_result(None)


async def bare(path: str) -> tuple[float, float]:
    """Seconds by the clock, and of the processor, for the waiting and the writing alone."""
    store = Bare(path)

    async def one(key: int) -> None:
        for step in range(STEPS):
            await store.append(key, 1 + 4 * step)
            await asyncio.sleep(SECONDS)
            await store.append(key, 3 + 4 * step)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*[one(key) for key in range(1, RUNS + 1)])
    return time.perf_counter() - began, time.process_time() - cpu


def main() -> None:
    what = sys.argv[1]
    taken, cpu = asyncio.run(bare(what.removeprefix("bare:")) if what.startswith("bare:") else crowd(what))
    print(taken, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measured(what: str) -> tuple[float, float, float]:
    """Seconds by the clock and of the processor, and MiB, of one round in a process of its own."""
    command = [sys.executable, "-m", "bench.crowd", what]
    root = Path(__file__).parent.parent
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root, env=dict(os.environ))
    taken, cpu, peak = map(float, done.stdout.split())
    return taken, cpu, peak


def figures(rounds: int = 5) -> list[Figure]:
    durable, memory, floor = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            durable.append(measured(f"sqlite:{Path(folder) / f'{number}.db'}"))
            memory.append(measured("memory:"))
            floor.append(measured(f"bare:{Path(folder) / f'{number}.bare'}"))
    alone = STEPS * SECONDS
    taken, cpu, peak = (statistics.median(column) for column in zip(*durable, strict=True))
    in_memory, bare_sqlite = (statistics.median(one[0] for one in one_kind) / alone for one_kind in (memory, floor))
    return [
        at_most("200 runs of 10 steps, times the model's own time", taken / alone, "×", 1.2),
        Figure("processor time of them all", cpu * 1e3, "ms"),
        at_most("the whole process at its peak", peak, "MiB", 62),
        Figure("the same with a journal in memory", in_memory, "×"),
        Figure("no runs, but as much waiting, and as many rows by bare SQLite", bare_sqlite, "×"),
    ]


if __name__ == "__main__":
    main()
