"""The throw-away file through which deltas reach other processes, and the thread that looks at it.

The thread runs while somebody here watches a run or has published lately. It writes what was published for runs that
are watched elsewhere, reads what was published elsewhere for runs watched here, and keeps the watchers' notes fresh.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from surefoot.core.model import Delta
from surefoot.core.ports import Clock
from surefoot.journal.database import statements
from surefoot.journal.owner import new_owner

__all__ = ["Relay"]

#: Seconds a watcher's note holds, and seconds after which it is written again.
_NOTE, _FRESH = 10.0, 3.0
#: Seconds without a delta from this process, after which a watched run is looked for elsewhere.
_ELSEWHERE = 0.1
#: Seconds a delta is kept in the file.
_KEPT = 5.0
#: Later than any time (Unix microseconds).
_EVER = 1 << 62
#: Seconds after the last delta during which notes are looked for.
_LATELY = 2.0
#: Deltas waiting to be written; more are dropped.
_MOST = 10_000

#: What is called on the event loop with each delta that came from elsewhere.
Heard = Callable[[str, Delta], None]


class Relay:
    """One process's end. `send`, `watching` and `close` belong to the event loop's thread."""

    def __init__(self, path: str, clock: Clock, poll: float, heard: Heard) -> None:
        self._path = path
        self._clock = clock
        self._poll = poll
        self._heard = heard
        self._owner = new_owner()
        self._sql = statements("live.sql")
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._halt = threading.Event()
        self._watched: Counter[str] = Counter()
        self._near: dict[str, float] = {}
        self._outbox: list[tuple[str, Delta]] = []
        self._wanted: frozenset[str] = frozenset()
        self._published = float("-inf")
        # What follows belongs to the thread.
        self._connection: sqlite3.Connection | None = None
        self._cursor = 0
        self._noted: dict[str, float] = {}

    def send(self, run: str, delta: Delta) -> None:
        """Take a delta along, if somebody elsewhere watches its run."""
        now = time.monotonic()
        if run in self._watched:
            self._near[run] = now
        if run in self._wanted and len(self._outbox) < _MOST:
            self._outbox.append((run, delta))
        if now - self._published > _LATELY / 4:
            self._published = now
            self._start()

    @contextlib.contextmanager
    def watching(self, run: str) -> Iterator[None]:
        """Hear what is published elsewhere for a run."""
        self._watched[run] += 1
        self._near.setdefault(run, time.monotonic())
        self._start()
        try:
            yield
        finally:
            self._watched[run] -= 1
            if not self._watched[run]:
                del self._watched[run]
                self._near.pop(run, None)

    async def close(self) -> None:
        """Leave."""
        self._halt.set()
        self._wake.set()
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    def _start(self) -> None:
        if self._thread is None and not self._halt.is_set():
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._run, name="surefoot-live", daemon=True)
            self._thread.start()
        self._wake.set()

    # ------------------------------------------------------------------------------------------------ the thread

    def _run(self) -> None:
        while not self._halt.is_set():
            if self._watched or time.monotonic() - self._published < _LATELY:
                self._look()
                self._halt.wait(self._poll)
            else:
                self._leave()
                self._wake.wait()
                self._wake.clear()
        self._leave()

    def _look(self) -> None:
        runs = self._elsewhere()
        try:
            if self._connection is None:
                if not runs and not Path(self._path).exists():
                    return
                self._connection = self._connect()
            self._note(self._connection, runs)
            self._write(self._connection)
            self._read(self._connection, runs)
        except sqlite3.Error as error:
            self._drop(error)

    def _elsewhere(self) -> list[str]:
        """The watched runs that nobody here has published for lately."""
        now = time.monotonic()
        return [run for run in list(self._watched) if now - self._near.get(run, now) > _ELSEWHERE]

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=0.2, isolation_level=None, check_same_thread=False)
        try:
            for pragma in ("journal_mode = WAL", "synchronous = OFF", "secure_delete = ON"):
                connection.execute(f"PRAGMA {pragma}").fetchall()
            connection.executescript(self._sql["create"])
            (self._cursor,) = connection.execute(self._sql["last"]).fetchone()
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _note(self, connection: sqlite3.Connection, runs: list[str]) -> None:
        now = time.monotonic()
        until = self._clock.now() + int(_NOTE * 1_000_000)
        for run in runs:
            if now - self._noted.get(run, float("-inf")) > _FRESH:
                connection.execute(self._sql["watch"], (run, self._owner, until))
                self._noted[run] = now
        for run in [run for run in self._noted if run not in self._watched]:
            connection.execute(self._sql["leave"], (run, self._owner))
            del self._noted[run]

    def _write(self, connection: sqlite3.Connection) -> None:
        now = self._clock.now()
        (wanted,) = connection.execute(self._sql["watched"], (self._owner, now)).fetchone()
        self._wanted = frozenset(json.loads(wanted))
        sent, self._outbox = self._outbox, []
        if sent:
            connection.execute("BEGIN IMMEDIATE")
            rows = [(run, self._owner, now, delta.kind, delta.text) for run, delta in sent]
            connection.executemany(self._sql["send"], rows)
            connection.execute(self._sql["forget"], (now - int(_KEPT * 1_000_000),))
            connection.execute("COMMIT")

    def _read(self, connection: sqlite3.Connection, runs: list[str]) -> None:
        if runs:
            values = (self._cursor, self._owner, json.dumps(runs))
            last, rows = connection.execute(self._sql["sent"], values).fetchone()
            self._cursor = max(self._cursor, last)
            for run, kind, text in json.loads(rows):
                self._tell(run, Delta(kind, text))

    def _tell(self, run: str, delta: Delta) -> None:
        # A loop that is closed has nobody left who watches.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._heard, run, delta)

    def _leave(self) -> None:
        """Take the notes back, and let go of the file."""
        self._wanted = frozenset()
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                for run in self._noted:
                    self._connection.execute(self._sql["leave"], (run, self._owner))
                now = self._clock.now()
                (watched,) = self._connection.execute(self._sql["watched"], ("", now)).fetchone()
                # When nobody watches any more, nothing is left behind.
                self._connection.execute(self._sql["forget"], (now - int(_KEPT * 1_000_000) if watched != "[]" else _EVER,))
            self._connection.close()
            self._connection = None
        self._noted.clear()

    def _drop(self, error: sqlite3.Error) -> None:
        """Let go of a file that makes trouble, and of the file itself when it is damaged: nothing in it is needed."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._noted.clear()
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            for suffix in ("", "-wal", "-shm"):
                Path(self._path + suffix).unlink(missing_ok=True)
