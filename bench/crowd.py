"""Many runs at once: 200 runs of 10 steps in one process, with a model that takes 50 ms, on SQLite."""

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

from bench.report import Figure, at_most
from bench.steps import UNLIMITED, add
from surefoot import Agent, App
from surefoot.core.model import Emit, ModelReply, ModelRequest, ProposedCall

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


async def crowd(path: str) -> tuple[float, float]:
    """Seconds for all runs by the clock, and of the processor, in an application that has already worked once."""
    agent = Agent("crowd", model=Slow(), tools=[add], limits=UNLIMITED)
    async with App(f"sqlite:{path}", agents=[agent]) as app:
        await app.run(agent, "warm up")
        began, cpu = time.perf_counter(), time.process_time()
        runs = await asyncio.gather(*[app.run(agent, "go") for _ in range(RUNS)])
        taken, cpu = time.perf_counter() - began, time.process_time() - cpu
        assert all(run.status == "done" for run in runs)
    return taken, cpu


def main() -> None:
    print(*asyncio.run(crowd(sys.argv[1])), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def figures(rounds: int = 5) -> list[Figure]:
    seconds, cpus, peaks = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            command = [sys.executable, "-m", "bench.crowd", str(Path(folder) / f"{number}.db")]
            root = Path(__file__).parent.parent
            done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root, env=dict(os.environ))
            taken, cpu, peak = map(float, done.stdout.split())
            seconds.append(taken)
            cpus.append(cpu)
            peaks.append(peak)
    alone = STEPS * SECONDS
    return [
        at_most("200 runs of 10 steps, times the model's own time", statistics.median(seconds) / alone, "×", 1.2),
        Figure("processor time of them all", statistics.median(cpus) * 1e3, "ms"),
        at_most("the whole process at its peak", statistics.median(peaks), "MiB", 62),
    ]


if __name__ == "__main__":
    main()
