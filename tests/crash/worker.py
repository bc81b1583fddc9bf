"""A worker in a process of its own: ``python -m tests.crash.worker FOLDER WHAT``. It says what it does line by line.

- ``body``: works on the run ``frozen``, and tells when its first body has begun, which goes on at a line of input;
- ``append``: the same, but it freezes itself just before it writes that the body starts;
- ``drain``: works on three runs until SIGTERM, then closes within its grace;
- ``fill``: works on new runs until the disk is full.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from surefoot.app import App
from surefoot.clock import SystemClock
from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import JournalError
from surefoot.core.events import AppEvent, Event, Record, tag_of
from surefoot.core.ports import Store
from surefoot.core.tool import ToolContext
from surefoot.journal import open_store
from surefoot.settings import Settings
from surefoot.testing.faults import Faults, FaultyStore
from surefoot.testing.models import FunctionModel
from surefoot.tools.function import tool
from tests.crash.shop import Ledger, clerk

__all__ = ["GRACE", "LEASE", "one_call"]

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


async def fill(store: Store, ledger: Ledger) -> None:
    """Work until nothing more can be written; say what was acknowledged and how it ended."""

    async def acknowledged(inside: Store, records: Sequence[Record]) -> None:
        for record in records:
            say("ack", record.stream, record.seq, tag_of(record.event))

    agent = clerk(ledger, names=("look", "put", "send"))
    faulty = FaultyStore(store, Faults(after=acknowledged))
    settings = Settings(model="scripted:none", adopt=False, grace=0.0)
    async with App(faulty, agents=[agent], settings=settings, approve=lambda request: True) as app:
        for number in range(10_000):
            try:
                await app.run(agent, "x" * 2_000, id=f"run {number}")
            except JournalError as error:
                say("full", type(error).__name__, str(error))
                return


async def main(folder: Path, what: str, *words: str) -> None:
    """Do one of these things on the store in a folder."""
    store = open_store(f"sqlite:{folder / 'runs.db'}", SystemClock())
    ledger = Ledger(folder / "ledger")
    match what:
        case "drain":
            await drain(store, ledger)
        case "fill":
            await fill(store, Ledger(Path(words[0])))
        case _:
            await frozen(store, ledger, words[0], what)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
