"""What an application holds while it is open: its worker, its parts, and the event loop they belong to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Protocol, TypeVar

from surefoot.core.errors import RunError
from surefoot.core.ports import Store
from surefoot.engine.worker import Worker
from surefoot.runs.thread import LoopThread, Turn

__all__ = ["Home"]

T = TypeVar("T")


class _Part(Protocol):
    async def close(self) -> None: ...


class Home:
    """Opens and closes an application; safe to open again, on another event loop too once the first has ended.

    Args:
        store: opened first, closed with the ``parts``.
        hire: makes the worker and lets it begin, once the store is open.
        live: closed before the store.
        farewell: called before both are closed.
        grace: seconds that runs in work may go on when the application closes.
    """

    def __init__(
        self, store: Store, live: _Part, hire: Callable[[], Worker], farewell: Callable[[], Awaitable[None]], grace: float
    ) -> None:
        self._store = store
        self._live = live
        self._hire = hire
        self._farewell = farewell
        self._grace = grace
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = LoopThread()
        self._turn = Turn()
        self._closing = False
        self.worker: Worker | None = None

    async def open(self, check: Callable[[], None]) -> Worker:
        """The worker, on an open store; ``check`` is called before anything is opened. While the application closes, this
        waits until it has, and opens it again.
        """
        loop = asyncio.get_running_loop()
        if self.worker is not None and self._loop is loop and not self._closing:
            return self.worker
        if self._loop is not None and self._loop is not loop and not self._loop.is_closed():
            raise RunError("this App belongs to another event loop; use app.run_sync(…) from here, or make an App for this loop")
        async with self._turn.mine():
            if self.worker is not None and self._loop is loop:
                return self.worker
            check()
            if self.worker is not None:  # its loop ended before it was closed
                self._closed()
                for part in (self._live, self._store):
                    with suppress(RuntimeError):  # what of theirs belonged to that loop has ended with it
                        await part.close()
            await self._store.open()
            self._loop = loop
            self.worker = self._hire()
            return self.worker

    async def close(self) -> None:
        """Let runs in work go on for a while, then leave them to another worker, and close the parts."""
        async with self._turn.mine(), AsyncExitStack() as last:
            worker = self.worker
            if worker is None:
                return
            last.callback(self._closed)
            for part in (self._store.close, self._live.close, self._farewell):
                last.push_async_callback(part)
            self._closing = True  # tools in work keep their worker until they are done
            try:
                await worker.close(self._grace)
            except asyncio.CancelledError:  # no patience any more, but nothing may be left behind
                await worker.close(0)
                raise

    def wait_for(self, awaitable: Awaitable[T]) -> T:
        """Run anything on the application's loop from where none runs, and wait for it; see `App.run_sync`."""
        return self._thread.wait_for(awaitable, self._loop, lambda: self.worker is None)

    def _closed(self) -> None:
        self.worker = self._loop = None
        self._closing = False
