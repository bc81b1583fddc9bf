"""Traced runs beside other libraries: what tracing adds to the same scripted run, in an environment of theirs.

``BENCH_PEERS`` names a Python that has pydantic-ai-slim, openai-agents and opentelemetry-sdk; without it only ours is
measured. Each run asks ten times for a tool that adds, by a model made from a function. Theirs keep nothing on disk; ours
keeps every event in SQLite, with or without telemetry.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

from bench.report import Figure
from bench.steps import Counting
from bench.telemetry import RUNS, STEPS, overhead

PEERS = r'''
import asyncio, json, statistics, sys, time

STEPS, RUNS, ROUNDS = int(sys.argv[1]), int(sys.argv[2]), 5


def timed(library):
    """Milliseconds a run without and with tracing: the medians of rounds in turns."""
    async def rounds():
        runs, taken = [library(False), library(True)], ([], [])
        for n in range(ROUNDS + 1):
            for run, found in zip(runs, taken):
                began = time.perf_counter()
                for _ in range(RUNS):
                    await run()
                if n:
                    found.append((time.perf_counter() - began) / RUNS * 1e3)
        return [statistics.median(found) for found in taken]
    return asyncio.run(rounds())


def pydantic_ai(traced):
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
    from pydantic_ai.models.function import FunctionModel
    from pydantic_ai.models.instrumented import InstrumentationSettings

    def reply(messages, info):
        at = sum(1 for message in messages if message.kind == "response")
        return ModelResponse([ToolCallPart("add", {"a": at, "b": 2}) if at < STEPS else TextPart("done")])

    agent = Agent(FunctionModel(reply))

    @agent.tool_plain
    async def add(a: float, b: float) -> float:
        return a + b

    if traced:
        provider, kept = TracerProvider(), InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(kept))
        agent.instrument = InstrumentationSettings(tracer_provider=provider)

    async def run():
        assert (await agent.run("go")).output == "done"
        if traced:
            assert len(kept.get_finished_spans()) > 2 * STEPS
            kept.clear()

    return run


def openai_agents(traced):
    import agents
    from agents import Agent, Model, ModelResponse, RunConfig, Runner, Usage, function_tool
    from agents.tracing import TracingProcessor
    from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

    class Kept(TracingProcessor):
        spans = 0
        def on_trace_start(self, trace): pass
        def on_trace_end(self, trace): pass
        def on_span_start(self, span): pass
        def on_span_end(self, span): Kept.spans += bool(span.export())
        def shutdown(self): pass
        def force_flush(self): pass

    class Scripted(Model):
        async def get_response(self, system_instructions, input, *arguments, **options):
            at = 0 if isinstance(input, str) else sum(1 for item in input if item.get("type") == "function_call")
            if at < STEPS:
                item = ResponseFunctionToolCall(
                    arguments=json.dumps({"a": at, "b": 2}), call_id=f"c{at}", name="add", type="function_call")
            else:
                text = ResponseOutputText(text="done", type="output_text", annotations=[])
                item = ResponseOutputMessage(id="m", content=[text], role="assistant", status="completed", type="message")
            return ModelResponse(output=[item], usage=Usage(), response_id=None)

        def stream_response(self, *arguments, **options):
            raise NotImplementedError

    @function_tool
    async def add(a: float, b: float) -> float:
        return a + b

    agents.set_trace_processors([Kept()])
    agent = Agent(name="bench", model=Scripted(), tools=[add])

    async def run():
        Kept.spans = 0
        found = await Runner.run(agent, "go", max_turns=STEPS + 2, run_config=RunConfig(tracing_disabled=not traced))
        assert found.final_output == "done"
        assert not traced or Kept.spans >= STEPS

    return run


print(json.dumps({f.__name__: timed(f) for f in (pydantic_ai, openai_agents)}))
'''


def figures() -> list[Figure]:
    off, on = overhead(Counting, RUNS)
    rows = [
        Figure(f"surefoot, durable, {STEPS} steps", off, "ms a run"),
        Figure("surefoot, all sinks on, more", on - off, "ms a run"),
    ]
    peers = os.environ.get("BENCH_PEERS")
    if not peers:
        return rows
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "peers.py"
        script.write_text(PEERS)
        done = subprocess.run([peers, str(script), str(STEPS), str(RUNS)], check=True, capture_output=True, text=True)
    for name, (bare, traced) in json.loads(done.stdout.splitlines()[-1]).items():
        rows += [
            Figure(f"{name}, in memory, {STEPS} steps", bare, "ms a run"),
            Figure(f"{name}, traced, more", traced - bare, "ms a run"),
        ]
    return rows
