"""Streams that end when the server does, so that stopping waits for nobody who only listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any, TypeVar

__all__ = ["until"]

T = TypeVar("T")
_END = object()


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
