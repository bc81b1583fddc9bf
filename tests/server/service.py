"""A server on loopback in the test's own event loop, and clients that ask it over HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2 as httpx
import uvicorn

from surefoot.app import App
from surefoot.clock import SystemClock
from surefoot.core.agent import Agent
from surefoot.core.memory import Memory
from surefoot.server.app import create
from surefoot.server.tokens import Tokens
from surefoot.testing.models import FunctionModel
from surefoot.tools.function import tool
from tests.flows.kit import QUICK

__all__ = ["AGENTS", "KEEPING", "Service", "events_of", "serving"]


@tool
def refund(order: str, cents: int) -> str:
    """Refund an order."""
    return f"refunded {cents} cents on order {order}"


@tool(effect="read")
def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b


def play(request: Any) -> Any:
    """Refund when told to, fail when told to, else repeat what was said."""
    last = request.messages[-1]
    if last.role == "tool":
        return f"Done: {last.parts[-1].text}"
    if last.text.startswith("refund"):
        return ("refund", {"order": "81", "cents": 6200})
    if last.text.startswith("boom"):
        return ("nothing of that name", {})
    return f"You said: {last.text} ({len(request.messages)})"


AGENTS = (Agent("clerk", model=FunctionModel(play), tools=[refund, add]),)
#: The same with long-term memory.
KEEPING = (Agent("clerk", model=FunctionModel(play), tools=[refund, add], memory=Memory(embedder="none")),)


@dataclass
class Service:
    """A server that runs, its application, and its address."""

    app: App
    url: str
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    def client(self, secret: str = "", **headers: str) -> httpx.AsyncClient:
        """Give a client, with a token or without."""
        if secret:
            headers["Authorization"] = f"Bearer {secret}"
        made = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=5)
        self.clients.append(made)
        return made

    async def token(self, role: str, user: str = "", tenant: str = "") -> str:
        """Give a new token's secret."""
        return await Tokens(self.app.store, SystemClock()).create(user or role, role, tenant=tenant)


@asynccontextmanager
async def serving(
    store: str = "memory:", agents: Sequence[Agent[Any, Any]] = AGENTS, *, seconds: float = 20, **options: Any
) -> AsyncIterator[Service]:
    """Serve agents on a free port; whatever is done inside is done within so many seconds."""
    app = App(store, agents=agents, settings=QUICK)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        made = create(app, **options)
        config = uvicorn.Config(made.asgi, log_level="error", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        async with asyncio.timeout(seconds):
            task = asyncio.create_task(server._serve([bound]))
            service = Service(app, f"http://127.0.0.1:{bound.getsockname()[1]}")
            try:
                while not server.started:  # noqa: ASYNC110  uvicorn tells it in no other way
                    await asyncio.sleep(0)
                yield service
            finally:
                for client in service.clients:
                    await client.aclose()
                made.stop()
                server.should_exit = True
                await task


async def events_of(client: httpx.AsyncClient, path: str, count: int = 0, **headers: str) -> list[dict[str, Any]]:
    """Give the server-sent events of a stream: all of them to its end, or the first ``count``."""
    found: list[dict[str, Any]] = []
    one: dict[str, Any] = {}
    async with asyncio.timeout(5), client.stream("GET", path, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream"), await answer.aread()
        async for line in answer.aiter_lines():
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                one[name] = json.loads(value) if name == "data" else value
            elif one:
                found.append(one)
                one = {}
                if count and len(found) == count:
                    break
    return found
