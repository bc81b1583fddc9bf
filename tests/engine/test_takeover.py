"""What happens when workers go: another goes on, nothing is done twice, and nobody tries for ever."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from surefoot.app import App
from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import RunError, StoreUnavailable, UnknownEvent
from surefoot.core.messages import Text
from surefoot.core.model import ModelReply, ModelRequest
from surefoot.core.tool import ToolContext
from surefoot.settings import Settings
from surefoot.testing.faults import Faults, FaultyStore
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import QUICK, of_kind, opened, results, tags


class Hanging:
    """An agent whose read tool hangs until it is told not to, and how often its body began."""

    def __init__(self) -> None:
        self.inside, self.free, self.bodies = asyncio.Event(), False, 0

        @tool(effect="read")
        async def look(context: ToolContext[Any]) -> str:
            self.bodies += 1
            self.inside.set()
            if not self.free:
                await asyncio.Event().wait()
            return f"epoch {context.fencing_token}"

        self.model = ScriptedModel(("look", {}), "done")
        self.agent = Agent("a", model=self.model, tools=[look])

    async def abandon(self, url: Any, run: Any = None) -> tuple[Any, Any]:
        """Begin the run and leave it in the tool's body; the run and the store."""
        self.inside.clear()
        async with opened(url, self.agent) as app:
            run = run or await app.start(self.agent, "go")
            await self.inside.wait()
            return run, app.store


async def test_a_run_that_is_let_go_goes_on_where_it_stood(store: str) -> None:
    hanging = Hanging()
    run, kept = await hanging.abandon(store)
    hanging.free = True
    async with opened(kept, hanging.agent) as app:
        run = await app.wait(run)
        claims = await of_kind(app, run, ev.RunClaimed)
    assert (run.output, hanging.bodies, len(claims)) == ("done", 2, 2)
    assert len(hanging.model.requests) == 2, "what the model said is not asked for again"
    assert results(hanging.model.requests[1])[0].text == "epoch 2"


async def test_an_application_takes_up_what_others_left_without_being_asked(store: str) -> None:
    hanging = Hanging()
    run, kept = await hanging.abandon(store)
    hanging.free = True
    async with opened(kept, hanging.agent) as app:
        async for _ in app.follow(run):
            pass
        assert (await app.get(run)).output == "done"


async def test_an_agent_that_comes_later_has_its_runs_taken_up(store: str) -> None:
    hanging = Hanging()
    run, kept = await hanging.abandon(store)
    hanging.free = True
    async with opened(kept) as app:
        await app.start(hanging.agent, "another")
        async for _ in app.follow(run):
            pass
        assert (await app.get(run)).ended


async def test_an_application_that_does_not_adopt_leaves_runs_alone(store: str) -> None:
    hanging = Hanging()
    run, kept = await hanging.abandon(store)
    async with opened(kept, hanging.agent, settings=Settings(adopt=False, poll=0.01, grace=0)) as app:
        await asyncio.sleep(0.05)  # wait: nothing must happen
        assert (await app.get(run)).status == "running"
        assert hanging.bodies == 1
        hanging.free = True
        assert (await app.wait(run)).output == "done"


async def test_a_run_that_no_worker_gets_further_with_is_failed_and_can_be_resumed(store: str) -> None:
    hanging = Hanging()
    kept: Any = store
    run: Any = None
    for _ in range(6):
        run, kept = await hanging.abandon(kept, run)
    async with opened(kept, hanging.agent) as app:
        run = await app.wait(run)
        assert run.error is not None
        assert (run.status, run.error.kind) == ("failed", "crash_loop")
        assert "surefoot resume" in run.error.hint
        assert hanging.bodies == 6, "no seventh worker is lost"
        hanging.free = True
        assert (await app.resume(run)).output == "done"


async def test_an_application_that_closes_lets_runs_finish_for_a_while(store: str) -> None:
    model = ScriptedModel("done", delay=0.05)
    async with opened(store, settings=replace(QUICK, grace=5)) as app:
        run = await app.start(Agent("a", model=model), "go")
        async for record in app.follow(run):
            if isinstance(record.event, ev.ModelRequested):
                break
        kept = app.store
    async with opened(kept) as app:
        assert (await app.get(run)).output == "done"


async def test_whoever_waits_is_told_that_the_application_was_closed(store: str) -> None:
    hanging = Hanging()
    async with asyncio.timeout(5):
        app = App(store, settings=QUICK)
        waiting = asyncio.create_task(app.run(hanging.agent, "go"))
        await hanging.inside.wait()
        await app.close()
        with pytest.raises(RunError, match="was closed"):
            await waiting


async def test_a_run_with_an_event_of_a_newer_version_is_left_alone(store: str, caplog: pytest.LogCaptureFixture) -> None:
    hanging = Hanging()
    run, kept = await hanging.abandon(store)
    newer = FromTheFuture(kept)
    with caplog.at_level(logging.WARNING, "surefoot"):
        async with opened(newer, hanging.agent) as app:
            with pytest.raises(UnknownEvent, match="upgrade this worker"):
                await app.wait(run)
            before = await tags(app, run)
            with pytest.raises(UnknownEvent):
                await app.wait(run)
            assert await tags(app, run) == before, "it is left alone for good"
            warned = await of_kind(app, run, ev.RunWarned)
    assert "left to a newer worker" in caplog.text
    assert [(event.kind, event.data) for event in warned] == [("newer_event", {"tag": "tea.served"})]
    assert hanging.bodies == 1
    hanging.free = True
    async with opened(kept, hanging.agent) as app:
        assert (await app.wait(run)).output == "done", "a newer one goes on"


class Around:
    """A store around another one."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class FromTheFuture(Around):
    """A store on which every run holds an event of a newer version in place of its first tool's start."""

    async def read(self, stream: str | None, after: int = 0, limit: int | None = None) -> Any:
        return _aged(await self._store.read(stream, after, limit))

    async def claim(self, run: str, worker: str, seconds: float, agent_digest: str = "") -> Any:
        claim = await self._store.claim(run, worker, seconds, agent_digest)
        return claim and replace(claim, records=_aged(claim.records))


def _aged(records: Any) -> Any:
    unknown = ev.Unknown("tea.served", '{"sugar":2}')
    return [
        msgspec.structs.replace(record, event=unknown) if isinstance(record.event, ev.ToolStarted) else record
        for record in records
    ]


async def test_a_newer_event_that_comes_while_a_run_is_in_work_lets_go_of_it(store: str) -> None:
    asked = asyncio.Event()

    async def request(request: ModelRequest, emit: Any) -> ModelReply:
        asked.set()
        await go_on.wait()
        return ModelReply.say("done")

    go_on = asyncio.Event()
    model = type("Slow", (), {"name": "slow:model", "context_window": 100_000, "request": staticmethod(request)})()

    class Meanwhile(Around):
        """As if a newer version had steered the run."""

        async def read(self, stream: str | None, after: int = 0, limit: int | None = None) -> Any:
            unknown = ev.Unknown("tea.served", "{}")
            return [
                msgspec.structs.replace(record, event=unknown) if isinstance(record.event, ev.MessageReceived) else record
                for record in await self._store.read(stream, after, limit)
            ]

    async with opened(store) as app:
        kept = app.store
    async with opened(Meanwhile(kept)) as app:
        run = await app.start(Agent("a", model=model), "go")
        await asked.wait()
        await app.send(run, "tea?")
        go_on.set()
        with pytest.raises(UnknownEvent):
            await app.wait(run)
        assert (await tags(app, run)).count("model.replied") == 1, "an outcome is written all the same"


class Gone(Around):
    """A store that is gone from a tool's first result on until a run is let go."""

    gone = back = False

    async def append(self, stream: str, events: Any, **how: Any) -> Any:
        self.gone = self.gone or any(isinstance(event, ev.ToolReturned) for event in events)
        self._there()
        return await self._store.append(stream, events, **how)

    async def read(self, stream: str | None, after: int = 0, limit: int | None = None) -> Any:
        self._there()
        return await self._store.read(stream, after, limit)

    async def release(self, run: str, epoch: int) -> None:
        self.back = True
        await self._store.release(run, epoch)

    def _there(self) -> None:
        if self.gone and not self.back:
            raise StoreUnavailable("not at the moment")


@pytest.mark.parametrize("calls", [1, 3])
async def test_a_store_that_fails_raises_its_error_and_loses_nothing(store: str, calls: int) -> None:
    bodies: list[int] = []

    @tool(effect="read")
    async def look(n: int) -> int:
        bodies.append(n)
        return n

    model = ScriptedModel([("look", {"n": n}) for n in range(calls)], "done")
    agent = Agent("a", model=model, tools=[look])
    async with opened(store) as app:
        kept = app.store
    async with opened(Gone(kept), settings=Settings(adopt=False, grace=0)) as app:
        with pytest.raises(StoreUnavailable, match="not at the moment"):
            await app.run(agent, "go", id="r")
    async with opened(kept, agent) as app:
        assert (await app.wait("r")).output == "done"
        assert await app.store.check() == []


async def test_a_store_that_is_gone_is_told_of_and_waited_for(store: str, caplog: pytest.LogCaptureFixture) -> None:
    hanging = Hanging()
    async with opened(store) as app:
        kept = app.store
    faulty = FaultyStore(kept, Faults())
    async with opened(faulty, hanging.agent, settings=replace(QUICK, lease=0.03, poll=0.01)) as app:
        await app.start(hanging.agent, "go")
        await hanging.inside.wait()
        faulty.stop()
        words = ("leases could not be renewed", "due runs could not be read")
        while not all(word in caplog.text for word in words):  # noqa: ASYNC110  a log sets no event
            await asyncio.sleep(0.01)  # wait: the worker looks around every 10 ms
        with pytest.raises(StoreUnavailable):
            await app.list()
    assert "is still held here" in caplog.text


class Unreadable(Around):
    """A store that cannot be read at the moment."""

    async def read(self, stream: str | None, after: int = 0, limit: int | None = None) -> Any:
        raise StoreUnavailable("not at the moment")


class Clinging(Gone):
    """A store on which the first run that is let go is not."""

    async def release(self, run: str, epoch: int) -> None:
        if not self.back:
            self.back = True
            raise StoreUnavailable("not at the moment")
        await self._store.release(run, epoch)


async def test_a_run_that_could_not_be_let_go_is_let_go_later(store: str) -> None:
    hanging = Hanging()
    hanging.free = True
    async with opened(store) as app:
        kept = app.store
    clinging = Clinging(kept)
    async with opened(clinging, hanging.agent, settings=replace(QUICK, lease=0.3, poll=0.01)) as app:
        with pytest.raises(StoreUnavailable):
            await app.run(hanging.agent, "go", id="r")
        other = await app.start(Agent("b", model=ScriptedModel("never", delay=60)), "meanwhile")
        assert (await app.wait("r")).output == "done", "once its lease was let go, it is taken up again"
        await app.cancel(other)


async def test_a_message_that_cannot_be_read_yet_is_no_harm(store: str, caplog: pytest.LogCaptureFixture) -> None:
    hanging = Hanging()
    async with opened(store) as app:
        kept = app.store
    async with opened(Unreadable(kept), hanging.agent) as app:
        await kept.add("r", ev.RunStarted("a", (Text("go"),)))
        await hanging.inside.wait()
        await kept.append("r", [ev.MessageReceived((Text("hello"),))], head=None)
        while "what others wrote could not be read" not in caplog.text:  # noqa: ASYNC110  a log sets no event
            await asyncio.sleep(0.001)  # wait: the log is all there is to see


async def test_a_run_of_an_agent_that_is_elsewhere_is_waited_for(store: str) -> None:
    hanging = Hanging()
    run, kept = await hanging.abandon(store)
    async with opened(kept) as app:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await app.wait(run)
        assert (await app.get(run)).status == "running"


async def test_a_worker_that_was_taken_over_stops_without_a_word(store: str) -> None:
    inside, cut = asyncio.Event(), asyncio.Event()

    @tool
    async def refund() -> str:
        inside.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()
        return "never"

    agent = Agent("a", model=ScriptedModel(("refund", {})), tools=[refund])
    async with opened(store, approve=lambda request: True) as app:
        run = await app.start(agent, "go")
        await inside.wait()
        row = await app.store.get(run.id)
        await app.store.release(run.id, row.epoch)  # as if its lease had run out
        claim = await app.store.claim(run.id, "another", 30.0)
        assert claim is not None
        cancelling = asyncio.create_task(app.cancel(run))
        await cut.wait()
        await app.store.append(run.id, [ev.RunCancelled()], head=None, epoch=claim.epoch)
        assert (await cancelling).status == "cancelled"
        records = await app.events(run)
    taken = next(number for number, record in enumerate(records) if record.epoch == claim.epoch)
    assert {record.epoch for record in records[taken:]} == {0, claim.epoch}
