"""Unknown is not failed: calls of which nobody knows whether they happened, and who may say so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import AlreadyDecided
from surefoot.core.judging import Judged
from surefoot.core.tool import Done, NotDone, ToolOutput, ToolSpec
from surefoot.core.values import Verdict
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.flows.kit import of_kind, opened, results


class Free:
    """A policy that lets everything run."""

    digest = "free"

    def settled(self, tool: ToolSpec) -> str:
        return "allow"

    def judge(self, call: Judged) -> Verdict:
        return Verdict(call.call, "allow")


class Shop:
    """An agent whose unsafe tool fails as often as it is told to, and what it did."""

    def __init__(self, failures: int = 1) -> None:
        self.bodies = 0

        @tool
        async def refund() -> str:
            self.bodies += 1
            if self.bodies <= failures:
                raise ConnectionError("the line is dead")
            return "refunded"

        self.model = ScriptedModel(("refund", {}), "done", ("refund", {}), "done again", "done again")
        self.agent = Agent("clerk", model=self.model, tools=[refund])


@pytest.mark.parametrize("policy", [None, Free()])
@pytest.mark.parametrize(
    ("outcome", "bodies", "told"),
    [
        ("done", 1, "it was refunded"),
        ("retry", 2, "refunded"),
        ("give_up", 1, "It is not known whether this call happened, and it will not be tried again. too late"),
    ],
)
async def test_a_human_says_what_became_of_it(store: str, policy: Any, outcome: Any, bodies: int, told: str) -> None:
    shop = Shop()
    async with opened(store, policy=policy) as app:
        run = await app.run(shop.agent, "go")
        if policy is None:
            await app.decide(run.waiting[0], approve=True)
            run = await app.wait(run)
        request = run.waiting[0]
        assert (run.status, shop.bodies, request.kind) == ("waiting", 1, "outcome")
        assert "the line is dead" in request.reason
        assert "Run it again?" in str(request)
        await app.settle(request, outcome, result="it was refunded", by="dana", reason="too late")
        run = await app.wait(run)
        assert (run.output, shop.bodies) == ("done", bodies)
        with pytest.raises(AlreadyDecided):
            await app.settle(request, "done")
    assert results(shop.model.requests[1])[0].text == told


@pytest.mark.parametrize(("approve", "word", "bodies"), [(True, "retry", 2), (False, "give_up", 1)])
async def test_yes_means_run_it_again_and_no_means_give_up(store: str, approve: bool, word: str, bodies: int) -> None:
    shop = Shop()
    async with opened(store, policy=Free()) as app:
        run = await app.run(shop.agent, "go")
        await app.decide(run.waiting[0], approve=approve, by="dana")
        run = await app.wait(run)
        assert (await of_kind(app, run, ev.ApprovalDecided))[0].decision == word
    assert (run.output, shop.bodies) == ("done", bodies)


async def test_a_retry_that_fails_too_is_unknown_again(store: str) -> None:
    shop = Shop(failures=2)
    async with opened(store, policy=Free()) as app:
        run = await app.run(shop.agent, "go")
        first = run.waiting[0]
        await app.settle(first, "retry")
        run = await app.wait(run)
        second = run.waiting[0]
        assert second.id != first.id
        await app.settle(second, "retry")
        assert (await app.wait(run)).output == "done"
    assert shop.bodies == 3


async def test_an_approve_callback_is_never_asked_about_an_unknown_outcome(store: str) -> None:
    asked: list[str] = []

    def approve(request: Any) -> bool:
        asked.append(request.kind)
        return True

    shop = Shop()
    async with opened(store, approve=approve) as app:
        run = await app.run(shop.agent, "go")
    assert (asked, [request.kind for request in run.waiting], shop.bodies) == (["call"], ["outcome"], 1)


async def test_the_same_call_is_asked_about_while_nobody_knows_of_the_first(store: str) -> None:
    shop = Shop()
    async with opened(store, policy=Free()) as app:
        first = await app.run(shop.agent, "go", session="s")
        assert first.waiting[0].kind == "outcome"
        second = await app.run(shop.agent, "go again", session="s")
        # The second run's model goes on where the first one's script stopped: it answers, and asks nothing.
        assert second.output == "done"
        third = await app.run(shop.agent, "and again", session="s")
        assert [request.kind for request in third.waiting] == ["call"]
        assert "nobody has said yet whether it happened" in third.waiting[0].reason
        await app.settle(first.waiting[0], "give_up")
        await app.decide(third.waiting[0], approve=True)
        assert (await app.wait(third)).output == "done again"
    assert shop.bodies == 2


@pytest.mark.parametrize("policy", [None, Free()])
@pytest.mark.parametrize("outcome", ["done", "retry"])
async def test_a_worker_that_dies_in_an_unsafe_call_leaves_it_unknown(store: str, policy: Any, outcome: Any) -> None:
    bodies, inside = [0], asyncio.Event()

    @tool
    async def refund() -> str:
        bodies[0] += 1
        if bodies[0] == 1:
            inside.set()
            await asyncio.Event().wait()
        return "refunded"

    agent = Agent("a", model=ScriptedModel(("refund", {}), "done"), tools=[refund])
    async with opened(store, policy=policy, approve=lambda request: True) as app:
        run = await app.start(agent, "go")
        await inside.wait()
        kept = app.store
    async with opened(kept, agent, policy=policy) as app:
        run = await app.wait(run)
        request = run.waiting[0]
        assert (bodies, request.kind, request.reason) == ([1], "outcome", "the worker died while it ran")
        await app.settle(request, outcome, result="it was refunded")
        run = await app.wait(run)
        assert run.waiting == (), "what a human decided is not asked again"
    assert (run.output, bodies) == ("done", [1 if outcome == "done" else 2])


@pytest.mark.parametrize("effect", ["read", "idempotent"])
async def test_a_worker_that_dies_in_a_repeatable_call_has_it_run_again_with_the_same_key(store: str, effect: Any) -> None:
    from surefoot.core.tool import ToolContext

    keys: list[str] = []
    inside = asyncio.Event()

    @tool(effect=effect)
    async def save(context: ToolContext[Any]) -> str:
        keys.append(context.idempotency_key)
        if len(keys) == 1:
            inside.set()
            await asyncio.Event().wait()
        return f"saved, try {context.attempt}"

    model = ScriptedModel(("save", {}), "done")
    agent = Agent("a", model=model, tools=[save])
    async with opened(store) as app:
        run = await app.start(agent, "go")
        await inside.wait()
        kept = app.store
    async with opened(kept, agent) as app:
        assert (await app.wait(run)).output == "done"
    assert keys == [f"{run.id}:0.0"] * 2
    assert results(model.requests[1])[0].text == "saved, try 2"


class Bank:
    """A reconcilable tool: it can say whether a transfer happened."""

    def __init__(self, happened: Any) -> None:
        self.bodies, self.probed, self.inside = 0, list[str](), asyncio.Event()

        def probe(key: str) -> Any:
            self.probed.append(key)
            found = happened(self) if callable(happened) else happened
            if isinstance(found, Exception):
                raise found
            return found

        @tool(effect="reconcilable", probe=probe)
        async def transfer(hang: bool) -> str:
            self.bodies += 1
            if self.bodies == 1:
                self.inside.set()
                if hang:
                    await asyncio.Event().wait()
                raise ConnectionError("the line is dead")
            return "transferred"

        self.tool = transfer


FOUND = [
    (Done("transferred before"), 1, "transferred before"),
    (Done(ToolOutput("transferred before")), 1, "transferred before"),
    (NotDone(), 2, "transferred"),
]


@pytest.mark.parametrize(("found", "bodies", "told"), FOUND)
async def test_a_probe_settles_a_call_that_failed(store: str, found: Any, bodies: int, told: str) -> None:
    bank = Bank(found)
    model = ScriptedModel(("transfer", {"hang": False}), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[bank.tool]), "go")
    assert (run.output, bank.bodies, bank.probed) == ("done", bodies, [f"{run.id}:0.0"])
    assert results(model.requests[1])[0].text == told


@pytest.mark.parametrize(("found", "bodies", "told"), FOUND)
async def test_a_probe_settles_a_call_whose_worker_died(store: str, found: Any, bodies: int, told: str) -> None:
    bank = Bank(found)
    model = ScriptedModel(("transfer", {"hang": True}), "done")
    agent = Agent("a", model=model, tools=[bank.tool])
    async with opened(store) as app:
        run = await app.start(agent, "go")
        await bank.inside.wait()
        kept = app.store
    async with opened(kept, agent) as app:
        run = await app.wait(run)
    assert (run.output, bank.bodies) == ("done", bodies)
    assert results(model.requests[1])[0].text == told


@pytest.mark.parametrize("found", [OSError("no answer"), "what?", None])
@pytest.mark.parametrize("hang", [False, True])
async def test_a_probe_that_cannot_tell_leaves_it_to_a_human(store: str, found: Any, hang: bool) -> None:
    bank = Bank(found)
    agent = Agent("a", model=ScriptedModel(("transfer", {"hang": hang}), "done"), tools=[bank.tool])
    async with opened(store) as app:
        run = await app.start(agent, "go")
        await bank.inside.wait()
        if not hang:
            await app.wait(run)
        kept = app.store
    async with opened(kept, agent) as app:
        run = await app.wait(run)
        assert (run.waiting[0].kind, bank.bodies) == ("outcome", 1)
        assert "the probe failed" in run.waiting[0].reason
        await app.settle(run.waiting[0], "retry")
        assert (await app.wait(run)).output == "done"
    assert bank.bodies == 2


async def test_a_transfer_is_asked_about_while_nobody_knows_of_the_same_one(store: str) -> None:
    bank = Bank(OSError("no answer"))
    model = ScriptedModel(("transfer", {"hang": False}))
    async with opened(store) as app:
        await app.run(Agent("a", model=model, tools=[bank.tool]), "go", session="s")
        kept = app.store
    again = Agent("a", model=ScriptedModel(("transfer", {"hang": False})), tools=[bank.tool])
    async with opened(kept, again) as app:
        run = await app.run(again, "again", session="s")
        assert [request.kind for request in run.waiting] == ["call"]
        judged = (await of_kind(app, run, ev.CallsJudged))[0]
    assert judged.verdicts[0].rules == ("unsettled",)
    assert bank.bodies == 1


async def test_a_call_that_never_happens_is_given_up_after_its_tries(store: str) -> None:
    @tool(effect="reconcilable", probe=lambda key: NotDone(), retries=1)
    async def transfer() -> str:
        raise ConnectionError("the line is dead")

    model = ScriptedModel(("transfer", {}), "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[transfer]), "go")
    assert run.output == "done"
    assert "tried 2 times; the probe says it did not happen" in results(model.requests[1])[0].text


async def test_a_deadline_that_passes_over_a_dead_worker_leaves_its_call_unknown(store: str) -> None:
    from surefoot.testing.clock import ManualClock

    inside, clock = asyncio.Event(), ManualClock()

    @tool
    async def refund() -> str:
        inside.set()
        await asyncio.Event().wait()
        return "never"

    agent = Agent("a", model=ScriptedModel(("refund", {}), "done"), tools=[refund])
    async with opened(store, approve=lambda request: True, clock=clock) as app:
        run = await app.start(agent, "go", deadline=3600)
        await inside.wait()
        kept = app.store
    clock.advance(3601)
    async with opened(kept, agent, clock=clock) as app:
        run = await app.wait(run)
        assert run.error is not None
        assert (run.status, run.error.kind) == ("failed", "deadline_exceeded")
        assert [request.kind for request in run.waiting] == ["outcome"]
        await app.settle(run.waiting[0], "done", result="it was refunded")
        assert (await app.resume(run, deadline=3600)).output == "done"
