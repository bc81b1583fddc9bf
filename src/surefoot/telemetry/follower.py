"""Follow the journal for one sink, from a cursor of its own, so that the sink can neither fail nor slow a run.

Records are folded and written by a thread of the sink's own, in batches. While it is busy, nothing is gathered beyond a
bounded number of records: the rest stays in the journal, which is where a follower that comes back reads on. A sink that
raises is tried again with the same batch, one that hangs is waited for by its follower alone, and when the application
closes, for a moment only. What was written before the cursor was saved may be written again; sinks know their spans by id.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any

from surefoot.core import events as ev
from surefoot.core.errors import JournalError, RunNotFound
from surefoot.core.ports import Sink, Store
from surefoot.core.status import ENDED, status_after
from surefoot.telemetry.cursor import Cursor

__all__ = ["Follower"]

_log = logging.getLogger("surefoot.telemetry")

#: Records that wait for the sink in this process, and folds of runs that have not ended.
_MOST = 1_000
#: Seconds in which records are gathered to a batch; between looks for a cursor that another process holds.
_LULL, _LOOK = 0.02, 0.5
#: Seconds of the first pause after a sink failed, and of the longest.
_PAUSE, _LONGEST = 0.2, 30.0


class _Run:
    """The fold of one run, and the run's status."""

    __slots__ = ("status", "take")

    def __init__(self, take: Callable[[ev.Record], Sequence[Any]]) -> None:
        self.take = take
        self.status = "new"


class Follower:
    """Feeds one sink. ``patience`` is how many seconds it may still take when the application closes."""

    def __init__(self, store: Store, sink: Sink, cursor: Cursor | None = None, *, patience: float = 2.0) -> None:
        self._store, self._sink, self._cursor = store, sink, cursor or Cursor()
        self._patience = patience
        self._folds: OrderedDict[str, _Run] = OrderedDict()
        self._buffer: list[ev.Record] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._thread: _Thread

    def begin(self) -> None:
        """Begin to follow, on the running loop; once more where the last one ended before this was closed."""
        self._end()
        self._buffer.clear()
        self._thread = _Thread(f"surefoot {self._sink.name}")
        self._news, self._room, self._idle = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._feed())]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Write what there is, for as long as patience lasts, and stop."""
        if not self._tasks:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                await self._caught_up()
                await self._thread.call(self._closed)
        tasks = self._tasks
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._end()

    def _end(self) -> None:
        if self._tasks:
            self._tasks = []
            self._folds.clear()
            self._thread.stop()
            self._cursor.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """The journal cannot be followed any further: say so, once, and leave the runs alone."""
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("telemetry to %s has ended: %s: %s", self._sink.name, type(error).__name__, error)

    async def _caught_up(self) -> None:
        """Nothing has come for a moment, and nothing is in work."""
        quiet = 0
        while quiet < 2 and not all(task.done() for task in self._tasks):
            await asyncio.sleep(_LULL)
            quiet = quiet + 1 if self._idle.is_set() and not self._buffer else 0

    # ── in the loop ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _follow(self) -> None:
        """Gather records, as many as there is room for."""
        self._idle.set()
        while not self._held():  # noqa: ASYNC110  another process lets go of it without a word
            await asyncio.sleep(_LOOK)
        async with aclosing(self._store.follow(None, await self._place())) as records:
            async for record in records:
                self._buffer.append(record)
                self._news.set()
                while len(self._buffer) >= _MOST:
                    self._room.clear()
                    await self._room.wait()

    def _held(self) -> bool:
        try:
            return self._cursor.take()
        except OSError as error:
            _log.warning("telemetry to %s waits: its cursor cannot be kept: %s", self._sink.name, error)
            return False

    async def _place(self) -> int:
        """Where to go on; the beginning where the journal is not the one that the cursor knew."""
        place = self._cursor.load()
        if not place.position or place.stream == "app":
            return place.position
        try:
            found = await self._store.read(place.stream, place.seq - 1, 1)
        except RunNotFound:
            found = []
        return place.position if found and found[0].position == place.position else 0

    async def _feed(self) -> None:
        """Hand what was gathered to the sink's thread, batch by batch."""
        while True:
            await self._news.wait()
            self._news.clear()
            await asyncio.sleep(_LULL)
            while self._buffer:
                self._idle.clear()
                batch, self._buffer = self._buffer, []
                self._room.set()
                await self._deal(batch)
            self._idle.set()

    async def _deal(self, batch: list[ev.Record]) -> None:
        earlier = await self._earlier(batch)
        before, fresh = await self._thread.call(self._folded, earlier, batch)
        pause = _PAUSE
        while True:
            try:
                await self._thread.call(self._written, before, fresh, batch)
            except Exception as error:  # noqa: BLE001  a sink may fail as it likes
                level = logging.WARNING if pause == _PAUSE else logging.DEBUG
                _log.log(level, "telemetry to %s failed and is tried again: %s: %s", self._sink.name, type(error).__name__, error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST)
            else:
                return

    async def _earlier(self, batch: list[ev.Record]) -> dict[str, list[ev.Record]]:
        """What came before in runs whose fold is not at hand, or of which something was removed for good."""
        first = {record.stream: record.seq for record in reversed(batch)}
        first |= {record.stream: record.seq + 1 for record in batch if isinstance(record.event, ev.EventRedacted)}
        redacted = {record.stream for record in batch if isinstance(record.event, ev.EventRedacted)}
        found: dict[str, list[ev.Record]] = {}
        for run, seq in first.items():
            at_hand = run == "app" or seq == 1 or run in self._folds
            if at_hand and run not in redacted:
                continue
            found[run] = []
            with suppress(JournalError):  # gone since, or damaged: what follows is told without it
                found[run] = await self._store.read(run, 0, seq - 1)
        return found

    # ── in the thread ───────────────────────────────────────────────────────────────────────────────────────────────

    def _folded(self, earlier: Mapping[str, list[ev.Record]], batch: list[ev.Record]) -> tuple[list[Any], list[Any]]:
        """What folds give of the records: of those that came before, and of the batch."""
        before: list[Any] = []
        for run, records in earlier.items():
            self._folds[run] = _Run(self._sink.begin())
            before += [item for record in records for item in self._take(record)]
        fresh = [item for record in batch for item in self._take(record)]
        for run in {record.stream for record in batch}:
            if run in self._folds and self._folds[run].status in ENDED:
                del self._folds[run]
        while len(self._folds) > _MOST:
            self._folds.popitem(last=False)
        return before, fresh

    def _take(self, record: ev.Record) -> Sequence[Any]:
        if record.stream not in self._folds:
            self._folds[record.stream] = _Run(self._sink.begin())
        self._folds.move_to_end(record.stream)
        run = self._folds[record.stream]
        run.status = status_after(run.status, record.event)
        try:
            return run.take(record)
        except Exception:  # noqa: BLE001  a sink may fail as it likes
            _log.exception("run %s event %d cannot be told to %s", record.stream, record.seq, self._sink.name)
            return ()

    def _closed(self) -> None:
        try:
            self._sink.close()
        except Exception as error:  # noqa: BLE001  a sink may fail as it likes
            _log.warning("telemetry to %s could not be closed: %s: %s", self._sink.name, type(error).__name__, error)

    def _written(self, before: list[Any], fresh: list[Any], batch: list[ev.Record]) -> None:
        if before or fresh:
            self._sink.write(before, fresh)
        for record in batch:
            if isinstance(record.event, ev.RunPruned):
                self._sink.pruned(record.event.run)
        self._cursor.save(batch[-1])


class _Thread:
    """A thread that does one thing after another, and that no exit of the program waits for."""

    def __init__(self, name: str) -> None:
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()

    async def call(self, function: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401  whatever it gives
        """What a function gives, or raises, when it is called in the thread."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()

        def settle(result: Any, error: Exception | None) -> None:  # noqa: ANN401
            if not done.done():
                done.set_result(result) if error is None else done.set_exception(error)

        def work() -> None:
            result, error = None, None
            try:
                result = function(*arguments)
            except Exception as raised:  # noqa: BLE001  raised again in the loop
                error = raised
            with suppress(RuntimeError):  # the loop ended while the sink hung
                loop.call_soon_threadsafe(settle, result, error)

        self._work.put(work)
        return await done

    def stop(self) -> None:
        """End once what is in work is done."""
        self._work.put(None)
