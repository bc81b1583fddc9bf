"""Handing committed records to whoever follows, in order, without ever making the writer wait.

`Hub` belongs to one store and one event loop. The store tells it of every commit; a follower that is slower than the
commits is not fed more than a bounded number of records: it reads the rest from the store when it gets there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence

from surefoot.core.events import EventRedacted, Record, RunPruned

__all__ = ["CHUNK", "Hub", "Listener"]

#: Records read from the store at once, and records kept for a follower before it must read them itself.
CHUNK = 1000
#: Runs that have just begun, and records of each, that whoever follows one of them need not read.
_YOUNG, _FIRST = 64, 4
#: What takes away something that is remembered, perhaps.
_REMOVALS = frozenset({EventRedacted, RunPruned})

#: What `Journal.on_commit` calls: with the stream, and whether somebody outside wrote to it.
Listener = Callable[[str, bool], None]

#: (stream or None for all, after, limit) → the next records.
Read = Callable[[str | None, int, int], Awaitable[list[Record]]]


class _Follower:
    __slots__ = ("behind", "news", "waiting")

    def __init__(self) -> None:
        self.news: deque[Record] = deque()
        self.waiting = asyncio.Event()
        self.behind = False

    def tell(self, record: Record) -> None:
        if len(self.news) >= CHUNK:
            self.lapse()
        if not self.behind:
            self.news.append(record)
        self.waiting.set()

    def lapse(self) -> None:
        self.behind = True
        self.news.clear()
        self.waiting.set()


class Hub:
    """Who listens to a store. All methods belong to the event loop's thread."""

    def __init__(self, read: Read, loop: asyncio.AbstractEventLoop, watch: Callable[[bool], None] = lambda on: None) -> None:
        self._read = read
        self._loop = loop
        self._watch = watch
        self._followers: dict[str | None, set[_Follower]] = {}
        self._callbacks: dict[object, Listener] = {}
        self._changed: dict[tuple[str, bool], None] = {}
        self._young: dict[str, list[Record]] = {}
        self._closed = False

    @property
    def active(self) -> bool:
        """Whether anybody listens; `watch` is called when that may have changed."""
        return bool(self._followers or self._callbacks)

    def on_commit(self, callback: Listener) -> Callable[[], None]:
        """See `Journal.on_commit`."""
        key = object()
        self._callbacks[key] = callback
        self._watch(self.active)

        def stop() -> None:
            self._callbacks.pop(key, None)
            self._left()

        return stop

    def call(self, outside: Mapping[str, bool]) -> None:
        """Tell callbacks which streams changed, and whether somebody outside changed them: once a turn of the loop."""
        if not self._callbacks:
            return
        if not self._changed:
            # Not called from here: what a callback raises must not reach the writer of a commit.
            self._loop.call_soon(self._tell)
        for change in outside.items():
            self._changed[change] = None

    def _tell(self) -> None:
        changed, self._changed = self._changed, {}
        for stream, foreign in changed:
            for callback in list(self._callbacks.values()):
                try:
                    callback(stream, foreign)
                except Exception as error:  # noqa: BLE001  it must not keep the others from hearing
                    self._loop.call_exception_handler({"message": "a callback on commits failed", "exception": error})

    def feed(self, records: Sequence[Record]) -> None:
        """Hand followers records that were just committed; each call goes on where the last one stopped."""
        for record in records:
            if record.seq <= _FIRST + 1 or type(record.event) in _REMOVALS:
                self._remember(record)
        if self._followers:
            everybody = self._followers.get(None, ())
            for record in records:
                for follower in (*self._followers.get(record.stream, ()), *everybody):
                    follower.tell(record)

    def _remember(self, record: Record) -> None:
        """Keep the first records of a run that has just begun; whoever starts one mostly follows it."""
        if type(record.event) in _REMOVALS:
            self._forget()
        elif record.seq == 1:
            while len(self._young) >= _YOUNG:
                del self._young[next(iter(self._young))]
            self._young[record.stream] = [record]
        elif (known := self._young.get(record.stream)) is not None:
            if len(known) < _FIRST:
                known.append(record)
            else:
                del self._young[record.stream]

    def lapse(self) -> None:
        """Let every follower read for himself."""
        self._forget()
        for followers in self._followers.values():
            for follower in followers:
                follower.lapse()

    async def follow(self, stream: str | None, after: int) -> AsyncGenerator[Record, None]:
        """See `Journal.follow`; it ends when the store is closed."""
        follower = _Follower()
        self._followers.setdefault(stream, set()).add(follower)
        self._watch(self.active)
        cursor = after
        try:
            while not self._closed:
                follower.behind, more = False, True
                while more:
                    batch = self._begun(stream, cursor) or await self._batch(stream, cursor)
                    for record in batch:
                        cursor = record.position if stream is None else record.seq
                        yield record
                    more = len(batch) == CHUNK  # what is committed after a read is told of
                while not (follower.behind or self._closed):
                    await follower.waiting.wait()
                    follower.waiting.clear()
                    while follower.news:
                        record = follower.news.popleft()
                        place = record.position if stream is None else record.seq
                        if place > cursor:
                            cursor = place
                            yield record
        finally:
            self._leave(stream, follower)

    def _begun(self, stream: str | None, cursor: int) -> list[Record]:
        """All records of a run that has just begun, where nobody has read any yet."""
        return list(self._young.get(stream, ())) if stream is not None and not cursor else []

    async def _batch(self, stream: str | None, cursor: int) -> list[Record]:
        """The next records from the store; none when it is, or is being, closed."""
        return [] if self._closed else await self._read(stream, cursor, CHUNK)

    def close(self) -> None:
        """Let every follower end, and call nobody any more."""
        self._closed = True
        self._callbacks.clear()
        for followers in self._followers.values():
            for follower in followers:
                follower.waiting.set()

    def _leave(self, stream: str | None, follower: _Follower) -> None:
        followers = self._followers[stream]
        followers.discard(follower)
        if not followers:
            del self._followers[stream]
        self._left()

    def _left(self) -> None:
        """Whoever listened does no longer; when nobody does, nothing is handed on."""
        if not self.active:
            self._forget()
        self._watch(self.active and not self._closed)

    def _forget(self) -> None:
        """Remember no run's first records: some are not handed on, or were taken out of the store."""
        self._young.clear()
