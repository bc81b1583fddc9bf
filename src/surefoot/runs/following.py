"""Watch a run: its events and the pieces of its text, in one stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

from surefoot.core import events as ev
from surefoot.core.model import Delta

__all__ = ["merged", "soon"]


async def merged(
    deltas: AsyncGenerator[Delta], records: AsyncGenerator[ev.Record], then: Callable[[], None]
) -> AsyncGenerator[ev.Record | Delta]:
    """Both as they come, until the records end; ``then`` is called once both listen."""
    queue: asyncio.Queue[Any] = asyncio.Queue()
    end = object()

    async def pump(source: AsyncGenerator[Any]) -> None:
        try:
            async for item in source:
                queue.put_nowait(item)
        except Exception as error:  # noqa: BLE001  raised again for whoever reads
            queue.put_nowait(error)
        if source is records:
            queue.put_nowait(end)

    tasks = [asyncio.create_task(pump(deltas)), asyncio.create_task(pump(records))]
    await asyncio.sleep(0)
    then()
    try:
        while (item := await queue.get()) is not end:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await deltas.aclose()
        await records.aclose()


async def soon(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but not for ever: another process may act without a word."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
