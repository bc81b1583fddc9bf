"""What can be wrong with a place, a file or a disk: each says what to do next, and loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot.core import events as ev
from surefoot.core.errors import (
    ConfigurationError,
    DiskFull,
    HeadMoved,
    JournalError,
    NewerDatabase,
    StoreUnavailable,
)
from surefoot.core.messages import Text
from surefoot.core.rows import Query
from surefoot.journal import MemoryStore, SqliteStore, check, live_of, open_store
from surefoot.journal.sqlite import Settings
from surefoot.testing.clock import ManualClock
from surefoot.testing.contracts.scenes import SECONDS, begin, end, launch, say
from tests.journal.files import opened
from tests.package.source import PACKAGE, ROOT

SQL = PACKAGE / "journal" / "sql"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.mark.parametrize("url", ["", "sqlite", "sqlite:", "memory", "memory:name", "postgres://host/db", "/tmp/file.db"])
def test_a_store_that_is_none(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"'sqlite:agent\.db'"):
        open_store(url, ManualClock())


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere" / "journal.db", tmp_path):
        with pytest.raises(StoreUnavailable, match=str(path)):
            async with opened(path):
                pass


async def test_a_store_that_is_not_open(path: Path) -> None:
    for store in (SqliteStore(str(path), ManualClock()), MemoryStore(ManualClock())):
        await store.close()
        with pytest.raises(JournalError, match="not open"):
            await store.add("r", ev.RunStarted("clerk"))
        with pytest.raises(JournalError, match="not open"):
            store.follow()
        with pytest.raises(JournalError, match="not open"):
            store.on_commit(lambda stream, outside: None)


async def test_a_database_of_another_program(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (a)")
        connection.commit()
    with pytest.raises(StoreUnavailable, match="another program"):
        async with opened(path):
            pass


async def test_a_database_of_a_newer_surefoot(path: Path) -> None:
    async with opened(path) as store:
        await launch(store, "r")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(NewerDatabase, match="upgrade surefoot"):
        async with opened(path):
            pass
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (1,)


async def test_a_database_of_an_older_surefoot_is_migrated_after_a_copy(path: Path) -> None:
    # The first version, as its release made it.
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript((SQL / "0001_journal.sql").read_text(encoding="utf-8"))
        connection.execute("PRAGMA application_id = 0x736A6E6C")
        connection.execute("PRAGMA user_version = 1")
    assert any("event_said" in problem.what for problem in check(str(path)))
    async with opened(path) as store:
        await end(store, "r", "an answer")
        assert [row.id for row in await store.find(Query(text="answer"))] == ["r"]
        assert await store.check() == []
    with contextlib.closing(sqlite3.connect(f"{path}.v1.backup")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM run").fetchone() == (0,)


async def test_a_migration_that_fails_leaves_the_old_file(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript((SQL / "0001_journal.sql").read_text(encoding="utf-8"))
        # In the way of what the second migration makes.
        connection.execute("CREATE TABLE event_said (a)")
        connection.execute("PRAGMA application_id = 0x736A6E6C")
        connection.execute("PRAGMA user_version = 1")
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="event_said"):
            async with opened(path):
                pass
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)


async def test_a_full_database_loses_nothing_and_goes_on(path: Path) -> None:
    async with opened(path, settings=Settings(max_bytes=400_000)) as store:
        claim = await begin(store, "r")
        acknowledged = len(claim.records)
        with contextlib.suppress(DiskFull):
            while acknowledged < 1_000:
                acknowledged = (await store.append("r", [say("x" * 5_000)], head=acknowledged))[-1].seq
        with pytest.raises(DiskFull, match="free some space"):
            await store.append("r", [say("x" * 5_000)], head=acknowledged)
        with pytest.raises(DiskFull):
            await store.save(b"x" * 500_000)
        with pytest.raises(DiskFull):
            await store.add("new", ev.RunStarted("clerk", (Text("x" * 200_000),)))
        assert len(await store.read("r")) == acknowledged
        # What needs no more room still works, and so does whoever was not at fault.
        await store.renew("worker", 100)
        with pytest.raises(HeadMoved):
            await store.append("r", [say("late")], head=1)
        assert await store.check() == []
    async with opened(path) as store:
        (record,) = await store.append("r", [say("room again")], head=acknowledged)
        assert (await store.read("r"))[-1] == record
        assert await store.check() == []


FILL = """
import asyncio, resource, signal, sys
from surefoot.clock import SystemClock
from surefoot.core import events as ev
from surefoot.core.errors import DiskFull
from surefoot.journal import SqliteStore
from surefoot.testing.contracts.scenes import say

async def main():
    store = SqliteStore(sys.argv[1], SystemClock())
    await store.open()
    await store.add("r", ev.RunStarted("clerk"))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
    seq = 1
    try:
        while True:
            seq = (await store.append("r", [say("x" * 20_000)], head=seq))[-1].seq
    except DiskFull:
        pass
    assert len(await store.read("r")) == seq
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    seq = (await store.append("r", [say("room again")], head=seq))[-1].seq
    assert await store.check() == []
    await store.close()
    print(seq)

asyncio.run(main())
"""


def test_a_write_that_the_system_refuses(path: Path) -> None:
    # A limit on the size of files stands for a full disk: the system refuses in the middle of a write.
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stderr == ""
    assert int(done.stdout) > 10
    assert check(str(path)) == []


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program in the middle of a transaction."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


async def test_a_database_that_stays_locked(path: Path) -> None:
    async with opened(path, settings=Settings(busy=0.05)) as store:
        await begin(store, "r")
        with locked(path):
            for _ in range(2):
                with pytest.raises(StoreUnavailable, match="locked by another process"):
                    await store.append("r", [say("hi")], head=None)
            assert len(await store.read("r")) == 2
        await store.append("r", [say("hi")], head=2)


async def test_a_run_that_cannot_be_claimed_while_the_database_is_locked(path: Path) -> None:
    async with opened(path, settings=Settings(busy=0.05)) as store:
        await launch(store, "r")
        with locked(path), pytest.raises(StoreUnavailable, match="locked by another process"):
            await store.claim("r", "worker", 60)
        with open(f"{path}-lock", "rb") as file:  # noqa: ASYNC230, PTH123  a descriptor is what is locked
            fcntl.flock(file, fcntl.LOCK_EX)
            with pytest.raises(StoreUnavailable, match="see which one"):
                await store.claim("r", "worker", 60)
        claim = await store.claim("r", "worker", 60)
        assert claim is not None
        assert claim.epoch == 1


async def test_a_lock_that_is_let_go_in_time(path: Path) -> None:
    async with opened(path) as store:
        await begin(store, "r")
        with locked(path):
            append = asyncio.create_task(store.append("r", [say("hi")], head=2))
            while not await store.read("r"):
                pass
            await asyncio.sleep(0)
        async with asyncio.timeout(SECONDS):
            assert (await append)[0].seq == 3


async def test_a_lock_file_that_another_process_keeps(path: Path) -> None:
    async with opened(path, settings=Settings(busy=0.05)) as store:
        await begin(store, "r")
        with open(f"{path}-lock", "rb") as file:  # noqa: ASYNC230, PTH123  a descriptor is what is locked
            fcntl.flock(file, fcntl.LOCK_EX)
            with pytest.raises(StoreUnavailable, match="see which one"):
                await store.append("r", [say("hi")], head=None)
            with pytest.raises(StoreUnavailable, match="see which one"):
                async with opened(path, settings=Settings(busy=0.05)):
                    pass
            fcntl.flock(file, fcntl.LOCK_UN)
        await store.append("r", [say("hi")], head=2)
        file = open(f"{path}-lock", "rb")  # noqa: ASYNC230, PTH123, SIM115  held until after the store is closed
        fcntl.flock(file, fcntl.LOCK_EX)
    file.close()
    assert check(str(path)) == []


def nested(depth: int) -> list[object]:
    found: list[object] = []
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize(
    "event",
    [
        ev.RunWarned("odd", "a", {"a": object()}),
        ev.RunWarned("odd", "lone \ud800 surrogate"),
        ev.RunWarned("odd", "a", {"a": nested(100_000)}),
        ev.RunWarned("odd", "x" * (64 << 20)),
    ],
    ids=["object", "surrogate", "deep", "long"],
)
async def test_what_cannot_be_stored_fails_alone(path: Path, event: ev.RunWarned) -> None:
    async with opened(path) as store:
        for run in ("r1", "r2"):
            await begin(store, run)
        with pytest.raises(JournalError, match="cannot be stored"):
            await store.append("r1", [event], head=2, epoch=1)
        results = await asyncio.gather(
            store.append("r1", [event], head=2, epoch=1, barrier=True),
            store.append("r2", [say("fine")], head=2, barrier=True),
            return_exceptions=True,
        )
        assert isinstance(results[0], JournalError)
        assert isinstance(results[1], list)
        assert [len(await store.read(run)) for run in ("r1", "r2")] == [2, 3]


async def test_a_caller_that_goes_away_changes_nothing(path: Path) -> None:
    async with opened(path) as store:
        await begin(store, "r")
        task = asyncio.create_task(store.append("r", [say("hi")], head=2, barrier=True))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # It was handed in, so it may have happened; whoever asks next sees which.
        head = len(await store.read("r"))
        assert (await store.append("r", [say("again")], head=None))[0].seq >= head


async def test_every_commit_can_be_flushed(path: Path) -> None:
    async with opened(path, settings=Settings(flush=True)) as store:
        await begin(store, "r")
        for number in range(5):
            await store.append("r", [say(str(number))], head=None)
        assert len(await store.read("r")) == 7


async def test_the_log_is_kept_short(path: Path) -> None:
    async with opened(path) as store:
        await begin(store, "r")
        for _ in range(3_000):
            await store.append("r", [say("x" * 1_000)], head=None)
        log = Path(f"{path}-wal")
        assert log.stat().st_size < 17_000_000  # noqa: ASYNC240  one look
        assert path.stat().st_size > 2_000_000  # noqa: ASYNC240  one look


async def test_a_process_that_ends_without_closing(path: Path) -> None:
    store = SqliteStore(str(path), ManualClock())
    await store.open()
    await launch(store, "r")
    crashed = path.with_name("crashed.db")
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{crashed}{suffix}")
    await store.close()
    async with opened(crashed) as store:
        assert len(await store.read("r")) == 1


async def test_deltas_beside_a_store(path: Path) -> None:
    for store in (open_store("memory:", ManualClock()), open_store(f"sqlite:{path}", ManualClock())):
        live = live_of(store, ManualClock())
        await live.close()


async def test_opening_can_be_given_up(path: Path) -> None:
    store = SqliteStore(str(path), ManualClock())
    opening = asyncio.create_task(store.open())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await store.open()
    await launch(store, "r")
    await store.close()
