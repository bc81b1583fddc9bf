"""Kill -9 at every write of a run, before and after it is committed: ``python -m tests.crash.boundaries FOLDER STORY``.

Each worker is a fork that kills itself at its n-th write; another then sees the run through, and what came of it is judged
here: the same end, every effect once, no outcome twice. It goes on until a worker gets through without being killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from surefoot.app import App
from surefoot.clock import SystemClock
from surefoot.core import events as ev
from surefoot.core.events import AppEvent, Event, Record
from surefoot.core.ports import Query, Store
from surefoot.core.request import Request
from surefoot.journal import SqliteStore
from surefoot.settings import Settings
from surefoot.testing.faults import Faults, FaultyStore
from tests.crash.forks import fork, ready, rehearse
from tests.crash.replay import check_once
from tests.crash.stories import STORIES, Story, World


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


async def work(folder: Path, story: Story, faults: Faults | None) -> None:
    """See the run through, as a human who lets everything run but fire, and who knows what was done."""
    world, path = World(folder), str(folder / "journal.db")
    settings = Settings(backoff=0, grace=0, poll=0.02, adopt=False, **story.options)
    agents = ready(story.agents(world))
    for prompt in story.before:
        async with App(f"sqlite:{path}", agents=agents, settings=settings, approve=lambda request: True) as app:
            await app.run(agents[0], prompt, session="s", id="before")
    store: Store = SqliteStore(path, SystemClock())
    if faults is not None:
        store = FaultyStore(store, faults)
    async with asyncio.timeout(10), App(store, agents=agents, settings=settings, roles=lambda user: ("approver",)) as app:
        run = await app.run(agents[0], "go", id="run", session="s")
        while not run.ended:
            for request in run.waiting:
                await answer(app, world, request)
            run = await app.wait(run)
        assert run.output == story.output, run.error


async def answer(app: App, world: World, request: Request) -> None:
    if request.kind == "outcome":
        done = world.done(f"{request.run}:{request.call}")
        await app.settle(request, "done" if done else "retry", result="done" if done else "", by="dana")
    else:
        await app.decide(request, approve=request.tool != "burn", by="dana")


async def judge(folder: Path, story: Story) -> None:
    """Every effect once, every outcome once, every chain whole."""
    store = SqliteStore(str(folder / "journal.db"), SystemClock())
    await store.open()
    for row in await store.find(Query()):
        records = await store.read(row.id)
        check_once(records)
        assert isinstance(records[-1].event, ev.RunFinished)
    assert await store.check() == []
    await store.close()
    effects = World(folder).effects()
    assert {line.split()[0] for line in effects} == story.names
    assert all(count == 1 for line, count in effects.items() if line.split()[0] in story.once), effects


def main(folder: Path, story: Story) -> int:
    """How often a worker was killed."""
    asyncio.run(rehearse(folder))
    killed = 0
    for committed in (False, True):
        for at in range(1, 1_000):
            place = folder / f"{committed}-{at}"
            place.mkdir()
            killer = Killer(at, committed=committed)
            _, status = os.waitpid(fork(lambda: work(place, story, killer.faults())), 0)  # noqa: B023
            if os.WIFEXITED(status):
                assert os.WEXITSTATUS(status) == 0
                break
            killed += 1
            _, status = os.waitpid(fork(lambda: work(place, story, None)), 0)  # noqa: B023
            assert os.waitstatus_to_exitcode(status) == 0, place
            pid = fork(lambda: judge(place, story))  # noqa: B023
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, place
    return killed


if __name__ == "__main__":
    print(main(Path(sys.argv[1]), STORIES[sys.argv[2]]))
