"""Kill -9 at every write of a run, before and after it is committed: ``python -m tests.crash.boundaries FOLDER``.

Each worker is a fork that kills itself at its n-th write; another then sees the run through, and what came of it is judged
here: the same end, every effect once, no outcome twice. It goes on until a worker gets through without being killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from surefoot.app import App
from surefoot.clock import SystemClock
from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import ModelError
from surefoot.core.events import AppEvent, Event, Record
from surefoot.core.model import ModelRequest
from surefoot.core.ports import Query, Store
from surefoot.core.tool import ToolContext
from surefoot.journal import SqliteStore
from surefoot.settings import Settings
from surefoot.testing.faults import Faults, FaultyStore
from surefoot.testing.models import FunctionModel
from surefoot.tools.function import tool
from tests.crash.forks import fork, ready, rehearse
from tests.crash.replay import check_once

#: One call of each effect that may run by itself, two at once, and one that must not happen twice.
STEPS: list[Any] = [[("look", {"n": 1}), ("look", {"n": 2})], ("put", {"n": 3}), ("send", {"n": 4})]


class Shop:
    """The agent, and what its tools did to the world: a line in a file each."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "effects"
        self.asked = 0

        @tool(effect="read")
        async def look(n: int) -> str:
            return f"saw {n}"

        @tool(effect="idempotent")
        async def put(context: ToolContext[Any], n: int) -> str:
            return self.effect(context, "put")

        @tool(effect="unsafe")
        async def send(context: ToolContext[Any], n: int) -> str:
            return self.effect(context, "send")

        self.agent = Agent("shop", model=FunctionModel(self.reply), tools=[look, put, send])

    def effect(self, context: ToolContext[Any], name: str) -> str:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{name} {context.idempotency_key}\n")
        return "done"

    def effects(self) -> Counter[str]:
        return Counter(self.path.read_text(encoding="utf-8").split("\n")[:-1] if self.path.exists() else ())

    def reply(self, request: ModelRequest) -> Any:
        self.asked += 1
        if self.asked == 2:
            return ModelError("overloaded", "try again")
        done = sum(message.role == "assistant" for message in request.messages)
        return STEPS[done] if done < len(STEPS) else "all done"


class Killer:
    """Kills its own process at the n-th write, before or after it is committed."""

    def __init__(self, at: int, *, committed: bool) -> None:
        self.at, self.committed, self.count = at, committed, 0

    def faults(self) -> Faults:
        return Faults(after=self.after) if self.committed else Faults(before=self.before)

    async def before(self, inside: Store, stream: str, events: Sequence[Event | AppEvent]) -> None:
        self.now()

    async def after(self, inside: Store, records: Sequence[Record]) -> None:
        self.now()

    def now(self) -> None:
        self.count += 1
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


async def work(folder: Path, shop: Shop, faults: Faults | None) -> None:
    """See the run through, as a human who approves, and who knows what was sent."""
    store: Store = SqliteStore(str(folder / "journal.db"), SystemClock())
    settings = Settings(backoff=0, grace=0, poll=0.02, adopt=False)
    if faults is not None:
        store = FaultyStore(store, faults)
    async with (
        asyncio.timeout(10),
        App(store, agents=ready([shop.agent]), settings=settings, approve=lambda request: True) as app,
    ):
        run = await app.run(shop.agent, "go", id="run")
        while not run.ended:
            for request in run.waiting:
                if shop.effects()[f"send {request.run}:{request.call}"]:
                    await app.settle(request, "done", result="done")
                else:
                    await app.settle(request, "retry")
            run = await app.wait(run)
        assert run.output == "all done", run.error


async def judge(folder: Path, shop: Shop) -> None:
    """Every effect once, every outcome once, every chain whole."""
    store = SqliteStore(str(folder / "journal.db"), SystemClock())
    await store.open()
    [row] = await store.find(Query())
    records = await store.read(row.id)
    check_once(records)
    assert await store.check() == []
    assert isinstance(records[-1].event, ev.RunFinished)
    await store.close()
    effects = shop.effects()
    assert {line.split()[0] for line in effects} == {"put", "send"}
    assert all(count == 1 for line, count in effects.items() if line.startswith("send")), effects


def main(folder: Path) -> int:
    """How often a worker was killed."""
    asyncio.run(rehearse(folder))
    killed = 0
    for committed in (False, True):
        for at in range(1, 1_000):
            place = folder / f"{committed}-{at}"
            place.mkdir()
            shop = Shop(place)
            _, status = os.waitpid(fork(lambda: work(place, shop, Killer(at, committed=committed).faults())), 0)  # noqa: B023
            if os.WIFEXITED(status):
                assert os.WEXITSTATUS(status) == 0
                break
            killed += 1
            _, status = os.waitpid(fork(lambda: work(place, shop, None)), 0)  # noqa: B023
            assert os.waitstatus_to_exitcode(status) == 0, place
            pid = fork(lambda: judge(place, shop))  # noqa: B023
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, place
    return killed


if __name__ == "__main__":
    print(main(Path(sys.argv[1])))
