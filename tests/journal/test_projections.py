"""Tables derived from events follow them, in the same transaction, and are caught up where they were left behind."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.errors import JournalError
from surefoot.core.events import Record
from surefoot.testing.clock import ManualClock
from surefoot.testing.contracts.scenes import end, launch, say
from tests.journal.files import opened


class Words:
    """How often each run was spoken to, and what it said last."""

    name = "words"
    tags: frozenset[str] = frozenset()

    def apply(self, connection: Any, record: Record) -> None:
        if isinstance(record.event, ev.MessageReceived):
            if record.event == say("refuse"):
                raise ValueError("this table wants no such event")
            text = record.event.parts[0]
            connection.execute(
                "INSERT INTO words VALUES (?, 1, ?) ON CONFLICT (run) DO UPDATE SET times = times + 1, last = excluded.last",
                (record.stream, getattr(text, "text", "")),
            )

    def rebuild(self, connection: Any) -> None:
        connection.execute("DROP TABLE IF EXISTS words")
        connection.execute("CREATE TABLE words (run TEXT PRIMARY KEY, times INTEGER, last TEXT)")


def words(path: Path) -> list[tuple[str, int, str]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT * FROM words ORDER BY run").fetchall()
    finally:
        connection.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


async def test_a_table_follows_the_events(path: Path) -> None:
    async with opened(path, projections=[Words()]) as store:
        await launch(store, "r")
        await store.append("r", [say("one"), say("two")], head=1)
        await store.renew("worker", 10)
        assert words(path) == [("r", 2, "two")]
        assert await store.check() == []


async def test_what_a_table_refuses_is_not_written(path: Path) -> None:
    async with opened(path, projections=[Words()]) as store:
        await launch(store, "r")
        with pytest.raises(ValueError, match="no such event"):
            await store.append("r", [say("one"), say("refuse")], head=1)
        assert len(await store.read("r")) == 1
        assert words(path) == []
        await store.append("r", [say("fine")], head=1)
        assert words(path) == [("r", 1, "fine")]


async def test_a_new_table_gets_what_was_there(path: Path) -> None:
    async with opened(path) as store:
        await launch(store, "r")
        await store.append("r", [say(str(number)) for number in range(2_500)], head=1)
    async with opened(path, projections=[Words()]):
        assert words(path) == [("r", 2_500, "2499")]


async def test_a_table_that_was_left_behind_is_caught_up(path: Path) -> None:
    async with opened(path, projections=[Words()]) as store, opened(path) as other:
        await launch(store, "r")
        await other.append("r", [say("without the table")], head=1)
        assert words(path) == []
        await store.append("r", [say("with it")], head=2)
        assert words(path) == [("r", 2, "with it")]
        await other.append("r", [say("again without")], head=3)
    async with opened(path, projections=[Words()]) as store:
        assert words(path) == [("r", 3, "again without")]
        assert await store.check() == []


async def test_what_is_removed_is_removed_from_tables(path: Path) -> None:
    clock = ManualClock()
    async with opened(path, clock, projections=[Words()]) as store:
        for run in ("r1", "r2"):
            await end(store, run)
            await store.append(run, [say("a secret")], head=3)
        await store.redact("r1", 4)
        assert words(path) == [("r2", 1, "a secret")]
        clock.advance(1)
        await store.prune(before=clock.now())
        assert words(path) == []


async def test_a_table_that_is_wrong_is_found(path: Path) -> None:
    async with opened(path, projections=[Words()]) as store:
        await launch(store, "r")
        await store.append("r", [say("one")], head=1)
        connection = sqlite3.connect(path)
        connection.execute("UPDATE words SET times = 7")
        connection.commit()
        connection.close()
        (problem,) = await store.check()
        assert "words" in problem.what


class Broken(Words):
    def rebuild(self, connection: Any) -> None:
        raise JournalError("cannot be made")


async def test_a_table_that_cannot_be_made_says_why(path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be made"):
        async with opened(path, projections=[Broken()]):
            pass
    async with opened(path) as store:
        await launch(store, "r")
