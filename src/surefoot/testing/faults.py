"""A store that stops, fails or freezes where a test says, around any real store.

`FaultyStore` counts what writes events: `append`, `add` and `claim`, from 1. At the n-th it can

- stop, before or after the write is committed, as a process does that is killed there: nothing gets through any more;
- fail once with an error, as a full disk does;
- freeze until it is thawed, as a process does that is suspended, while others go on with the store inside.

Before each append, and after each append and claim, it can call a function, which may write to the store inside: an
outside writer in every gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from surefoot.core.errors import StoreUnavailable
from surefoot.core.events import AppEvent, Event, Record, RunStarted
from surefoot.core.ports import Store
from surefoot.core.rows import Claim, Erasure, Problem, Query, RunRow, SessionRow

__all__ = ["After", "Before", "Faults", "FaultyStore", "Stopped"]

#: Called before each append with the store inside, the stream and the events about to be appended.
Before = Callable[[Store, str, Sequence[Event | AppEvent]], Awaitable[None]]
#: Called after each append or claim with the store inside and the records it committed, before whoever wrote hears of it.
After = Callable[[Store, Sequence[Record]], Awaitable[None]]


class Stopped(StoreUnavailable):
    """The store was stopped on purpose: as far as its user can tell, the machine is gone."""

    def __init__(self) -> None:
        super().__init__("the store was stopped by a test; open another application on the store inside")


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What is to go wrong, and when. Writes are counted from 1.

    Attributes:
        stop_at: the write at which the store stops, for good; every call then raises `Stopped`.
        committed: whether the write at which it stops is still committed.
        fail: errors to raise instead of a write, by its number.
        freeze_at: the write that waits, before anything is written, until `FaultyStore.thaw`; later ones wait with it.
        before: called before each append.
        after: called after each append and claim.
        shared: others use the store inside as well, so closing this one leaves it open.
    """

    stop_at: int | None = None
    committed: bool = False
    fail: Mapping[int, Exception] = field(default_factory=dict)
    freeze_at: int | None = None
    before: Before | None = None
    after: After | None = None
    shared: bool = False


class FaultyStore:
    """A `Store` around another one, with faults. Whoever is to survive them uses the store inside.

    Attributes:
        inside: the store inside.
        writes: how many writes were begun so far.
        stopped, frozen: events that are set when the store has stopped, or a write waits.
    """

    def __init__(self, store: Store, faults: Faults) -> None:
        self.inside = store
        self.writes = 0
        self.stopped = asyncio.Event()
        self.frozen = asyncio.Event()
        self._faults = faults
        self._thawed = asyncio.Event()

    def stop(self) -> None:
        """Stop now, for good."""
        self.stopped.set()

    def thaw(self) -> None:
        """Let frozen writes go on."""
        self._thawed.set()

    # ------------------------------------------------------------------------------------------------ what writes

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
        last = await self._begin()
        if self._faults.before is not None:
            await self._faults.before(self.inside, stream, events)
        records = await self.inside.append(stream, events, head=head, epoch=epoch, barrier=barrier, blobs=blobs)
        if self._faults.after is not None:
            await self._faults.after(self.inside, records)
        self._end(last=last)
        return records

    async def add(self, run: str, started: RunStarted) -> tuple[RunRow, bool]:
        """See `Runs.add`."""
        last = await self._begin()
        row, new = await self.inside.add(run, started)
        self._end(last=last)
        return row, new

    async def claim(self, run: str, worker: str, seconds: float, agent_digest: str = "") -> Claim | None:
        """See `Leases.claim`."""
        last = await self._begin()
        claim = await self.inside.claim(run, worker, seconds, agent_digest)
        if self._faults.after is not None and claim is not None:
            await self._faults.after(self.inside, claim.records[-1:])
        self._end(last=last)
        return claim

    async def _begin(self) -> bool:
        """Count a write, and do what is to be done before it; whether it is the last."""
        self._alive()
        self.writes += 1
        number, faults = self.writes, self._faults
        if faults.freeze_at is not None and number >= faults.freeze_at:
            self.frozen.set()
            await self._thawed.wait()
            self._alive()
        if number in faults.fail:
            raise faults.fail[number]
        last = number == faults.stop_at
        if last and not faults.committed:
            self._end(last=True)
        return last

    def _end(self, *, last: bool) -> None:
        """What is committed after the store has stopped is not acknowledged either."""
        if last:
            self.stop()
        self._alive()

    def _alive(self) -> None:
        if self.stopped.is_set():
            raise Stopped

    # ------------------------------------------------------------------------------------------------ what does not

    async def open(self) -> None:
        """See `Store.open`."""
        await self.inside.open()

    async def close(self) -> None:
        """See `Store.close`; a store inside that is shared stays open."""
        if not self._faults.shared:
            await self.inside.close()

    async def read(self, stream: str | None, after: int = 0, limit: int | None = None) -> list[Record]:
        """See `Journal.read`."""
        self._alive()
        return await self.inside.read(stream, after, limit)

    def follow(self, stream: str | None = None, after: int = 0) -> AsyncGenerator[Record]:
        """See `Journal.follow`."""
        self._alive()
        return self.inside.follow(stream, after)

    def on_commit(self, callback: Callable[[str, bool], None]) -> Callable[[], None]:
        """See `Journal.on_commit`; a store that has stopped calls nobody."""
        return self.inside.on_commit(lambda stream, outside: None if self.stopped.is_set() else callback(stream, outside))

    async def get(self, run: str) -> RunRow:
        """See `Runs.get`."""
        self._alive()
        return await self.inside.get(run)

    async def find(self, query: Query) -> list[RunRow]:
        """See `Runs.find`."""
        self._alive()
        return await self.inside.find(query)

    async def sessions(self, query: Query) -> list[SessionRow]:
        """See `Runs.sessions`."""
        self._alive()
        return await self.inside.sessions(query)

    async def renew(self, worker: str, seconds: float) -> None:
        """See `Leases.renew`; a frozen store renews nothing before it is thawed."""
        self._alive()
        if self.frozen.is_set():
            await self._thawed.wait()
            self._alive()
        await self.inside.renew(worker, seconds)

    async def release(self, run: str, epoch: int) -> None:
        """See `Leases.release`."""
        self._alive()
        await self.inside.release(run, epoch)

    async def due(self, agents: Sequence[str], limit: int = 100) -> tuple[list[str], int]:
        """See `Leases.due`."""
        self._alive()
        return await self.inside.due(agents, limit)

    async def save(self, data: bytes) -> str:
        """See `Blobs.save`."""
        self._alive()
        return await self.inside.save(data)

    async def load(self, digest: str) -> bytes:
        """See `Blobs.load`."""
        self._alive()
        return await self.inside.load(digest)

    async def check(self) -> list[Problem]:
        """See `Upkeep.check`."""
        self._alive()
        return await self.inside.check()

    async def redact(self, run: str, seq: int, *, by: str = "", reason: str = "") -> None:
        """See `Upkeep.redact`."""
        self._alive()
        await self.inside.redact(run, seq, by=by, reason=reason)

    async def strike(self, what: Erasure, *, by: str = "", reason: str = "") -> None:
        """See `Erasures.strike`."""
        self._alive()
        await self.inside.strike(what, by=by, reason=reason)

    async def prune(self, *, before: int, status: Sequence[str] = ("done", "failed", "cancelled")) -> list[str]:
        """See `Upkeep.prune`."""
        self._alive()
        return await self.inside.prune(before=before, status=status)

    async def erase(self, runs: Sequence[str], *, reason: str = "") -> None:
        """See `Upkeep.erase`."""
        self._alive()
        await self.inside.erase(runs, reason=reason)

    async def backup(self, path: str) -> None:
        """See `Upkeep.backup`."""
        self._alive()
        await self.inside.backup(path)
