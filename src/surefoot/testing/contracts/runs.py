"""What every `Runs` and `Blobs` must do; see `surefoot.testing.contracts.store`."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from surefoot.core import events as ev
from surefoot.core.errors import Fenced, HeadMoved, JournalError
from surefoot.core.messages import Text
from surefoot.core.ports import Store
from surefoot.core.rows import Query
from surefoot.core.values import Failure
from surefoot.testing.clock import ManualClock
from surefoot.testing.contracts.scenes import begin, end, launch, say

__all__ = ["RunsContract"]


class RunsContract:
    """Adding, finding, and keeping large bytes."""

    async def test_a_run_is_listed_as_it_was_started(self, store: Store, clock: ManualClock) -> None:
        """Every field of its row."""
        started = ev.RunStarted("clerk", (Text("hi"),), "s", "dana", "acme", "order-81", {"a": 1}, parent="p", tags=("x", "y"))
        row, new = await store.add("r", started)
        assert new
        assert row == await store.get("r")
        assert (row.id, row.agent, row.status, row.key, row.session) == ("r", "clerk", "ready", "order-81", "s")
        assert (row.user, row.tenant, row.parent, row.tags) == ("dana", "acme", "p", ("x", "y"))
        assert (row.epoch, row.head, row.owner, row.lease_until, row.wake_at) == (0, 1, "", 0, 0)
        assert row.created_at == clock.now()
        (record,) = await store.read("r")
        assert (record.event, record.epoch, record.time) == (started, 0, clock.now())

    async def test_a_row_follows_its_events(self, store: Store) -> None:
        """Status, head, epoch, wake-up."""
        await begin(store, "r", "worker")
        row = await store.get("r")
        assert (row.status, row.head, row.epoch, row.owner) == ("running", 2, 1, "worker")
        await store.append("r", [ev.RunSuspended(("q",), wake_at=77)], head=2, epoch=1)
        row = await store.get("r")
        assert (row.status, row.head, row.wake_at, row.owner, row.lease_until) == ("waiting", 3, 77, "", 0)
        await store.append("r", [say("hi")], head=3)
        row = await store.get("r")
        assert (row.status, row.head, row.wake_at) == ("ready", 4, 0)

    async def test_runs_are_found_ahead_of_another(self, store: Store) -> None:
        """In the order in which the store took them, whatever their ids say."""
        for run in ("c", "a", "d", "b"):
            await launch(store, run, session="s")
        for run, earlier in (("d", ["a", "c"]), ("b", ["d", "a", "c"]), ("c", []), ("nobody", [])):
            assert [row.id for row in await store.find(Query(session="s", ahead_of=run))] == earlier
        assert [row.id for row in await store.find(Query(ahead_of="b", before="d", limit=1))] == ["a"]

    async def test_sessions_are_listed_by_their_runs(self, store: Store, clock: ManualClock) -> None:
        """Of one user and tenant each, the one that went on last first; tools' runs are not counted."""
        await end(store, "a1", "blue", session="a", user="dana", tenant="acme")
        clock.advance(1)
        began = clock.now()
        await launch(store, "b1", session="a", user="eli")
        clock.advance(1)
        await end(store, "child", session="a", user="dana", tenant="acme", parent="a1")
        await launch(store, "alone")
        await end(store, "a2", session="a", user="dana", tenant="acme", agent="other")
        found = await store.sessions(Query())
        assert [(row.id, row.user, row.tenant, row.runs, row.open) for row in found] == [
            ("a", "dana", "acme", 2, 0),
            ("a", "eli", "", 1, 1),
        ]
        assert (found[0].first, found[0].last, found[1].first, found[1].last) == ("a1", "a2", "b1", "b1")
        assert found[0].created_at == found[1].created_at - 1_000_000 == found[0].last_at - 2_000_000
        assert found[1].last_at == began
        for query in (Query(user="dana"), Query(limit=1), Query(session="a", tenant="acme"), Query(status=("done",))):
            assert await store.sessions(query) == found[:1]
        assert [(row.runs, row.last) for row in await store.sessions(Query(text="BLUE"))] == [(1, "a1")]
        assert [row.runs for row in await store.sessions(Query(agent="other"))] == [1]
        assert await store.sessions(Query(session="b")) == []

    async def test_a_session_has_the_title_it_was_given_last(self, store: Store) -> None:
        """By whichever of its runs; other sessions have none."""
        await end(store, "a1", session="a")
        await begin(store, "a2", session="a")
        await launch(store, "b", session="b")
        assert [row.title for row in await store.sessions(Query())] == ["", ""]
        for run, title in (("a2", "first"), ("a1", "zweiter Ü"), ("b", "other"), ("b", "")):
            await store.append(run, [ev.SessionRenamed(title, "dana")], head=None)
        assert {row.id: row.title for row in await store.sessions(Query())} == {"a": "zweiter Ü", "b": ""}
        assert [row.title for row in await store.sessions(Query(status=("running",)))] == ["zweiter Ü"]
        assert (await store.get("a1")).status == "done"
        await store.redact("a1", 4)
        assert [row.title for row in await store.sessions(Query(session="a"))] == ["first"]
        assert await store.check() == []

    async def test_runs_with_a_call_of_unknown_outcome_are_found(self, store: Store) -> None:
        """Whatever became of it since; of a session, a user, or all."""
        for run, session in (("a", "s"), ("b", "s"), ("c", "t"), ("d", "")):
            await begin(store, run, session=session)
            if run != "b":
                await store.append(run, [ev.ToolIndeterminate("0.0", f"{run}:0.0", "the line is dead")], head=2, epoch=1)
                await store.append(run, [ev.RunFailed(Failure("x", "y"))], head=3, epoch=1)
            else:
                await store.append(run, [ev.RunFinished("done")], head=2, epoch=1)
        await store.append("a", [ev.ApprovalDecided("a:0.0", "done")], head=4)
        assert [row.id for row in await store.find(Query(unknown=True))] == ["d", "c", "a"]
        assert [row.id for row in await store.find(Query(unknown=True, session="s", user="", tenant=""))] == ["a"]
        assert [row.id for row in await store.find(Query(unknown=True, before="d", limit=1))] == ["c"]
        await store.prune(before=2**62, status=("failed",))
        assert await store.find(Query(unknown=True)) == []

    async def test_the_same_key_is_the_same_run(self, store: Store) -> None:
        """Of one user of one tenant; nothing is written the second time."""
        await launch(store, "r1", key="k", user="dana", tenant="acme")
        row, new = await store.add("r2", ev.RunStarted("other", key="k", user="dana", tenant="acme"))
        assert (row.id, new) == ("r1", False)
        assert len(await store.read("r1")) == 1
        for run, user, tenant in (("r3", "eli", "acme"), ("r4", "dana", ""), ("r5", "", "")):
            row, new = await store.add(run, ev.RunStarted("clerk", key="k", user=user, tenant=tenant))
            assert (row.id, new) == (run, True)

    async def test_no_key_is_no_key(self, store: Store) -> None:
        """Runs without one are all different."""
        rows = [await store.add(run, ev.RunStarted("clerk")) for run in ("r1", "r2")]
        assert [(row.id, new) for row, new in rows] == [("r1", True), ("r2", True)]

    async def test_many_add_the_same_key_at_once(self, store: Store) -> None:
        """One is new."""
        added = await asyncio.gather(*(store.add(f"r{n}", ev.RunStarted("clerk", key="k")) for n in range(50)))
        assert sum(new for _, new in added) == 1
        assert len({row.id for row, _ in added}) == 1
        assert len(await store.find(Query())) == 1

    @pytest.mark.parametrize("run", ["", "app", "taken"])
    async def test_a_run_needs_a_name_of_its_own(self, store: Store, run: str) -> None:
        """Not empty, not the stream outside runs, not one that exists."""
        await launch(store, "taken")
        with pytest.raises(JournalError):
            await launch(store, run)

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            (Query(), "d c b a"),
            (Query(agent="clerk"), "d c b a"),
            (Query(agent="nobody"), ""),
            (Query(session="s"), "b a"),
            (Query(session=""), "d c"),
            (Query(session="s", user="", tenant="acme"), "b"),
            (Query(session="s", user="", tenant="other"), ""),
            (Query(session="s", user="dana", tenant=""), "a"),
            (Query(status=("ready", "done")), "c b a"),
            (Query(user="dana"), "c a"),
            (Query(tenant="acme"), "b"),
            (Query(parent="a"), "c"),
            (Query(parent=""), "d b a"),
            (Query(key="k"), "b"),
            (Query(status=("ready",)), "c b"),
            (Query(status=("done", "running")), "d a"),
            (Query(tags=("x",)), "d b"),
            (Query(tags=("x", "y")), "d"),
            (Query(before="c"), "b a"),
            (Query(after="b"), "d c"),
            (Query(after="a", before="d"), "c b"),
            (Query(limit=2), "d c"),
            (Query(session="s", status=("ready",), tags=("x",)), "b"),
            (Query(text="STRASSE"), "d a"),
            (Query(text="grün"), "b"),
            (Query(text='said "so"'), "c"),
            (Query(text="nobody said this"), ""),
            (Query(text="clerk"), ""),
            (Query(text="straße", status=("done",)), "a"),
            (Query(text="a long way"), "d"),
        ],
        ids=repr,
    )
    async def test_finding_runs(self, store: Store, query: Query, found: str) -> None:
        """By everything a query may hold, newest first."""
        await end(store, "a", "Nach der Straße links.", session="s", user="dana")
        await launch(store, "b", "Is it GRÜN?", session="s", tenant="acme", key="k", tags=("x",))
        await launch(store, "c", parent="a", user="dana")
        await store.append("c", [say('He said "so".')], head=None)
        long = "Straße " + "." * 100_000 + " a long way"
        await begin(store, "d", prompt=long, tags=("y", "x", "z"))
        assert " ".join([row.id for row in await store.find(query)]) == found

    async def test_blobs_come_back_by_digest(self, store: Store) -> None:
        """Whole, or by a prefix that is long enough and names one."""
        data = bytes(range(256)) * 1_000
        digest = await store.save(data)
        assert digest == hashlib.sha256(data).hexdigest() == await store.save(data)
        assert await store.load(digest) == await store.load(digest[:16]) == data
        assert await store.load(await store.save(b"")) == b""

    async def test_blobs_are_saved_with_the_events_that_name_them(self, store: Store) -> None:
        """Or not at all, where the append is refused."""
        claim = await begin(store, "r")
        texts = [b"instructions", b"tools", b"instructions"]
        first, second, _ = (hashlib.sha256(text).hexdigest() for text in texts)
        asked = ev.ModelRequested(0, "m", 1, first, second)
        for head, epoch, refused in ((1, claim.epoch, HeadMoved), (2, claim.epoch + 1, Fenced)):
            with pytest.raises(refused):
                await store.append("r", [asked], head=head, epoch=epoch, blobs=texts)
            with pytest.raises(KeyError):
                await store.load(first)
        await store.append("r", [asked], head=2, epoch=claim.epoch, blobs=texts)
        assert [await store.load(first), await store.load(second)] == texts[:2]
        assert await store.check() == []

    @pytest.mark.parametrize("digest", ["", "0" * 15, "0" * 64, "f" * 16])
    async def test_a_blob_that_is_not_there(self, store: Store, digest: str) -> None:
        """A KeyError; and so is a prefix that is too short, whatever it names."""
        saved = await store.save(b"something")
        for name in (digest, saved[:15]):
            with pytest.raises(KeyError):
                await store.load(name)
