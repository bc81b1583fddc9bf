"""Streams that end when the server does, so that stopping waits for nobody who only listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any, TypeVar

__all__ = ["batched", "until"]

T = TypeVar("T")
_END = object()
#: Items that wait for a client; one that reads too slowly is waited for.
_MOST = 1_000
#: Seconds of silence after which a client is told that the stream lives.
_SILENCE = 15.0


async def until(stop: asyncio.Event, items: AsyncGenerator[T]) -> AsyncGenerator[T]:
    """The items as they come, to their end or until ``stop`` is set; closes them."""
    stopped = asyncio.create_task(stop.wait())
    async with aclosing(items):
        try:
            while True:
                coming: asyncio.Future[T | object] = asyncio.ensure_future(anext(items, _END))
                try:
                    waited: set[asyncio.Future[Any]] = {coming, stopped}
                    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not coming.done():
                        coming.cancel()
                        with suppress(asyncio.CancelledError):
                            await coming
                if coming.cancelled():
                    return
                item = coming.result()
                if item is _END:
                    return
                yield item  # type: ignore[misc]
        finally:
            stopped.cancel()


async def batched(stop: asyncio.Event, events: AsyncGenerator[bytes], silence: float = _SILENCE) -> AsyncGenerator[bytes]:
    """Events of a stream in chunks, all that have come by then in one. Ends with the events, or once ``stop`` is set."""
    waiting: asyncio.Queue[bytes | None] = asyncio.Queue(_MOST)

    async def fill() -> None:
        async with aclosing(until(stop, events)) as coming:
            async for event in coming:
                await waiting.put(event)
        await waiting.put(None)

    filling = asyncio.create_task(fill())
    try:
        while True:
            try:
                async with asyncio.timeout(silence):
                    pieces = [await waiting.get()]
            except TimeoutError:
                yield b": still here\n\n"
                continue
            while pieces[-1] is not None and not waiting.empty():
                pieces.append(waiting.get_nowait())
            if chunk := b"".join([piece for piece in pieces if piece]):
                yield chunk
            if pieces[-1] is None:
                return
    finally:
        filling.cancel()
        with suppress(asyncio.CancelledError):
            await filling
