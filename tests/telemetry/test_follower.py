"""Followers: they miss nothing and repeat nothing, and a sink that raises, hangs or is slow changes nothing in a run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from surefoot.app import App
from surefoot.clock import SystemClock
from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import JournalCorrupt
from surefoot.core.ports import Sink
from surefoot.journal import MemoryStore
from surefoot.telemetry.cursor import Cursor
from surefoot.telemetry.files import TraceFiles
from surefoot.telemetry.follower import Follower
from surefoot.telemetry.spans import spans_of
from surefoot.testing.contracts.sink import SinkContract
from surefoot.testing.models import FunctionModel
from surefoot.testing.sinks import FaultySink, MemorySink
from surefoot.tools.function import tool
from tests.flows.kit import BOUND, QUICK, opened


@tool(effect="read")
def add(a: int, b: int) -> int:
    return a + b


def reply(request: Any) -> Any:
    return "42" if request.messages[-1].role == "tool" else ("add", {"a": 17, "b": 25})


clerk = Agent("clerk", model=FunctionModel(reply), tools=[add])


async def until(true: Callable[[], bool], seconds: float = BOUND) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110  another thread says nothing
            await asyncio.sleep(0.01)  # wait: bounded, for another thread


class TestMemorySink(SinkContract):
    @pytest.fixture
    def sink(self) -> Sink:
        return MemorySink()

    def told(self, sink: Any) -> object:
        return [(span.id, span.end) for span in sink.spans]


class TestTraceFiles(SinkContract):
    @pytest.fixture
    def sink(self, tmp_path: Path) -> Sink:
        self.folder = tmp_path
        return TraceFiles(tmp_path)

    def told(self, sink: Any) -> object:
        return [path.read_bytes() for path in sorted(self.folder.glob("*.jsonl"))]


async def test_every_span_comes_once_and_in_order(store: str) -> None:
    sink = MemorySink()
    async with opened(store, clerk, telemetry=[sink]) as app:
        runs = [await app.run(clerk, "add") for _ in range(3)]
        whole = [spans_of(await app.events(run)) for run in runs]
    assert sink.spans == sorted((span for spans in whole for span in spans), key=sink.spans.index)
    assert len(sink.spans) == sum(map(len, whole))
    assert sink.again == []


async def test_a_follower_goes_on_where_it_stopped(tmp_path: Path) -> None:
    url, seen = f"sqlite:{tmp_path / 'a.db'}", []
    for _ in range(3):
        sink = MemorySink()
        async with opened(url, clerk, telemetry=[sink]) as app:
            await app.run(clerk, "add")
        seen.append([span.id for span in sink.spans])
    assert [len(ids) for ids in seen] == [6, 6, 6]
    assert len({one for ids in seen for one in ids}) == 18
    async with opened(url, clerk) as app:  # nobody listens
        missed = await app.run(clerk, "add")
    sink = MemorySink()
    async with opened(url, clerk, telemetry=[sink]) as app:
        pass
    assert {span.run for span in sink.spans} == {missed.id}


async def test_what_began_before_a_restart_is_told_whole(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'a.db'}"
    hold = Agent(
        "hold", model=FunctionModel(lambda request: reply(request) if len(request.messages) > 2 else ("pay", {})), tools=[pay]
    )
    first, second = MemorySink(), MemorySink()
    async with opened(url, hold, telemetry=[first]) as app:
        run = await app.run(hold, "go")
    async with opened(url, hold, telemetry=[second]) as app:
        await app.decide(run.waiting[0], approve=True)
        await app.wait(run)
        whole = spans_of(await app.events(run))
    assert sorted(span.id for span in (*first.spans, *second.spans)) == sorted(span.id for span in whole)
    assert {span.id for span in second.again} == {span.id for span in first.spans}
    root = next(span for span in second.spans if span.kind == "run")
    assert root == whole[0]


@tool
def pay() -> str:
    return "paid"


# ── what a sink cannot do ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_sink_that_raises_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    sink = FaultySink(failures=2)
    async with opened("memory:", clerk, telemetry=[sink]) as app:
        run = await app.run(clerk, "add")
        assert run.output == "42"
        await until(lambda: len(sink.spans) == 6)
        assert [span.id for span in sink.spans] == [span.id for span in sorted(sink.spans, key=lambda span: span.end)]
    told = [record for record in caplog.records if record.name == "surefoot.telemetry" and record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in told] == [
        "telemetry to faulty failed and is tried again: ConnectionError: nobody is there"
    ]


async def test_a_sink_that_hangs_delays_neither_run_nor_close() -> None:
    sink = FaultySink(hang=True)
    store = MemoryStore(SystemClock())
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(BOUND), App(store, agents=[clerk], settings=QUICK) as app:
        follower = Follower(store, sink, patience=0.1)
        follower.begin()
        for _ in range(5):
            assert (await app.run(clerk, "add")).status == "done"
        await until(sink.began.is_set)
        began = loop.time()
        await follower.close()
        assert loop.time() - began < 2
    assert sink.spans == []
    sink.released.set()


async def test_a_slow_sink_gets_everything_and_little_waits_for_it_in_memory() -> None:
    sink = FaultySink(hang=True)
    store = MemoryStore(SystemClock())
    await store.open()
    follower = Follower(store, sink)
    follower.begin()
    records = SinkContract().records()
    for n in range(400):
        run = f"{n:032x}"
        await store.add(run, ev.RunStarted("a"))
        claim = await store.claim(run, "w", 60)
        assert claim is not None
        await store.append(run, [record.event for record in records[2:]], head=2, epoch=1)
    await until(sink.began.is_set)
    assert len(follower._buffer) <= 1_000
    sink.released.set()
    await until(lambda: len(sink.spans) == 400 * 6)
    await follower.close()
    await store.close()


async def test_a_fold_that_breaks_is_told_and_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(MemorySink):
        def begin(self) -> Any:
            take = super().begin()

            def broken(record: ev.Record) -> Any:
                if isinstance(record.event, ev.ToolStarted):
                    raise TypeError("no idea")
                return take(record)

            return broken

    sink = Broken()
    async with opened("memory:", clerk, telemetry=[sink]) as app:
        assert (await app.run(clerk, "add")).status == "done"
    assert "run" in {span.kind for span in sink.spans}
    assert any("cannot be told to memory" in record.getMessage() for record in caplog.records)


# ── the cursor ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_cursor_is_one_processs_at_a_time(tmp_path: Path) -> None:
    mine, theirs = Cursor(tmp_path / "c"), Cursor(tmp_path / "c")
    assert mine.take()
    assert mine.take()
    assert not theirs.take()
    mine.save(ev.Record(7, "r", 3, 0, 0, ev.RunResumed()))
    mine.close()
    assert theirs.take()
    assert (theirs.load().position, theirs.load().seq) == (7, 3)
    theirs.close()
    (tmp_path / "c").write_text("{broken")
    assert Cursor(tmp_path / "c").load().position == 0


async def test_a_second_follower_takes_over_when_the_first_has_gone(tmp_path: Path) -> None:
    url, first, second = f"sqlite:{tmp_path / 'a.db'}", MemorySink(), MemorySink()
    async with opened(url, clerk, telemetry=[first]) as app, opened(url, clerk, telemetry=[second]):
        run = await app.run(clerk, "add")
        await until(lambda: len(first.spans) == 6)
        assert second.spans == []
        await app.close()
        async with opened(url, clerk) as other:
            await other.run(clerk, "add")
        await until(lambda: len(second.spans) == 6)
    assert run.id not in {span.run for span in second.spans}


async def test_a_journal_that_was_begun_anew_is_followed_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    for _ in range(2):
        sink = MemorySink()
        async with opened(f"sqlite:{path}", clerk, telemetry=[sink]) as app:
            run = await app.run(clerk, "add")
        assert {span.run for span in sink.spans} == {run.id}
        remove(path)


def remove(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        if "cursor" not in file.name:
            file.unlink()


async def test_a_cursor_that_cannot_be_kept_is_told_and_costs_no_run(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore(SystemClock())
    async with asyncio.timeout(BOUND), App(store, agents=[clerk], settings=QUICK) as app:
        follower = Follower(store, MemorySink(), Cursor(Path("/proc/nowhere/c")), patience=0.1)
        follower.begin()
        assert (await app.run(clerk, "add")).status == "done"
        await follower.close()
    assert any("its cursor cannot be kept" in record.getMessage() for record in caplog.records)


async def test_a_journal_that_cannot_be_followed_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    class Torn(MemoryStore):
        async def follow(self, stream: str | None = None, after: int = 0) -> Any:
            for record in await self.read("app"):
                yield record
            raise JournalCorrupt("an event cannot be read")

    store = Torn(SystemClock())
    follower = Follower(store, MemorySink(), patience=0.1)
    follower.begin()
    await until(lambda: bool(caplog.records))
    await follower.close()
    assert [record.getMessage() for record in caplog.records] == [
        "telemetry to memory has ended: JournalCorrupt: an event cannot be read"
    ]


async def test_folds_of_many_runs_at_once_are_let_go_of_and_made_again() -> None:
    sink, store = MemorySink(), MemoryStore(SystemClock())
    await store.open()
    follower = Follower(store, sink)
    follower.begin()
    runs = [f"{n:032x}" for n in range(1_100)]
    for run in runs:
        await store.add(run, ev.RunStarted("a"))
        await store.claim(run, "w", 60)
    await until(lambda: follower._idle.is_set() and not follower._buffer)
    assert len(follower._folds) <= 1_000
    for run in runs:
        await store.append(run, [ev.RunFinished("x")], head=2, epoch=1)
    await until(lambda: len(sink.spans) == len(runs))
    await follower.close()
    await store.close()
    assert {span.outcome for span in sink.spans} == {"done"}
    assert {span.name for span in sink.spans} == {"a"}
