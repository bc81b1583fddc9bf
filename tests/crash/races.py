"""Two workers on every run: ``python -m tests.crash.races FOLDER RUNS SEED``.

Both ask for the same runs by the same ids, one after the other. Leases are short, and now and then a body holds up its
whole process for longer than one, so that the other takes the run over while the first still believes it has it. A run
that is given up because the two took it from each other too often is sent on.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from surefoot.app import App
from surefoot.clock import SystemClock
from surefoot.core.errors import AlreadyDecided
from surefoot.core.events import Record, tag_of
from surefoot.core.ports import Store
from surefoot.journal import open_store
from surefoot.settings import Settings
from surefoot.testing.faults import Faults, FaultyStore
from tests.crash.forks import fork, rehearse
from tests.crash.shop import Ledger, clerk

LEASE = 0.06


async def race(folder: Path, runs: int, seed: int) -> None:
    """See every run through, together with whoever else is there."""
    chance = random.Random(seed)
    file = os.open(folder / "acks", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def stall() -> float:
        if chance.random() < 0.05:
            time.sleep(LEASE * 1.5)  # wait: the whole process is held up, so that its lease runs out
        return chance.choice((0.0, 0.001))

    async def acknowledged(store: Store, records: Sequence[Record]) -> None:
        os.write(file, "".join([f"{r.stream} {r.seq} {tag_of(r.event)}\n" for r in records]).encode())

    store = open_store(f"sqlite:{folder / 'runs.db'}", SystemClock())
    # A probe cannot tell that a worker that is only held up will still do what has not happened yet: no `transfer`.
    agent = clerk(Ledger(folder / "ledger"), stall, ("look", "put", "send"))
    settings = Settings(model="scripted:none", lease=LEASE, poll=0.005, adopt=False)
    faulty = FaultyStore(store, Faults(after=acknowledged))
    async with App(faulty, agents=[agent], settings=settings, approve=lambda request: True) as app:
        for number in range(runs):
            run = await app.run(agent, "work", id=f"race {number}")
            while run.status != "done":
                if run.error is not None:
                    # On a busy machine both may be held up for longer than a lease, again and again, and get nowhere.
                    assert run.error.kind == "crash_loop", run.error
                    run = await app.resume(run, by="dana")
                for request in run.waiting:
                    with suppress(AlreadyDecided):
                        await app.settle(request, "done", result="left at that", by="dana")
                run = await app.wait(run)
    await store.close()


def main(folder: Path, runs: int, seed: int) -> int:
    """Let two workers race; 0 when both came to an end."""
    asyncio.run(rehearse(folder))
    pids = [fork(partial(race, folder, runs, seed * 2 + number)) for number in range(2)]
    return max(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
