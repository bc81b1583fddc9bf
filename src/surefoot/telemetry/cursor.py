"""How far a follower has come in the journal, kept in a small file that one process at a time may hold.

The file is replaced whole, so that it is never half written; beside it lies a lock, which a process that dies lets go of.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from surefoot.core.events import Record

__all__ = ["Cursor", "Place"]


class Place(msgspec.Struct, frozen=True):
    """A record that was dealt with: its position in the journal, and where it stands in its stream."""

    position: int = 0
    stream: str = ""
    seq: int = 0


class Cursor:
    """A place in the file ``path``; without a path, a place that nobody keeps."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = -1
        self._place = Place()

    def take(self) -> bool:
        """Hold the cursor, if no other process does. Raises OSError where its file cannot be made."""
        if self._path is None or self._lock >= 0:
            return True
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        self._lock = lock
        return True

    def load(self) -> Place:
        """Where to go on; the beginning where nothing is known, or what is known cannot be read."""
        if self._path is not None:
            with suppress(OSError, msgspec.MsgspecError):
                self._place = msgspec.json.decode(self._path.read_bytes(), type=Place)
        return self._place

    def save(self, record: Record) -> None:
        """What there was up to this record is dealt with. Raises OSError."""
        self._place = Place(record.position, record.stream, record.seq)
        if self._path is not None:
            new = self._path.with_name(f"{self._path.name}.new")
            new.write_bytes(msgspec.json.encode(self._place))
            new.replace(self._path)

    def close(self) -> None:
        """Let go of it."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
