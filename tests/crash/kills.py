"""Kill a worker again and again: ``python -m tests.crash.kills FOLDER KILLS SEED``.

Everything is imported once; each worker is a fork of this process, which has no threads, and works on the same SQLite
file until this process, its parent, sends it SIGKILL at a random moment. The last one is let live until all runs have
ended. What each worker was told is committed, it writes to a pipe, which outlives it; the parent keeps it in ``acks``.
"""

from __future__ import annotations

import asyncio
import os
import random
import select
import signal
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from surefoot.app import App
from surefoot.clock import SystemClock
from surefoot.core.agent import Agent
from surefoot.core.events import Record, tag_of
from surefoot.core.ports import Store
from surefoot.journal import open_store
from surefoot.settings import Settings
from surefoot.testing.faults import Faults, FaultyStore
from tests.crash.forks import fork, ready, rehearse
from tests.crash.shop import Ledger, family, human

#: Runs that are open at any time, and the longest life of a worker in seconds.
OPEN = 6
LIFE = 0.2


#: A folder, its ledger, and the agents that write to it.
Shop = tuple[Path, Ledger, list[Agent[Any, str]]]


async def work(shop: Shop, acks: int, seed: int, last: bool) -> None:
    """Work on runs: for ever, starting new ones, or, the last worker, until all have ended."""
    chance = random.Random(seed)

    async def acknowledged(store: Store, records: Sequence[Record]) -> None:
        lines = [f"{record.stream} {record.seq} {tag_of(record.event)}\n" for record in records]
        os.write(acks, "".join(lines).encode())

    folder, ledger, agents = shop
    store = open_store(f"sqlite:{folder / 'runs.db'}", SystemClock())
    settings = Settings(model="scripted:none", poll=0.05)
    faulty = FaultyStore(store, Faults(after=acknowledged))
    async with App(faulty, agents=agents, settings=settings, approve=lambda request: True) as app:
        desk = asyncio.create_task(human(app, ledger))
        while True:
            going = await app.list(status=("ready", "running", "waiting", "failed"))
            if last and not going:
                break
            for _ in range(0 if last else OPEN - sum(not run.parent for run in going)):
                run = await app.start(agents[0], "work", id=f"{seed}-{chance.random()}")
                os.write(acks, f"{run.id} 1 run.started\n".encode())
            if desk.done():
                desk.result()
            await asyncio.sleep(0.01)  # wait: the runs take their time
        desk.cancel()
    await store.close()


def watch(pid: int, pipe: int, seconds: float, acks: int) -> int | None:
    """Copy what a worker says for so many seconds; its exit status when it ended by itself."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if select.select([pipe], [], [], min(left, 0.05))[0]:
            os.write(acks, os.read(pipe, 65536))
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
    return None


def drain(pipe: int, acks: int) -> None:
    """Copy what is left in the pipe."""
    while select.select([pipe], [], [], 0)[0]:
        os.write(acks, os.read(pipe, 65536))


def main(folder: Path, kills: int, seed: int) -> int:
    """Kill that many workers, and let one live; its exit status."""
    asyncio.run(rehearse(folder))
    chance = random.Random(seed)
    ledger = Ledger(folder / "ledger")
    shop = folder, ledger, ready(family(ledger, lambda: random.choice((0.0, 0.001, 0.004))))
    acks = os.open(folder / "acks", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    reading, writing = os.pipe()
    for number in range(kills):
        pid = fork(partial(work, shop, writing, seed + number, last=False))
        status = watch(pid, reading, chance.uniform(0.0, LIFE), acks)
        if status is not None:
            print(f"worker {number} ended by itself with {status}", flush=True)
            return 1
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        drain(reading, acks)
    pid = fork(partial(work, shop, writing, seed + kills, last=True))
    status = watch(pid, reading, 60.0, acks)
    if status is None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        print("the last worker did not come to an end", flush=True)
        return 1
    drain(reading, acks)
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
