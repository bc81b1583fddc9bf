"""A thread with an event loop of its own, for scripts and notebooks: wait for something async where nothing is.

The loop begins with the first wait. Ending it cancels what is left on it, as `asyncio.run` does.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

from surefoot.core.errors import RunError

__all__ = ["LoopThread", "Turn"]

T = TypeVar("T")


class LoopThread:
    """One application's thread. Safe to use from any other thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None

    def wait_for(self, awaitable: Awaitable[T], home: asyncio.AbstractEventLoop | None, is_idle: Callable[[], bool]) -> T:
        """Run ``awaitable`` on the loop ``home`` when there is one that runs, else on this thread, and wait for it.

        When ``is_idle`` says afterwards that nothing needs the thread, it ends. Raises RunError where waiting would never
        end: on ``home`` itself, or when it does not run; and what the awaitable raises.
        """
        if home is not None and not home.is_closed() and home is not self._loop:
            return _wait(awaitable, _running(home, awaitable))
        loop = self._enter()
        try:
            return _wait(awaitable, _running(loop, awaitable))
        finally:
            self._leave(is_idle)

    def _enter(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            self._users += 1
            if self._loop is None:
                begun = threading.Event()
                self._thread = threading.Thread(target=asyncio.run, args=[self._live(begun)], name="surefoot", daemon=True)
                self._thread.start()
                begun.wait()
            assert self._loop is not None  # it has begun
            return self._loop

    async def _live(self, begun: threading.Event) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        begun.set()
        await self._end.wait()

    def _leave(self, is_idle: Callable[[], bool]) -> None:
        with self._lock:
            self._users -= 1
            if self._users or not is_idle() or threading.current_thread() is self._thread:
                return
            assert self._loop and self._end and self._thread  # entered, and not left  # noqa: PT018
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()
            self._loop = self._end = self._thread = None


class Turn:
    """A lock for an object that lives on one event loop after another; an `asyncio.Lock` stays with its first."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = asyncio.Lock()

    def mine(self) -> asyncio.Lock:
        """The running loop's lock."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._lock = loop, asyncio.Lock()
        return self._lock


def _running(loop: asyncio.AbstractEventLoop, awaitable: Awaitable[object]) -> asyncio.AbstractEventLoop:
    """The loop, when waiting for it from here can end."""
    try:
        here = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    if here is not loop and loop.is_running():
        return loop
    if inspect.iscoroutine(awaitable):
        awaitable.close()
    if here is loop:
        raise RunError("run_sync would wait for itself; inside this event loop, use await")
    raise RunError("the event loop this App was opened on does not run; await app.close() there first, or run it there")


def _wait(awaitable: Awaitable[T], loop: asyncio.AbstractEventLoop) -> T:
    async def waited() -> T:
        return await awaitable

    future = asyncio.run_coroutine_threadsafe(waited(), loop)
    try:
        return future.result()
    except BaseException:
        future.cancel()  # an interrupt here stops the work there
        raise
