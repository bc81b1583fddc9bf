"""The one thread of a process that writes: group commit, under the file lock, one answer to the event loop a batch.

Whatever is waiting when the thread is free becomes one transaction (`commit`). What needs no waiting is not handed over at
all: a lone append or claim is done where it is made, and appends of many tasks together, once a turn of the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from surefoot.core.errors import JournalError
from surefoot.core.events import Record
from surefoot.core.ports import Clock, Projection
from surefoot.journal.commit import Committer, Settings
from surefoot.journal.jobs import Append, Job, Remove
from surefoot.journal.ledger import Batch

__all__ = ["Told", "Writer"]

T = TypeVar("T")

#: Jobs of one batch.
_MOST = 1000
#: Seconds: appends by different tasks that are closer than this are worth grouping.
_CROWD = 0.0002
#: Seconds for which a task may go on appending before others get a turn.
_TURN = 0.0005

#: What is called on the event loop after each batch: its records in order, and what changed; with neither, when other
#: processes committed something.
Told = Callable[[Sequence[Record], Mapping[str, bool]], None]


class Writer:
    """The writing thread of one store. Every method belongs to the event loop's thread."""

    def __init__(self, path: str, clock: Clock, settings: Settings, told: Told, tables: Sequence[Projection]) -> None:
        self._settings = settings
        self._told = told
        self._loop = asyncio.get_running_loop()
        self._committer = Committer(path, clock, settings, tables)
        self._inbox: queue.SimpleQueue[Job[Any] | None] = queue.SimpleQueue()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="surefoot-journal", daemon=True)
        self._pending = 0
        self._group: list[Append] = []
        self._last: tuple[float, int] = (0.0, 0)
        self._yielded = 0.0
        self._watching = False
        self._closing = False
        self._next_poll = 0.0

    async def start(self) -> int:
        """Open the file, creating or migrating it; the last position. Raises what opening raises."""
        self._thread.start()
        try:
            await asyncio.shield(self._ready)
        except asyncio.CancelledError:
            self._closing = True
            self._inbox.put(None)
            raise
        return self._committer.position

    def submit(self, job: Job[T]) -> asyncio.Future[T]:
        """Hand a job in; the future of its answer."""
        job.future = self._loop.create_future()
        if job.light and not self._crowded() and self._done(self._committer.lone(job)):
            job.settle()
            return job.future
        self._pending += 1
        self._inbox.put(job)
        return job.future

    async def append(self, job: Append) -> list[Record]:
        """Do an append: at once when nobody else is about to, else together with those of other tasks."""
        if job.barrier:
            return await self.submit(job)
        if self._crowded():
            return await self._join(job)
        if not self._done(self._committer.quick([job])):
            return await self.submit(job)
        now = self._last[0]
        if now - self._yielded > _TURN:
            # Others may be waiting for their turn, and a caller that never waits would not let them.
            self._yielded = now
            await asyncio.sleep(0)
        return job.result

    def _crowded(self) -> bool:
        """Whether somebody else is, or is about to be, at work; the task that asks is remembered."""
        now, task = time.monotonic(), id(asyncio.current_task())
        before, other = self._last
        self._last = now, task
        return bool(self._pending or self._group) or (other != task and now - before <= _CROWD)

    def _join(self, job: Append) -> asyncio.Future[list[Record]]:
        """Do an append with all others of this turn of the loop; when the thread is at work, once that has answered."""
        job.future = self._loop.create_future()
        if not self._group:
            self._loop.call_soon(self._gathered)
        self._group.append(job)
        return job.future

    def _gathered(self) -> None:
        if not self._pending:
            self._flush()

    def _flush(self) -> None:
        """Do what has gathered, or leave it to the thread."""
        jobs, self._group = self._group, []
        if not jobs:
            return
        if self._pending or not self._done(self._committer.quick(jobs)):
            self._pending += len(jobs)
            for job in jobs:
                self._inbox.put(job)
            return
        for job in jobs:
            job.settle()

    def _done(self, batch: Batch | None) -> bool:
        """Tell of what was committed at once; whether anything was."""
        if batch is not None:
            self._told(batch.records, batch.outside)
        return batch is not None

    def watch(self, *, on: bool) -> None:
        """Look for other processes' commits from now on, or no longer."""
        if on and not self._watching:
            self._watching = True
            self._inbox.put(None)
        self._watching = on

    async def stop(self) -> None:
        """Finish what was handed in, and close the file."""
        self._flush()
        self._closing = True
        self._inbox.put(None)
        await self._loop.run_in_executor(None, self._thread.join)

    # ------------------------------------------------------------------------------------------------ the thread

    def _run(self) -> None:
        try:
            self._committer.open()
        except BaseException as error:  # noqa: BLE001  whatever it is, whoever opens must hear of it
            self._post(self._ready.set_exception, error)
            return
        self._post(self._ready.set_result, None)
        try:
            self._serve()
        finally:
            self._committer.close()

    def _serve(self) -> None:
        while True:
            jobs = self._take()
            start = 0
            for end, job in enumerate(jobs):
                # What removes is a transaction of its own.
                if isinstance(job, Remove):
                    self._commit(jobs[start:end])
                    self._commit([job])
                    start = end + 1
            self._commit(jobs[start:])
            if self._closing and self._inbox.empty():  # the call to close may have come with the last jobs
                return
            self._idle()

    def _take(self) -> list[Job[Any]]:
        inbox = self._inbox
        jobs: list[Job[Any]] = []
        with contextlib.suppress(queue.Empty):
            job = inbox.get(timeout=self._settings.poll if self._watching else None)
            while job is not None and len(jobs) < _MOST:
                jobs.append(job)
                job = inbox.get_nowait()
        return jobs

    def _commit(self, jobs: list[Job[Any]]) -> None:
        if jobs:
            self._post(self._answer, jobs, self._committer.commit(jobs))

    def _idle(self) -> None:
        """What is done between batches. A failure here is met again by the next batch, which can say so."""
        with contextlib.suppress(sqlite3.Error, JournalError):
            self._committer.rest()
            if self._watching and time.monotonic() >= self._next_poll:
                self._next_poll = time.monotonic() + self._settings.poll
                if self._committer.others():
                    self._post(self._told, (), {})

    def _answer(self, jobs: list[Job[Any]], batch: Batch | None) -> None:
        self._pending -= len(jobs)
        for job in jobs:
            job.settle()
        if batch is not None:
            self._told(batch.records, batch.outside)
        self._flush()

    def _post(self, call: Callable[..., None], *values: Any) -> None:  # noqa: ANN401  whatever the call takes
        # When the loop is gone, so is whoever waited. What was committed stays committed.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *values)
