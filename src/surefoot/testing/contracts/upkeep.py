"""What every `Upkeep` must do; see `surefoot.testing.contracts.store`."""

from __future__ import annotations

from pathlib import Path

import pytest

from surefoot.core import events as ev
from surefoot.core.errors import JournalError, RunError, RunNotFound
from surefoot.core.memory import Entry
from surefoot.core.messages import Text
from surefoot.core.ports import Store
from surefoot.core.rows import Erasure, Query
from surefoot.core.state import fold
from surefoot.testing.clock import ManualClock
from surefoot.testing.contracts.scenes import begin, end, launch, say

__all__ = ["UpkeepContract"]


class UpkeepContract:
    """Checking, redacting, pruning, copying."""

    async def test_a_sound_store_has_no_problems(self, store: Store, clock: ManualClock) -> None:
        """Whatever happened in it, and however often it is asked."""
        await _everything(store, clock)
        assert await store.check() == []
        await store.append("waits", [say("x" * 100_000)], head=None)
        assert await store.check() == []

    async def test_a_redacted_event_keeps_its_place(self, store: Store) -> None:
        """Its body is gone for every reader, what it did stands, and the chain can still be proved."""
        await end(store, "r", "the secret answer", prompt="a question")
        before = await store.read("r")
        await store.redact("r", 3, by="dana", reason="asked to")
        after = await store.read("r")
        assert after[:2] == before[:2]
        gone = after[2]
        assert isinstance(gone.event, ev.Unknown)
        assert gone.event.tag == "run.finished"
        assert gone.event.body.startswith('{"$redacted":"')
        assert (gone.position, gone.seq, gone.epoch, gone.time) == (
            before[2].position,
            before[2].seq,
            before[2].epoch,
            before[2].time,
        )
        assert [record.event for record in after[3:]] == [ev.EventRedacted(3, "asked to", "dana")]
        assert fold(after).status == (await store.get("r")).status == "done"
        assert await store.find(Query(text="secret")) == []
        assert [row.id for row in await store.find(Query(text="question"))] == ["r"]
        assert await store.check() == []

    async def test_texts_are_struck_wherever_they_stand(self, store: Store) -> None:
        """In runs that have ended, in long bodies too; of the app stream only what memory kept; what is told comes first."""
        await end(store, "r", "the heron answered", prompt="who is the heron?")
        await end(store, "long", "heron " * 20_000)
        await begin(store, "open", prompt="the heron again")
        (kept,) = await store.append("app", [ev.MemoryKept(Entry("e", "a heron"))], head=None)
        told = ev.MemoryForgotten(("e",), "asked to", "dana")
        await store.strike(Erasure((("app", kept.seq),), (("", "heron"),), (told,)), by="dana", reason="asked to")
        for run in ("r", "long"):
            assert not [one for one in await store.read(run) if "heron" in repr(one.event)]
        assert "heron" in repr((await store.read("open"))[0].event)
        events = [record.event for record in await store.read("app", kept.seq - 1)]
        assert isinstance(events[0], ev.Unknown)
        assert events[1] == told
        with pytest.raises(RunNotFound):
            await store.redact("app", kept.seq + 1)
        await store.strike(Erasure((), (("r", "nowhere"),)))
        assert await store.check() == []

    async def test_redacting_twice_is_once(self, store: Store) -> None:
        """No second event, no error."""
        await end(store, "r")
        await store.redact("r", 1)
        records = await store.read("r")
        await store.redact("r", 1)
        assert await store.read("r") == records

    async def test_redacting_a_start_clears_what_lists_know_of_it(self, store: Store) -> None:
        """Key, session and tags; whose run it is stays."""
        await end(store, "r", key="k", session="s", tags=("x",), user="dana", tenant="acme")
        await store.redact("r", 1)
        row = await store.get("r")
        assert (row.key, row.session, row.tags) == ("", "", ())
        assert (row.agent, row.user, row.tenant, row.status) == ("clerk", "dana", "acme", "done")
        assert (await store.add("new", ev.RunStarted("clerk", key="k", user="dana", tenant="acme")))[1]
        assert await store.check() == []

    async def test_a_redacted_long_body_and_its_blobs_are_gone(self, store: Store) -> None:
        """But not a blob that another event still names."""
        mine, shared = await store.save(b"mine"), await store.save(b"shared")
        for run, digests in (("r", (mine, shared)), ("other", (shared,))):
            await begin(store, run)
            results = [ev.ToolReturned("1.0", "x" * 70_000, blob=digest) for digest in digests]
            await store.append(run, [*results, ev.RunFinished("so")], head=2, epoch=1)
        await store.redact("r", 3)
        await store.redact("r", 4)
        with pytest.raises(KeyError):
            await store.load(mine)
        assert await store.load(shared) == b"shared"
        assert (await store.read("other"))[2].event == ev.ToolReturned("1.0", "x" * 70_000, blob=shared)
        assert await store.check() == []

    async def test_what_cannot_be_redacted(self, store: Store) -> None:
        """A run that goes on, an event that is not there, a run that is not there."""
        await begin(store, "r")
        for seq in (1, 2):
            with pytest.raises(RunError):
                await store.redact("r", seq)
        await end(store, "ended")
        for seq in (0, -1, 4):
            with pytest.raises(RunError):
                await store.redact("ended", seq)
        with pytest.raises(RunNotFound):
            await store.redact("nobody", 1)
        with pytest.raises(RunError):
            await store.redact("app", 1)
        assert len(await store.read("ended")) == 3

    async def test_pruning_deletes_whole_runs(self, store: Store, clock: ManualClock) -> None:
        """Those that ended before a time, in a status asked for; their last hash is kept."""
        await end(store, "old", key="k", prompt="old words")
        digest = await store.save(b"result")
        await begin(store, "failed")
        failure = ev.RunCancelled(reason=f"see {digest}")
        await store.append("failed", [failure], head=2, epoch=1)
        await launch(store, "goes on")
        clock.advance(100)
        limit = clock.now()
        await end(store, "new")
        assert await store.prune(before=limit, status=("done", "ready")) == ["old"]
        assert await store.prune(before=limit) == ["failed"]
        assert await store.prune(before=limit) == []
        assert [row.id for row in await store.find(Query())] == ["new", "goes on"]
        for run in ("old", "failed"):
            with pytest.raises(RunNotFound):
                await store.read(run)
        with pytest.raises(KeyError):
            await store.load(digest)
        kept = [record.event for record in await store.read("app")]
        assert [(event.run, event.head) for event in kept if isinstance(event, ev.RunPruned)] == [("old", 3), ("failed", 3)]
        assert all(len(event.hash) == 32 for event in kept if isinstance(event, ev.RunPruned))
        assert (await store.add("again", ev.RunStarted("clerk", key="k")))[1]
        assert await store.check() == []

    async def test_pruning_spares_what_is_still_needed(self, store: Store, clock: ManualClock) -> None:
        """Children of a run that goes on, and earlier runs of a session that does."""
        await begin(store, "parent")
        await end(store, "child", parent="parent")
        await end(store, "first", session="s")
        await launch(store, "second", session="s")
        clock.advance(100)
        assert await store.prune(before=clock.now()) == []
        await store.append("parent", [ev.RunFinished("so")], head=2, epoch=1)
        assert await store.prune(before=clock.now()) == ["child"]

    async def test_erasing_deletes_the_runs_that_are_named(self, store: Store) -> None:
        """Whatever needs them, with what only they named; what is not there is no error."""
        shared, mine = await store.save(b"shared"), await store.save(b"mine")
        for run, digests in (("r", (shared, mine)), ("other", (shared,))):
            await begin(store, run, session="s", prompt=f"{run} words")
            found = [ev.ToolReturned("1.0", "head", blob=digest) for digest in digests]
            await store.append(run, [*found, ev.RunFinished("so")], head=2, epoch=1)
        await launch(store, "open", session="s")
        await store.erase(["r", "nobody"], reason="asked to")
        assert {row.id for row in await store.find(Query(session="s"))} == {"other", "open"}
        with pytest.raises(RunNotFound):
            await store.read("r")
        with pytest.raises(KeyError):
            await store.load(mine)
        assert await store.load(shared) == b"shared"
        kept = [record.event for record in await store.read("app")]
        assert [(event.run, event.head, event.reason) for event in kept if isinstance(event, ev.RunPruned)] == [
            ("r", 5, "asked to")
        ]
        assert await store.check() == []

    async def test_a_run_that_goes_on_is_not_erased(self, store: Store) -> None:
        """Nor are those named beside it."""
        await end(store, "ended")
        await begin(store, "goes on")
        with pytest.raises(RunError, match="goes on is running"):
            await store.erase(["ended", "goes on"])
        await store.erase([])
        assert {row.id for row in await store.find(Query())} == {"ended", "goes on"}

    async def test_positions_are_not_given_twice(self, store: Store, clock: ManualClock) -> None:
        """Not even those of what was pruned, so a follower's place stays right."""
        await end(store, "old")
        last = (await store.read("old"))[-1].position
        clock.advance(1)
        await store.prune(before=clock.now())
        await launch(store, "new")
        assert (await store.read("new"))[0].position > (await store.read("app"))[0].position > last

    async def test_a_backup_is_a_new_file(self, store: Store, clock: ManualClock, tmp_path: Path) -> None:
        """Complete; what exists is not written over."""
        await _everything(store, clock)
        copy = tmp_path / "copy.db"
        await store.backup(str(copy))
        assert copy.stat().st_size > 0
        with pytest.raises(JournalError):
            await store.backup(str(copy))


async def _everything(store: Store, clock: ManualClock) -> None:
    """Leave something of every kind."""
    await end(store, "done", session="s", tags=("x",))
    await end(store, "redacted")
    await store.redact("redacted", 1)
    await begin(store, "taken over", seconds=1)
    await begin(store, "waits")
    await store.append("waits", [ev.RunSuspended(("timer",), clock.now() + 5)], head=2, epoch=1)
    await begin(store, "parent")
    await begin(store, "child", parent="parent")
    await store.append("parent", [ev.RunSuspended(("child",))], head=2, epoch=1)
    await store.append("child", [ev.RunFinished("so")], head=2, epoch=1)
    await end(store, "resumed")
    await store.append("resumed", [ev.RunResumed()], head=3)
    await end(store, "old")
    clock.advance(2)
    await store.claim("taken over", "worker", 60)
    await store.append("taken over", [ev.ModelReplied(1, (Text("ü" * 100_000),))], head=3, epoch=2)
    await store.release("taken over", 2)
    await store.save(b"\x00" * 100_000)
    assert "old" in await store.prune(before=clock.now())
