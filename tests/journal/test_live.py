"""Deltas reach whoever watches, here and elsewhere, and nothing depends on it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from surefoot.clock import SystemClock
from surefoot.core.model import Delta
from surefoot.core.ports import Live
from surefoot.journal import MemoryLive, SqliteLive
from surefoot.testing.contracts.live import Contract
from surefoot.testing.contracts.scenes import SECONDS, take, until
from tests.journal.files import bytes_of


class TestMemoryLive(Contract):
    @pytest.fixture
    async def live(self) -> AsyncIterator[Live]:
        live = MemoryLive()
        yield live
        await live.close()


class TestSqliteLive(Contract):
    @pytest.fixture
    async def live(self, tmp_path: Path) -> AsyncIterator[Live]:
        live = SqliteLive(str(tmp_path / "journal.db"), SystemClock())
        yield live
        await live.close()


@contextlib.asynccontextmanager
async def pair(path: Path) -> AsyncIterator[tuple[SqliteLive, SqliteLive]]:
    """Two that stand for two processes."""
    one, two = (SqliteLive(str(path), SystemClock()) for _ in range(2))
    try:
        yield one, two
    finally:
        await one.close()
        await two.close()


async def hear(source: SqliteLive, target: SqliteLive, run: str) -> list[str]:
    """Publish until somebody else hears, then a little more; what was heard."""
    stop = asyncio.Event()

    async def publish() -> None:
        number = 0
        while not stop.is_set():
            source.publish(run, Delta("text", str(number)))
            number += 1
            await asyncio.sleep(0.002)  # wait: a model streams over time

    publishing = asyncio.create_task(publish())
    async with contextlib.aclosing(target.subscribe(run)) as deltas:
        heard = [delta.text for delta in await take(deltas, 20)]
    stop.set()
    await publishing
    return heard


async def test_another_process_hears_each_once_and_in_order(tmp_path: Path) -> None:
    async with pair(tmp_path / "journal.db") as (one, two):
        heard = [int(text) for text in await hear(one, two, "r")]
        assert heard == list(range(heard[0], heard[0] + 20))
        assert len(await hear(two, one, "r")) == 20


async def test_the_file_is_not_made_for_what_is_near(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with pair(path) as (one, _):
        async with contextlib.aclosing(one.subscribe("r")) as deltas:
            first = asyncio.create_task(take(deltas, 50))
            while not first.done():
                one.publish("r", Delta("text", "near"))
                await asyncio.sleep(0.002)  # wait: a model streams over time
            await first
        assert bytes_of(path) == b""


async def test_nothing_is_left_of_what_was_said(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with pair(path) as (one, two):
        await hear(one, two, "a very secret run")
    assert b"a very secret run" not in bytes_of(path)


@pytest.mark.parametrize("content", [b"no database " * 1_000, b"SQLite format 3\x00" + b"\xff" * 4_000])
async def test_a_damaged_file_is_made_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.db"
    Path(f"{path}-live").write_bytes(content)  # noqa: ASYNC240  before anything runs
    async with pair(path) as (one, two):
        assert len(await hear(one, two, "r")) == 20


async def test_a_file_that_cannot_be_made_means_silence(tmp_path: Path) -> None:
    async with pair(tmp_path / "nowhere" / "journal.db") as (one, two), contextlib.aclosing(two.subscribe("r")) as deltas:
        waiting = asyncio.create_task(take(deltas, 1))
        for _ in range(100):
            one.publish("r", Delta("text", "far"))
            await asyncio.sleep(0.002)  # wait: long enough for the file to be tried
        two.publish("r", Delta("text", "near"))
        assert await waiting == [Delta("text", "near")]


async def test_a_locked_file_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with pair(path) as (one, two):
        await hear(one, two, "r")
        with contextlib.closing(sqlite3.connect(f"{path}-live", isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            hearing = asyncio.create_task(hear(one, two, "other"))
            await asyncio.sleep(0.5)  # wait: longer than the file is waited for
            connection.execute("ROLLBACK")
        async with asyncio.timeout(SECONDS):
            assert len(await hearing) == 20


async def test_who_stops_watching_takes_the_note_back(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"

    def notes() -> int:
        with contextlib.closing(sqlite3.connect(f"{path}-live")) as connection:
            count: int = connection.execute("SELECT count(*) FROM watcher").fetchone()[0]
            return count

    async with pair(path) as (one, two):
        for _ in range(2):
            await hear(one, two, "r")
            await until(lambda: notes() == 0)


async def test_a_closed_one_hears_nothing(tmp_path: Path) -> None:
    live = SqliteLive(str(tmp_path / "journal.db"), SystemClock())
    await live.close()
    await live.close()
    live.publish("r", Delta("text", "late"))
