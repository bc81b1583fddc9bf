"""`SqliteStore`: the journal in one SQLite file, shared by any number of processes of one machine.

One thread writes (`writer`), one reads (`reader`); this file only joins them, and keeps those who follow up to date:
what this process commits is handed on as it is, what others commit is read, and everybody gets it in order.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import TypeVar

from surefoot.core.errors import JournalError
from surefoot.core.events import AppEvent, Event, Record, RunStarted, ToolStarted
from surefoot.core.ports import Clock, Projection
from surefoot.core.rows import Claim, Erasure, Problem, Query, RunRow, SessionRow
from surefoot.journal import jobs, rules, upkeep, verify
from surefoot.journal.commit import Settings
from surefoot.journal.follow import CHUNK, Hub, Listener
from surefoot.journal.reader import Reader
from surefoot.journal.room import Room
from surefoot.journal.writer import Writer

__all__ = ["Settings", "SqliteStore"]

T = TypeVar("T")


class SqliteStore:
    """A `Store` in the SQLite file ``path``.

    Args:
        path: the file; it is created when it does not exist, its folder is not.
        clock: stamps events and times leases, in the writing thread.
        settings: flushing, waiting, limits.
        projections: tables kept in step with the events, in the same transactions.
    """

    def __init__(
        self,
        path: str,
        clock: Clock,
        settings: Settings = Settings(),  # noqa: B008  frozen
        projections: Sequence[Projection] = (),
    ) -> None:
        self.path = path
        self._clock = clock
        self._settings = settings
        self._projections = projections
        self._writer: Writer | None = None
        self._reader: Reader
        self._hub: Hub
        self._seen = 0
        self._own: deque[tuple[int, int]] = deque()
        self._news: asyncio.Event
        self._keeping_up: asyncio.Task[None]
        self._opening = asyncio.Lock()
        self._room = Room(path, settings.min_free)

    async def open(self) -> None:
        """See `Store.open`."""
        async with self._opening:
            if self._writer is not None:
                return
            writer = Writer(self.path, self._clock, self._settings, self._told, self._projections)
            self._hub = Hub(self.read, asyncio.get_running_loop(), lambda on: writer.watch(on=on))
            self._seen = await writer.start()
            self._reader = Reader(self.path, self._settings.busy)
            self._writer = writer
            self._news = asyncio.Event()
            self._keeping_up = asyncio.create_task(self._keep_up())

    async def close(self) -> None:
        """See `Store.close`."""
        async with self._opening:
            if self._writer is None:
                return
            writer, self._writer = self._writer, None
            self._hub.close()
            self._keeping_up.cancel()
            await asyncio.gather(self._keeping_up, return_exceptions=True)
            await self._reader.close()
            await writer.stop()

    # ------------------------------------------------------------------------------------------------- journal

    async def append(
        self,
        stream: str,
        events: Sequence[Event | AppEvent],
        *,
        head: int | None,
        epoch: int | None = None,
        barrier: bool = False,
        blobs: Sequence[bytes] = (),
    ) -> list[Record]:
        """See `Journal.append`."""
        rules.admit(stream, events, epoch)
        if ToolStarted in map(type, events):
            self._room.check()
        return await self._open.append(jobs.Append(stream, events, head, epoch, barrier=barrier, blobs=blobs))

    async def read(self, stream: str | None, after: int = 0, limit: int | None = None) -> list[Record]:
        """See `Journal.read`."""
        if stream is not None:
            return await self._reading.read(stream, after, limit)
        return await self._reading.read_all(after, -1 if limit is None else limit)

    def follow(self, stream: str | None = None, after: int = 0) -> AsyncGenerator[Record, None]:
        """See `Journal.follow`."""
        return self._listeners.follow(stream, after)

    def on_commit(self, callback: Listener) -> Callable[[], None]:
        """See `Journal.on_commit`."""
        return self._listeners.on_commit(callback)

    # ---------------------------------------------------------------------------------------------------- runs

    async def add(self, run: str, started: RunStarted) -> tuple[RunRow, bool]:
        """See `Runs.add`."""
        new = await self._open.submit(jobs.Add(run, started))
        return (new, True) if isinstance(new, RunRow) else (await self._reading.get(new), False)

    async def get(self, run: str) -> RunRow:
        """See `Runs.get`."""
        return await self._reading.get(run)

    async def find(self, query: Query) -> list[RunRow]:
        """See `Runs.find`."""
        return await self._reading.find(query)

    async def sessions(self, query: Query) -> list[SessionRow]:
        """See `Runs.sessions`."""
        return await self._reading.sessions(query)

    # -------------------------------------------------------------------------------------------------- leases

    async def claim(self, run: str, worker: str, seconds: float, agent_digest: str = "") -> Claim | None:
        """See `Leases.claim`."""
        claimed = await self._open.submit(jobs.Claim(run, worker, seconds, agent_digest))
        if claimed is None:
            return None
        epoch, records = claimed
        return Claim(run, epoch, records or await self._reading.read(run, 0, None))

    async def renew(self, worker: str, seconds: float) -> None:
        """See `Leases.renew`."""
        await self._open.submit(jobs.Renew(worker, seconds))

    async def release(self, run: str, epoch: int) -> None:
        """See `Leases.release`."""
        await self._open.submit(jobs.Release(run, epoch))

    async def due(self, agents: Sequence[str], limit: int = 100) -> tuple[list[str], int]:
        """See `Leases.due`."""
        return await self._reading.due(agents, self._clock.now(), limit)

    # --------------------------------------------------------------------------------------------------- blobs

    async def save(self, data: bytes) -> str:
        """See `Blobs.save`."""
        return await self._open.submit(jobs.Save(data))

    async def load(self, digest: str) -> bytes:
        """See `Blobs.load`."""
        return await self._reading.load(digest)

    # -------------------------------------------------------------------------------------------------- upkeep

    async def check(self) -> list[Problem]:
        """See `Upkeep.check`."""
        self._reading  # noqa: B018  raises when closed
        return await asyncio.to_thread(verify.check, self.path, self._projections)

    async def redact(self, run: str, seq: int, *, by: str = "", reason: str = "") -> None:
        """See `Upkeep.redact`."""
        await self._open.submit(jobs.Remove(lambda batch: upkeep.redact(batch, run, seq, by, reason)))

    async def strike(self, what: Erasure, *, by: str = "", reason: str = "") -> None:
        """See `Erasures.strike`."""
        await self._open.submit(jobs.Remove(lambda batch: upkeep.strike(batch, what, by, reason)))

    async def derive(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Change what is derived from events and told by none, in a transaction of the one writing connection."""
        return await self._open.submit(jobs.Derive(work))

    async def prune(self, *, before: int, status: Sequence[str] = ("done", "failed", "cancelled")) -> list[str]:
        """See `Upkeep.prune`."""
        return await self._open.submit(jobs.Remove(lambda batch: upkeep.prune(batch, before, status)))

    async def erase(self, runs: Sequence[str], *, reason: str = "") -> None:
        """See `Upkeep.erase`."""
        await self._open.submit(jobs.Remove(lambda batch: upkeep.erase(batch, runs, reason)))

    async def backup(self, path: str) -> None:
        """See `Upkeep.backup`. Raises StoreUnavailable when ``path`` exists."""
        self._reading  # noqa: B018  raises when closed
        await asyncio.to_thread(upkeep.backup, self.path, path)

    # ------------------------------------------------------------------------------------------------- private

    @property
    def _open(self) -> Writer:
        if self._writer is None:
            raise JournalError("the store is not open; await store.open() first")
        return self._writer

    @property
    def _reading(self) -> Reader:
        self._open  # noqa: B018  raises when closed
        return self._reader

    @property
    def _listeners(self) -> Hub:
        self._open  # noqa: B018  raises when closed
        return self._hub

    def _told(self, records: Sequence[Record], outside: Mapping[str, bool]) -> None:
        """Take what the writer says: records it committed, in order, or none when others committed some."""
        if not self._hub.active:
            self._seen = records[-1].position if records else self._seen
            return
        self._hub.call(outside)
        if records and records[0].position == self._seen + 1:
            self._seen = records[-1].position
            self._hub.feed(records)
            return
        if records:
            self._own.append((records[0].position, records[-1].position))
        self._news.set()

    async def _keep_up(self) -> None:
        """Read what others committed, and hand it on, whenever there may be something."""
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                while records := await self._reader.read_all(self._seen, CHUNK):
                    fresh = [record for record in records if record.position > self._seen]
                    self._seen = max(self._seen, records[-1].position)
                    self._hub.feed(fresh)
                    others = [record for record in fresh if not self._is_own(record.position)]
                    self._hub.call(await self._changed(others))
            except JournalError:
                # Whoever follows reads for himself, and is told what is wrong.
                self._hub.lapse()

    async def _changed(self, records: Sequence[Record]) -> dict[str, bool]:
        """The streams that others wrote to, and the parents that this woke."""
        changed = {record.stream: True for record in records}
        ended = [record.stream for record in records if rules.ends(record.event)]
        if ended:
            changed |= dict.fromkeys(await self._reader.parents(ended), True)
        return changed

    def _is_own(self, position: int) -> bool:
        while self._own and self._own[0][1] < position:
            self._own.popleft()
        return bool(self._own) and self._own[0][0] <= position
