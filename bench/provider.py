"""The cost of a step with a provider: our adapter and loop against the vendor's client alone, over loopback HTTP.

200 runs of 10 steps, each a request and a call of a tool, 20 runs at a time. CPU is that of the whole process; the server is
another process. Both sides take the vendor's fastest transport, and turns at the same machine: one round of each, several
times over, and the medians of the rounds count. Other libraries are measured in the same run, and ours by the cheapest of
them, when ``BENCH_PEERS`` names a Python that has them; `bench.provider_peers` says which.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from bench import provider_peers
from bench.report import Figure, at_most
from surefoot import Agent, App, tool
from surefoot.core.model import Delta
from surefoot.core.values import Limits

RUNS, STEPS, AT_ONCE, ROUNDS = 200, 10, 20, 2
FIRST = 100

SERVER = """
import asyncio, functools, json, sys

USED = {"prompt_tokens": 50, "completion_tokens": 10, "total_tokens": 60}


def asked(key):
    return {"name": "add", "arguments": json.dumps({"a": key, "b": 2})}


def whole(key, calls):
    call = {"id": f"c{key}", "type": "function", "function": asked(key)}
    said = {"role": "assistant", "content": None, "tool_calls": [call]} if calls else {"role": "assistant", "content": "done"}
    choice = {"index": 0, "message": said, "finish_reason": "tool_calls" if calls else "stop"}
    body = {"id": f"x{key}", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": USED}
    return "application/json", json.dumps(body).encode()


def streamed(key, calls):
    call = {"index": 0, "id": f"c{key}", "type": "function", "function": asked(key)}
    first = {"role": "assistant", "tool_calls": [call]} if calls else {"role": "assistant", "content": "do"}
    deltas = [(first, None), ({} if calls else {"content": "ne"}, None), ({}, "tool_calls" if calls else "stop")]
    chunks = [{"id": f"x{key}", "object": "chat.completion.chunk", "created": 1, "model": "m",
               "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]} for delta, finish in deltas]
    chunks.append({"id": f"x{key}", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": USED})
    return "text/event-stream", b"".join(b"data: %s\\n\\n" % json.dumps(one).encode() for one in chunks) + b"data: [DONE]\\n\\n"


@functools.cache
def answered(stream, key, calls):
    return (streamed if stream else whole)(key, calls)


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\\r\\n\\r\\n")).decode().lower()
            size = int(head.split("content-length: ")[1].split("\\r\\n")[0])
            body = json.loads(await reader.readexactly(size))
            done = sum(message["role"] == "tool" for message in body["messages"])
            kind, answer = answered(bool(body.get("stream")), done, done < body["max_tokens"])
            head = f"HTTP/1.1 200 OK\\r\\ncontent-type: {kind}\\r\\ncontent-length: {len(answer)}\\r\\n\\r\\n"
            writer.write(head.encode() + answer)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    print("ready", flush=True)
    await server.serve_forever()


asyncio.run(main())
"""


@tool(effect="read")
async def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b


TOOL: Any = {
    "type": "function",
    "function": {"name": "add", "description": add.spec.description, "parameters": add.spec.input_schema},
}


@contextlib.contextmanager
def server() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([sys.executable, "-c", SERVER, str(port)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.kill()


async def _cpu(one: Callable[[], Awaitable[None]]) -> float:
    """CPU seconds of all the runs, some at a time."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def held() -> None:
        async with slots:
            await one()

    began = time.process_time()
    await asyncio.gather(*[held() for _ in range(RUNS)])
    return time.process_time() - began


@contextlib.asynccontextmanager
async def vendor(url: str, *, stream: bool) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """The vendor's client alone, in the shortest loop that does the same."""
    import openai

    client = openai.AsyncOpenAI(api_key="k", base_url=url, http_client=openai.DefaultAioHttpClient(), max_retries=0)

    async def whole(messages: list[Any]) -> tuple[str, list[Any]]:
        reply = await client.chat.completions.create(model="m", messages=messages, tools=[TOOL], max_tokens=STEPS)
        message = reply.choices[0].message
        calls = [(call.id, call.function.arguments) for call in message.tool_calls or () if call.type == "function"]
        return message.content or "", calls

    async def streamed(messages: list[Any]) -> tuple[str, list[Any]]:
        text, calls = "", []
        stream = await client.chat.completions.create(
            model="m", messages=messages, tools=[TOOL], max_tokens=STEPS, stream=True, stream_options={"include_usage": True}
        )  # fmt: skip
        async for chunk in stream:
            for choice in chunk.choices:
                text += choice.delta.content or ""
                for call in choice.delta.tool_calls or ():
                    assert call.function is not None
                    calls.append((call.id, call.function.arguments))
        return text, calls

    ask = streamed if stream else whole

    async def one() -> None:
        messages: list[Any] = [{"role": "user", "content": "go"}]
        while True:
            text, calls = await ask(messages)
            if not calls:
                assert text == "done"
                return
            said = [{"id": key, "type": "function", "function": {"name": "add", "arguments": given}} for key, given in calls]
            messages.append({"role": "assistant", "content": None, "tool_calls": said})
            for key, given in calls:
                arguments = json.loads(given)
                messages.append({"role": "tool", "tool_call_id": key, "content": str(arguments["a"] + arguments["b"])})

    await one()
    yield one
    await client.close()


@contextlib.asynccontextmanager
async def ours(url: str, store: str, *, stream: bool) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """An agent of ours on a store."""
    from surefoot.core.model import ModelSettings
    from surefoot.models.openai import OpenAI

    model = OpenAI("m", api_key="k", base_url=url, stream=stream)
    agent = Agent("bench", model=model, tools=[add], limits=Limits(), settings=ModelSettings(max_tokens=STEPS))
    async with App(store, agents=[agent]) as app:

        async def one() -> None:
            run = await app.run(agent, "go")
            assert run.output == "done", run.error

        await one()
        yield one
    await model.aclose()


async def _rounds(url: str, store: str, *, stream: bool) -> tuple[float, float]:
    """The medians of the rounds: the vendor's client, and ours; each round is one of both."""
    theirs, mine = [], []
    for number in range(ROUNDS):
        async with vendor(url, stream=stream) as one:
            theirs.append(await _cpu(one))
        async with ours(url, f"{store}{number}" if store != "memory:" else store, stream=stream) as one:
            mine.append(await _cpu(one))
    return statistics.median(theirs), statistics.median(mine)


async def _first_token(url: str, store: str) -> float:
    """Milliseconds that we add to the time from asking to the first piece of the answer."""
    import openai

    from surefoot.core.model import ModelSettings
    from surefoot.models.openai import OpenAI

    client = openai.AsyncOpenAI(api_key="k", base_url=url, http_client=openai.DefaultAioHttpClient(), max_retries=0)
    model = OpenAI("m", api_key="k", base_url=url)
    agent = Agent("first", model=model, settings=ModelSettings(max_tokens=0))
    theirs, mine = [], []
    async with App(store, agents=[agent]) as app:
        for _ in range(FIRST):
            began = time.perf_counter()
            messages: list[Any] = [{"role": "user", "content": "go"}]
            async for chunk in await client.chat.completions.create(model="m", messages=messages, max_tokens=0, stream=True):
                if chunk.choices and chunk.choices[0].delta.content:
                    theirs.append(time.perf_counter() - began)
                    break
            began = time.perf_counter()
            seen = False
            async for item in app.stream(agent, "go"):
                if isinstance(item, Delta) and not seen:
                    seen = True
                    mine.append(time.perf_counter() - began)
    await client.close()
    await model.aclose()
    return (statistics.median(mine) - statistics.median(theirs)) * 1e3


def _peers(url: str, mine: float, *, stream: bool) -> list[Figure]:
    """The medians of each other library's rounds, and ours by the cheapest; nothing where none is installed."""
    rounds = [provider_peers.cpu(url, (RUNS, STEPS, AT_ONCE, int(stream))) for _ in range(ROUNDS)]
    taken = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    if not taken:
        return []
    how, best = "streamed" if stream else "whole", min(taken, key=lambda name: taken[name])
    return [
        *[Figure(f"{name}, {how}", seconds / (RUNS * (STEPS + 1)) * 1e3, "ms CPU a request") for name, seconds in taken.items()],
        at_most(f"ours on SQLite by the cheapest of them, {best}, {how}", mine / taken[best], "times", 0.6),
    ]


def figures() -> list[Figure]:
    found: list[Figure] = []
    requests = RUNS * (STEPS + 1)
    with server() as url, tempfile.TemporaryDirectory() as folder:
        for stream in (False, True):
            how = "streamed" if stream else "whole"
            for name, store in (("in memory", "memory:"), ("on SQLite", f"sqlite:{Path(folder) / how}")):
                theirs, mine = asyncio.run(_rounds(url, store, stream=stream))
                found += [
                    Figure(f"vendor's client alone, {how}", theirs / requests * 1e3, "ms CPU a request"),
                    Figure(f"ours {name}, {how}", mine / requests * 1e3, "ms CPU a request"),
                    at_most(f"ours {name} by the vendor's client, {how}", mine / theirs, "times", 1.15),
                ]
            found += _peers(url, mine, stream=stream)
        for name, store in (("in memory", "memory:"), ("on SQLite", f"sqlite:{Path(folder) / 'first.db'}")):
            found.append(at_most(f"added to the first token, {name}", asyncio.run(_first_token(url, store)), "ms", 2.0))
    return found
