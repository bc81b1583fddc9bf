"""What the contract suites of a store start from: runs added, claimed and ended in a line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any, TypeVar

from surefoot.core import events as ev
from surefoot.core.messages import Text
from surefoot.core.ports import Store
from surefoot.core.rows import Claim

__all__ = ["SECONDS", "begin", "end", "launch", "received", "say", "take", "until"]

T = TypeVar("T")

#: How long a test waits for anything.
SECONDS = 5.0


def say(text: str) -> ev.MessageReceived:
    """A message from outside."""
    return ev.MessageReceived((Text(text),))


async def launch(store: Store, run: str, prompt: str = "hello", **fields: Any) -> None:  # noqa: ANN401  RunStarted's own
    """Add a run of the agent ``clerk``, unless ``agent`` says otherwise."""
    await store.add(run, ev.RunStarted(**{"agent": "clerk", "input": (Text(prompt),), **fields}))


async def begin(store: Store, run: str, worker: str = "worker", seconds: float = 60, **fields: Any) -> Claim:  # noqa: ANN401
    """Add a run and claim it."""
    await launch(store, run, **fields)
    claim = await store.claim(run, worker, seconds)
    assert claim is not None
    return claim


async def end(store: Store, run: str, answer: str = "done", **fields: Any) -> None:  # noqa: ANN401
    """Add a run, claim it, and let it answer."""
    claim = await begin(store, run, **fields)
    await store.append(run, [ev.RunFinished(answer)], head=claim.records[-1].seq, epoch=claim.epoch)


async def take(source: AsyncGenerator[T, None], count: int) -> list[T]:
    """The next ``count`` of what a generator gives."""
    async with asyncio.timeout(SECONDS):
        return [await anext(source) for _ in range(count)]


async def until(fact: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(SECONDS):
        while not fact():  # noqa: ASYNC110  any fact can be asked for, so it is polled
            await asyncio.sleep(0.001)  # wait: bounded by the timeout around it


async def received(source: AsyncGenerator[ev.Record, None], last: str) -> list[ev.Record]:
    """What a generator gives, up to the first record whose message is ``last``."""
    found = []
    async with asyncio.timeout(SECONDS):
        async for record in source:
            found.append(record)
            if isinstance(record.event, ev.MessageReceived) and record.event == say(last):
                return found
    return found
