"""The chaos of `bench.recovery` for other libraries, each with the retries that its own documentation describes.

``BENCH_PEERS`` names a Python that has pydantic-ai-slim[openai], openai-agents, langchain and langchain-openai; without it
nothing is measured. Each asks as often as ours does, falls back to a second model where it knows how to, and has a failing
tool tell its model, which asks again. Right is what it is for ours: the tools' own ledger is that of runs without a fault.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

from bench.report import Figure

PEERS = r'''
import asyncio, collections, json, random, sys, time

WHICH, PORT, SEED, RUNS, TRIES = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
URL, TIMEOUT = f"http://127.0.0.1:{PORT}/v1", 2.0
chance, ledger, paid = random.Random(SEED), collections.Counter(), collections.Counter()


def recorded(run, n):
    if chance.random() < 0.2:
        raise ConnectionError("the line broke")
    ledger[run, n] += 1
    return f"ok {n}"


def payed(run):
    if chance.random() < 0.2:
        raise ConnectionError("the bank is busy")
    paid[run] += 1
    return "ok paid"


def pydantic_ai():
    import httpx
    from openai import AsyncOpenAI
    from pydantic_ai import Agent, ModelRetry, RunContext
    from pydantic_ai.models.fallback import FallbackModel
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider
    from pydantic_ai.retries import AsyncTenacityTransport, RetryConfig, wait_retry_after
    from tenacity import retry_if_exception_type, stop_after_attempt, wait_exponential

    def checked(response):
        if response.status_code in (429, 500, 502, 503, 504, 529):
            response.raise_for_status()

    def model(name):
        transport = AsyncTenacityTransport(
            config=RetryConfig(
                retry=retry_if_exception_type((httpx.HTTPStatusError, httpx.TransportError)),
                wait=wait_retry_after(fallback_strategy=wait_exponential(multiplier=1, max=60), max_wait=300),
                stop=stop_after_attempt(TRIES), reraise=True),
            validate_response=checked)
        client = httpx.AsyncClient(transport=transport, timeout=TIMEOUT)
        return OpenAIChatModel(name, provider=OpenAIProvider(openai_client=AsyncOpenAI(
            base_url=URL, api_key="k", http_client=client, timeout=TIMEOUT)))

    agent = Agent(FallbackModel(model("one"), model("two")), deps_type=int, retries=TRIES)

    @agent.tool
    async def record(context: RunContext[int], n: int) -> str:
        try:
            return recorded(context.deps, n)
        except ConnectionError as error:
            raise ModelRetry(str(error))

    @agent.tool
    async def pay(context: RunContext[int]) -> str:
        try:
            return payed(context.deps)
        except ConnectionError as error:
            raise ModelRetry(str(error))

    async def run(n):
        return (await agent.run(f"task {n}", deps=n)).output

    return run


def openai_agents():
    from agents import Agent, ModelRetrySettings, ModelSettings, OpenAIChatCompletionsModel, RunContextWrapper, Runner
    from agents import function_tool, retry_policies, set_tracing_disabled
    from openai import AsyncOpenAI

    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=URL, api_key="k", timeout=TIMEOUT)
    policy = retry_policies.any(
        retry_policies.provider_suggested(), retry_policies.network_error(),
        retry_policies.http_status([408, 409, 429, 500, 502, 503, 504, 529]))
    settings = ModelSettings(retry=ModelRetrySettings(
        max_retries=TRIES - 1, policy=policy,
        backoff={"initial_delay": 0.5, "max_delay": 60.0, "multiplier": 2.0, "jitter": True}))

    @function_tool
    async def record(context: RunContextWrapper[int], n: int) -> str:
        return recorded(context.context, n)

    @function_tool
    async def pay(context: RunContextWrapper[int]) -> str:
        return payed(context.context)

    agent = Agent(name="chaos", model=OpenAIChatCompletionsModel("one", client), tools=[record, pay], model_settings=settings)

    async def run(n):
        return (await Runner.run(agent, f"task {n}", context=n, max_turns=50)).final_output

    return run


def langgraph():
    from dataclasses import dataclass
    from langchain.agents import create_agent
    from langchain.agents.middleware import ModelFallbackMiddleware, ModelRetryMiddleware, ToolRetryMiddleware
    from langchain.tools import ToolRuntime, tool
    from langchain_openai import ChatOpenAI

    @dataclass
    class Own:
        run: int

    def model(name):
        return ChatOpenAI(model=name, base_url=URL, api_key="k", timeout=TIMEOUT, max_retries=2)

    @tool
    async def record(n: int, runtime: ToolRuntime[Own]) -> str:
        """Record."""
        return recorded(runtime.context.run, n)

    @tool
    async def pay(runtime: ToolRuntime[Own]) -> str:
        """Pay."""
        return payed(runtime.context.run)

    agent = create_agent(model("one"), [record, pay], context_schema=Own, middleware=[
        ModelRetryMiddleware(max_retries=TRIES - 1, on_failure="error", initial_delay=0.5, max_delay=60.0),
        ModelFallbackMiddleware(model("two")),
        ToolRetryMiddleware(max_retries=2, initial_delay=0.5),
    ])

    async def run(n):
        found = await agent.ainvoke({"messages": [("user", f"task {n}")]}, {"recursion_limit": 100}, context=Own(n))
        return found["messages"][-1].content

    return run


async def main():
    run = {"pydantic_ai": pydantic_ai, "openai_agents": openai_agents, "langgraph": langgraph}[WHICH]()
    began = time.perf_counter()
    ended = await asyncio.gather(*[run(n) for n in range(RUNS)], return_exceptions=True)
    took = time.perf_counter() - began
    failed = collections.Counter(type(one).__name__ for one in ended if isinstance(one, BaseException))
    right = sum(
        1 for n, one in enumerate(ended) if one == "done" and paid[n] == 1 and all(ledger[n, k] == 1 for k in range(3)))
    twice = sum(1 for n in range(RUNS) if paid[n] > 1)
    print(json.dumps({"right": right, "twice": twice, "took": took, "failed": failed}))


asyncio.run(main())
'''
NAMES = ("pydantic_ai", "openai_agents", "langgraph")


def figures_of(name: str, port: int, seed: int, runs: int, tries: int) -> list[Figure]:
    """What became of so many runs of one library against the chaos server on a port."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "peers.py"
        script.write_text(PEERS)
        command = [os.environ["BENCH_PEERS"], str(script), name, str(port), str(seed), str(runs), str(tries)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"{name}: {found}")
    return [
        Figure(f"{name}, {tries} tries: {runs} runs that finish right", found["right"] / runs * 100, "%"),
        Figure(f"{name}: payments made twice", found["twice"], ""),
        Figure(f"{name}: time", found["took"], "s"),
    ]
