"""Journals in files, for tests that need the file itself."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from surefoot.core.ports import Projection
from surefoot.journal import SqliteStore
from surefoot.journal.sqlite import Settings
from surefoot.testing.clock import ManualClock


@contextlib.asynccontextmanager
async def opened(
    path: Path,
    clock: ManualClock | None = None,
    settings: Settings | None = None,
    projections: Sequence[Projection] = (),
) -> AsyncIterator[SqliteStore]:
    """Open the journal in a file, and close it again."""
    store = SqliteStore(str(path), clock or ManualClock(), settings or Settings(), projections)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def bytes_of(path: Path) -> bytes:
    """Everything on the disk that belongs to a journal."""
    return b"".join(part.read_bytes() for part in sorted(path.parent.glob(f"{path.name}*")))
