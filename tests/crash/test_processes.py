"""Workers that freeze, are told to stop, or find the disk full: what was promised is kept, and others go on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from surefoot.app import App
from surefoot.core import events as ev
from surefoot.core.events import Record
from surefoot.core.run import Run
from surefoot.settings import Settings
from tests.crash.judge import judge
from tests.crash.replay import check_once
from tests.crash.shop import Ledger
from tests.crash.test_kills import module
from tests.crash.worker import GRACE, finish, one_call
from tests.package.source import ROOT

QUICK = Settings(model="scripted:none", poll=0.02, grace=0.0)


@contextlib.asynccontextmanager
async def worker(folder: Path, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a worker, and kill it in the end if it still runs."""
    path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.crash.worker", str(folder), *words,
        cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, stdin=pipe, stdout=pipe,
    )  # fmt: skip
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def told(child: asyncio.subprocess.Process, word: str) -> str:
    """Wait until a worker says something; the line."""
    assert child.stdout is not None
    async with asyncio.timeout(5):
        while line := (await child.stdout.readline()).decode().strip():
            if line.startswith(word):
                return line
    raise AssertionError(f"the worker ended before it said {word!r}")


async def stopped(child: asyncio.subprocess.Process) -> None:
    """Wait until the system says that a process stands still."""
    async with asyncio.timeout(5):
        while Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":  # noqa: ASYNC110, ASYNC240  nobody tells
            await asyncio.sleep(0.001)  # wait: there is nothing to be told by


async def no_wait(context: Any) -> None:
    """A body that has nothing to wait for."""


@pytest.mark.parametrize("name", ["look", "send"])
@pytest.mark.parametrize("where", ["body", "append"])
async def test_a_worker_frozen_past_its_lease_wakes_and_writes_nothing(tmp_path: Path, name: str, where: str) -> None:
    ledger = Ledger(tmp_path / "ledger")
    async with worker(tmp_path, where, name) as child:
        await told(child, where)
        if where == "body":
            os.kill(child.pid, signal.SIGSTOP)
        await stopped(child)
        agent = one_call(name, ledger, no_wait)
        async with App(f"sqlite:{tmp_path / 'runs.db'}", agents=[agent], settings=QUICK) as app:
            run = await ended(app, "frozen")
            before = await app.events(run)
            os.kill(child.pid, signal.SIGCONT)
            assert child.stdin is not None
            child.stdin.write(b"go on\n")
            assert await told(child, "saw") == "saw done"
            assert child.stdout is not None
            assert await child.wait() == 0
            assert b"wrote" not in await child.stdout.read()
            assert await app.events(run) == before
            assert await app.store.check() == []
    check_once(before)
    assert claims(before) >= 2
    # A read is run again by whoever takes over; of an unsafe call that had begun, only a human says what became of it.
    assert sum(line.what == "B" for line in ledger.lines()) == (2 if (where, name) == ("body", "look") else 1)


async def ended(app: App, run_id: str) -> Run[Any]:
    """See a run through."""
    async with asyncio.timeout(5):
        return await finish(app, await app.wait(run_id))


def claims(records: list[Record]) -> int:
    return sum(isinstance(record.event, ev.RunClaimed) for record in records)


async def test_sigterm_drains_within_the_grace(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    async with worker(tmp_path, "drain") as child:
        await told(child, "body")
        await told(child, "body")
        began = time.monotonic()
        child.send_signal(signal.SIGTERM)
        await told(child, "closed")
        async with asyncio.timeout(5):
            assert await child.wait() == 0
        assert time.monotonic() - began < GRACE + 2
    url = f"sqlite:{tmp_path / 'runs.db'}"
    # Nobody works here: this is what the worker left.
    async with App(url, settings=QUICK) as app:
        assert (await app.get("look")).status == "done"
        assert (await app.get("asked")).status == "waiting"
        assert (await app.get("send")).status == "running"
    agent = one_call("send", ledger, no_wait)
    async with App(url, agents=[agent], settings=QUICK) as app:
        run: Run[Any] = await app.wait("send")
        assert [request.kind for request in run.waiting] == ["outcome"]
        run = await ended(app, "send")
        check_once(await app.events(run))
        assert await app.store.check() == []
    assert [(line.what, line.tool) for line in ledger.lines() if line.what == "E"] == [("E", "look")]


#: A file system of its own, small, for one process: no privilege is needed where the kernel allows user namespaces.
ON_A_SMALL_DISK = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
                   'mount -t tmpfs -o size=4m none "$1" && shift && exec "$@"', "sh"]  # fmt: skip


@pytest.mark.needs("tmpfs")
async def test_a_full_disk_loses_nothing_and_work_goes_on_when_there_is_room(tmp_path: Path) -> None:
    disk, outside = tmp_path / "disk", tmp_path / "outside"
    disk.mkdir()
    outside.mkdir()
    done = module("tests.crash.worker", disk, "fill", outside, timeout=50, before=(*ON_A_SMALL_DISK, str(disk)))
    assert done.returncode == 0, done.stderr
    # Where a tool was about to start, its run is suspended until there is room; elsewhere the caller is told.
    assert done.stdout.startswith(("full DiskFull", "full disk_full")), done.stdout
    tally = await judge(outside)
    print(done.stdout, tally)
    assert tally.runs > 5
    assert tally.acknowledged > 100


async def test_another_process_that_holds_the_database_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    ledger = Ledger(tmp_path / "ledger")
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def wait(context: Any) -> None:
        begun.set()
        await go_on.wait()

    agent = one_call("look", ledger, wait)
    async with asyncio.timeout(5), App(f"sqlite:{path}", agents=[agent], settings=QUICK) as app:
        running = asyncio.create_task(app.run(agent, "go"))
        await begun.wait()
        pipe = asyncio.subprocess.PIPE
        other = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLD, str(path), stdin=pipe, stdout=pipe)
        assert other.stdout is not None
        assert await other.stdout.readline() == b"held\n"
        go_on.set()
        done, _ = await asyncio.wait([running], timeout=0.3)
        assert not done
        await other.communicate(b"let go\n")
        run = await running
        assert run.status == "done"
        check_once(await app.events(run))
    assert sum(line.what == "B" for line in ledger.lines()) == 1


HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
"""
