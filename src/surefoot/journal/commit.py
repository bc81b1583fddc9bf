"""The connection that writes: transactions, their lock, and the checkpoints that keep the write-ahead log short.

`Committer.commit` is called by the writing thread with whatever waits. `Committer.quick` and `lone` write from the event
loop's own thread, plain appends and a light job, when nobody is in the way: a statement that only reaches the page cache
takes some 20 µs, handing it to a thread and back takes several times that, and a busy loop is slow to give the thread the
interpreter's lock. They never wait, for a lock, a flush or a checkpoint; where they would have to, they decline, and the
thread does it.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from surefoot.core.errors import StoreUnavailable, SurefootError
from surefoot.core.ports import Clock, Projection
from surefoot.journal import database, projections, upkeep
from surefoot.journal.jobs import Append, Job, Remove
from surefoot.journal.ledger import Batch, Ledger
from surefoot.journal.lock import FileLock

__all__ = ["Committer", "Settings"]

#: Pages written to the log, by estimate, after which it is moved into the file.
_LOG_PAGES = 2500
#: Batches after another process wrote in which memory is not trusted without asking.
_DOUBT = 8
#: Seconds between tries to begin while another connection writes.
_PAUSE = 0.0003


@dataclass(frozen=True, slots=True)
class Settings:
    """How a SQLite store behaves.

    ``flush``: every commit is flushed to the disk, not only barriers. ``busy``: seconds to wait for another process's
    transaction. ``poll``: seconds between looks for other processes' commits, while somebody listens. ``max_bytes``:
    the size the database may grow to, 0 for no limit. ``min_free``: bytes of free disk below which no tool is started.
    """

    flush: bool = False
    busy: float = 10.0
    poll: float = 0.025
    max_bytes: int = 0
    min_free: int = 64 * 1024 * 1024


class Committer:
    """The one writing connection of a store. `quick` and `lone` may be called from another thread than the rest."""

    def __init__(self, path: str, clock: Clock, settings: Settings, tables: Sequence[Projection]) -> None:
        self._path = path
        self._clock = clock
        self._settings = settings
        self._tables = tables
        self._wanted = projections.wanted(tables)
        self._lock = FileLock(f"{path}-lock", settings.busy)
        self._mutex = threading.Lock()
        self._ledger: Ledger
        self._full = False
        self._pages = 0
        self._doubt = 0
        self._foreign = 0

    @property
    def position(self) -> int:
        """The last position, as far as known."""
        return self._ledger.position

    def open(self) -> None:
        """Open, create or migrate. Raises what `Store.open` raises."""
        try:
            with database.translated(self._path), self._lock.held():
                self._open()
        except BaseException:
            self._lock.close()
            raise

    def close(self) -> None:
        """Close. The last one out moves the log into the file, which is a write like any other."""
        try:
            with self._lock.held():
                self._ledger.connection.close()
        except StoreUnavailable:
            self._ledger.connection.close()
        self._lock.close()

    def commit(self, jobs: list[Job[Any]]) -> Batch | None:
        """Do the jobs in one transaction; each has its result or its error. None when nothing was committed."""
        batch = None
        try:
            with self._mutex, database.translated(self._path), self._lock.held():
                batch = self._transact(jobs)
                if isinstance(jobs[0], Remove) and jobs[0].error is None:
                    upkeep.scrub(self._ledger.connection, self._settings.busy)
        except BaseException as error:  # noqa: BLE001  the thread must live, and everybody must be answered
            self._spoil()
            for job in jobs:
                job.error = error
        return batch

    def quick(self, jobs: Sequence[Append]) -> Batch | None:
        """Do plain appends at once, or decline. Never raises, never waits."""
        if self._doubt or any(job.touches(self._wanted) for job in jobs):
            return None
        return self._at_once(lambda: self._plain(jobs))

    def lone(self, job: Job[Any]) -> Batch | None:
        """Do a light job at once, or decline, as `quick` does."""
        return self._at_once(lambda: self._locked([job], patience=0.0))

    def rest(self) -> None:
        """What can wait until nobody does: move the log into the file when it has grown."""
        if self._pages < _LOG_PAGES:
            return
        with self._mutex, self._lock.held():
            self._ledger.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        # Below zero: the next write begins the log anew, which SQLite flushes, so the loop's thread must not do it.
        self._pages = -1

    def others(self) -> bool:
        """Whether another process has committed since this was last asked."""
        with self._mutex:
            found = self._version()
        changed, self._foreign = found != self._foreign, found
        return changed

    # ------------------------------------------------------------------------------------------------- private

    def _open(self) -> None:
        connection = database.connect(self._path, write=True, busy=self._settings.busy)
        try:
            database.prepare(connection, self._path)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.execute("PRAGMA journal_size_limit = 16777216")
            if self._settings.max_bytes:
                pages = self._settings.max_bytes // connection.execute("PRAGMA page_size").fetchone()[0]
                connection.execute(f"PRAGMA max_page_count = {pages:d}")
            self._ledger = Ledger(connection, database.Statements())
            projections.prepare(connection, self._ledger.sql, self._tables)
            self._ledger.refresh()
            self._foreign = self._version()
            # From here on, waiting is done by `_begin`, so that `quick` never does.
            connection.execute("PRAGMA busy_timeout = 0")
        except BaseException:
            connection.close()
            raise

    def _at_once(self, work: Callable[[], Batch | None]) -> Batch | None:
        """Do what commits a batch, or declines to; None when it did not, or somebody is in the way."""
        if self._full or not 0 <= self._pages < _LOG_PAGES or not self._mutex.acquire(blocking=False):
            return None
        try:
            if not self._lock.take():
                return None
            try:
                batch = work()
            except Exception:  # noqa: BLE001  the thread will find out what is wrong, and say it
                self._spoil()
                return None
            finally:
                self._lock.give()
            if batch is not None:
                self._settle(batch)
            return batch
        finally:
            self._mutex.release()

    def _plain(self, jobs: Sequence[Append]) -> Batch | None:
        """Commit appends from memory, each of one statement; None when one is not."""
        if not all(job.plain(self._ledger) for job in jobs):
            return None
        batch = Batch(self._ledger, self._clock.now())
        for job in jobs:
            job.result = job.plan(batch)
        self._execute(batch, patience=0.0)
        return batch

    def _transact(self, jobs: list[Job[Any]]) -> Batch:
        self._sync(full=self._settings.flush or any(job.barrier for job in jobs))
        batch = None if self._doubt or any(job.locked for job in jobs) else self._attempt(jobs)
        if batch is None:
            batch = self._locked(jobs, self._settings.busy)
        self._settle(batch)
        self._sync(full=self._settings.flush)
        return batch

    def _attempt(self, jobs: list[Job[Any]]) -> Batch | None:
        """Commit from memory; None when memory may be out of date, which a locked plan will tell."""
        batch = self._plan(jobs)
        if any(job.error for job in jobs):
            self._spoil()
            return None
        try:
            self._execute(batch, self._settings.busy)
        except sqlite3.Error:
            self._spoil()
            return None
        return batch

    def _execute(self, batch: Batch, patience: float) -> None:
        """Do what was planned, all of it or nothing, waiting so many seconds for another connection."""
        if batch.single and self._wanted.isdisjoint(type(record.event) for record in batch.records):
            batch.execute()
            return
        self._begin(patience)
        try:
            self._write(batch)
            self._ledger.connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _locked(self, jobs: list[Job[Any]], patience: float) -> Batch:
        """Begin, ask whether others wrote, then plan and commit."""
        self._begin(patience)
        try:
            self._doubt = _DOUBT if self._ledger.refresh() else max(0, self._doubt - 1)
            batch = self._plan(jobs)
            self._write(batch)
            self._ledger.connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        return batch

    def _begin(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        while True:
            try:
                self._ledger.connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
                time.sleep(_PAUSE)
            else:
                return

    def _plan(self, jobs: list[Job[Any]]) -> Batch:
        batch = Batch(self._ledger, self._clock.now())
        for job in jobs:
            job.error = None
            job.prepare(batch)
        batch.look()
        for job in jobs:
            try:
                job.result = job.plan(batch)
            except SurefootError as error:
                job.error = error
        return batch

    def _write(self, batch: Batch) -> None:
        batch.execute()
        if self._tables:
            projections.keep(self._ledger.connection, self._tables, batch)

    def _roll_back(self) -> None:
        self._ledger.connection.rollback()

    def _spoil(self) -> None:
        """Trust nothing that is remembered."""
        self._ledger.forget()
        self._doubt = max(self._doubt, 1)

    def _settle(self, batch: Batch) -> None:
        self._ledger.settle()
        self._pages = max(self._pages, 0) + 3 + batch.bytes // 2048

    def _sync(self, *, full: bool) -> None:
        if full != self._full:
            self._ledger.connection.execute("PRAGMA synchronous = FULL" if full else "PRAGMA synchronous = NORMAL")
            self._full = full

    def _version(self) -> int:
        found: int = self._ledger.connection.execute("PRAGMA data_version").fetchone()[0]
        return found
