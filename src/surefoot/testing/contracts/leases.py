"""What every `Leases` must do; see `surefoot.testing.contracts.store`."""

from __future__ import annotations

import asyncio

import pytest

from surefoot.core import events as ev
from surefoot.core.errors import Fenced
from surefoot.core.ports import Store
from surefoot.core.values import Failure
from surefoot.testing.clock import ManualClock
from surefoot.testing.contracts.scenes import begin, end, launch, say, until

__all__ = ["LeasesContract"]

_MICRO = 1_000_000


class LeasesContract:
    """Claiming, renewing, releasing, and what is due."""

    async def test_a_claim_takes_a_ready_run(self, store: Store, clock: ManualClock) -> None:
        """With all its records, its own last, under epoch 1; nobody else gets it."""
        await launch(store, "r")
        claim = await store.claim("r", "worker", 30, "digest")
        assert claim is not None
        assert (claim.run, claim.epoch) == ("r", 1)
        assert claim.records == await store.read("r")
        last = claim.records[-1]
        assert last.event == ev.RunClaimed("worker", "digest", claim.records[0].position)
        assert (last.epoch, last.seq) == (1, 2)
        row = await store.get("r")
        assert (row.owner, row.lease_until) == ("worker", clock.now() + 30 * _MICRO)
        assert await store.claim("r", "worker", 30) is None
        assert await store.claim("r", "other", 30) is None

    async def test_a_claim_gives_what_others_wrote_before_it(self, store: Store) -> None:
        """A message that came before the run was claimed is among its records, in its place."""
        await launch(store, "r")
        await store.append("r", [say("one more thing")], head=None)
        claim = await store.claim("r", "worker", 30)
        assert claim is not None
        assert claim.records == await store.read("r")
        assert len(claim.records) == 3

    async def test_the_first_claim_says_where_the_session_stands(self, store: Store, clock: ManualClock) -> None:
        """The journal's last position before it; later claims do not say it again."""
        await launch(store, "r")
        await launch(store, "other")
        (last,) = await store.append("other", [say("before")], head=None)
        first = await store.claim("r", "worker", 1)
        clock.advance(2)
        second = await store.claim("r", "worker", 1)
        assert first is not None
        assert second is not None
        assert first.records[-1].event == ev.RunClaimed("worker", "", last.position)
        assert second.records[-1].event == ev.RunClaimed("worker", "", 0)

    async def test_a_lease_that_ran_out_is_free(self, store: Store, clock: ManualClock) -> None:
        """At its end, not before; the next holder has the next epoch."""
        await begin(store, "r", "first", seconds=10)
        clock.advance(9.999)
        assert await store.claim("r", "second", 10) is None
        clock.advance(0.001)
        claim = await store.claim("r", "second", 10)
        assert claim is not None
        assert claim.epoch == 2
        assert [record.epoch for record in claim.records] == [0, 1, 2]

    async def test_a_lease_can_be_renewed(self, store: Store, clock: ManualClock) -> None:
        """All of a worker's at once, and nobody else's."""
        await begin(store, "r1", "first", seconds=10)
        await begin(store, "r2", "first", seconds=10)
        await begin(store, "r3", "second", seconds=10)
        clock.advance(9)
        await store.renew("first", 10)
        await store.renew("", 100)
        clock.advance(9)
        assert await store.claim("r1", "third", 10) is None
        assert await store.claim("r2", "third", 10) is None
        assert await store.claim("r3", "third", 10) is not None

    async def test_a_lost_lease_stays_lost(self, store: Store, clock: ManualClock) -> None:
        """Renewing does not take a run back."""
        await begin(store, "r", "first", seconds=1)
        clock.advance(2)
        assert await store.claim("r", "second", 5) is not None
        await store.renew("first", 100)
        row = await store.get("r")
        assert (row.owner, row.lease_until) == ("second", clock.now() + 5 * _MICRO)
        with pytest.raises(Fenced):
            await store.append("r", [ev.RunFinished("late")], head=None, epoch=1)

    async def test_a_run_can_be_given_up(self, store: Store) -> None:
        """At once free for others; who gives up what another has changes nothing."""
        await begin(store, "r", "first")
        await store.release("r", 1)
        claim = await store.claim("r", "second", 60)
        assert claim is not None
        assert claim.epoch == 2
        await store.release("r", 1)
        assert await store.claim("r", "third", 60) is None

    @pytest.mark.parametrize(
        "last", [ev.RunFinished("x"), ev.RunFailed(Failure("server", "x")), ev.RunCancelled()], ids=ev.tag_of
    )
    async def test_a_run_that_ended_is_not_to_be_had(self, store: Store, last: ev.Event) -> None:
        """Until somebody resumes it."""
        await begin(store, "r")
        await store.append("r", [last], head=2, epoch=1)
        assert await store.claim("r", "worker", 60) is None
        assert await store.due(["clerk"]) == ([], 0)
        await store.append("r", [ev.RunResumed()], head=3)
        assert await store.due(["clerk"]) == (["r"], 0)
        claim = await store.claim("r", "worker", 60)
        assert claim is not None
        assert claim.epoch == 2

    async def test_a_waiting_run_waits(self, store: Store, clock: ManualClock) -> None:
        """For somebody outside, or for its time."""
        await begin(store, "r")
        await store.append("r", [ev.RunSuspended(("q",))], head=2, epoch=1)
        clock.advance(1_000_000)
        assert await store.claim("r", "worker", 60) is None
        assert await store.due(["clerk"]) == ([], 0)
        await store.append("r", [ev.ApprovalVoted("q", approve=True)], head=3)
        assert await store.claim("r", "worker", 60) is None
        await store.append("r", [ev.ApprovalDecided("q", "approve")], head=4)
        assert await store.claim("r", "worker", 60) is not None

    async def test_a_waiting_run_wakes(self, store: Store, clock: ManualClock) -> None:
        """At its time."""
        await begin(store, "r")
        wake = clock.now() + 10 * _MICRO
        await store.append("r", [ev.RunSuspended(("timer",), wake)], head=2, epoch=1)
        assert await store.claim("r", "worker", 60) is None
        assert await store.due(["clerk"]) == ([], wake)
        clock.advance(10)
        assert await store.due(["clerk"]) == (["r"], 0)
        assert await store.claim("r", "worker", 60) is not None
        assert (await store.get("r")).wake_at == 0

    async def test_a_session_goes_in_order(self, store: Store) -> None:
        """An earlier run that is ready or running holds the later ones; a waiting or ended one does not."""
        for run in ("r1", "r2", "r3"):
            await launch(store, run, session="s")
        assert await store.due(["clerk"]) == (["r1"], 0)
        assert await store.claim("r2", "worker", 60) is None
        assert await store.claim("r1", "worker", 60) is not None
        assert await store.claim("r2", "worker", 60) is None
        await store.append("r1", [ev.RunSuspended(("q",))], head=2, epoch=1)
        assert await store.claim("r3", "worker", 60) is None
        assert await store.claim("r2", "worker", 60) is not None
        await store.append("r2", [ev.RunFinished("so")], head=2, epoch=1)
        assert await store.claim("r3", "worker", 60) is not None

    async def test_sessions_do_not_hold_each_other(self, store: Store) -> None:
        """Nor does another user's of the same name, nor no session; nor a run its own children."""
        await launch(store, "r1", session="s", user="dana", tenant="acme")
        others = {"r2": ("t", "dana", "acme"), "r3": ("s", "eli", "acme"), "r4": ("s", "dana", ""), "r5": ("", "", "")}
        for run, (session, user, tenant) in others.items():
            await launch(store, run, session=session, user=user, tenant=tenant)
        await launch(store, "r6")
        await launch(store, "r7", session="s", user="dana", tenant="acme", parent="r1")
        due, _ = await store.due(["clerk"])
        assert due == ["r1", "r2", "r3", "r4", "r5", "r6", "r7"]
        assert [run for run in due if await store.claim(run, "worker", 60) is None] == []

    async def test_a_run_to_be_cancelled_does_not_wait_for_its_turn(self, store: Store) -> None:
        """Unless somebody has sent it on since."""
        for run in ("r1", "r2", "r3"):
            await launch(store, run, session="s")
            await store.append(run, [ev.RunCancelRequested()], head=None) if run != "r1" else None
        await store.append("r3", [ev.RunResumed()], head=None)
        assert (await store.due(["clerk"]))[0] == ["r1", "r2"]
        assert await store.claim("r3", "worker", 60) is None
        assert await store.claim("r2", "worker", 60) is not None

    async def test_what_is_due_can_be_claimed(self, store: Store, clock: ManualClock) -> None:
        """And nothing else: for every state a run can be in."""
        await launch(store, "ready")
        await begin(store, "held by a lease")
        await begin(store, "lease ran out", seconds=1)
        await begin(store, "released")
        await store.release("released", 1)
        for run, wake in (("waiting", 0), ("to wake", 2 * _MICRO), ("sleeping", 90 * _MICRO)):
            await begin(store, run)
            await store.append(run, [ev.RunSuspended((), wake and clock.now() + wake)], head=2, epoch=1)
        await end(store, "ended")
        await launch(store, "in session", session="s")
        await launch(store, "next in session", session="s")
        await launch(store, "another's", agent="other")
        clock.advance(3)
        due, soon = await store.due(["clerk", "third"])
        assert due == ["ready", "lease ran out", "released", "to wake", "in session"]
        assert soon == clock.now() + 57 * _MICRO
        assert (await store.due(["clerk"], 2))[0] == due[:2]
        assert await store.due([]) == ([], 0)
        assert (await store.due(["other"]))[0] == ["another's"]
        every = [*due, "held by a lease", "waiting", "sleeping", "ended", "next in session"]
        assert [run for run in every if await store.claim(run, "worker", 60) is not None] == due

    async def test_a_run_that_ends_wakes_its_parent(self, store: Store) -> None:
        """If it waits; and whoever listens hears of the parent too."""
        await begin(store, "parent")
        claim = await begin(store, "child", parent="parent")
        await store.append("parent", [ev.RunSuspended(("child",))], head=2, epoch=1)
        told: list[str] = []
        stop = store.on_commit(lambda stream, _: told.append(stream))
        await store.append("child", [ev.RunFinished("so")], head=2, epoch=claim.epoch)
        assert (await store.get("parent")).status == "ready"
        await until(lambda: {"child", "parent"} <= set(told))
        stop()
        assert await store.claim("parent", "worker", 60) is not None

    async def test_a_parent_does_not_wait_for_what_it_missed(self, store: Store) -> None:
        """A child that ended between the parent's last look and its suspension; but once seen, it wakes nobody again."""
        await begin(store, "parent")
        await end(store, "child", parent="parent")
        await launch(store, "other", parent="parent")
        await store.append("parent", [ev.RunSuspended(("child", "other"))], head=2, epoch=1)
        assert (await store.get("parent")).status == "ready"
        claim = await store.claim("parent", "worker", 60)
        assert claim is not None
        await store.append("parent", [ev.RunSuspended(("child", "other"))], head=None, epoch=claim.epoch)
        assert (await store.get("parent")).status == "waiting"

    async def test_of_two_claimants_one_wins(self, store: Store) -> None:
        """A thousand times, on a hundred runs."""
        runs = [f"r{number}" for number in range(100)]
        for run in runs:
            await begin(store, run, "w0")
        for epoch in range(1, 11):
            for run in runs:
                await store.release(run, epoch)
                claims = await asyncio.gather(store.claim(run, "w1", 60), store.claim(run, "w2", 60))
                assert [claim.epoch for claim in claims if claim is not None] == [epoch + 1]
        for run in runs:
            assert [record.epoch for record in await store.read(run)] == list(range(12))
