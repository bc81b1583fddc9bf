"""Telemetry: what it costs a run, how far it is behind, and how fast a long run is shown.

All sinks (files, OpenTelemetry's SDK with an exporter that throws away, metrics, logs) against none, in one process, in
turns. The share of wall time is of runs whose model takes 50 ms a request, which is fast for one.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

from bench.report import Figure, at_most
from bench.steps import UNLIMITED, Counting, add
from surefoot import Agent, App
from surefoot.cli.show import branches
from surefoot.cli.story import tell
from surefoot.cli.trace import Form, written
from surefoot.clock import SystemClock
from surefoot.core import events as ev
from surefoot.core.messages import Text, ToolCall, Usage
from surefoot.core.model import Emit, ModelReply, ModelRequest
from surefoot.core.run import run_of
from surefoot.journal import open_store
from surefoot.telemetry.files import TraceFiles
from surefoot.telemetry.follower import Follower
from surefoot.telemetry.logs import Logs
from surefoot.telemetry.metrics import Metrics
from surefoot.telemetry.privacy import mask

STEPS, RUNS, ROUNDS = 10, 40, 5


class Slow(Counting):
    """A model that takes 50 ms."""

    async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
        await asyncio.sleep(0.05)
        return await super().request(request, emit)


def sinks(folder: Path) -> list[Any]:
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    from surefoot.telemetry.otel import Exporters, Otel

    class Nowhere(SpanExporter):
        def export(self, spans: object) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    return [TraceFiles(folder, redact=mask()), Otel(exporters=Exporters(Nowhere(), None, None)), Metrics(), Logs()]


async def _wall(path: Path, model: type[Counting], runs: int, telemetry: list[Any]) -> float:
    """Seconds a run, one after another, all telemetry written."""
    agent = Agent("bench", model=model(STEPS), tools=[add], limits=UNLIMITED)
    async with App(f"sqlite:{path}", agents=[agent], telemetry=telemetry) as app:
        await app.run(agent, "warm up")
        began = time.perf_counter()
        for _ in range(runs):
            run = await app.run(agent, "go")
            assert run.status == "done"
        return (time.perf_counter() - began) / runs


def overhead(model: type[Counting], runs: int) -> tuple[float, float]:
    """Milliseconds a run without and with all sinks: the median of rounds in turns."""
    off, on = [], []
    with tempfile.TemporaryDirectory() as folder:
        for n in range(ROUNDS):
            off.append(asyncio.run(_wall(Path(folder) / f"off{n}.db", model, runs, [])))
            on.append(asyncio.run(_wall(Path(folder) / f"on{n}.db", model, runs, sinks(Path(folder) / f"traces{n}"))))
    return statistics.median(off) * 1e3, statistics.median(on) * 1e3


class Arrivals:
    """A sink that notes how long each record took to get to it."""

    name = "arrivals"

    def __init__(self) -> None:
        self.lags: list[float] = []

    def begin(self) -> Any:
        return lambda record: [record.time]

    def write(self, before: Any, fresh: Any) -> None:
        now = time.time_ns() / 1e3
        self.lags += [(now - stamp) / 1e3 for stamp in fresh]

    def pruned(self, run: str) -> None: ...

    def close(self) -> None: ...


async def _lag(path: Path, seconds: float = 4.0, rate: int = 1_000) -> float:
    """The 95th percentile of the milliseconds from a commit to the sink, at so many events a second."""
    store, sink = open_store(f"sqlite:{path}", SystemClock()), Arrivals()
    await store.open()
    follower = Follower(store, sink)
    follower.begin()
    await store.add("r" * 32, ev.RunStarted("a"))
    claim = await store.claim("r" * 32, "w", 600)
    assert claim is not None
    began, sent = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < seconds:
        due = int(passed * rate) - sent
        for _ in range(due):
            await store.append("r" * 32, [ev.RunWarned("x", "y")], head=None, epoch=1)
        sent += due
        await asyncio.sleep(0.002)
    await follower.close()
    await store.close()
    assert len(sink.lags) >= sent
    return statistics.quantiles(sink.lags, n=20)[-1]


def long_run(events: int) -> list[ev.Record]:
    """One run of so many events."""
    return list(_records("r" * 32, events))


def _records(run: str, events: int, position: int = 0) -> Iterator[ev.Record]:
    made: list[ev.Event] = [ev.RunStarted("clerk", (Text("go"),), trace_id="ab" * 16), ev.RunClaimed("w")]
    step = 0
    while len(made) < events - 1:
        call = f"{step}.0"
        made += [
            ev.ModelRequested(step, "m:1"),
            ev.ModelReplied(step, (ToolCall(call, "add", '{"a":1,"b":2}'),), Usage(100, 20), 10, "tool_calls", duration=500),
            ev.ToolStarted(call, "add", '{"a":1,"b":2}', "read"),
            ev.ToolReturned(call, "3", duration=200),
        ]
        step += 1
    made.append(ev.RunFinished("done"))
    for seq, event in enumerate(made, 1):
        yield ev.Record(position + seq, run, seq, int(seq > 1), seq * 1_000, event)


class Endless:
    """A store whose journal is made up as it is read."""

    def __init__(self, events: int) -> None:
        self.events = events

    async def follow(self, stream: str | None = None, after: int = 0) -> AsyncGenerator[ev.Record]:
        position = 0
        while position < self.events:
            for record in _records(f"{position:032x}", 42, position):
                yield record
            position += 42


async def _memory(events: int) -> float:
    """MiB that the process grew by from a tenth of the events to all of them."""
    metrics = Metrics()
    sizes = []
    for count in (events // 10, events):
        follower = Follower(Endless(count), metrics, patience=600)  # type: ignore[arg-type]
        follower.begin()
        await follower.close()
        assert f'surefoot_runs_total{{gen_ai_agent_name="clerk",status="done"}} {-(-count // 42)}' in metrics.text()
        metrics = Metrics()
        gc.collect()
        sizes.append(_resident())
    return sizes[1] - sizes[0]


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def figures() -> list[Figure]:
    logging.getLogger("surefoot").addHandler(logging.NullHandler())
    logging.getLogger("surefoot").setLevel(logging.INFO)
    logging.getLogger("surefoot").propagate = False
    off, on = overhead(Counting, RUNS)
    slow_off, slow_on = overhead(Slow, 4)
    with tempfile.TemporaryDirectory() as folder:
        lag = asyncio.run(_lag(Path(folder) / "lag.db"))
    records = long_run(10_000)
    exports = [Figure(f"export of 10,000 events, {form}", *_timed(lambda form=form: _export(records, form))) for form in Form]
    shown = _timed(lambda: _show(records))
    grown = asyncio.run(_memory(int(os.environ.get("BENCH_EVENTS", "1000000"))))
    share = (slow_on / slow_off - 1) * 100
    return [
        Figure(f"a run of {STEPS} steps without telemetry, a model that takes no time", off, "ms"),
        at_most("all sinks on, more a run", on - off, "ms", 10),
        at_most("all sinks on, more wall time with a model of 50 ms", share, "%", 2),
        at_most("follower lag at 1,000 events/s, p95", lag, "ms", 100),
        *[at_most(one.name, one.value, one.unit, 1) for one in exports],
        at_most("show of 10,000 events, as a tree", shown[0], shown[1], 0.5),
        at_most("memory from 100,000 to 1,000,000 events", grown, "MiB", 10),
    ]


def _timed(work: Any) -> tuple[float, str]:
    took = []
    for _ in range(3):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took), "s"


def _export(records: list[ev.Record], form: Form) -> int:
    return sum(map(len, written([records], form, content=True)))


def _show(records: list[ev.Record]) -> None:
    story = tell(records)
    run = run_of(story.state)
    branches(story, run)
