"""What every `Journal` must do; see `surefoot.testing.contracts.store`."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from surefoot.core import events as ev
from surefoot.core.errors import Fenced, HeadMoved, JournalError, RunNotFound
from surefoot.core.messages import Text, ToolCall
from surefoot.core.ports import Store
from surefoot.core.rows import Query
from surefoot.core.values import Failure
from surefoot.testing.clock import ManualClock
from surefoot.testing.contracts.scenes import begin, end, launch, received, say, take, until

__all__ = ["JournalContract"]

_FROM_OUTSIDE = (
    say("hi"),
    ev.ApprovalVoted("q", approve=True),
    ev.ApprovalDelegated("q", "joe"),
    ev.ApprovalDecided("q", "approve"),
    ev.ApprovalExpired("q"),
    ev.ApprovalRevoked("q"),
    ev.RunCancelRequested(),
    ev.RunResumed(),
)
_WORKERS_ONLY = (
    ev.RunSuspended(),
    ev.RunWarned("slow", "it is slow"),
    ev.RunFinished("42"),
    ev.RunFailed(Failure("server", "no")),
    ev.RunCancelled(),
    ev.ModelRequested(1, "scripted:one"),
    ev.ToolStarted("1.0", "add", "{}", "read"),
    ev.ApprovalConsumed("q", "1.0", "d"),
)
_STORES_ONLY = (
    ev.RunStarted("clerk"),
    ev.RunClaimed("worker"),
    ev.EventRedacted(1),
    ev.Unknown("new.thing"),
    ev.RunPruned("r", 1, ""),
)


class JournalContract:
    """Appending, reading, following."""

    async def test_what_was_appended_is_read(self, store: Store) -> None:
        """Record by record, with seq, epoch and time."""
        claim = await begin(store, "r")
        wrote = await store.append("r", [ev.ModelRequested(1, "m"), _reply(1)], head=2, epoch=claim.epoch)
        assert [(record.seq, record.epoch, record.stream) for record in wrote] == [(3, 1, "r"), (4, 1, "r")]
        assert await store.read("r") == [*claim.records, *wrote]
        assert await store.read("r", 2) == wrote
        assert await store.read("r", 2, 1) == wrote[:1]
        assert await store.read("r", 4) == []
        assert await store.read("r", 0, 0) == []

    async def test_every_text_comes_back_as_it_was(self, store: Store) -> None:
        """Quotes, controls, other planes, and bodies too long for a row."""
        await launch(store, "r")
        for text in ('"\\\n\x00\x1f', "Zoë 🛶 \u202e", "x" * 200_000, "ü" * 70_000, ""):
            (wrote,) = await store.append("r", [say(text)], head=None)
            assert wrote.event == say(text)
            assert (await store.read("r", wrote.seq - 1)) == [wrote]

    async def test_positions_and_times_never_go_back(self, store: Store, clock: ManualClock) -> None:
        """Not even when the clock does; positions order all streams."""
        await launch(store, "r1")
        await launch(store, "r2")
        clock.advance(-10)
        await store.append("r1", [say("late")], head=1)
        clock.advance(20)
        await store.append("r2", [say("later")], head=1)
        first, second = await store.read("r1"), await store.read("r2")
        assert first[1].time == first[0].time
        assert second[1].time == clock.now()
        positions = [record.position for record in (first[0], second[0], first[1], second[1])]
        assert positions == sorted(set(positions))

    async def test_an_append_is_all_or_nothing(self, store: Store) -> None:
        """What is refused leaves no trace."""
        claim = await begin(store, "r")
        with pytest.raises(JournalError):
            await store.append("r", [say("one"), ev.RunFinished("two")], head=None)
        with pytest.raises(HeadMoved):
            await store.append("r", [ev.RunFinished("two")], head=1, epoch=1)
        assert await store.read("r") == claim.records
        assert (await store.get("r")).status == "running"

    async def test_nothing_may_be_appended(self, store: Store) -> None:
        """An empty append only looks at the fence."""
        await begin(store, "r")
        assert await store.append("r", [], head=2, epoch=1) == []
        with pytest.raises(HeadMoved):
            await store.append("r", [], head=1, epoch=1)
        with pytest.raises(Fenced):
            await store.append("r", [], head=2, epoch=0)
        await store.append("r", [ev.RunSuspended()], head=2, epoch=1)
        assert await store.append("r", [], head=3) == []
        assert (await store.get("r")).status == "waiting"

    async def test_a_barrier_is_an_append(self, store: Store) -> None:
        """Flushed, and otherwise like any other."""
        await begin(store, "r")
        (record,) = await store.append("r", [ev.ModelRequested(1, "m")], head=2, epoch=1, barrier=True)
        (after,) = await store.append("r", [_reply(1)], head=3, epoch=1)
        assert (await store.read("r"))[2:] == [record, after]

    async def test_another_epoch_is_fenced(self, store: Store, clock: ManualClock) -> None:
        """Whoever was taken over writes nothing, wherever the head is."""
        await begin(store, "r", "first", seconds=1)
        clock.advance(2)
        claim = await store.claim("r", "second", 60)
        assert claim is not None
        for head in (2, 3, None):
            with pytest.raises(Fenced) as caught:
                await store.append("r", [_reply(1)], head=head, epoch=1)
            assert (caught.value.run, caught.value.epoch, caught.value.current) == ("r", 1, 2)
        assert await store.read("r") == claim.records

    async def test_the_same_epoch_at_an_old_head_must_read_on(self, store: Store) -> None:
        """Somebody outside wrote; the worker is still the worker."""
        await begin(store, "r")
        await store.append("r", [say("wait")], head=2)
        with pytest.raises(HeadMoved) as caught:
            await store.append("r", [_reply(1)], head=2, epoch=1)
        assert (caught.value.stream, caught.value.expected, caught.value.current) == ("r", 2, 3)
        await store.append("r", [_reply(1)], head=3, epoch=1)
        with pytest.raises(HeadMoved):
            await store.append("r", [say("again")], head=3)

    @pytest.mark.parametrize("event", _FROM_OUTSIDE, ids=ev.tag_of)
    async def test_outside_writers_may_say(self, store: Store, event: ev.Event) -> None:
        """These, with or without a head; they carry no epoch."""
        await begin(store, "r")
        records = await store.append("r", [event], head=2)
        records += await store.append("r", [event], head=None)
        assert [(record.seq, record.epoch) for record in records] == [(3, 0), (4, 0)]

    @pytest.mark.parametrize("event", [*_WORKERS_ONLY, *_STORES_ONLY], ids=ev.tag_of)
    async def test_outside_writers_may_not_say(self, store: Store, event: ev.Event) -> None:
        """What only the worker that claimed the run, or the store itself, may write."""
        await launch(store, "r")
        with pytest.raises(JournalError):
            await store.append("r", [event], head=None)
        assert len(await store.read("r")) == 1

    @pytest.mark.parametrize("event", _STORES_ONLY, ids=ev.tag_of)
    async def test_workers_do_not_write_what_the_store_writes(self, store: Store, event: ev.Event) -> None:
        """A second start, a claim of its own: refused."""
        await begin(store, "r")
        with pytest.raises(JournalError):
            await store.append("r", [event], head=2, epoch=1)

    async def test_the_stream_outside_runs(self, store: Store) -> None:
        """It is always there, is no run, and takes only its own events."""
        assert await store.read("app") == []
        (record,) = await store.append("app", [ev.RunPruned("gone", 3, "00")], head=0)
        assert (record.stream, record.seq) == ("app", 1)
        assert await store.read("app") == [record]
        with pytest.raises(HeadMoved):
            await store.append("app", [ev.RunPruned("gone", 3, "00")], head=0)
        with pytest.raises(JournalError):
            await store.append("app", [say("hi")], head=None)
        with pytest.raises(RunNotFound):
            await store.get("app")
        assert await store.claim("app", "worker", 60) is None

    async def test_a_run_that_is_not_there(self, store: Store) -> None:
        """Says so, whatever is wanted of it."""
        with pytest.raises(RunNotFound):
            await store.read("nobody")
        with pytest.raises(RunNotFound):
            await store.append("nobody", [say("hi")], head=None)
        with pytest.raises(RunNotFound):
            await store.get("nobody")
        async with aclosing(store.follow("nobody")) as records:
            with pytest.raises(RunNotFound):
                await take(records, 1)
        assert await store.claim("nobody", "worker", 60) is None
        await store.release("nobody", 1)

    async def test_at_one_head_one_writer_wins(self, store: Store) -> None:
        """However many try at once: no gap, no fork."""
        await begin(store, "r")

        async def write(text: str) -> int:
            while True:
                head = len(await store.read("r"))
                try:
                    return (await store.append("r", [say(text)], head=head))[0].seq
                except HeadMoved:
                    continue

        seqs = await asyncio.gather(*(write(str(number)) for number in range(20)))
        assert sorted(seqs) == list(range(3, 23))

    async def test_following_a_stream(self, store: Store) -> None:
        """What is there, then what comes, each once and in order; other streams are not heard."""
        await launch(store, "r")
        await launch(store, "other")
        async with aclosing(store.follow("r")) as records:
            assert [record.seq for record in await take(records, 1)] == [1]
            await store.append("other", [say("elsewhere")], head=None)
            wrote = await store.append("r", [say("one"), say("two")], head=1)
            wrote += await store.append("r", [say("three")], head=None)
            assert await take(records, 3) == wrote
        async with aclosing(store.follow("r", 3)) as records, aclosing(store.follow("r", 3)) as others:
            assert await take(records, 1) == await take(others, 1) == wrote[2:]

    async def test_following_a_run_from_its_beginning(self, store: Store) -> None:
        """While others listen as well, and after they have left: nothing is missing, and nothing that was removed is there."""
        runs = [f"r{number}" for number in range(100)]
        stop = store.on_commit(lambda stream, outside: None)
        for run in runs:
            await begin(store, run)
        stop()
        for run in runs:
            await store.append(run, [ev.RunFinished("done")], head=2, epoch=1)
        stop = store.on_commit(lambda stream, outside: None)
        for run in (runs[0], runs[-1]):
            async with aclosing(store.follow(run)) as records:
                assert [record.seq for record in await take(records, 3)] == [1, 2, 3]
        await end(store, "ended")
        await store.redact("ended", 1)
        async with aclosing(store.follow("ended")) as records:
            assert [type(record.event) for record in await take(records, 1)] == [ev.Unknown]
        stop()

    async def test_reading_everything(self, store: Store) -> None:
        """Of all streams, in the order of their positions, from one of them on, so many at most."""
        for run in ("a", "b", "a", "b"):
            if run not in [row.id for row in await store.find(Query())]:
                await launch(store, run)
            await store.append(run, [say(run)], head=None)
        everything = await store.read(None)
        assert [record.stream for record in everything] == ["a", "a", "b", "b", "a", "b"]
        assert [record.position for record in everything] == sorted(record.position for record in everything)
        assert await store.read(None, everything[1].position, 2) == everything[2:4]
        assert await store.read(None, everything[-1].position) == []

    async def test_following_everything(self, store: Store) -> None:
        """All streams in order of position."""
        await launch(store, "r1")
        async with aclosing(store.follow()) as records:
            (first,) = await take(records, 1)
            await launch(store, "r2")
            await store.append("r1", [say("last")], head=1)
            rest = await received(records, "last")
        assert [record.stream for record in rest] == ["r2", "r1"]
        async with aclosing(store.follow(after=first.position)) as records:
            assert await take(records, 2) == rest

    async def test_a_slow_follower_misses_nothing(self, store: Store) -> None:
        """However much is written while it looks away."""
        await launch(store, "r")
        async with aclosing(store.follow("r")) as records:
            await take(records, 1)
            for start in range(0, 2_500, 250):
                await store.append("r", [say(str(number)) for number in range(start, start + 250)], head=None)
            seen = await received(records, "2499")
        assert [record.seq for record in seen] == list(range(2, 2_502))

    async def test_what_is_read_and_told_comes_once(self, store: Store) -> None:
        """A record that is committed while a follower still reads earlier ones."""
        await launch(store, "r")
        await store.append("r", [say("early")] * 1_500, head=1)
        async with aclosing(store.follow("r")) as records:
            seen = await take(records, 1)
            await store.append("r", [say("meanwhile")], head=None)
            seen += await take(records, 1_501)
            waiting = asyncio.create_task(take(records, 1))
            await asyncio.sleep(0)
            await store.append("r", [say("then")], head=None)
            seen += await waiting
            await store.append("r", [say("last")], head=None)
            seen += await received(records, "last")
        assert [record.seq for record in seen] == list(range(1, 1_505))

    async def test_commits_are_told(self, store: Store) -> None:
        """With the stream, and whether it was somebody outside; not once it was stopped."""
        told: list[tuple[str, bool]] = []
        stop = store.on_commit(lambda stream, outside: told.append((stream, outside)))
        claim = await begin(store, "r")
        await until(lambda: ("r", False) in told)
        assert ("r", True) in told
        told.clear()
        await store.append("r", [_reply(1)], head=2, epoch=claim.epoch)
        await until(lambda: told != [])
        assert set(told) == {("r", False)}
        told.clear()
        await store.append("r", [say("hi")], head=None)
        await until(lambda: told != [])
        assert set(told) == {("r", True)}
        stop()
        stop()
        told.clear()
        await end(store, "other")
        await asyncio.sleep(0)
        assert told == []


def _reply(step: int) -> ev.ModelReplied:
    return ev.ModelReplied(step, (Text("so"), ToolCall(f"{step}.0", "add", '{"a":1}')))
