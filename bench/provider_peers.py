"""Other libraries on the server of `bench.provider`: the processor time of the same runs, in an environment of theirs.

``BENCH_PEERS`` names a Python that has pydantic-ai-slim[openai], openai-agents, langchain, langchain-openai and
openai[aiohttp]; without it nothing is measured. Each gets the tool, the steps and the vendor's fastest transport that ours
and the vendor's own client get, keeps nothing on disk and traces nothing, and has a process of its own for every round.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

PEERS = r'''
import asyncio, sys, time

from openai import AsyncOpenAI, DefaultAioHttpClient

WHICH, URL, RUNS, STEPS, AT_ONCE, STREAM = *sys.argv[1:3], *map(int, sys.argv[3:7])
HTTP = DefaultAioHttpClient()


async def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b


def client():
    return AsyncOpenAI(api_key="k", base_url=URL, http_client=HTTP, max_retries=0)


def pydantic_ai():
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider
    from pydantic_ai.settings import ModelSettings
    from pydantic_ai.usage import UsageLimits

    agent = Agent(OpenAIChatModel("m", provider=OpenAIProvider(openai_client=client())), tools=[add],
                  model_settings=ModelSettings(extra_body={"max_tokens": STEPS}))
    limits = UsageLimits(request_limit=None)

    async def whole():
        return (await agent.run("go", usage_limits=limits)).output

    async def streamed():
        async with agent.run_stream("go", usage_limits=limits) as result:
            return await result.get_output()

    return streamed if STREAM else whole


def openai_agents():
    from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled

    set_tracing_disabled(True)
    agent = Agent(name="bench", model=OpenAIChatCompletionsModel("m", client()), tools=[function_tool(add)],
                  model_settings=ModelSettings(max_tokens=STEPS, include_usage=True if STREAM else None))

    async def whole():
        return (await Runner.run(agent, "go", max_turns=STEPS + 2)).final_output

    async def streamed():
        result = Runner.run_streamed(agent, "go", max_turns=STEPS + 2)
        async for _ in result.stream_events():
            pass
        return result.final_output

    return streamed if STREAM else whole


def langgraph():
    from langchain.agents import create_agent
    from langchain.tools import tool
    from langchain_openai import ChatOpenAI

    # The vendor's aiohttp client, through http_async_client: the default is httpx with socket options, which costs more.
    model = ChatOpenAI(model="m", base_url=URL, api_key="k", http_async_client=HTTP, max_retries=0,
                       extra_body={"max_tokens": STEPS}, streaming=bool(STREAM), stream_usage=bool(STREAM))
    agent = create_agent(model, [tool(add)])

    async def run():
        # Streamed, the model streams within ainvoke: astream(stream_mode="messages") hands out the pieces too, and costs more.
        found = await agent.ainvoke({"messages": [("user", "go")]}, {"recursion_limit": 4 * STEPS})
        return found["messages"][-1].content

    return run


async def main():
    run = {"pydantic_ai": pydantic_ai, "openai_agents": openai_agents, "langgraph": langgraph}[WHICH]()
    slots = asyncio.Semaphore(AT_ONCE)

    async def held():
        async with slots:
            assert await run() == "done"

    await held()
    began = time.process_time()
    await asyncio.gather(*[held() for _ in range(RUNS)])
    print(time.process_time() - began)
    await HTTP.aclose()


asyncio.run(main())
'''
NAMES = {"pydantic_ai": "Pydantic AI", "openai_agents": "OpenAI Agents SDK", "langgraph": "LangGraph"}


def cpu(url: str, numbers: Sequence[int]) -> dict[str, float]:
    """CPU seconds of one round of each library by its name; the numbers are runs, steps, runs at once, and 1 for streamed."""
    python = os.environ.get("BENCH_PEERS")
    if not python:
        return {}
    taken: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "peers.py"
        script.write_text(PEERS)
        for name, title in NAMES.items():
            command = [python, str(script), name, url, *map(str, numbers)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=600)
            taken[title] = float(done.stdout.splitlines()[-1])
    return taken
