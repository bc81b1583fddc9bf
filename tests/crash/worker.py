"""A worker in a process of its own: ``python -m tests.crash.worker FOLDER WHAT``. It says what it does line by line.

- ``body``: works on the run ``frozen``, and tells when its first body has begun, which goes on at a line of input;
- ``append``: the same, but it freezes itself just before it writes that the body starts;
- ``drain``: works on three runs until SIGTERM, then closes within its grace;
- ``fill``: works on new runs until the disk is full, then makes room, and finishes what was begun.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from surefoot.app import App
from surefoot.clock import SystemClock
from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import AlreadyDecided, SurefootError
from surefoot.core.events import AppEvent, Event, Record, tag_of
from surefoot.core.ports import Store
from surefoot.core.run import Run
from surefoot.core.tool import ToolContext
from surefoot.engine import ledger
from surefoot.journal import SqliteStore, open_store
from surefoot.journal.sqlite import Settings as StoreSettings
from surefoot.settings import Settings
from surefoot.testing.faults import Faults, FaultyStore
from surefoot.testing.models import FunctionModel
from surefoot.tools.function import tool
from tests.crash.shop import Ledger, clerk

__all__ = ["GRACE", "LEASE", "finish", "one_call"]

LEASE = 0.3
GRACE = 0.4

Wait = Callable[[ToolContext[Any]], Awaitable[None]]


def say(*words: object) -> None:
    """Tell the parent."""
    print(*words, flush=True)


def one_call(name: str, ledger: Ledger, wait: Wait) -> Agent[Any, str]:
    """An agent that calls one tool once, ``look`` (read) or ``send`` (unsafe), whose body waits before its effect."""

    async def body(context: ToolContext[Any]) -> str:
        ledger.write("B", context, name)
        await wait(context)
        ledger.write("E", context, name)
        return "done"

    model = FunctionModel(lambda request: "all done" if len(request.messages) > 1 else (name, {}))
    return Agent(name, model=model, tools=[tool(name=name, effect="read" if name == "look" else "unsafe")(body)])


async def frozen(store: Store, ledger: Ledger, name: str, where: str) -> None:
    """Work on one run, and be frozen on the way."""

    async def wait(context: ToolContext[Any]) -> None:
        say("body")
        await asyncio.to_thread(sys.stdin.readline)

    async def freeze(inside: Store, stream: str, events: Sequence[Event | AppEvent]) -> None:
        if any(isinstance(event, ev.ToolStarted) for event in events):
            say("append")
            os.kill(os.getpid(), signal.SIGSTOP)

    async def written(inside: Store, records: Sequence[Record]) -> None:
        for record in records:
            say("wrote", tag_of(record.event))

    faults = Faults(before=freeze if where == "append" else None, after=written)
    settings = Settings(lease=LEASE, poll=0.02, grace=0.0, adopt=False)
    agent = one_call(name, ledger, wait)
    async with App(FaultyStore(store, faults), agents=[agent], settings=settings, approve=lambda request: True) as app:
        run = await app.run(agent, "go", id="frozen")
        say("saw", run.status)


async def drain(store: Store, ledger: Ledger) -> None:
    """Work on a run that ends within the grace, one that does not, and one that waits for a human."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    async def wait(context: ToolContext[Any]) -> None:
        say("body")
        await stop.wait()
        if context.agent == "send":
            await asyncio.Event().wait()
        await asyncio.sleep(GRACE / 4)  # wait: this one still has something to do when it is told to stop

    quick, slow = one_call("look", ledger, wait), one_call("send", ledger, wait)
    asked = Agent("asked", model=slow.model, tools=slow.tools)
    settings = Settings(grace=GRACE, poll=0.02)
    async with App(store, agents=[quick, slow, asked], settings=settings) as app:
        await app.start(quick, "go", id="look")
        await app.run(asked, "go", id="asked")
        waiting = await app.run(slow, "go", id="send")
        await app.decide(waiting.waiting[0], approve=True, by="dana")
        await stop.wait()
    say("closed")


async def fill(folder: Path, outside: Path) -> None:
    """Work until nothing more can be written; then make room, finish what was begun, and copy the file outside."""
    file = os.open(outside / "acks", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    ledger._PATIENCE = 2.0  # an outcome is kept for half a minute else, and there is no room before that is over

    loop = asyncio.get_running_loop()
    full: asyncio.Future[str] = loop.create_future()

    async def acknowledged(inside: Store, records: Sequence[Record]) -> None:
        os.write(file, "".join([f"{r.stream} {r.seq} {tag_of(r.event)}\n" for r in records]).encode())
        for record in records:
            # A run may be warned of other things as well: these calls go nowhere.
            if isinstance(record.event, ev.RunWarned) and record.event.kind == "disk_full" and not full.done():
                full.set_result(f"{record.event.kind} {record.event.message}")

    ballast = folder / "ballast"
    ballast.write_bytes(b"x" * 600_000)
    agent = clerk(Ledger(outside / "ledger"), names=("look", "put", "send"))
    # A full disk has no room for letting go of a lease either: it has to run out.
    settings = Settings(model="scripted:none", poll=0.02, grace=0.0, lease=LEASE)
    # Long before it is full, no tool would be started: this is about what happens all the same.
    store = SqliteStore(str(folder / "runs.db"), SystemClock(), StoreSettings(min_free=0))
    faulty = FaultyStore(store, Faults(after=acknowledged))
    async with App(faulty, agents=[agent], settings=settings, approve=lambda request: True) as app:
        try:
            for number in range(10_000):
                run = asyncio.create_task(app.run(agent, "x" * 2_000, id=f"run {number}"))
                both: list[asyncio.Future[Any]] = [run, full]
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                if full.done():
                    run.cancel()
                    say("full", full.result())
                    break
                await run
        except SurefootError as error:
            say("full", type(error).__name__, str(error))
    ballast.unlink()
    store = SqliteStore(str(folder / "runs.db"), SystemClock(), StoreSettings(min_free=0))
    async with App(store, agents=[agent], settings=settings, approve=lambda request: True) as app:
        for begun in await app.list(status=("ready", "running", "waiting"), limit=10_000):
            if begun.status == "waiting" and not begun.waiting:
                await app.send(begun, "there is room again")  # else it looks for itself, half a minute later
            await finish(app, begun)
    copied(folder, outside)


def copied(folder: Path, outside: Path) -> None:
    """Copy the journal: where there was no room to move its log into the file, it is both."""
    for path in folder.glob("runs.db*"):
        if not path.name.endswith(("-lock", "-shm")):
            shutil.copy(path, outside / path.name)


async def finish(app: App, run: Run[Any]) -> Run[Any]:
    """See a run through: approve every call, and of an unknown outcome say that it is done."""
    while not run.ended:
        for request in run.waiting:
            with suppress(AlreadyDecided):  # the application's own callback was faster
                if request.kind == "call":
                    await app.decide(request, approve=True, by="dana")
                else:
                    await app.settle(request, "done", result="done", by="dana")
        run = await app.wait(run)
    return run


async def main(folder: Path, what: str, *words: str) -> None:
    """Do one of these things on the store in a folder."""
    if what == "fill":
        await fill(folder, Path(words[0]))
        return
    store = open_store(f"sqlite:{folder / 'runs.db'}", SystemClock())
    ledger = Ledger(folder / "ledger")
    match what:
        case "drain":
            await drain(store, ledger)
        case _:
            await frozen(store, ledger, words[0], what)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
