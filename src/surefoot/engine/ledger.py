"""A run's journal as its worker sees it: what is committed, what is held back for the next commit, and the state of both.

An *outcome* (a reply, a result) has happened and is always written, wherever the stream stands. An *intent* (a request,
a tool about to start) is written only where its worker decided on it; when somebody wrote meanwhile, the worker reads and
decides anew. Outcomes are held back until the next intent, so that both share one commit; nothing is awaited in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from surefoot.core import events as ev
from surefoot.core.errors import DiskFull, HeadMoved, StoreUnavailable
from surefoot.core.ports import Claim, Clock, Journal
from surefoot.core.state import State, fold

__all__ = ["Ledger"]

#: For so many seconds outcomes are kept for a store that can be read but not written to; about as long as a lease lasts.
_PATIENCE = 30.0


class Ledger:
    """Appends to one claimed run, and keeps its state. ``committed`` is the last sequence number known to be written."""

    def __init__(self, journal: Journal, claim: Claim, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._lock = asyncio.Lock()
        self._held: list[ev.Event] = []
        self._held_barrier = False
        self.run = claim.run
        self.epoch = claim.epoch
        self.state: State = fold(claim.records)
        self.committed = self.state.seq

    def hold(self, *events: ev.Event, barrier: bool = False) -> None:
        """Take outcomes into the state now and into the journal with whatever is written next."""
        for event in events:
            self._held.append(event)
            self._take(event)
        self._held_barrier = self._held_barrier or barrier

    async def outcome(self, *events: ev.Event, barrier: bool = False) -> None:
        """Write outcomes, wherever the stream stands."""
        async with self._lock:
            self.hold(*events, barrier=barrier)
            await self._keep()

    async def flush_held(self) -> None:
        """Write what is held back."""
        if self._held:
            async with self._lock:
                await self._keep()

    async def intend(self, *events: ev.Event, barrier: bool = False, blobs: Sequence[bytes] = ()) -> bool:
        """Write what is held back and intents, with the ``blobs`` they name.

        False: somebody wrote meanwhile; the state is fresh, decide anew.
        """
        async with self._lock:
            try:
                records = await self._journal.append(
                    self.run,
                    (*self._held, *events) if self._held else events,
                    head=self.committed,
                    epoch=self.epoch,
                    barrier=barrier or self._held_barrier,
                    blobs=blobs,
                )
            except HeadMoved:
                await self._keep()
                return False
            except (StoreUnavailable, DiskFull) as error:
                if not self._held:
                    raise
                if await self._keep(error):  # what was intended is written as well, but nobody may act on a maybe
                    raise
                return False
            for record in records[len(self._held) :]:
                self.state.apply(record)
            self._settle(records)
            return True

    async def records(self) -> list[ev.Record]:
        """The whole run, with what was held back; the state is a new one if others wrote to it."""
        await self.flush_held()
        return await self._journal.read(self.run)

    async def refresh(self) -> bool:
        """Read what others wrote; whether there was anything."""
        async with self._lock:
            fresh = await self._journal.read(self.run, self.committed)
            if not fresh:
                return False
            await self._keep()
            return True

    async def _keep(self, error: Exception | None = None) -> bool:
        """`_flush`, for a while also where the store cannot be written to: an outcome that is dropped is never known again.

        ``error`` is what the store has said already. True: what it refused was written all the same. Whoever no longer
        has the run is told by Fenced.
        """
        until, delay, landed = self._clock.monotonic() + _PATIENCE, 0.0, False
        while True:
            if error is not None and await self._landed(error):
                self._held.clear()
                self._held_barrier, landed = False, True
            try:
                await self._flush()
            except (StoreUnavailable, DiskFull) as failed:
                if not self._held or self._clock.monotonic() >= until:
                    raise
                error = failed
            else:
                return landed
            await self._clock.sleep(delay)
            delay = min(2 * delay + 0.1, 2.0)

    async def _landed(self, error: Exception) -> bool:
        """Whether a write that failed was committed all the same. A store that cannot even be read is gone: no use waiting."""
        try:
            fresh = await self._journal.read(self.run, self.committed)
        except StoreUnavailable:
            raise error from None
        return any(record.epoch == self.epoch for record in fresh)

    async def _flush(self) -> None:
        """Write what is held back at the head, and read the run anew if others wrote to it."""
        expected = self.committed + len(self._held)
        if self._held:
            held = tuple(self._held)
            records = await self._journal.append(self.run, held, head=None, epoch=self.epoch, barrier=self._held_barrier)
            self._settle(records)
            if records[-1].seq == expected:
                return
        self.state = fold(await self._journal.read(self.run))
        self.committed = self.state.seq

    def _settle(self, records: list[ev.Record]) -> None:
        self._held.clear()
        self._held_barrier = False
        self.committed = records[-1].seq

    def _take(self, event: ev.Event) -> None:
        state = self.state
        state.apply(ev.Record(0, self.run, state.seq + 1, self.epoch, self._clock.now(), event))
