"""Recovery: what it costs when nothing fails, what is lost while a provider is down, and 500 runs through chaos.

The chaos is a model server in a process of its own (`bench.chaos_server`) of whose answers 30 % fail in every way there is,
and tools of whose calls 20 % fail before they do anything. Right means that the tools' own ledger is that of runs without a
fault: every record once, every payment once. The seed is printed with the figures; ``CHAOS_SEED`` sets it.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from typing import Any

from bench import chaos_peers
from bench.report import Figure, at_least, at_most
from surefoot import Agent, App, Settings, tool
from surefoot.clock import SystemClock
from surefoot.core import events as ev
from surefoot.core.errors import ModelError, Retry
from surefoot.core.model import Emit, ModelReply, ModelRequest, ModelSettings
from surefoot.core.pace import Pace
from surefoot.core.ports import Model
from surefoot.core.state import State
from surefoot.core.tool import ToolContext
from surefoot.journal import MemoryStore
from surefoot.recovery.options import Recovery
from surefoot.recovery.stack import Stack

CALLS, ROUNDS, RUNS, SHARE = 20_000, 5, 500, 0.3


class Still:
    """A model that answers at once, or fails when it is told to."""

    context_window = 100_000

    def __init__(self, name: str, error: ModelError | None = None) -> None:
        self.name, self.error = name, error
        self.reply = ModelReply.say("done")

    async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
        if self.error is not None:
            raise self.error
        return self.reply


async def _cost(model: Model) -> float:
    """Microseconds of a call."""
    request, best = ModelRequest([], attempt=1), float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(CALLS):
            await model.request(request, print)
        best = min(best, (time.perf_counter() - began) / CALLS * 1e6)
    return best


def _watching(stack: Stack) -> float:
    """Microseconds of the guards for one step, with the figures they read."""
    from surefoot.core.call import Call
    from surefoot.core.messages import ToolResult
    from surefoot.core.values import Limits

    guards = stack.guards_of("a", (), Limits(steps=50), 100_000)
    state, best = State(steps=10, pace=Pace()), float("inf")
    calls = [[Call("0.0", "look", f'{{"n":{n}}}', result=ToolResult("0.0", "look", "seen"))] for n in range(2)]
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for at in range(CALLS):
            state.pace.replied(10, 5)
            state.pace.worked()
            state.pace.saw(calls[at % 2])
            state.pace.alternating = 0
            for guard in guards:
                guard.check(state, 0)
        best = min(best, (time.perf_counter() - began) / CALLS * 1e6)
    return best


async def _overhead() -> list[Figure]:
    clock = SystemClock()
    store = MemoryStore(clock)
    await store.open()
    stack = Stack(Recovery(), clock, store)
    still = Still("still:one")
    bare, guarded = await _cost(still), await _cost(stack.model_of([still]))
    chain = await _cost(stack.model_of([still, Still("still:two")]))
    watching = _watching(stack)
    down = stack.model_of([Still("down:one", ModelError("overloaded", "no", retry_after=3_600)), still])
    with_open = []
    for _ in range(1_000):
        began = time.perf_counter()
        reply = await down.request(ModelRequest([]), print)
        with_open.append(time.perf_counter() - began)
        assert reply.by == "still:one"
    lost = sorted(with_open[1:])[len(with_open) // 2] * 1e3 - chain / 1e3
    return [
        at_most("breaker, retry budget and limits around a call that succeeds", guarded - bare, "µs", 20),
        at_most("the same in a chain of two, and the guards: the whole stack", chain - bare + watching, "µs", 20),
        Figure("of which the guards, a step", watching, "µs"),
        at_most("lost on a model whose breaker is open, median", lost, "ms", 5),
    ]


class Chaos:
    """The chaos server's process."""

    def __init__(self, seed: int, share: float) -> None:
        self._command = [sys.executable, "-m", "bench.chaos_server", str(seed), str(share)]

    def __enter__(self) -> Chaos:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)

    def counts(self) -> dict[str, int]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/counts") as answer:
            found: dict[str, int] = json.load(answer)
        return found


def _tries(events: list[Any], *, done: bool) -> int:
    """The most tries for one answer of a run; what was refused without being sent is none."""
    failed = Counter[int]()
    for event in events:
        if isinstance(event, ev.ModelFailed) and event.error.data.get("sent", True):
            failed[event.step] += 1
    return max(failed.values(), default=0) + done


async def _chaos(port: int, seed: int, names: list[str], settings: Settings, runs: int) -> dict[str, Any]:
    """So many runs at once; what became of them, of the ledger and of the attempts."""
    from surefoot.models.openai import OpenAI

    chance, ledger, paid = random.Random(seed), Counter[tuple[str, int]](), Counter[str]()

    @tool(effect="idempotent")
    async def record(context: ToolContext[Any], n: int) -> str:
        if chance.random() < 0.2:
            raise ConnectionError("the line broke")
        ledger[context.run_id, n] += 1
        return f"ok {n}"

    @tool(effect="unsafe", retries=6)
    async def pay(context: ToolContext[Any]) -> str:
        if chance.random() < 0.2:
            raise Retry("the bank is busy", after=0)
        paid[context.run_id] += 1
        return "ok paid"

    models = [OpenAI(name, api_key="k", base_url=f"http://127.0.0.1:{port}/v1", context_window=100_000) for name in names]
    agent = Agent("chaos", model=models, tools=[record, pay], settings=ModelSettings(timeout=2))
    began = time.perf_counter()
    async with App("memory:", agents=[agent], settings=settings, approve=lambda request: True) as app:
        ended = await asyncio.gather(*[app.run(agent, f"task {n}") for n in range(runs)])
        took = time.perf_counter() - began
        fell = most = 0
        for run in ended:
            events = [item.event for item in await app.events(run)]
            fell += sum(isinstance(event, ev.RunWarned) and event.kind == "fell_back" for event in events)
            most = max(most, _tries(events, done=run.output == "done"))
    for model in models:
        await model.aclose()
    done = [run for run in ended if run.output == "done"]
    right = [run for run in done if paid[run.id] == 1 and all(ledger[run.id, n] == 1 for n in range(3))]
    for run in ended:
        if run not in right:
            print(
                "not right:",
                run.status,
                run.error and (run.error.kind, run.error.message),
                [ledger[run.id, n] for n in range(3)],
                paid[run.id],
            )
    return {"right": len(right), "twice": sum(n > 1 for n in paid.values()), "took": took, "fell": fell, "most": most}


def _through_chaos(title: str, names: list[str], settings: Settings, runs: int, seed: int) -> list[Figure]:
    with Chaos(seed, SHARE) as server:
        found = asyncio.run(_chaos(server.port, seed, names, settings, runs))
        counts = server.counts()
    asked, needed = counts["all"], runs * 5
    print(f"{title}: seed {seed}, {asked} requests for {needed} answers, {counts}")
    return [
        at_least(f"{title}: {runs} runs that finish right", found["right"] / runs * 100, "%", 100),
        at_most(f"{title}: unsafe calls that happened twice", found["twice"], "", 0),
        at_most(f"{title}: the most tries for one answer", found["most"], "", settings.model_tries),
        Figure(f"{title}: requests for an answer (1.43 is the least that 30 % faults allow)", asked / needed, ""),
        Figure(f"{title}: answers by the second model", found["fell"] / needed * 100, "%"),
        Figure(f"{title}: time", found["took"], "s"),
    ]


def _peers(runs: int, seed: int) -> list[Figure]:
    """The same chaos for other libraries, where there is a Python that has them."""
    rows: list[Figure] = []
    for name in chaos_peers.NAMES if os.environ.get("BENCH_PEERS") else ():
        with Chaos(seed, SHARE) as server:
            rows += chaos_peers.figures_of(name, server.port, seed, runs, Settings().model_tries)
    return rows


def figures() -> list[Figure]:
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(2**31))
    runs = int(os.environ.get("CHAOS_RUNS") or RUNS)
    return [
        *asyncio.run(_overhead()),
        Figure("the chaos' seed", seed, ""),
        *_through_chaos("chain of two", ["one", "two"], Settings(), runs, seed),
        *_through_chaos("chain of two, 4 tries", ["one", "two"], Settings(model_tries=4), runs, seed),
        *_through_chaos("one model", ["one"], Settings(), max(1, runs // 5), seed),
        *_peers(runs, seed),
    ]
