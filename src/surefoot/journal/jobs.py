"""What the writer can be asked to do. A job checks, then plans its part of a transaction; it fails alone or not at all."""

from __future__ import annotations

import asyncio
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

from surefoot.core.errors import Fenced, HeadMoved, JournalError
from surefoot.core.events import AppEvent, Event, Record, RunClaimed, RunStarted
from surefoot.core.rows import RunRow
from surefoot.journal import rules
from surefoot.journal.chain import LONG
from surefoot.journal.ledger import Batch, Encoded, Ledger, encode

__all__ = ["Add", "Append", "Claim", "Derive", "Job", "Release", "Remove", "Renew", "Save"]

T = TypeVar("T")


class Job(ABC, Generic[T]):
    """One request to the writer, and the future of its answer.

    ``locked``: what it looks at can change without an event, so the transaction begins before it is planned.
    ``barrier``: its commit is flushed to the disk. ``light``: it is soon done, so that a lone one need not be handed over.
    """

    __slots__ = ("barrier", "error", "future", "locked", "result")

    light = False

    def __init__(self, *, locked: bool = False, barrier: bool = False) -> None:
        self.locked = locked
        self.barrier = barrier
        self.future: asyncio.Future[T]
        self.result: T
        self.error: BaseException | None = None

    @abstractmethod
    def plan(self, batch: Batch) -> T:
        """Check, and plan; the answer."""

    def prepare(self, batch: Batch) -> None:
        """Say what to load before anything of the batch is planned."""

    def settle(self) -> None:
        """Answer, on the event loop."""
        if not self.future.done():
            if self.error is None:
                self.future.set_result(self.result)
            else:
                self.future.set_exception(self.error)


class Append(Job[list[Record]]):
    """See `Journal.append`."""

    __slots__ = ("_blobs", "_encoded", "_epoch", "_events", "_head", "_stream")

    def __init__(
        self,
        stream: str,
        events: Sequence[Event | AppEvent],
        head: int | None,
        epoch: int | None,
        *,
        barrier: bool,
        blobs: Sequence[bytes] = (),
    ) -> None:
        # Nothing to write is nothing to collide with, so the look must be a locked one.
        super().__init__(locked=not events, barrier=barrier)
        self._stream = stream
        self._events = events
        self._head = head
        self._epoch = epoch
        self._blobs = blobs
        self._encoded: list[Encoded] | None = None

    def prepare(self, batch: Batch) -> None:
        """Say which stream it is."""
        batch.streams.append(self._stream)

    def touches(self, kinds: frozenset[type]) -> bool:
        """Whether an event of one of these kinds is among its own."""
        return not kinds.isdisjoint(map(type, self._events))

    def plain(self, ledger: Ledger) -> bool:
        """Whether one statement will do: the stream is remembered, its row stays, and no body is long."""
        entry = ledger.remembered(self._stream)
        if entry is None or self.locked or rules.moves(entry.status, self._events):
            return False
        try:
            self._encoded = [encode(event) for event in self._events]
        except JournalError:
            return False
        return all(len(body) <= LONG for _, _, body in self._encoded)

    def plan(self, batch: Batch) -> list[Record]:
        """Check the fence, and append."""
        if self._encoded is None:
            self._encoded = [encode(event) for event in self._events]
        entry = batch.ledger.entry(self._stream)
        if self._epoch is not None and self._epoch != entry.epoch:
            raise Fenced(self._stream, self._epoch, entry.epoch)
        if self._head is not None and self._head != entry.head:
            raise HeadMoved(self._stream, self._head, entry.head)
        for data in self._blobs:
            batch.keep(data)
        return batch.write(entry, self._encoded, self._epoch or 0)


class Add(Job[RunRow | str]):
    """See `Runs.add`; the answer is the new run's row, or the id of the run that has its key."""

    __slots__ = ("_encoded", "_run", "_started")

    def __init__(self, run: str, started: RunStarted) -> None:
        super().__init__(locked=True, barrier=True)
        self._run = run
        self._started = started
        self._encoded: Encoded | None = None

    def prepare(self, batch: Batch) -> None:
        """Look the run and the caller's key up."""
        batch.streams.append(self._run)
        if self._started.key:
            batch.wanted.append(self._who)

    def plan(self, batch: Batch) -> RunRow | str:
        """Create the run, unless its key has one."""
        known = batch.known.get(self._who) if self._started.key else None
        if known:
            return known
        rules.name(self._run, taken=batch.ledger.remembered(self._run) is not None)
        self._encoded = self._encoded or encode(self._started)
        entry = batch.add(self._run, self._started, self._encoded)
        if self._started.key:
            batch.known[self._who] = self._run
        return replace(rules.first_row(self._run, self._started, batch.now), status=entry.status, head=entry.head)

    @property
    def _who(self) -> tuple[str, str, str]:
        return self._started.tenant, self._started.user, self._started.key


class Claim(Job[tuple[int, list[Record]] | None]):
    """See `Leases.claim`; the answer is the epoch, and the run's events, or none of them where they are to be read."""

    __slots__ = ("_digest", "_run", "_seconds", "_worker")

    light = True

    def __init__(self, run: str, worker: str, seconds: float, digest: str) -> None:
        super().__init__(locked=True)
        self._run = run
        self._worker = worker
        self._seconds = seconds
        self._digest = digest

    def prepare(self, batch: Batch) -> None:
        """Load the lease as it is now."""
        batch.stale.append(self._run)

    def plan(self, batch: Batch) -> tuple[int, list[Record]] | None:
        """Take the run, if it is to be had."""
        entry = batch.ledger.find(self._run) if self._run != rules.APP else None
        if entry is None or entry.held or not rules.claimable(entry, batch.now):
            return None
        epoch = entry.epoch + 1
        event = RunClaimed(self._worker, self._digest, batch.ledger.position if epoch == 1 else 0)
        entry.epoch, entry.owner = epoch, self._worker
        entry.lease_until = batch.now + int(self._seconds * 1_000_000)
        first = batch.ledger.firsts.pop(self._run, None)
        known = [first] if first is not None and first.seq == entry.head else []
        records = batch.write(entry, [encode(event)], epoch)
        entry.claimed = batch.ledger.position
        batch.moved(entry)
        return epoch, [*known, *records] if known else []


class Renew(Job[None]):
    """See `Leases.renew`."""

    __slots__ = ("_seconds", "_worker")

    def __init__(self, worker: str, seconds: float) -> None:
        super().__init__(locked=True)
        self._worker = worker
        self._seconds = seconds

    def plan(self, batch: Batch) -> None:
        """Extend the worker's leases."""
        if self._worker:
            batch.also("renew", batch.now + int(self._seconds * 1_000_000), self._worker)


class Release(Job[None]):
    """See `Leases.release`."""

    __slots__ = ("_epoch", "_run")

    def __init__(self, run: str, epoch: int) -> None:
        super().__init__(locked=True)
        self._run = run
        self._epoch = epoch

    def plan(self, batch: Batch) -> None:
        """Give the run up."""
        batch.also("release", self._run, self._epoch)


class Save(Job[str]):
    """See `Blobs.save`."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        super().__init__(locked=True)
        self._data = data

    def plan(self, batch: Batch) -> str:
        """Keep the bytes under their digest."""
        return batch.keep(self._data)


class Derive(Job[T]):
    """A change to tables that no event tells of, such as vectors: it has the connection, within the transaction."""

    __slots__ = ("_work",)

    def __init__(self, work: Callable[[sqlite3.Connection], T]) -> None:
        super().__init__(locked=True)
        self._work = work

    def plan(self, batch: Batch) -> T:
        """Do the work."""
        return self._work(batch.ledger.connection)


class Remove(Job[T]):
    """Something that removes: it has the writer for itself. Projections are rebuilt, and the bytes scrubbed."""

    __slots__ = ("work",)

    def __init__(self, work: Callable[[Batch], T]) -> None:
        super().__init__(locked=True, barrier=True)
        self.work = work

    def plan(self, batch: Batch) -> T:
        """Do the work."""
        return self.work(batch)
