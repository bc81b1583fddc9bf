"""Many tasks at one file: what they write together is as sound as what each writes alone."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from surefoot.core.errors import HeadMoved, RunNotFound
from surefoot.core.events import Record
from surefoot.journal import SqliteStore, check, open_store
from surefoot.testing.clock import ManualClock
from surefoot.testing.contracts.scenes import begin, say, until
from tests.journal.files import opened

RUNS = [f"r{number}" for number in range(40)]


async def crowd(store: SqliteStore) -> None:
    """The runs, each with two events."""
    await asyncio.gather(*[begin(store, run) for run in RUNS])


def say_all(store: SqliteStore, text: str, head: int, runs: Sequence[str] = RUNS) -> list[asyncio.Task[list[Record]]]:
    return [asyncio.create_task(store.append(run, [say(text)], head=head)) for run in runs]


async def test_what_many_write_at_once_is_all_there(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with opened(path) as store:
        await crowd(store)
        for head in (2, 3, 4):
            for records in await asyncio.gather(*say_all(store, "hi", head)):
                assert [record.seq for record in records] == [head + 1]
        assert [len(await store.read(run)) for run in RUNS] == [5] * len(RUNS)
    assert check(str(path)) == []


async def test_one_that_fails_fails_alone(tmp_path: Path) -> None:
    async with opened(tmp_path / "journal.db") as store:
        await crowd(store)
        late = asyncio.create_task(store.append("r0", [say("late")], head=1))
        found = await asyncio.gather(*say_all(store, "hi", 2), late, return_exceptions=True)
        assert [type(each) for each in found] == [list] * len(RUNS) + [HeadMoved]


async def test_those_who_write_while_the_disk_is_flushed(tmp_path: Path) -> None:
    async with opened(tmp_path / "journal.db") as store:
        await crowd(store)
        flushed = [asyncio.create_task(store.append(run, [say("kept")], head=None, barrier=True)) for run in RUNS[:5]]
        await asyncio.sleep(0)
        plain = say_all(store, "hi", 2, RUNS[5:])
        again = asyncio.create_task(store.append("r0", [say("kept too")], head=None, barrier=True))
        await asyncio.gather(*flushed, *plain, again)
        assert [len(await store.read(run)) for run in RUNS] == [4, *[3] * (len(RUNS) - 1)]


async def test_followers_see_all_of_it_in_order(tmp_path: Path) -> None:
    async with opened(tmp_path / "journal.db") as store:
        await crowd(store)
        first = max([record.position for run in RUNS for record in await store.read(run)])
        seen: list[int] = []

        async def follow() -> None:
            async with aclosing(store.follow(after=first)) as records:
                async for record in records:
                    seen.append(record.position)
                    if len(seen) == 3 * len(RUNS):
                        return

        following = asyncio.create_task(follow())
        for head in (2, 3, 4):
            flushed = asyncio.create_task(store.append("r0", [say("kept")], head=head, barrier=True))
            await asyncio.sleep(0)
            await asyncio.gather(flushed, *say_all(store, "hi", head, RUNS[1:]))
        await following
        assert seen == list(range(first + 1, first + 1 + 3 * len(RUNS)))


async def test_a_database_that_another_program_locks_for_a_moment(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with opened(path) as store:
        await crowd(store)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        tasks = say_all(store, "hi", 2)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not any(task.done() for task in tasks)
        other.execute("COMMIT")
        other.close()
        assert [len(records) for records in await asyncio.gather(*tasks)] == [1] * len(RUNS)


async def test_what_was_begun_is_finished_when_the_store_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with opened(path) as store:
        await crowd(store)
        tasks = say_all(store, "hi", 2)
        await asyncio.sleep(0)
        await store.close()
        assert [len(records) for records in await asyncio.gather(*tasks)] == [1] * len(RUNS)
    async with opened(path) as store:
        assert [len(await store.read(run)) for run in RUNS] == [3] * len(RUNS)


async def test_many_readers_are_all_answered(tmp_path: Path) -> None:
    async with opened(tmp_path / "journal.db") as store:
        await crowd(store)
        reading = [asyncio.create_task(store.read(run)) for run in RUNS * 3]
        nobody = asyncio.create_task(store.read("nobody"))
        await asyncio.sleep(0)
        reading[-1].cancel()
        assert [len(await task) for task in reading[:-1]] == [2] * (3 * len(RUNS) - 1)
        with pytest.raises(RunNotFound):
            await nobody


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_callback_that_raises_keeps_nobody_from_hearing(tmp_path: Path, kind: str) -> None:
    store = open_store("memory:" if kind == "memory" else f"sqlite:{tmp_path / 'journal.db'}", ManualClock())
    await store.open()
    wrong: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: wrong.append(context["exception"]))
    heard: list[tuple[str, bool]] = []
    broken = KeyError("broken")

    def fail(stream: str, outside: bool) -> None:
        raise broken

    stops = [store.on_commit(fail), store.on_commit(lambda stream, outside: heard.append((stream, outside)))]
    await begin(store, "r")
    await until(lambda: ("r", True) in heard)
    for stop in stops:
        stop()
    await store.append("r", [say("nobody listens")], head=2)
    await store.close()
    assert set(wrong) == {broken}
