"""The cost of a step: one model call and one tool call, without the model's and the tool's own time.

CPU of the whole process, the writing thread included, as the difference of a long and a short run, so that what a run
costs once is not counted. The floor is a loop written by hand with the standard library: no types, no journal, no gate.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.report import Figure, at_most
from surefoot import Agent, App, tool
from surefoot.core.model import Emit, ModelReply, ModelRequest, ProposedCall
from surefoot.core.ports import Judged
from surefoot.core.tool import ToolSpec
from surefoot.core.values import Limits, Verdict

SHORT, LONG, ROUNDS = 10, 210, 7
UNLIMITED = Limits(steps=None)


class Counting:
    """A model that calls ``add`` until it has done so often enough; it costs next to nothing."""

    name = "scripted:counting"
    context_window = 10_000_000

    def __init__(self, steps: int, tool: str = "add") -> None:
        self.steps = steps
        self.tool = tool
        self.at = 0

    async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
        self.at += 1
        if self.at > self.steps:
            self.at = 0
            return ModelReply.say("done")
        return ModelReply(calls=(ProposedCall(self.tool, f'{{"a":{self.at},"b":2}}'),), finish="tool_calls")


@tool(effect="read")
async def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b


@tool(effect="unsafe")
async def pay(a: float, b: float) -> float:
    """Move money."""
    return a + b


async def _cpu(store: str, steps: int, rounds: int) -> float:
    """The median of the CPU seconds of runs of so many steps."""
    agent = Agent("bench", model=Counting(steps), tools=[add], limits=UNLIMITED)
    taken = []
    async with App(store, agents=[agent]) as app:
        await app.run(agent, "warm up")
        for _ in range(rounds):
            began = time.process_time()
            run = await app.run(agent, "go")
            taken.append(time.process_time() - began)
            assert run.status == "done"
            assert run.steps == steps + 1
    return statistics.median(taken)


def step(store: str, short: int = SHORT, long: int = LONG) -> float:
    """Microseconds of CPU a step."""
    least = min(
        (asyncio.run(_cpu(store, long, ROUNDS)) - asyncio.run(_cpu(store, short, ROUNDS))) / (long - short) for _ in range(2)
    )
    return least * 1e6


def floor(steps: int = 20_000) -> float:
    """Microseconds of CPU a step of a loop with nothing but the standard library."""

    async def model(messages: list[dict[str, object]], at: int) -> dict[str, object]:
        if at == steps:
            return {"text": "done"}
        return {"calls": [{"name": "add", "arguments": json.dumps({"a": at, "b": 2})}]}

    async def loop() -> None:
        tools = {"add": lambda a, b: a + b}
        messages: list[dict[str, object]] = [{"role": "user", "content": "go"}]
        for at in range(steps + 1):
            reply = await model(messages, at)
            messages.append(reply)
            for call in reply.get("calls", ()):  # type: ignore[attr-defined]
                result = tools[call["name"]](**json.loads(call["arguments"]))
                messages.append({"role": "tool", "content": json.dumps(result)})

    began = time.process_time()
    asyncio.run(loop())
    return (time.process_time() - began) / steps * 1e6


class Lenient:
    """A policy that lets every call run, so that what is counted is the call and not the question before it."""

    digest = "lenient"

    def settled(self, tool: ToolSpec) -> str:
        return "allow"

    def judge(self, call: Judged) -> Verdict:
        return Verdict(call.call, "allow", ("lenient",))


def flushes(name: str, asked: str) -> float:
    """Flushes to the disk a step with a tool, as strace counts them."""
    code = "import asyncio, sys; from bench.steps import flushed; asyncio.run(flushed(*sys.argv[1:4], int(sys.argv[4])))"
    counts = []
    with tempfile.TemporaryDirectory() as folder:
        for steps in (0, 20):
            out, path = Path(folder) / f"trace{steps}", Path(folder) / f"{steps}.db"
            strace = ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", str(out)]
            subprocess.run(
                [*strace, sys.executable, "-c", code, str(path), name, asked, str(steps)],
                check=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent.parent), *sys.path])},
            )
            counts.append(sum("sync(" in line for line in out.read_text().splitlines()))
    return (counts[1] - counts[0]) / 20


async def flushed(path: str, name: str, asked: str, steps: int) -> None:
    """One run of so many steps with a tool; ``asked``: by the default policy, and approved by a callback."""
    agent = Agent("bench", model=Counting(steps, name), tools=[add, pay], limits=UNLIMITED)
    policy = None if asked == "asked" else Lenient()
    async with App(f"sqlite:{path}", agents=[agent], approve=lambda request: True, policy=policy) as app:
        run = await app.run(agent, "go")
        assert run.status == "done", run.error


def flush_figures() -> list[Figure]:
    if shutil.which("strace") is None:
        return [Figure("flushes to the disk a step (not counted: there is no strace)", float("nan"), "")]
    return [
        at_most("flushes to the disk a step, read tool", flushes("add", "asked"), "", 0),
        at_most("flushes to the disk a step, unsafe tool that may run", flushes("pay", "free"), "", 2),
        Figure("flushes to the disk a step, unsafe tool that a human is asked about", flushes("pay", "asked"), ""),
    ]


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "steps.db"
        bare = floor()
        memory = step("memory:")
        durable = step(f"sqlite:{path}")
        late = step(f"sqlite:{Path(folder) / 'late.db'}", 200, 400)
        with sqlite3.connect(path) as connection:
            (events,) = connection.execute("SELECT count(*) FROM event").fetchone()
        size = sum(file.stat().st_size for file in Path(folder).glob("steps.db*") if "wal" not in file.name)
    return [
        Figure("floor: a loop by hand, CPU a step", bare, "µs"),
        at_most("in memory, CPU a step", memory, "µs", 60),
        Figure(
            "in memory, times the floor",
            memory / bare,
            "×",
            "≤ 6.7 × (60 µs beside a floor of 9)",
            memory / bare <= 60 / 9,
        ),
        at_most("durable (SQLite), gated and traced, CPU a step", durable, "µs", 200),
        Figure(
            "durable, times the floor",
            durable / bare,
            "×",
            "≤ 22 × (200 µs beside a floor of 9)",
            durable / bare <= 200 / 9,
        ),
        Figure("durable, steps 200 to 400 against 10 to 210", late / durable, "×", "flat: ≤ 1.15 ×", late / durable <= 1.15),
        at_most("stored a step of four events", size / events * 4, "bytes", 1_000),
        *flush_figures(),
    ]
