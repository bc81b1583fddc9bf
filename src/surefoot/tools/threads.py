"""Threads for sync tools: as many as are called at once, reused, and never in the way of the process's end.

A tool that hangs keeps its thread and nothing else: the caller that is cancelled leaves it behind, and, the threads
being daemons, the process can end. (anyio's worker threads are not, and a process waits for them for ever.)
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from surefoot.core.errors import Retry

__all__ = ["Threads"]

T = TypeVar("T")


class Threads:
    """The threads of one tool; one that has been idle for ``idle`` seconds ends."""

    def __init__(self, name: str, idle: float = 10.0) -> None:
        self.name = name
        self.idle = idle
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()

    async def run(self, function: Callable[[], T]) -> T:
        """Call ``function`` in a thread, in a copy of this context; cancelled, leave it alone and go on.

        Raises what it raises, and Retry when the system gives no thread.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        if worker is None:
            worker = _Worker(self)
            try:
                worker.start()
            except RuntimeError as error:
                # Nothing has run, and the engine should know.
                raise Retry(f"no thread could be started for tool {self.name!r}: {error}", after=1.0) from error
        job = _Job(loop, future, function)
        worker.jobs.put(job)
        try:
            return await future
        except asyncio.CancelledError as error:
            if not job.over:
                error.add_note("its thread cannot be stopped: it was left behind, and may still be at work")
            raise

    def rest(self, worker: _Worker) -> None:
        """A worker is free."""
        with self._lock:
            self._idle.append(worker)

    def retire(self, worker: _Worker) -> bool:
        """A worker would go; False when it was given a job meanwhile."""
        with self._lock:
            if worker not in self._idle:
                return False
            self._idle.remove(worker)
            return True


class _Job:
    __slots__ = ("context", "function", "future", "loop", "over")

    def __init__(self, loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], function: Callable[[], Any]) -> None:
        self.loop = loop
        self.future = future
        self.function = function
        self.context = contextvars.copy_context()
        self.over = False

    def run(self) -> Callable[[], None]:
        """Do the work; how to tell the loop."""
        try:
            return partial(self._tell, self.context.run(self.function), None)
        except BaseException as error:  # noqa: BLE001  it belongs to the caller, whatever it is
            return partial(self._tell, None, error)
        finally:
            self.over = True

    def _tell(self, result: Any, error: BaseException | None) -> None:
        if self.future.done():
            return  # the caller was cancelled
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)


class _Worker(threading.Thread):
    def __init__(self, owner: Threads) -> None:
        super().__init__(name=f"surefoot tool {owner.name}", daemon=True)
        self.owner = owner
        self.jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()

    def run(self) -> None:
        while True:
            try:
                job = self.jobs.get(timeout=self.owner.idle)
            except queue.Empty:
                if self.owner.retire(self):
                    return
                continue
            tell = job.run()
            self.owner.rest(self)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                job.loop.call_soon_threadsafe(tell)
            del job, tell
