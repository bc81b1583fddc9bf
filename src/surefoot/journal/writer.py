"""The one thread of a process that writes: group commit, under the file lock, one answer to the event loop a batch.

Whatever is waiting when the thread is free becomes one transaction. Plain appends need a single statement, which
begins, checks and commits by itself; everything else is planned inside `BEGIN IMMEDIATE`. Few statements matter: each
step gives the interpreter's lock away, and a busy event loop is slow to give it back. Anything SQLite refuses fails
the jobs of its batch, and the thread goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from surefoot.core.errors import JournalError, StoreUnavailable
from surefoot.core.events import Record
from surefoot.core.ports import Clock, Projection
from surefoot.journal import database, projections, upkeep
from surefoot.journal.jobs import Job, Remove
from surefoot.journal.ledger import Batch, Ledger
from surefoot.journal.lock import FileLock

__all__ = ["Settings", "Told", "Writer"]

T = TypeVar("T")

#: Jobs of one batch.
_MOST = 1000

#: What is called on the event loop after each batch: records in order, what changed, and whether others wrote too.
Told = Callable[[Sequence[Record], Mapping[str, bool]], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a SQLite store behaves.

    ``flush``: every commit is flushed to the disk, not only barriers. ``busy``: seconds to wait for another process's
    transaction. ``poll``: seconds between looks for other processes' commits, while somebody listens. ``max_bytes``:
    the size the database may grow to, 0 for no limit.
    """

    flush: bool = False
    busy: float = 10.0
    poll: float = 0.025
    max_bytes: int = 0


class Writer:
    """The writing thread of one store. `submit` and `watch` belong to the event loop's thread."""

    def __init__(self, path: str, clock: Clock, settings: Settings, told: Told, tables: Sequence[Projection]) -> None:
        self._path = path
        self._clock = clock
        self._settings = settings
        self._told = told
        self._tables = tables
        self._loop = asyncio.get_running_loop()
        self._inbox: queue.SimpleQueue[Job[Any] | None] = queue.SimpleQueue()
        self._lock = FileLock(f"{path}-lock", settings.busy)
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="surefoot-journal", daemon=True)
        self._watching = False
        self._closing = False
        self._full = False
        self._foreign = 0
        self._next_poll = 0.0

    async def start(self) -> int:
        """Open the file, creating or migrating it; the last position. Raises what opening raises."""
        self._thread.start()
        await asyncio.shield(self._ready)
        return self._ledger.position

    def submit(self, job: Job[T]) -> asyncio.Future[T]:
        """Hand a job in; the future of its answer."""
        if self._closing:
            raise JournalError("the store is closed; await store.open() first")
        job.future = self._loop.create_future()
        self._inbox.put(job)
        return job.future

    def watch(self, *, on: bool) -> None:
        """Look for other processes' commits from now on, or no longer."""
        if on and not self._watching:
            self._watching = True
            self._inbox.put(None)
        self._watching = on

    async def stop(self) -> None:
        """Finish what was handed in, and close the file."""
        self._closing = True
        self._inbox.put(None)
        await self._loop.run_in_executor(None, self._thread.join)

    # ------------------------------------------------------------------------------------------------ the thread

    def _run(self) -> None:
        try:
            with database.translated(self._path), self._lock.held():
                connection = self._open()
        except BaseException as error:  # noqa: BLE001  whatever it is, whoever opens must hear of it
            self._lock.close()
            self._post(_fail, self._ready, error)
            return
        self._post(_done, self._ready)
        try:
            self._serve()
        finally:
            self._close(connection)

    def _close(self, connection: sqlite3.Connection) -> None:
        # The last one out moves the log into the file, which is a write like any other.
        try:
            with self._lock.held():
                connection.close()
        except StoreUnavailable:
            connection.close()
        self._lock.close()

    def _open(self) -> sqlite3.Connection:
        connection = database.connect(self._path, write=True, busy=self._settings.busy)
        try:
            database.prepare(connection, self._path)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA journal_size_limit = 16777216")
            if self._settings.max_bytes:
                pages = self._settings.max_bytes // connection.execute("PRAGMA page_size").fetchone()[0]
                connection.execute(f"PRAGMA max_page_count = {pages:d}")
            self._ledger = Ledger(connection, database.Statements())
            self._ledger.refresh()
            projections.prepare(connection, self._ledger.sql, self._tables)
            self._foreign = self._version()
        except BaseException:
            connection.close()
            raise
        return connection

    def _serve(self) -> None:
        while True:
            jobs = self._take()
            if jobs:
                self._group(jobs)
            elif self._closing and self._inbox.empty():
                return
            if self._watching and time.monotonic() >= self._next_poll:
                self._poll()

    def _take(self) -> list[Job[Any]]:
        inbox = self._inbox
        jobs: list[Job[Any]] = []
        try:
            job = inbox.get(timeout=self._settings.poll if self._watching else None)
            while job is not None and len(jobs) < _MOST:
                jobs.append(job)
                job = inbox.get_nowait()
        except queue.Empty:
            pass
        return jobs

    def _group(self, jobs: list[Job[Any]]) -> None:
        """Make one batch of all jobs, but for those that must be alone."""
        start = 0
        for index, job in enumerate(jobs):
            if isinstance(job, Remove):
                self._commit(jobs[start:index])
                self._commit([job], scrub=True)
                start = index + 1
        self._commit(jobs[start:])

    def _commit(self, jobs: list[Job[Any]], *, scrub: bool = False) -> None:
        if not jobs:
            return
        batch = None
        try:
            with database.translated(self._path), self._lock.held():
                batch = self._transact(jobs)
                if scrub and jobs[0].error is None:
                    upkeep.scrub(self._ledger.connection, self._settings.busy)
        except BaseException as error:  # noqa: BLE001  the thread must live, and everybody must be answered
            self._ledger.forget()
            self._ledger.position = -1
            for job in jobs:
                job.error = error
        self._post(self._answer, jobs, batch)

    def _transact(self, jobs: list[Job[Any]]) -> Batch:
        self._sync(full=self._settings.flush or any(job.barrier for job in jobs))
        if not any(job.locked for job in jobs):
            batch = self._attempt(jobs)
            if batch is not None:
                return batch
        connection = self._ledger.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._ledger.refresh()
            batch = self._plan(jobs)
            self._write(batch)
            connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        return batch

    def _attempt(self, jobs: list[Job[Any]]) -> Batch | None:
        """Commit from memory; None when memory may be out of date, which a locked plan will tell."""
        if self._ledger.position < 0:
            return None
        batch = self._plan(jobs)
        if any(job.error for job in jobs):
            self._ledger.forget()
            return None
        connection = self._ledger.connection
        try:
            if batch.single and not self._tables:
                batch.execute()
            else:
                connection.execute("BEGIN IMMEDIATE")
                self._write(batch)
                connection.execute("COMMIT")
        except sqlite3.IntegrityError:
            self._roll_back()
            self._ledger.forget()
            return None
        except BaseException:
            self._roll_back()
            raise
        return batch

    def _plan(self, jobs: list[Job[Any]]) -> Batch:
        batch = Batch(self._ledger, self._clock.now())
        for job in jobs:
            job.error = None
            job.prepare(batch)
        batch.look()
        for job in jobs:
            try:
                job.result = job.plan(batch)
            except (sqlite3.Error, MemoryError):
                raise
            except Exception as error:  # noqa: BLE001  a job fails alone
                job.error = error
        return batch

    def _write(self, batch: Batch) -> None:
        batch.execute()
        if self._tables:
            projections.keep(self._ledger.connection, self._tables, batch)

    def _roll_back(self) -> None:
        if self._ledger.connection.in_transaction:
            self._ledger.connection.execute("ROLLBACK")

    def _sync(self, *, full: bool) -> None:
        if full != self._full:
            self._ledger.connection.execute("PRAGMA synchronous = FULL" if full else "PRAGMA synchronous = NORMAL")
            self._full = full

    def _version(self) -> int:
        found: int = self._ledger.connection.execute("PRAGMA data_version").fetchone()[0]
        return found

    def _poll(self) -> None:
        self._next_poll = time.monotonic() + self._settings.poll
        try:
            found = self._version()
        except sqlite3.Error:
            return
        if found != self._foreign:
            self._foreign = found
            self._post(self._told, (), {})

    def _answer(self, jobs: list[Job[Any]], batch: Batch | None) -> None:
        for job in jobs:
            job.settle()
        if batch is not None:
            self._told(batch.records, batch.outside)

    def _post(self, call: Callable[..., None], *values: Any) -> None:  # noqa: ANN401  whatever the call takes
        # When the loop is gone, so is whoever waited. What was committed stays committed.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *values)


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: asyncio.Future[None], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
