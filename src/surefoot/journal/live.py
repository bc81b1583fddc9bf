"""What streams and is not stored: deltas of answers, from whoever works on a run to whoever watches.

`MemoryLive` connects tasks of one event loop. `SqliteLive` also reaches other processes, through a second, throw-away
SQLite file beside the journal: who watches a run that nobody works on here leaves a note in it, whoever publishes
elsewhere sees the note and writes there too. Nothing in it is ever needed: a watcher that misses something reads whole
events from the journal, and any trouble with the file only means silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from surefoot.core.model import Delta
from surefoot.core.ports import Clock
from surefoot.journal.relay import Relay

__all__ = ["MemoryLive", "SqliteLive"]

#: Deltas kept for a watcher that does not fetch them; the oldest go first.
_KEPT = 10_000


class MemoryLive:
    """A `Live` inside one event loop."""

    def __init__(self) -> None:
        self._watchers: dict[str, set[asyncio.Queue[Delta]]] = {}

    def publish(self, run: str, delta: Delta) -> None:
        """See `Live.publish`."""
        for queue in self._watchers.get(run, ()):
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(delta)

    async def subscribe(self, run: str) -> AsyncGenerator[Delta]:
        """See `Live.subscribe`."""
        queue: asyncio.Queue[Delta] = asyncio.Queue(_KEPT)
        self._watchers.setdefault(run, set()).add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._watchers[run].discard(queue)
            if not self._watchers[run]:
                del self._watchers[run]

    async def close(self) -> None:
        """Nothing to close; there for symmetry with `SqliteLive`."""


class SqliteLive:
    """A `Live` between the processes that share the journal ``path``; its own file is ``{path}-live``.

    ``poll`` is how often, in seconds, the file is looked at while somebody watches or publishes. Close it with `close`.
    """

    def __init__(self, path: str, clock: Clock, poll: float = 0.025) -> None:
        self._near = MemoryLive()
        self._relay = Relay(f"{path}-live", clock, poll, self._near.publish)

    def publish(self, run: str, delta: Delta) -> None:
        """See `Live.publish`."""
        self._near.publish(run, delta)
        self._relay.send(run, delta)

    async def subscribe(self, run: str) -> AsyncGenerator[Delta]:
        """See `Live.subscribe`."""
        near = self._near.subscribe(run)
        with self._relay.watching(run):
            try:
                while True:
                    yield await anext(near)
            finally:
                await near.aclose()

    async def close(self) -> None:
        """Stop looking at the file."""
        await self._relay.close()
