"""Small tasks on the embedded model: 60 held-out ones with 2, 5 and 10 tools, none to two calls.

`bench/tasks/heldout.json` was written before the router was tuned, and only its totals were looked at while tuning;
`heldout2.json` was written by somebody else after the tuning was over; the sets named tuning are what it was tuned on. A
task's action is right when the right tools are called in the right order, and it is done when the arguments and the
answer are right as well.
"""

from __future__ import annotations

import asyncio
import json
import resource
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.report import Figure, at_least, at_most
from bench.tasks.toolsets import SETS
from surefoot import Agent, App, tool
from surefoot.core.messages import ToolCall
from surefoot.core.state import fold

TASKS = Path(__file__).with_name("tasks")


@dataclass(frozen=True)
class Outcome:
    calls: int  # that were made
    right: bool
    done: bool
    ended: bool
    seconds: float


def _fits(given: Any, wanted: Any) -> bool:
    """Whether an argument is what is wanted, or one of several that are; letter case does not matter."""
    if isinstance(wanted, list):
        return given == wanted or any(_fits(given, one) for one in wanted)
    if isinstance(wanted, str):
        return isinstance(given, str) and given.strip().casefold() == wanted.casefold()
    return bool(given == wanted)


def _meets(call: ToolCall, name: str, wanted: Mapping[str, Any]) -> bool:
    given = json.loads(call.arguments)
    return call.name == name and given.keys() == wanted.keys() and all(_fits(given[key], value) for key, value in wanted.items())


async def _task(app: App, agent: Agent[Any, str], task: Mapping[str, Any]) -> Outcome:
    began = time.perf_counter()
    run = await app.run(agent, task["ask"])
    seconds = time.perf_counter() - began
    state = fold(await app.events(run))
    calls = [part for message in state.messages for part in message.parts if isinstance(part, ToolCall)]
    right = [call.name for call in calls] == [name for name, _ in task["calls"]]
    good = right and all(_meets(call, *wanted) for call, wanted in zip(calls, task["calls"], strict=True))
    said = (run.output or "").casefold()
    done = run.status == "done" and good and all(part.casefold() in said for part in task.get("says", []))
    return Outcome(len(calls), right, done, run.ended, seconds)


async def measure(name: str) -> list[Outcome]:
    """Every task of a file, one after the other, each a run of its own."""
    tasks = json.loads((TASKS / f"{name}.json").read_text())["tasks"]
    read = tool(effect="read")
    agents = {key: Agent(key, model="local:", tools=[read(one) for one in tools]) for key, tools in SETS.items()}
    async with App("memory:", agents=list(agents.values())) as app:
        await app.run(agents["bills"], "Divide a bill of 90 among 3 friends")  # loads the model, and has it pick a value
        return [await _task(app, agents[task["tools"]], task) for task in tasks]


def figures() -> list[Figure]:
    held = asyncio.run(measure("heldout"))
    one = sorted(outcome.seconds for outcome in held if outcome.calls == 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = [
        at_least("held out, right action", 100 * statistics.mean(one.right for one in held), "%", 90),
        at_least("held out, done", 100 * statistics.mean(one.done for one in held), "%", 85),
        at_least("held out, runs that end", 100 * statistics.mean(one.ended for one in held), "%", 100),
        at_most("an answer with one tool call, median", statistics.median(one), "s", 1.5),
        at_most("an answer with one tool call, p95", one[int(len(one) * 0.95)], "s", 1.5),
        at_most("resident memory, peak", peak, "MiB", 600),
    ]
    for name in ("heldout2", "tuning", "tuning2", "tuning3"):
        tuned = asyncio.run(measure(name))
        found.append(Figure(f"{name}, right action", 100 * statistics.mean(one.right for one in tuned), "%"))
        found.append(Figure(f"{name}, done", 100 * statistics.mean(one.done for one in tuned), "%"))
    return found
