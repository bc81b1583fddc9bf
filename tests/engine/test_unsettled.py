"""A call whose twin's outcome nobody knows is asked about, wherever in the session the twin is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from surefoot.app import App
from surefoot.core.agent import Agent
from surefoot.core.run import Run
from surefoot.core.tool import ToolContext
from surefoot.testing.clock import ManualClock
from surefoot.testing.models import FunctionModel, ScriptedModel
from surefoot.tools.function import tool
from tests.engine.test_outcomes import Free
from tests.flows.kit import opened


class Till:
    """A clerk whose unsafe tool fails without a word of what it did, and a boss who lets the clerk work."""

    def __init__(self) -> None:
        self.paid: list[str] = []

        @tool
        async def pay(to: str) -> str:
            self.paid.append(to)
            raise ConnectionError("the line is dead")

        @tool(effect="idempotent")
        async def order(context: ToolContext[Any], to: str) -> str:
            return str((await context.run(self.clerk, to)).output)

        calls = FunctionModel(lambda request: ("pay", {"to": request.messages[-1].text}) if one(request) else "done")
        orders = FunctionModel(lambda request: ("order", {"to": request.messages[-1].text}) if one(request) else "done")
        self.clerk: Agent[Any, str] = Agent("clerk", model=calls, tools=[pay])
        self.boss: Agent[Any, str] = Agent("boss", model=orders, tools=[order])

    async def asked(self, app: App, agent: Agent[Any, Any], to: str, **options: Any) -> str:
        """What a run that wants to pay asks: ``call`` where it may not pay yet, ``outcome`` where it has tried."""
        run: Run[Any] = await app.run(agent, to, **options)
        return run.waiting[0].kind


def one(request: Any) -> bool:
    """Whether the model is at its first step of the run."""
    return bool(request.messages[-1].role == "user")


async def test_a_twin_is_found_however_many_runs_have_come_since(store: str) -> None:
    till = Till()
    chat = Agent("chat", model=ScriptedModel(*["hello"] * 60))
    async with opened(store, policy=Free()) as app:
        assert await till.asked(app, till.clerk, "ann", session="s") == "outcome"
        for _ in range(60):
            await app.run(chat, "hi", session="s")
        assert await till.asked(app, till.clerk, "ann", session="s") == "call"
        assert await till.asked(app, till.clerk, "bob", session="s") == "outcome"
    assert till.paid == ["ann", "bob"]


async def test_a_twin_of_another_session_or_user_is_none(store: str) -> None:
    till = Till()
    async with opened(store, policy=Free()) as app:
        for options in ({"session": "s"}, {"session": "t"}, {"session": "s", "user": "dana"}, {}, {}):
            assert await till.asked(app, till.clerk, "ann", **options) == "outcome"


async def test_a_twin_in_a_child_of_an_earlier_run_is_found(store: str) -> None:
    till = Till()
    async with opened(store, policy=Free()) as app:
        assert await till.asked(app, till.boss, "ann", session="s") == "outcome"
        assert await till.asked(app, till.boss, "ann", session="s") == "call"
        assert await till.asked(app, till.clerk, "ann", session="s") == "call"
        assert await till.asked(app, till.boss, "ann") == "outcome"
    assert till.paid == ["ann", "ann"]


async def test_a_settled_twin_no_longer_asks(store: str) -> None:
    till = Till()
    async with opened(store, policy=Free()) as app:
        run = await app.run(till.clerk, "ann", session="s")
        await app.settle(run.waiting[0], "give_up")
        assert (await app.wait(run)).output == "done"
        assert await till.asked(app, till.clerk, "ann", session="s") == "outcome"


async def test_another_call_of_the_same_run_is_no_twin(store: str) -> None:
    till = Till()
    people = iter(["ann", "bob", "ann"])
    clerk = Agent("clerk", model=FunctionModel(lambda request: ("pay", {"to": next(people)})), tools=till.clerk.tools)
    async with opened(store, policy=Free()) as app:
        run = await app.run(clerk, "go")
        await app.settle(run.waiting[0], "done")
        run = await app.wait(run)
        assert [(request.kind, request.args) for request in run.waiting] == [("outcome", {"to": "bob"})]
        await app.settle(run.waiting[0], "done")
        assert [request.kind for request in (await app.wait(run)).waiting] == ["outcome"], "nothing is unsettled any more"


async def test_a_child_whose_parent_was_deleted_is_nobodys_twin(store: str) -> None:
    till, clock = Till(), ManualClock()
    async with opened(store, policy=Free(), clock=clock) as app:
        run = await app.run(till.boss, "ann", session="s")
        assert (await app.cancel(run.waiting[0].run)).status == "cancelled"
        assert (await app.wait(run)).status == "done"
        clock.advance(10)
        assert await app.prune(timedelta(seconds=1), status=["done"]) == [run.id]
        assert [kept.status for kept in await app.list()] == ["cancelled"]
        assert await till.asked(app, till.clerk, "ann", session="s") == "outcome"
