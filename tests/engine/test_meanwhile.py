"""What comes about between two steps: outside writers, other definitions, stores that say no, workers that died."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from surefoot.core import events as ev
from surefoot.core.agent import Agent
from surefoot.core.errors import StoreUnavailable, UnknownEvent
from surefoot.core.messages import Text, ToolCall, Usage
from surefoot.core.ports import Store
from surefoot.testing.faults import Faults, FaultyStore
from surefoot.testing.models import ScriptedModel
from surefoot.tools.function import tool
from tests.engine.test_takeover import Around, FromTheFuture
from tests.flows.kit import of_kind, opened


async def test_a_message_that_comes_while_a_call_is_looked_into_has_it_decided_anew(store: str) -> None:
    ran: list[str] = []

    @tool
    async def note(text: str) -> str:
        ran.append(text)
        await app.send("k", "hurry", by="ann")
        return "noted"

    @tool
    def pay(order: str) -> str:
        ran.append(order)
        if len(ran) == 1:
            raise ConnectionError("the line is dead")
        return "paid"

    model = ScriptedModel([("pay", {"order": "81"}), ("note", {"text": "x"}), ("pay", {"order": "81"})], "done")
    async with opened(store) as app:
        run = await app.run(Agent("a", model=model, tools=[note, pay]), "go", id="k")
        for request in run.waiting:
            await app.decide(request, approve=True, by="dana")
        run = await app.wait(run)
        assert ran == ["81", "x"]
        assert sorted(request.kind for request in run.waiting) == ["call", "outcome"]
        await app.settle(next(r for r in run.waiting if r.kind == "outcome"), "give_up", by="dana")
        await app.decide(next(r for r in run.waiting if r.kind == "call"), approve=True, by="dana")
        run = await app.wait(run)
        assert (run.output, ran) == ("done", ["81", "x", "81"])
        assert len(await of_kind(app, run, ev.MessageReceived)) == 1


async def test_of_two_calls_of_unknown_outcome_one_may_be_run_again(store: str) -> None:
    ran: list[str] = []

    @tool
    def pay(order: str) -> str:
        ran.append(order)
        if len(ran) <= 2:
            raise ConnectionError("the line is dead")
        return "paid"

    model = ScriptedModel([("pay", {"order": "81"}), ("pay", {"order": "81"})], "done")
    async with opened(store, approve=lambda request: True) as app:
        run = await app.run(Agent("a", model=model, tools=[pay]), "go")
        assert [request.kind for request in run.waiting] == ["outcome", "outcome"]
        await app.settle(run.waiting[0], "retry", by="dana")
        run = await app.wait(run)
        assert len(ran) == 3
        await app.settle(run.waiting[0], "give_up", by="dana")
        assert (await app.wait(run)).output == "done"


class Forgetful(Around):
    """A store whose blobs are gone."""

    async def load(self, digest: str) -> bytes:
        raise KeyError(digest)


@pytest.mark.parametrize("forgetful", [False, True])
async def test_a_call_approved_under_another_definition_is_asked_about_with_the_same_demands(store: str, forgetful: bool) -> None:
    @tool(name="pay")
    def old(order: str) -> str:
        return "paid"

    @tool(name="pay")
    def new(order: str, currency: str = "EUR") -> str:
        return "paid"

    rules = '@ask("approver") @expires("4h") forbid(principal, action == Action::"pay", resource);'
    model = ScriptedModel(("pay", {"order": "81"}), "done")
    roles = {"dana": ("approver",)}
    async with opened(store, policy=rules, roles=roles) as app:
        kept = app.store
        run = await app.run(Agent("a", model=model, tools=[old]), "go")
        question = run.waiting[0]
    async with opened(kept, policy=rules, roles=roles) as app:  # decided where the agent is not known
        await app.decide(question, approve=True, by="dana")
    changed = Agent("a", model=model, tools=[new])
    async with opened(Forgetful(kept) if forgetful else kept, changed, policy=rules, roles=roles) as app:
        run = await app.wait(run)
        asked = run.waiting[0]
        assert "definition changed" in asked.reason
        assert ("currency is new" in asked.reason) is not forgetful
        assert asked.verdict is not None
        assert asked.verdict.roles == (("approver",),)
        assert asked.expires_at
        await app.decide(asked, approve=True, by="dana")
        assert (await app.wait(run)).output == "done"


async def test_what_children_of_a_dead_worker_used_is_counted_when_the_run_is_cancelled(store: str) -> None:
    @tool(effect="idempotent")
    def ask() -> str:
        return "never run again"

    parent = Agent("parent", model=ScriptedModel("never asked"), tools=[ask])
    async with opened(store) as app:
        kept = app.store
        await _dead(kept, "p", ev.RunStarted("parent", (Text("go"),)), _asked("ask"))
        child = ev.RunStarted("child", (Text("go"),), parent="p", parent_call="0.0")
        await _dead(kept, "c", child, [ev.ModelReplied(0, (Text("hm"),), Usage(10, 2)), ev.RunFinished("hm")])
    async with opened(kept, parent) as app:
        run = await app.cancel("p")
        assert (run.status, run.steps, run.usage) == ("cancelled", 2, Usage(10, 2))


async def test_an_intent_that_was_written_though_the_store_said_no_is_not_acted_on_twice(store: str) -> None:
    ran: list[int] = []
    refused: list[int] = []

    @tool(effect="read")
    def look() -> str:
        ran.append(1)
        return "seen"

    async def after(inside: Store, records: Sequence[ev.Record]) -> None:
        if not refused and any(isinstance(record.event, ev.ToolStarted) for record in records):
            refused.append(1)
            raise StoreUnavailable("the line was cut")

    agent = Agent("a", model=ScriptedModel(("look", {}), "done"), tools=[look])
    async with opened(store) as app:
        kept = app.store
        async with opened(FaultyStore(kept, Faults(after=after, shared=True)), agent) as faulty:
            with pytest.raises(StoreUnavailable):
                await faulty.run(agent, "go", id="k")
        assert (ran, refused) == ([], [1])
    async with opened(kept, agent) as app:
        assert (await app.wait("k")).output == "done"
        assert ran == [1]


async def test_a_run_that_only_a_newer_version_knows_is_not_cancelled_by_whoever_has_no_agent(store: str) -> None:
    async with opened(store) as app:
        kept = app.store
        await _dead(kept, "p", ev.RunStarted("gone", (Text("go"),)), _asked("ask"))
    async with opened(FromTheFuture(kept)) as app:
        with pytest.raises(UnknownEvent, match="upgrade this worker"):
            await app.cancel("p")
        assert await of_kind(app, "p", ev.RunCancelled) == []


def _asked(name: str) -> list[ev.Event]:
    call = ToolCall("0.0", name, "{}")
    return [ev.ModelReplied(0, (call,)), ev.ToolStarted("0.0", name, "{}", "idempotent", 1)]


async def _dead(store: Store, run: str, started: ev.RunStarted, events: Sequence[Any]) -> None:
    """A run that a worker which is no more came so far with."""
    await store.add(run, started)
    claim = await store.claim(run, "dead", 0.0)
    assert claim is not None
    await store.append(run, events, head=None, epoch=claim.epoch)
