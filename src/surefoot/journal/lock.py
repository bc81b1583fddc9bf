"""A file that one process at a time may hold: the advisory lock around write transactions.

SQLite before 3.51.3 can, very rarely, damage a write-ahead log that several processes write to at once (the "WAL-reset
bug", https://sqlite.org/wal.html), so every write transaction and checkpoint is made under this lock. It costs two
flock(2) a transaction, a microsecond; a process that dies lets go of it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from surefoot.core.errors import StoreUnavailable

__all__ = ["FileLock"]

#: Seconds between tries: short, because a busy process lets go of it for moments only.
_PAUSE = 0.0003


class FileLock:
    """An exclusive lock on the file ``path``, waited for up to ``seconds``; it is created, and never deleted."""

    def __init__(self, path: str, seconds: float) -> None:
        self._path = path
        self._seconds = seconds
        self._file = -1

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock. Raises StoreUnavailable when another process keeps it too long, or the file cannot be made."""
        deadline = time.monotonic() + self._seconds
        while not self.take():
            if time.monotonic() > deadline:
                raise StoreUnavailable(
                    f"another process has held {self._path} for {self._seconds:g} s; see which one, and try again"
                )
            time.sleep(_PAUSE)
        try:
            yield
        finally:
            self.give()

    def take(self) -> bool:
        """Take the lock if nobody has it. Raises StoreUnavailable when the file cannot be made."""
        if self._file < 0:
            self._file = self._create()
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def give(self) -> None:
        """Let go of the lock."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _create(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreUnavailable(f"cannot create {self._path}: {error.strerror}; the folder must be writable") from None
