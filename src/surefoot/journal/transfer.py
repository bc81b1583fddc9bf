"""Writing a whole journal into a new SQLite file: a copy of one in memory, or what is left of a damaged one."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from surefoot.core.errors import StoreUnavailable
from surefoot.core.rows import RunRow
from surefoot.journal import database
from surefoot.journal.database import Statements

__all__ = ["Content", "StoredEvent", "StoredRun", "fresh", "write"]


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A row of the table ``run``: ``claimed`` and ``ended`` are positions, ``ended_at`` is Unix microseconds."""

    key: int
    row: RunRow
    claimed: int = 0
    ended: int = 0
    ended_at: int = 0

    def values(self) -> tuple[Any, ...]:
        """The columns in order."""
        row = self.row
        return (
            *(self.key, row.id, row.agent, row.status, row.key, row.session, row.user, row.tenant, row.parent),
            *(json.dumps(row.tags), row.epoch, row.owner, row.lease_until, row.wake_at, self.claimed, row.created_at),
            *(self.ended, self.ended_at),
        )


#: A row of the table ``event``, its columns in order.
StoredEvent = tuple[int, int, int, int, int, str, int, bytes, str, bytes]


@dataclass(slots=True)
class Content:
    """Everything a journal holds. The events of run 0 are those of the stream ``app``."""

    runs: list[StoredRun] = field(default_factory=list)
    events: list[StoredEvent] = field(default_factory=list)
    blobs: list[tuple[str, bytes]] = field(default_factory=list)


def fresh(path: str) -> None:
    """Raise StoreUnavailable unless ``path`` is the name of a new file."""
    if Path(path).exists():
        raise StoreUnavailable(f"{path} exists; give the name of a new file")


def write(path: str, content: Content) -> None:
    """Make a journal of this content. Raises StoreUnavailable when the file exists or cannot be made, DiskFull."""
    fresh(path)
    sql = Statements()
    with database.translated(path), closing(database.connect(path, write=True)) as connection:
        database.prepare(connection, path)
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(sql["put_run"], [run.values() for run in content.runs])
        connection.executemany(sql["append"], content.events)
        connection.executemany(sql["save"], content.blobs)
        connection.execute("COMMIT")
