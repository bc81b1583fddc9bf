"""What every `Projection` must do, as tests: inherit, and give fixtures named ``projection`` and ``path``, a new SQLite file.

`Contract.rows` says what its table holds, and `Contract.events` what it is about, to be appended to the run ``r``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from surefoot.core import events as ev
from surefoot.core.ports import Projection
from surefoot.journal import database
from surefoot.journal.sqlite import SqliteStore
from surefoot.testing.clock import ManualClock
from surefoot.testing.contracts.scenes import begin

__all__ = ["Contract"]


class Contract:
    """The behaviour of the port."""

    def rows(self, connection: Any) -> object:  # noqa: ANN401  the store's own connection
        """What the table holds, in a form to compare."""
        raise NotImplementedError

    def events(self) -> Sequence[ev.Event]:
        """Events that change the table."""
        raise NotImplementedError

    async def test_it_follows_what_is_appended(self, projection: Projection, path: Path) -> None:
        """In the same file, at once, and the store's own check finds no difference."""
        async with _opened(path, [projection]) as store:
            before = self._read(path)
            await self._fill(store)
            assert self._read(path) != before
            assert await store.check() == []

    async def test_it_is_caught_up_when_it_was_left_behind(self, projection: Projection, path: Path) -> None:
        """By a process that did not know it, the same comes of the same events."""
        async with _opened(path, [projection]) as store:
            await self._fill(store)
            kept = self._read(path)
        late = path.with_name(f"late-{path.name}")
        async with _opened(late, []) as store:
            await self._fill(store)
        async with _opened(late, [projection]):
            assert self._read(late) == kept

    async def test_it_can_be_derived_anew(self, projection: Projection, path: Path) -> None:
        """From the records alone, as the store does after a removal."""
        async with _opened(path, [projection]) as store:
            await self._fill(store)
            kept = self._read(path)
            records = await store.read(None)
        with closing(database.connect(str(path), write=True)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            projection.rebuild(connection)
            for record in records:
                if not projection.tags or ev.tag_of(record.event) in projection.tags:
                    projection.apply(connection, record)
            assert self.rows(connection) == kept
            connection.execute("ROLLBACK")

    def test_it_has_a_name(self, projection: Projection) -> None:
        """Under which its progress is kept; and the tags it is about are those of events."""
        assert projection.name
        assert projection.tags <= {ev.tag_of(kind) for kind in (*ev.RUN_EVENTS, *ev.APP_EVENTS)}

    def _read(self, path: Path) -> object:
        with closing(database.connect(str(path))) as connection:
            return self.rows(connection)

    async def _fill(self, store: SqliteStore) -> None:
        claim = await begin(store, "r")
        await store.append("r", list(self.events()), head=claim.records[-1].seq, epoch=claim.epoch)


@asynccontextmanager
async def _opened(path: Path, tables: Sequence[Projection]) -> AsyncGenerator[SqliteStore]:
    store = SqliteStore(str(path), ManualClock(), projections=tables)
    await store.open()
    try:
        yield store
    finally:
        await store.close()
