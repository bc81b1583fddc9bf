"""Whatever is done to them, the store in memory and the store in a file give the same answers."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from surefoot.core import events as ev
from surefoot.core.errors import SurefootError
from surefoot.core.messages import Text
from surefoot.core.ports import Store
from surefoot.core.rows import Query
from surefoot.core.state import fold
from surefoot.core.values import Failure
from surefoot.journal import MemoryStore, SqliteStore, salvage
from surefoot.testing.clock import ManualClock
from surefoot.testing.contracts.scenes import launch, say

# Flushing to a real disk proves nothing here and takes most of the time.
FAST = Path("/dev/shm")

Do = Callable[[Store], Coroutine[Any, Any, object]]

RUNS = st.sampled_from(["r1", "r2", "r3", "r4", "r5"])
WORKERS = st.sampled_from(["w1", "w2"])
TEXTS = st.sampled_from(["hello", "Straße", "x" * 66_000])
EPOCHS = st.integers(1, 3)
HEADS = st.none() | st.integers(0, 6)


@st.composite
def starts(draw: st.DrawFn) -> ev.RunStarted:
    return ev.RunStarted(
        draw(st.sampled_from(["clerk", "other"])),
        (Text(draw(TEXTS)),),
        session=draw(st.sampled_from(["", "", "s", "t"])),
        user=draw(st.sampled_from(["", "dana"])),
        key=draw(st.sampled_from(["", "", "k1", "k2"])),
        parent=draw(st.sampled_from(["", "", "r1", "r2"])),
        tags=draw(st.sampled_from([(), ("x",), ("x", "y")])),
    )


def outside() -> st.SearchStrategy[ev.Event]:
    return st.one_of(
        TEXTS.map(say),
        st.just(ev.ApprovalDecided("q", "approve")),
        st.just(ev.ApprovalVoted("q", approve=True)),
        st.just(ev.RunCancelRequested()),
        st.just(ev.RunResumed()),
    )


def working() -> st.SearchStrategy[ev.Event]:
    return st.one_of(
        st.just(ev.ModelRequested(1, "m")),
        TEXTS.map(lambda text: ev.ModelReplied(1, (Text(text),))),
        st.builds(ev.RunSuspended, st.lists(RUNS, max_size=2).map(tuple), st.sampled_from([0, 0, 1_735_689_605_000_000])),
        TEXTS.map(ev.RunFinished),
        st.just(ev.RunFailed(Failure("server", "no"))),
    )


def some(events: st.SearchStrategy[ev.Event]) -> st.SearchStrategy[list[ev.Event]]:
    return st.lists(events, max_size=3)


def steps() -> st.SearchStrategy[tuple[str, Do]]:
    """One thing to do, and its name."""

    def named(name: str, make: Callable[..., Do], *inputs: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, Do]]:
        return st.tuples(*inputs).map(lambda values: (f"{name}{values}"[:200], make(*values)))

    return st.one_of(
        named("add", lambda run, started: lambda s: s.add(run, started), RUNS, starts()),
        named("claim", lambda run, who, sec: lambda s: s.claim(run, who, sec), RUNS, WORKERS, st.sampled_from([0, 2, 60])),
        named("claim", lambda run, who: lambda s: s.claim(run, who, 60), RUNS, WORKERS),
        named("say", lambda run, events, head: lambda s: s.append(run, events, head=head), RUNS, some(outside()), HEADS),
        named(
            "work",
            lambda run, events, head, epoch: lambda s: s.append(run, events, head=head, epoch=epoch),
            *(RUNS, some(working()), HEADS, EPOCHS),
        ),
        named(
            "flush",
            lambda run, events: lambda s: s.append(run, events, head=None, epoch=1, barrier=True),
            *(RUNS, some(working())),
        ),
        named("renew", lambda who: lambda s: s.renew(who, 5), WORKERS),
        named("release", lambda run, epoch: lambda s: s.release(run, epoch), RUNS, EPOCHS),
        named("redact", lambda run, seq: lambda s: s.redact(run, seq), RUNS, st.integers(1, 5)),
        named("prune", lambda: lambda s: s.prune(before=1_735_689_602_000_000)),
        named("save", lambda text: lambda s: s.save(text.encode()), TEXTS),
        named("read", lambda run, after: lambda s: s.read(run, after, 2), RUNS, st.integers(0, 4)),
        named("due", lambda: lambda s: s.due(["clerk", "other"])),
        named("find", lambda text: lambda s: s.find(Query(text=text, tags=("x",))), TEXTS),
    )


async def answer(store: Store, do: Do) -> object:
    """What a store answers, or how it refuses."""
    try:
        return _plain(await do(store))
    except (SurefootError, KeyError) as error:
        return type(error), str(error)


def _plain(value: object) -> object:
    """Salts differ, so what is left of a redacted event and the last hash of a pruned run do too."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, ev.Record) and isinstance(value.event, ev.Unknown):
        return value.position, value.seq, value.epoch, value.time, value.event.tag
    if isinstance(value, ev.Record) and isinstance(value.event, ev.RunPruned):
        return value.position, value.seq, value.event.run, value.event.head
    return value


async def compare(steps: list[tuple[str, Do]], moves: list[int], folder: Path) -> None:
    clock = ManualClock()
    path = str(folder / "journal.db")
    memory, one, two = MemoryStore(clock), SqliteStore(path, clock), SqliteStore(path, clock)
    for store in (memory, one, two):
        await store.open()
    try:
        for store in (memory, one):
            for run in ("r1", "r2"):
                await launch(store, run, session="s")
                await store.claim(run, "w1", 60)
        for number, (name, do) in enumerate(steps):
            clock.advance(moves[number % len(moves)])
            on_disk = await answer((one, two)[number % 3 == 2], do)
            assert await answer(memory, do) == on_disk, name
        rows = await memory.find(Query())
        assert await one.find(Query()) == await two.find(Query()) == rows
        everything = {row.id: _plain(await memory.read(row.id)) for row in rows}
        assert {row.id: _plain(await one.read(row.id)) for row in rows} == everything
        for row in rows:
            assert fold(await one.read(row.id)).seq == row.head
        for store in (memory, one, two):
            assert await store.check() == []
        await same_elsewhere(memory, str(folder / "memory.db"), clock, everything)
        await same_elsewhere(one, str(folder / "copy.db"), clock, everything)
    finally:
        for store in (memory, one, two):
            await store.close()
    report = salvage(path, str(folder / "saved.db"))
    assert (sorted(report.whole), report.lost, report.nameless) == (sorted(everything), 0, 0)


async def same_elsewhere(store: Store, path: str, clock: ManualClock, everything: dict[str, object]) -> None:
    """Copy a store, and compare the copy."""
    await store.backup(path)
    copy = SqliteStore(path, clock)
    await copy.open()
    assert {row.id: _plain(await copy.read(row.id)) for row in await copy.find(Query())} == everything
    assert await copy.check() == []
    await copy.close()


@given(st.lists(steps(), min_size=1, max_size=40), st.lists(st.integers(0, 3), min_size=1, max_size=5))
def test_the_twins_agree(steps: list[tuple[str, Do]], moves: list[int]) -> None:
    with tempfile.TemporaryDirectory(dir=FAST if FAST.is_dir() else None) as folder:
        asyncio.run(compare(steps, moves, Path(folder)))
