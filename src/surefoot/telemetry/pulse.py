"""What the journal cannot tell: how late the event loop is, and how long an append takes.

Both are noted in memory and handed to the sinks that want them twice a second; between, a note is one item in a list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from surefoot.core.events import AppEvent, Event, Record
from surefoot.core.ports import Store
from surefoot.telemetry.metrics import Measure, Point

__all__ = ["APPEND", "LAG", "Pulse", "Timed"]

LAG = Measure("surefoot.loop.lag", "histogram", "s", "How late the event loop is when it should have woken.")
APPEND = Measure("surefoot.journal.append.duration", "histogram", "s", "Time a worker's append to the journal took.")
_EVERY = 0.5


class Pulse:
    """Feels the event loop it was begun on, and keeps what is noted until the next beat."""

    def __init__(self, observers: Sequence[Callable[[Sequence[Point]], None]]) -> None:
        self._observers = observers
        self._appends: list[float] = []
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin, on the running loop."""
        self._task = asyncio.create_task(self._beat())

    def end(self) -> None:
        """Stop, and hand on what is left."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
            self._hand_on([])

    def note(self, seconds: float) -> None:
        """An append took so long."""
        self._appends.append(seconds)

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _EVERY
            await asyncio.sleep(_EVERY)
            self._hand_on([Point(LAG, max(0.0, loop.time() - due))])

    def _hand_on(self, points: list[Point]) -> None:
        appends, self._appends = self._appends, []
        points += [Point(APPEND, seconds) for seconds in appends]
        for observe in self._observers if points else ():
            observe(points)


class Timed:
    """A store whose appends are timed; in all else it is the store inside."""

    def __init__(self, store: Store, pulse: Pulse) -> None:
        self._store, self._note = store, pulse.note

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever the store has
        return getattr(self._store, name)

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
        time = asyncio.get_running_loop().time
        began = time()
        try:
            return await self._store.append(stream, events, head=head, epoch=epoch, barrier=barrier, blobs=blobs)
        finally:
            self._note(time() - began)
