"""Approvals: what the gate costs a call, a long queue, and how soon a decision becomes a running tool.

The gate has 50 rules over 25 tools, of which those for the called tool are evaluated: mapping, engine and verdict together.
The queue is 100,000 runs in one SQLite file, each with an open question.
"""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.report import Figure, at_most
from surefoot import Agent, App, tool
from surefoot.approvals.layers import layers_of
from surefoot.approvals.policy import CedarPolicy
from surefoot.core import events as ev
from surefoot.core.judging import Judged
from surefoot.core.messages import Text
from surefoot.core.tool import ToolSpec
from surefoot.core.values import Verdict
from surefoot.testing import ScriptedModel

CALLS, TRIPS = 2_000, 30
QUEUE = int(os.environ.get("BENCH_QUEUE", "100000"))
SCHEMA = {
    "type": "object",
    "properties": {"order": {"type": "string"}, "cents": {"type": "integer"}, "note": {"type": "string"}},
    "required": ["order", "cents", "note"],
}
FRESH = """
import sys, time
began = float(sys.argv[3])
import asyncio
from surefoot import Agent, App, tool
from surefoot.testing import FunctionModel

@tool
async def pay(a: float, b: float) -> float:
    print((time.time() - began) * 1000, flush=True)
    return a + b

agent = Agent("bench", model=FunctionModel(lambda request: "done"), tools=[pay])

async def main():
    async with App(sys.argv[1], agents=[agent]) as app:
        await app.wait(await app.decide(sys.argv[2], approve=True))

asyncio.run(main())
"""


def _gate() -> tuple[float, float]:
    """Microseconds a judged call: median, and 95th percentile."""
    tools = [ToolSpec(f"tool{number}", input_schema=SCHEMA) for number in range(25)]
    rules = "\n".join(
        f'permit(principal, action == Action::"{one.name}", resource) when {{ context.args.cents <= 5000 }};'
        f'@ask("approver") forbid(principal, action == Action::"{one.name}", resource) when {{ context.args.cents > 5000 }};'
        for one in tools
    )
    policy = CedarPolicy(layers_of(rules, "policy"))
    policy.admit(tools)
    call = Judged("0.0", '{"cents":4200,"note":"broken on arrival","order":"81"}', tools[7], "clerk", "dana")
    times = []
    for _ in range(CALLS):
        began = time.perf_counter()
        policy.judge(call)
        times.append((time.perf_counter() - began) * 1e6)
    return statistics.median(times), statistics.quantiles(times, n=20)[-1]


async def _queue(folder: str) -> tuple[float, float]:
    """Milliseconds to list the newest 20 questions, and to decide one, among all."""
    async with App(f"sqlite:{folder}/queue.db") as app:
        store = app.store
        asked = Verdict("0.0", "ask", ("big",), "over 50 euros")

        async def one(number: int) -> None:
            run = f"{number:032x}"
            await store.add(run, ev.RunStarted("clerk", (Text("Refund it."),)))
            claim = await store.claim(run, "bench", 60.0)
            assert claim is not None
            request = ev.ApprovalRequested(f"{run}:0.0", "0.0", "refund", "d", "over 50 euros", "call", asked)
            await store.append(run, [request, ev.RunSuspended((request.request,))], head=None, epoch=claim.epoch)

        for start in range(0, QUEUE, 500):
            await asyncio.gather(*[one(number) for number in range(start, min(start + 500, QUEUE))])
    listing, deciding = [], []
    async with App(f"sqlite:{folder}/queue.db") as app:  # as another process would, which has not written all of this
        gc.collect()
        gc.freeze()
        for number in range(20):
            began = time.perf_counter()
            runs = await app.list(status=("waiting",), parent="", limit=20)
            listing.append((time.perf_counter() - began) * 1e3)
            assert len(runs) == 20
            began = time.perf_counter()
            await app.decide(f"{number * (QUEUE // 21):032x}:0.0", approve=True)
            deciding.append((time.perf_counter() - began) * 1e3)
    return statistics.median(listing), statistics.median(deciding)


async def _trips(folder: str) -> float:
    """Milliseconds from a decision to the body of its tool, in a worker that runs already."""
    started = asyncio.Event()

    @tool
    async def pay(a: float, b: float) -> float:
        started.set()
        return a + b

    times = []
    for number in range(TRIPS):
        agent = Agent("bench", model=ScriptedModel(("pay", {"a": 1, "b": 2}), "done"), tools=[pay])
        async with App(f"sqlite:{folder}/trip{number}.db", agents=[agent]) as app:
            run = await app.run(agent, "go")
            started.clear()
            began = time.perf_counter()
            await app.decide(run.waiting[0], approve=True)
            await started.wait()
            times.append((time.perf_counter() - began) * 1e3)
            await app.wait(run)
    return statistics.median(times)


async def _fresh(folder: str) -> float:
    """Milliseconds from starting a process that decides to the body of the tool in it."""

    @tool
    async def pay(a: float, b: float) -> float:
        return a + b

    times = []
    for number in range(7):
        store = f"sqlite:{folder}/fresh{number}.db"
        agent = Agent("bench", model=ScriptedModel(("pay", {"a": 1, "b": 2})), tools=[pay])
        async with App(store, agents=[agent]) as app:
            request = (await app.run(agent, "go")).waiting[0].id
        command = [sys.executable, "-c", FRESH, store, request, str(time.time())]
        times.append(float(subprocess.run(command, capture_output=True, check=True, text=True).stdout))  # noqa: ASYNC221
    return statistics.median(times)


def figures() -> list[Figure]:
    median, late = _gate()
    with tempfile.TemporaryDirectory() as folder:
        listing, deciding = asyncio.run(_queue(folder))
        trip = asyncio.run(_trips(folder))
        fresh = asyncio.run(_fresh(folder))
        size = Path(folder, "queue.db").stat().st_size / 2**20
    return [
        at_most("the gate with 50 rules, a call, median", median, "µs", 100),
        Figure("the gate with 50 rules, a call, 95th percentile", late, "µs"),
        at_most(f"listing the newest 20 of {QUEUE:,} questions", listing, "ms", 10),
        at_most(f"deciding one of {QUEUE:,} questions", deciding, "ms", 10),
        Figure("the file that holds them", size, "MiB"),
        at_most("from a decision to its tool, in a running worker", trip, "ms", 150),
        at_most("from a decision to its tool, into a new process", fresh, "ms", 450),
    ]
