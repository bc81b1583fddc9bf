"""Several processes on one file: nothing acknowledged is lost when one is killed, and they see and fence each other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from surefoot.clock import SystemClock
from surefoot.core import events as ev
from surefoot.core.errors import Fenced
from surefoot.core.model import Delta
from surefoot.core.rows import Query
from surefoot.journal import SqliteLive, SqliteStore, check
from surefoot.testing.contracts.scenes import SECONDS, launch, received, say, take
from tests.package.source import ROOT


@contextlib.asynccontextmanager
async def process(*words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a child, and kill it in the end if it still runs."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.journal.child", *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def line(child: asyncio.subprocess.Process) -> str:
    assert child.stdout is not None
    async with asyncio.timeout(SECONDS):
        return (await child.stdout.readline()).decode().strip()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(str(path), SystemClock())
    await store.open()
    yield store
    await store.close()


async def killed(child: asyncio.subprocess.Process) -> list[str]:
    """Kill a child with SIGKILL; every whole line it had said."""
    child.send_signal(signal.SIGKILL)
    assert child.stdout is not None
    async with asyncio.timeout(SECONDS):
        said = (await child.stdout.read()).decode()
    return said.splitlines() if said.endswith("\n") else said.splitlines()[:-1]


@pytest.mark.parametrize("barrier", ["no", "barrier"])
async def test_what_a_killed_process_had_acknowledged_is_there(path: Path, barrier: str, proof: bool, seed: int) -> None:
    chance = random.Random(seed)
    async with process("crowd", str(path), "1") as child:
        await line(child)
        await killed(child)
    acknowledged = 0
    for _ in range(100 if proof else 3):
        async with process("write", str(path), "run-0", barrier) as child:
            for _ in range(chance.randrange(1, 200)):
                acknowledged = int(await line(child))
            acknowledged = max([acknowledged, *map(int, await killed(child))])
        store = SqliteStore(str(path), SystemClock())
        await store.open()
        records = await store.read("run-0")
        assert [record.seq for record in records] == list(range(1, len(records) + 1))
        assert len(records) >= acknowledged
        assert await store.check() == []
        await store.close()


async def test_what_a_crowd_had_acknowledged_is_there(path: Path, proof: bool, seed: int) -> None:
    chance = random.Random(seed)
    for round_number in range(50 if proof else 2):
        database = path.with_name(f"{round_number}.db")
        async with process("crowd", str(database), "40") as child:
            said = [await line(child) for _ in range(chance.randrange(1, 3_000))]
            said += await killed(child)
        last: dict[str, int] = {}
        for words in said:
            run, seq = words.split()
            last[run] = max(last.get(run, 0), int(seq))
        store = SqliteStore(str(database), SystemClock())
        await store.open()
        for run, count in last.items():
            assert len(await store.read(run)) >= count
        await store.close()
        assert check(str(database)) == []


async def test_a_killed_worker_s_run_is_free_at_once(store: SqliteStore, path: Path) -> None:
    await launch(store, "r")
    async with process("hold", str(path), "r") as child:
        owner = await line(child)
        assert (await store.get("r")).owner == owner
        assert await store.claim("r", "me", 60) is None
        assert (await store.due(["clerk"]))[0] == []
        await killed(child)
        await child.wait()
        assert (await store.due(["clerk"]))[0] == ["r"]
        claim = await store.claim("r", "me", 60)
    assert claim is not None
    assert claim.epoch == 2


async def test_a_frozen_worker_keeps_its_run_until_the_lease_ends(store: SqliteStore, path: Path) -> None:
    await launch(store, "r")
    async with process("hold", str(path), "r") as child:
        await line(child)
        child.send_signal(signal.SIGSTOP)
        assert await store.claim("r", "me", 60) is None
        child.send_signal(signal.SIGCONT)


async def test_two_processes_race_for_every_run(store: SqliteStore, path: Path, proof: bool) -> None:
    count = 1_000 if proof else 100
    await asyncio.gather(*(launch(store, f"run-{number}") for number in range(count)))
    async with process("race", str(path), str(count)) as child:
        mine = set()
        first = await line(child)
        for number in reversed(range(count)):
            if await store.claim(f"run-{number}", "parent", 60) is not None:
                mine.add(number)
        assert child.stdout is not None
        theirs = {int(first), *map(int, (await child.stdout.read()).split())}
    assert mine & theirs == set()
    assert mine | theirs == set(range(count))
    assert {row.epoch for row in await store.find(Query(limit=count))} == {1}
    assert await store.check() == []


async def test_two_processes_write_one_run(store: SqliteStore, path: Path) -> None:
    await launch(store, "r")
    async with process("write", str(path), "r", "no") as child:
        theirs = {int(await line(child)) for _ in range(20)}
        mine = {(await store.append("r", [say("mine")], head=None))[0].seq for _ in range(200)}
        theirs |= {int(await line(child)) for _ in range(20)}
        theirs |= set(map(int, await killed(child)))
    assert mine & theirs == set()
    seqs = [record.seq for record in await store.read("r")]
    assert seqs == list(range(1, len(seqs) + 1))
    assert await store.check() == []


async def test_a_worker_that_was_taken_over_elsewhere_is_fenced(store: SqliteStore, path: Path) -> None:
    await launch(store, "r")
    assert await store.claim("r", "me", 0) is not None
    async with process("hold", str(path), "r") as child:
        await line(child)
        with pytest.raises(Fenced):
            await store.append("r", [ev.ModelRequested(1, "m")], head=2, epoch=1)


async def test_followers_see_another_process_within_a_tenth_of_a_second(store: SqliteStore, path: Path) -> None:
    await launch(store, "r")
    told: list[tuple[float, str, bool]] = []
    stop = store.on_commit(lambda stream, outside: told.append((time.time(), stream, outside)))
    async with contextlib.aclosing(store.follow("r", 1)) as one, contextlib.aclosing(store.follow()) as every:
        async with process("write", str(path), "r", "no") as child:
            late = []
            for _ in range(10):
                (record,) = await take(one, 1)
                late.append(time.time() - record.time / 1e6)
            seen = [record.seq for record in await take(one, 50)]
            await killed(child)
        await store.append("r", [say("last")], head=None)
        await received(one, "last")
        everything = await received(every, "last")
    assert seen == list(range(12, 62))
    assert [record.seq for record in everything] == list(range(1, len(everything) + 1))
    assert sorted(late)[len(late) // 2] < 0.1
    assert {(stream, outside) for _, stream, outside in told} == {("r", True)}
    stop()


async def test_this_process_is_followed_by_others(store: SqliteStore, path: Path) -> None:
    async with process("stay", str(path)) as child:
        assert await line(child) == "ready"
        for number in range(1, 30):
            await launch(store, f"r{number}")
            assert await line(child) == str(number)


async def test_deltas_reach_another_process(path: Path) -> None:
    live = SqliteLive(str(path), SystemClock())
    async with process("publish", str(path)) as child:
        async with contextlib.aclosing(live.subscribe("r")) as deltas:
            heard = [int(delta.text) for delta in await take(deltas, 20)]
        assert heard == list(range(heard[0], heard[0] + 20))
        async with contextlib.aclosing(live.subscribe("r")) as deltas:
            await take(deltas, 1)
            live.publish("r", Delta("text", "mine"))
            assert "mine" in [delta.text for delta in await take(deltas, 100)]
        await killed(child)
    await live.close()
    assert os.path.exists(f"{path}-live")  # noqa: ASYNC240, PTH110  one look
