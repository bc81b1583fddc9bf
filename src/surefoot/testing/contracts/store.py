"""What every `Store` must do, as tests: inherit, and give fixtures named ``clock`` and ``store``.

::

    class TestMine(Contract):
        @pytest.fixture
        async def store(self, clock: ManualClock) -> AsyncIterator[Store]:
            store = Mine("database", clock)
            await store.open()
            yield store
            await store.close()

The store is open, empty, and takes its time from the clock (a `ManualClock`, which the suite gives as a fixture).
`SharedContract` is for stores that several objects, or processes, may have open at once: it also needs ``other``, a
second store open on the same data.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from surefoot.core import events as ev
from surefoot.core.errors import Fenced, HeadMoved, JournalError
from surefoot.core.ports import Store
from surefoot.core.rows import Query
from surefoot.testing.clock import ManualClock
from surefoot.testing.contracts.journal import JournalContract
from surefoot.testing.contracts.leases import LeasesContract
from surefoot.testing.contracts.runs import RunsContract
from surefoot.testing.contracts.scenes import begin, end, launch, received, say, take, until
from surefoot.testing.contracts.upkeep import UpkeepContract

__all__ = ["Contract", "SharedContract"]


class Contract(JournalContract, RunsContract, LeasesContract, UpkeepContract):
    """The behaviour of the port."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        """The clock that tests move."""
        return ManualClock()

    async def test_opening_and_closing_twice(self, store: Store) -> None:
        """Is no error; a closed store says that it is closed, and can be opened again."""
        await store.open()
        await launch(store, "r")
        async with aclosing(store.follow("r")) as records:
            await take(records, 1)
            await store.close()
            await store.close()
            with pytest.raises(StopAsyncIteration):
                await take(records, 1)
        with pytest.raises(JournalError):
            await store.append("r", [say("hi")], head=None)
        await store.open()
        await store.append("r", [say("hi")], head=1)
        assert len(await store.read("r")) == 2


class SharedContract(Contract):
    """The behaviour of a store that is shared."""

    async def test_each_sees_what_the_other_wrote(self, store: Store, other: Store) -> None:
        """At once, in every method."""
        claim = await begin(store, "r", key="k")
        assert await other.read("r") == claim.records
        assert await other.get("r") == await store.get("r")
        assert (await other.add("r2", ev.RunStarted("clerk", key="k")))[1] is False
        await other.append("r", [say("from there")], head=2)
        with pytest.raises(HeadMoved):
            await store.append("r", [ev.RunFinished("so")], head=2, epoch=1)
        await store.append("r", [ev.RunFinished("so")], head=3, epoch=1)
        assert await other.load(await store.save(b"bytes")) == b"bytes"
        assert await other.due(["clerk"]) == ([], 0)

    async def test_a_fence_holds_between_them(self, store: Store, other: Store, clock: ManualClock) -> None:
        """Who was taken over by the other is fenced by it."""
        await begin(store, "r", "here", seconds=1)
        clock.advance(2)
        claim = await other.claim("r", "there", 60)
        assert claim is not None
        with pytest.raises(Fenced):
            await store.append("r", [ev.ModelRequested(1, "m")], head=2, epoch=1)
        await other.append("r", [ev.ModelRequested(1, "m")], head=3, epoch=2)
        assert (await store.read("r"))[3].epoch == 2

    async def test_each_follows_the_other(self, store: Store, other: Store) -> None:
        """A stream, everything, and commits; in one order, whoever wrote."""
        await launch(store, "r")
        told: list[tuple[str, bool]] = []
        stop = other.on_commit(lambda stream, outside: told.append((stream, outside)))
        async with aclosing(other.follow("r")) as one, aclosing(other.follow()) as every:
            await take(one, 1)
            await take(every, 1)
            for number in range(20):
                await (store, other)[number % 2].append("r", [say(str(number))], head=None)
            await store.append("r", [say("last")], head=None)
            seen, all_seen = await received(one, "last"), await received(every, "last")
        assert [record.seq for record in seen] == list(range(2, 23))
        assert all_seen == seen
        assert ("r", True) in told
        stop()

    async def test_another_s_child_wakes_a_parent(self, store: Store, other: Store) -> None:
        """And whoever listens hears of the parent."""
        await begin(store, "parent")
        await begin(other, "child", parent="parent")
        await store.append("parent", [ev.RunSuspended(("child",))], head=2, epoch=1)
        told: set[str] = set()
        stop = store.on_commit(lambda stream, _: told.add(stream))
        await other.append("child", [ev.RunFinished("so")], head=2, epoch=1)
        await until(lambda: {"parent", "child"} <= told)
        stop()
        assert await store.claim("parent", "worker", 60) is not None

    async def test_both_write_at_once(self, store: Store, other: Store) -> None:
        """Every append lands once, every position is given once."""
        for number in range(10):
            await launch((store, other)[number % 2], f"r{number}")

        async def write(to: Store, name: str) -> None:
            for number in range(20):
                await to.append(f"r{number % 10}", [say(f"{name} {number}")], head=None)

        await asyncio.gather(*(write(to, f"{n}") for n in range(10) for to in (store, other)))
        records = [record for n in range(10) for record in await store.read(f"r{n}")]
        assert len(records) == 10 + 400
        assert len({record.position for record in records}) == len(records)
        assert await other.check() == []

    async def test_of_two_claimants_in_two_places_one_wins(self, store: Store, other: Store) -> None:
        """A hundred runs, both go for each."""
        for number in range(100):
            await launch(store, f"r{number}")
        runs = [f"r{number}" for number in range(100)]
        here = asyncio.gather(*(store.claim(run, "here", 60) for run in runs))
        there = asyncio.gather(*(other.claim(run, "there", 60) for run in runs))
        for one, two in zip(await here, await there, strict=True):
            assert (one is None) != (two is None)
        assert {row.epoch for row in await store.find(Query())} == {1}

    async def test_what_the_other_removed_is_gone(self, store: Store, other: Store, clock: ManualClock) -> None:
        """Redacted and pruned runs, for both."""
        await end(store, "r", "secret")
        await end(store, "old")
        await other.redact("r", 3)
        assert isinstance((await store.read("r"))[2].event, ev.Unknown)
        clock.advance(1)
        assert sorted(await other.prune(before=clock.now())) == ["old", "r"]
        assert await store.find(Query()) == []
        with pytest.raises(JournalError):
            await store.append("app", [say("no")], head=None)
        await launch(store, "new")
        assert await store.check() == []
