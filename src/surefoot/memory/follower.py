"""Vectors follow the text: a task that embeds what has none yet, in batches, off the loop, and writes it beside the table.

It begins with the first use of a memory, looks again after each commit, and needs nobody to wait for it: until an entry has
its vector, it is found by its words. Another embedder's vectors are replaced one by one.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from surefoot.core.ports import Clock, Embedder, Store
from surefoot.memory.statements import statements

__all__ = ["Derive", "Follower", "encoded"]

_log = logging.getLogger("surefoot.memory")

T = TypeVar("T")
#: Runs work on the one writing connection, in a transaction.
Derive = Callable[[Callable[[sqlite3.Connection], Any]], Awaitable[Any]]

_BATCH = 128
#: Seconds between looks while there is news all the time.
_PAUSE = 0.2
_LONGEST = 2_000
#: Microseconds of a day, after which an embedder says again that it is used; and days after which one that did not is unused.
_DAY, _UNUSED = 86_400_000_000, 30


async def encoded(embedder: Embedder, texts: Sequence[str]) -> list[Any]:
    """Vectors of texts, with those of their tokens where the embedder gives them."""
    encode = getattr(embedder, "encode", None)
    cut = [text[:_LONGEST] for text in texts]
    return list(await (encode(cut) if encode is not None else embedder.embed(cut)))


class Follower:
    """Keeps vectors in step, from `begin` to `end`. ``read`` runs work on the reading connection, in a thread."""

    def __init__(self, store: Store, clock: Clock, embedder: Embedder, read: Derive, derive: Derive) -> None:
        self._store, self._clock, self._embedder = store, clock, embedder
        self._read, self._derive = read, derive
        self._task: asyncio.Task[None] | None = None
        self._news, self._turn = asyncio.Event(), asyncio.Lock()
        self._stop: Callable[[], None] = lambda: None
        self._broken = False

    def begin(self) -> None:
        """Follow from now on. Twice is no error."""
        loop = asyncio.get_running_loop()
        if self._broken or (self._task is not None and self._task.get_loop() is loop and not self._task.done()):
            return
        self._news, self._turn = asyncio.Event(), asyncio.Lock()
        self._stop = self._store.on_commit(lambda stream, outside: self._news.set())
        self._task = loop.create_task(self._follow(), name="surefoot memory")

    def end(self) -> None:
        """Follow no more."""
        self._stop()
        if self._task is not None and not self._task.get_loop().is_closed():
            self._task.cancel()
        self._task = None

    async def catch_up(self) -> int:
        """Embed everything that has no vector yet; how many there were."""
        async with self._turn:
            return await self._catch_up()

    async def _catch_up(self) -> int:
        total = 0
        if (await self._read(self._used))[0] < self._clock.now() - _DAY:
            await self._derive(self._use)
        while rows := await self._read(self._missing):
            encodings = await encoded(self._embedder, [text for _, text in rows])
            await self._derive(partial(self._write, rows=rows, encodings=encodings))
            total += len(rows)
        return total

    async def _follow(self) -> None:
        try:
            while True:
                self._news.clear()
                await self.catch_up()
                await self._news.wait()
                await self._clock.sleep(_PAUSE)
        except asyncio.CancelledError:
            raise
        except Exception:  # noqa: BLE001  words alone will do
            self._broken = True
            _log.warning("entries get no vectors any more, and are found by their words", exc_info=True)

    def _used(self, connection: sqlite3.Connection) -> tuple[int]:
        return connection.execute(statements()["embedder_used"], (self._embedder.name,)).fetchone() or (-_DAY,)

    def _use(self, connection: sqlite3.Connection) -> None:
        """Say that this embedder is used, and drop the vectors of those that have not been for long."""
        now = self._clock.now()
        connection.execute(statements()["use_embedder"], {"name": self._embedder.name, "now": now})
        for statement in ("drop_unused_vectors", "drop_unused_embedders"):
            connection.execute(statements()[statement], (now - _UNUSED * _DAY,))

    def _missing(self, connection: sqlite3.Connection) -> list[tuple[int, str]]:
        return connection.execute(statements()["missing"], (self._embedder.name, _BATCH)).fetchall()

    def _write(self, connection: sqlite3.Connection, rows: list[tuple[int, str]], encodings: list[Any]) -> None:
        from surefoot.memory.vectors import code, mean_of, measure, stored

        name = self._embedder.name
        mean, put = mean_of(connection, name), statements()["put_vector"]
        for (key, _), encoding in zip(rows, encodings, strict=True):
            kept = stored(encoding)
            values = {"key": key, "name": name, "code": code(kept.half, mean), "half": kept.half, "words": kept.words}
            connection.execute(put, values)
        measure(connection, name)
