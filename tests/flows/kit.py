"""What the tests of the application share: a store of each kind, an application that cannot hang, views of a run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from surefoot.app import App
from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.messages import Message, ToolResult
from surefoot.core.model import ModelRequest
from surefoot.core.ports import Store
from surefoot.core.run import Run
from surefoot.settings import Settings

__all__ = ["BOUND", "QUICK", "kinds", "of_kind", "opened", "results", "said", "store", "tags"]

#: Seconds no test waits longer than.
BOUND = 5.0

#: Settings of a test: no delay between tries, no patience when closing, a look around every 50 ms.
QUICK = Settings(backoff=0.0, grace=0.0, poll=0.05)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name a store of each kind, new and empty."""
    return "memory:" if request.param == "memory" else f"sqlite:{tmp_path / 'agent.db'}"


@asynccontextmanager
async def opened(url: str | Store, *agents: Agent[Any, Any], settings: Settings = QUICK, **options: Any) -> AsyncIterator[App]:
    """Open an application; whatever is done inside is done within `BOUND` seconds."""
    async with asyncio.timeout(BOUND), App(url, agents=agents, settings=settings, **options) as app:
        yield app


async def kinds(app: App, run: Run[Any] | str) -> list[type]:
    """Give the types of a run's events, in order."""
    return [type(record.event) for record in await app.events(run)]


async def tags(app: App, run: Run[Any] | str) -> list[str]:
    """Give the tags of a run's events, in order, without those of claims."""
    found = [ev.tag_of(record.event) for record in await app.events(run)]
    return [tag for tag in found if tag != "run.claimed"]


async def of_kind(app: App, run: Run[Any] | str, kind: type[Any]) -> list[Any]:
    """Give a run's events of one type, in order."""
    return [record.event for record in await app.events(run) if isinstance(record.event, kind)]


def results(request: ModelRequest) -> list[ToolResult]:
    """Give every tool result a model was told of in one request."""
    return [part for message in request.messages for part in message.parts if isinstance(part, ToolResult)]


def said(request: ModelRequest) -> list[tuple[str, str]]:
    """Give what a model was told, as (role, text); a tool's turn is its results' texts."""
    return [(message.role, _text(message)) for message in request.messages]


def _text(message: Message) -> str:
    return message.text or " | ".join(part.text for part in message.parts if isinstance(part, ToolResult))
