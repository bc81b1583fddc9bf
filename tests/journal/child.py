"""Another process with the same journal, for tests to kill, freeze and race: `python -m tests.journal.child WHAT PATH …`.

Everything it says on its output has been acknowledged by the store before.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

from surefoot.clock import SystemClock
from surefoot.core import events as ev
from surefoot.core.model import Delta
from surefoot.journal import SqliteLive, SqliteStore
from surefoot.journal.owner import new_owner
from surefoot.testing.contracts.scenes import say


def tell(*words: object) -> None:
    print(*words, flush=True)


async def write(store: SqliteStore, run: str, barrier: str) -> None:
    """Append for ever, and tell each acknowledged seq."""
    while True:
        (record,) = await store.append(run, [say("x" * 50)], head=None, barrier=barrier == "barrier")
        tell(record.seq)


async def crowd(store: SqliteStore, runs: str) -> None:
    """Append to many runs at once for ever, and tell each acknowledged append."""

    async def one(run: str) -> None:
        await store.add(run, ev.RunStarted("clerk"))
        while True:
            (record,) = await store.append(run, [say("y" * 50)], head=None)
            tell(run, record.seq)

    await asyncio.gather(*(one(f"run-{number}") for number in range(int(runs))))


async def hold(store: SqliteStore, run: str) -> None:
    """Claim a run for an hour, and keep it."""
    owner = new_owner()
    assert await store.claim(run, owner, 3_600) is not None
    tell(owner)
    await asyncio.Event().wait()


async def race(store: SqliteStore, count: str) -> None:
    """Try to claim runs one after the other, and tell which were won."""
    for number in range(int(count)):
        if await store.claim(f"run-{number}", "child", 60) is not None:
            tell(number)


async def stay(store: SqliteStore) -> None:
    """Say what others write."""
    tell("ready")
    async for record in store.follow():
        tell(record.position)


async def main(what: str, path: str, *words: str) -> None:
    if what == "publish":
        live = SqliteLive(path, SystemClock())
        number = 0
        while True:
            live.publish("r", Delta("text", str(number)))
            number += 1
            await asyncio.sleep(0.005)  # wait: a model streams over time
    store = SqliteStore(path, SystemClock())
    await store.open()
    work: dict[str, Callable[..., Awaitable[None]]]
    work = {"write": write, "crowd": crowd, "hold": hold, "race": race, "stay": stay}
    await work[what](store, *words)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
